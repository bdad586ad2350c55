/*
 * JSON that comes from outside, read strictly: size, depth and member count limited before
 * parsing, duplicate members refused, numbers of money only as integers. jansson stands behind it
 * and is seen nowhere else.
 *
 * Any thread; a value belongs to its caller; members are borrowed from their root.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attributes.h"
#include "base/error.h"

struct qb_json; /* any JSON value */

struct qb_json_limits {
    size_t bytes_max;
    unsigned depth_max;
    size_t members_max; /* over the whole text */
};

/* Null with `error` set ("line 1, column 5: …") unless `bytes` is one JSON value in UTF-8. */
QB_MUST_USE struct qb_json *qb_json_parse(const char *bytes, size_t length,
                                          const struct qb_json_limits *limits,
                                          struct qb_error *error);

/* Which kind of wrong a text was. */
enum qb_json_fault {
    QB_JSON_FAULT_NONE,
    QB_JSON_FAULT_SYNTAX,
    QB_JSON_FAULT_BYTES,     /* above bytes_max */
    QB_JSON_FAULT_DEPTH,     /* above depth_max */
    QB_JSON_FAULT_MEMBERS,   /* above members_max */
    QB_JSON_FAULT_DUPLICATE, /* a member came twice */
    QB_JSON_FAULT_NUMBER,    /* a number that 64 bits do not hold */
};

/* The same, and says which kind of wrong it was, for answers that differ by it. */
QB_MUST_USE struct qb_json *qb_json_parse_fault(const char *bytes, size_t length,
                                                const struct qb_json_limits *limits,
                                                enum qb_json_fault *fault, struct qb_error *error);
void qb_json_free(struct qb_json **root);

enum qb_json_kind {
    QB_JSON_NULL,
    QB_JSON_BOOL,
    QB_JSON_INTEGER,
    QB_JSON_REAL,
    QB_JSON_STRING,
    QB_JSON_ARRAY,
    QB_JSON_OBJECT,
};

enum qb_json_kind qb_json_kind_of(const struct qb_json *value);

/* The member, or null if `object` is no object or has no such member. */
const struct qb_json *qb_json_member(const struct qb_json *object, const char *name);
/* Number of members or elements; 0 for everything else. */
size_t qb_json_count(const struct qb_json *value);
/* Element `index` of an array. */
const struct qb_json *qb_json_element(const struct qb_json *array, size_t index);
/* Name and value of member `index`, in the order of the text. */
const char *qb_json_member_at(const struct qb_json *object, size_t index,
                              const struct qb_json **value);

/* The string and its length, zero-terminated too; null unless it is a string. */
const char *qb_json_string(const struct qb_json *value, size_t *length);
/* False unless it is an integer (1.0 and 1e3 are not). */
QB_MUST_USE bool qb_json_integer(const struct qb_json *value, int64_t *integer);
QB_MUST_USE bool qb_json_bool(const struct qb_json *value, bool *is_true);
