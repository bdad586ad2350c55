#include "base/json.h"

#include <jansson.h>
#include <string.h>

#include "base/assert.h"

/* qb_json is jansson's json_t under a name of ours; the casts stay in these two functions. */
static json_t *of(const struct qb_json *value)
{
    union {
        const struct qb_json *ours;
        json_t *theirs;
    } either = {.ours = value};
    return either.theirs;
}

static struct qb_json *ours(json_t *value)
{
    return (struct qb_json *)value;
}

/* Depth and members are counted before the parser builds anything. */
static enum qb_json_fault limit_passed(const char *bytes, size_t length,
                                       const struct qb_json_limits *limits, struct qb_error *error)
{
    unsigned depth = 0;
    size_t members = 0;
    bool in_string = false;

    if (length > limits->bytes_max) {
        (void)qb_error_set(error, "the text is longer than %zu bytes", limits->bytes_max);
        return QB_JSON_FAULT_BYTES;
    }
    for (size_t i = 0; i < length; i++) {
        char c = bytes[i];
        if (in_string && c == '\\')
            i++;
        else if (c == '"')
            in_string = !in_string;
        else if (in_string)
            continue;
        else if (c == '{' || c == '[')
            depth++;
        else if ((c == '}' || c == ']') && depth > 0)
            depth--;
        else if (c == ':' || c == ',')
            members++;
        if (depth > limits->depth_max) {
            (void)qb_error_set(error, "it is nested deeper than %u", limits->depth_max);
            return QB_JSON_FAULT_DEPTH;
        }
        if (members > limits->members_max * 2) {
            (void)qb_error_set(error, "it has more than %zu members", limits->members_max);
            return QB_JSON_FAULT_MEMBERS;
        }
    }
    return QB_JSON_FAULT_NONE;
}

static enum qb_json_fault fault_of(const json_error_t *problem)
{
    enum json_error_code code = json_error_code(problem);

    if (code == json_error_duplicate_key) return QB_JSON_FAULT_DUPLICATE;
    if (code == json_error_numeric_overflow) return QB_JSON_FAULT_NUMBER;
    return QB_JSON_FAULT_SYNTAX;
}

struct qb_json *qb_json_parse_fault(const char *bytes, size_t length,
                                    const struct qb_json_limits *limits, enum qb_json_fault *fault,
                                    struct qb_error *error)
{
    json_error_t problem;

    *fault = limit_passed(bytes, length, limits, error);
    if (*fault != QB_JSON_FAULT_NONE) return NULL;
    json_t *root = json_loadb(bytes, length, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &problem);
    if (root == NULL) {
        (void)qb_error_set(error, "line %d, column %d: %s", problem.line, problem.column,
                           problem.text);
        *fault = fault_of(&problem);
    }
    return ours(root);
}

struct qb_json *qb_json_parse(const char *bytes, size_t length, const struct qb_json_limits *limits,
                              struct qb_error *error)
{
    enum qb_json_fault fault = QB_JSON_FAULT_NONE;
    return qb_json_parse_fault(bytes, length, limits, &fault, error);
}

void qb_json_free(struct qb_json **root)
{
    if (*root != NULL) json_decref(of(*root));
    *root = NULL;
}

enum qb_json_kind qb_json_kind_of(const struct qb_json *value)
{
    switch (json_typeof(of(value))) {
    case JSON_OBJECT:
        return QB_JSON_OBJECT;
    case JSON_ARRAY:
        return QB_JSON_ARRAY;
    case JSON_STRING:
        return QB_JSON_STRING;
    case JSON_INTEGER:
        return QB_JSON_INTEGER;
    case JSON_REAL:
        return QB_JSON_REAL;
    case JSON_TRUE:
    case JSON_FALSE:
        return QB_JSON_BOOL;
    case JSON_NULL:
        break;
    }
    return QB_JSON_NULL;
}

const struct qb_json *qb_json_member(const struct qb_json *object, const char *name)
{
    return object != NULL ? ours(json_object_get(of(object), name)) : NULL;
}

size_t qb_json_count(const struct qb_json *value)
{
    if (value == NULL) return 0;
    return json_is_array(of(value)) ? json_array_size(of(value)) : json_object_size(of(value));
}

const struct qb_json *qb_json_element(const struct qb_json *array, size_t index)
{
    return ours(json_array_get(of(array), index));
}

const char *qb_json_member_at(const struct qb_json *object, size_t index,
                              const struct qb_json **value)
{
    void *at = json_object_iter(of(object));

    for (size_t i = 0; i < index && at != NULL; i++) at = json_object_iter_next(of(object), at);
    if (at == NULL) return NULL;
    *value = ours(json_object_iter_value(at));
    return json_object_iter_key(at);
}

const char *qb_json_string(const struct qb_json *value, size_t *length)
{
    if (value == NULL || !json_is_string(of(value))) return NULL;
    if (length != NULL) *length = json_string_length(of(value));
    return json_string_value(of(value));
}

bool qb_json_integer(const struct qb_json *value, int64_t *integer)
{
    if (value == NULL || !json_is_integer(of(value))) return false;
    *integer = json_integer_value(of(value));
    return true;
}

bool qb_json_bool(const struct qb_json *value, bool *is_true)
{
    if (value == NULL || !json_is_boolean(of(value))) return false;
    *is_true = json_is_true(of(value));
    return true;
}
