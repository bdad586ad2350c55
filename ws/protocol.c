#include "ws/protocol.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "bidding/entry.h"

#define ID_TEXT_MAX   36
#define INTEGER_MAX   QB_AMOUNT_MAX /* what JavaScript holds exactly */
#define ECHO_MAX      32            /* bytes of a client's own name for something in a message */
#define CURRENCY_SIZE (QB_CURRENCY_BYTES - 1)

enum field_kind { ID, AMOUNT, CURRENCY, KEY, TOKEN, COUNT32, COUNT64, REASON };
enum presence { OPTIONAL, REQUIRED };

struct field {
    uint8_t command; /* enum qb_command_kind */
    uint8_t kind;    /* enum field_kind */
    uint8_t presence;
    uint16_t offset; /* of the member in struct qb_command */
    const char *name;
    const char *help;
};

/* Where a field goes; a price to buy at is the command's one amount. */
#define MEMBER_auction  auction
#define MEMBER_token    token
#define MEMBER_epoch    epoch
#define MEMBER_seq      seq
#define MEMBER_max      max
#define MEMBER_price    max
#define MEMBER_currency currency
#define MEMBER_key      key
#define MEMBER_reason   reason

static const struct field fields[] = {
#define QB_FIELD(message, kind, name, presence, help)                                              \
    {QB_COMMAND_##message, kind, presence, offsetof(struct qb_command, MEMBER_##name), #name, help},
#include "ws/protocol.def"
};

static const struct {
    const char *name;
    bool is_open;
    const char *help;
} commands[] = {
#define QB_MESSAGE(name, wire, is_open, help) {wire, is_open, help},
#include "ws/protocol.def"
};

static const struct {
    const char *code;
    bool is_temporary;
    const char *text;
} errors[] = {
    {NULL, false, NULL},
#define QB_WIRE_ERROR(name, wire, is_temporary, text) {wire, is_temporary, text},
#include "ws/error.def"
};

static const char *const reason_names[] = {
    [QB_RETRACT_WRONG_AMOUNT] = "wrong_amount",
    [QB_RETRACT_DESCRIPTION_CHANGED] = "description_changed",
    [QB_RETRACT_SELLER_UNREACHABLE] = "seller_unreachable",
};

_Static_assert(QB_COUNT(commands) == QB_COMMAND_COUNT, "a row for each command");
_Static_assert(QB_COUNT(errors) == QB_WIRE_ERROR_COUNT, "a row for each error");

const char *qb_wire_error_code(enum qb_wire_error error)
{
    QB_ASSERT(error < QB_WIRE_ERROR_COUNT);
    return errors[error].code;
}

bool qb_wire_error_is_temporary(enum qb_wire_error error)
{
    QB_ASSERT(error < QB_WIRE_ERROR_COUNT);
    return errors[error].is_temporary;
}

const char *qb_command_name(enum qb_command_kind kind)
{
    QB_ASSERT(kind < QB_COMMAND_COUNT);
    return commands[kind].name;
}

bool qb_command_is_open(enum qb_command_kind kind)
{
    return kind < QB_COMMAND_COUNT && commands[kind].is_open;
}

/* Notes what is wrong. Returns false, so that a check can fail in one line. */
static bool fail(struct qb_decoded *decoded, enum qb_wire_error error, const char *format, ...)
    QB_PRINTF(3, 4);

static bool fail(struct qb_decoded *decoded, enum qb_wire_error error, const char *format, ...)
{
    va_list values;

    decoded->error = error;
    va_start(values, format);
    (void)vsnprintf(decoded->message, sizeof decoded->message, format, values);
    va_end(values);
    return false;
}

static bool is_word(const char *text, size_t length, size_t length_max)
{
    if (length == 0 || length > length_max) return false;
    for (size_t i = 0; i < length; i++) {
        bool is_letter = (text[i] >= 'A' && text[i] <= 'Z') || (text[i] >= 'a' && text[i] <= 'z');
        bool is_digit = text[i] >= '0' && text[i] <= '9';
        if (!is_letter && !is_digit && text[i] != '_' && text[i] != '-') return false;
    }
    return true;
}

static bool read_integer(const struct qb_json *value, int64_t least, int64_t most, int64_t *integer)
{
    return qb_json_integer(value, integer) && *integer >= least && *integer <= most;
}

static bool read_id(const struct qb_json *root, struct qb_decoded *decoded)
{
    const struct qb_json *value = qb_json_member(root, "id");
    char *id = decoded->command.id;
    size_t length = 0;
    int64_t number = 0;

    if (read_integer(value, 1, INTEGER_MAX, &number)) {
        (void)snprintf(id, QB_COMMAND_ID_BYTES, "%" PRId64, number);
        return true;
    }
    const char *text = qb_json_string(value, &length);
    if (text != NULL && is_word(text, length, ID_TEXT_MAX)) {
        (void)snprintf(id, QB_COMMAND_ID_BYTES, "\"%s\"", text);
        return true;
    }
    return fail(decoded, QB_WIRE_ERROR_BAD_ID,
                "id must be an integer from 1 to %" PRId64
                " or a string of 1 to %d of A-Z a-z 0-9 _ -; the answer repeats it.",
                INTEGER_MAX, ID_TEXT_MAX);
}

/* "auth, watch, …" or, of one command, the names of its fields. */
static void list_commands(struct qb_text *list)
{
    for (size_t i = 0; i < QB_COMMAND_COUNT; i++) {
        qb_text_format(list, "%s%s", i > 0 ? ", " : "", commands[i].name);
    }
}

static void list_fields(struct qb_text *list, uint8_t command)
{
    size_t count = 0;

    for (size_t i = 0; i < QB_COUNT(fields); i++) {
        if (fields[i].command != command) continue;
        qb_text_format(list, "%s%s", count++ > 0 ? ", " : "", fields[i].name);
    }
    if (count == 0) qb_text_string(list, "no fields beside id and do");
}

static bool fail_kind(struct qb_decoded *decoded, bool is_missing, const char *name)
{
    QB_CLEANUP(qb_text_fini) struct qb_text list = {0};

    list_commands(&list);
    if (is_missing) {
        return fail(decoded, QB_WIRE_ERROR_MISSING_FIELD, "The field do is missing. Use one of %s.",
                    list.bytes);
    }
    if (name == NULL) {
        return fail(decoded, QB_WIRE_ERROR_BAD_FIELD, "do must be a string: one of %s.",
                    list.bytes);
    }
    return fail(decoded, QB_WIRE_ERROR_UNKNOWN_COMMAND,
                "There is no command \"%.*s\". Use one of %s.", ECHO_MAX, name, list.bytes);
}

static bool read_kind(const struct qb_json *root, struct qb_decoded *decoded)
{
    const struct qb_json *value = qb_json_member(root, "do");
    const char *name = qb_json_string(value, NULL);

    for (size_t i = 0; name != NULL && i < QB_COMMAND_COUNT; i++) {
        if (strcmp(name, commands[i].name) != 0) continue;
        decoded->command.kind = (uint8_t)i;
        return true;
    }
    return fail_kind(decoded, value == NULL, name);
}

static const struct field *field_of(uint8_t command, const char *name)
{
    for (size_t i = 0; i < QB_COUNT(fields); i++) {
        if (fields[i].command == command && strcmp(fields[i].name, name) == 0) return &fields[i];
    }
    return NULL;
}

static bool has_only_known(const struct qb_json *root, struct qb_decoded *decoded)
{
    uint8_t command = decoded->command.kind;
    size_t count = qb_json_count(root);

    for (size_t i = 0; i < count; i++) {
        const struct qb_json *value = NULL;
        const char *name = qb_json_member_at(root, i, &value);
        if (strcmp(name, "id") == 0 || strcmp(name, "do") == 0) continue;
        if (field_of(command, name) != NULL) continue;
        QB_CLEANUP(qb_text_fini) struct qb_text list = {0};
        list_fields(&list, command);
        return fail(decoded, QB_WIRE_ERROR_UNKNOWN_FIELD, "%s has no field \"%.*s\". It takes %s.",
                    commands[command].name, ECHO_MAX, name, list.bytes);
    }
    return true;
}

static bool read_reason(const char *text, uint8_t *reason)
{
    for (uint8_t i = 1; text != NULL && i < QB_COUNT(reason_names); i++) {
        if (strcmp(text, reason_names[i]) != 0) continue;
        *reason = i;
        return true;
    }
    return false;
}

static bool is_currency(const char *text, size_t length)
{
    if (length != CURRENCY_SIZE) return false;
    for (size_t i = 0; i < length; i++) {
        if (text[i] < 'A' || text[i] > 'Z') return false;
    }
    return true;
}

/* Puts the value at `at`, a member of the command. False: it is not of the kind's form. */
static bool read_value(enum field_kind kind, const struct qb_json *value, int64_t amount_max,
                       void *at)
{
    size_t length = 0;
    int64_t integer = 0;
    const char *text = qb_json_string(value, &length);

    switch (kind) {
    case ID:
        return text != NULL && qb_id_parse(text, length, at);
    case AMOUNT:
        return read_integer(value, 1, amount_max, at);
    case CURRENCY:
        if (text == NULL || !is_currency(text, length)) return false;
        (void)memcpy(at, text, length + 1);
        return true;
    case KEY:
        if (text == NULL || !is_word(text, length, QB_KEY_BYTES_MAX)) return false;
        (void)memcpy(at, text, length + 1);
        return true;
    case TOKEN:
        if (text == NULL || length == 0 || length > QB_TOKEN_BYTES_MAX) return false;
        *(const char **)at = text;
        return true;
    case COUNT32:
        if (!read_integer(value, 0, UINT32_MAX, &integer)) return false;
        *(uint32_t *)at = (uint32_t)integer;
        return true;
    case COUNT64:
        if (!read_integer(value, 0, INTEGER_MAX, &integer)) return false;
        *(uint64_t *)at = (uint64_t)integer;
        return true;
    case REASON:
        return read_reason(text, at);
    }
    return false;
}

/* What would do, for a field of that kind. */
static void form_of(enum field_kind kind, int64_t amount_max, struct qb_text *text)
{
    switch (kind) {
    case ID:
        qb_text_string(text, "the id of an auction: 13 characters, lower case");
        return;
    case AMOUNT:
        qb_text_string(text, "an integer in minor units from 1 to ");
        qb_text_int(text, amount_max);
        qb_text_string(text, " (1050 is 10.50): no fraction, exponent or quotes");
        return;
    case CURRENCY:
        qb_text_string(text, "a string of three capital letters, such as USD");
        return;
    case KEY:
        qb_text_format(text, "a string of 1 to %d of A-Z a-z 0-9 _ -", QB_KEY_BYTES_MAX);
        return;
    case TOKEN:
        qb_text_format(text, "a string of 1 to %d bytes", QB_TOKEN_BYTES_MAX);
        return;
    case COUNT32:
        qb_text_format(text, "an integer from 0 to %" PRIu32, UINT32_MAX);
        return;
    case COUNT64:
        qb_text_format(text, "an integer from 0 to %" PRId64, INTEGER_MAX);
        return;
    case REASON:
        qb_text_format(text, "%s, %s or %s", reason_names[QB_RETRACT_WRONG_AMOUNT],
                       reason_names[QB_RETRACT_DESCRIPTION_CHANGED],
                       reason_names[QB_RETRACT_SELLER_UNREACHABLE]);
        return;
    }
}

static bool read_field(const struct field *field, const struct qb_json *root, int64_t amount_max,
                       struct qb_decoded *decoded)
{
    const struct qb_json *value = qb_json_member(root, field->name);
    QB_CLEANUP(qb_text_fini) struct qb_text form = {0};

    if (value == NULL && field->presence == OPTIONAL) return true;
    void *at = (char *)&decoded->command + field->offset;
    enum field_kind kind = (enum field_kind)field->kind;
    if (value != NULL && read_value(kind, value, amount_max, at)) return true;

    form_of(kind, amount_max, &form);
    if (value == NULL) {
        return fail(decoded, QB_WIRE_ERROR_MISSING_FIELD, "The field %s is missing. It is %s.",
                    field->name, form.bytes);
    }
    return fail(decoded, QB_WIRE_ERROR_BAD_FIELD, "%s must be %s.", field->name, form.bytes);
}

static bool read_fields(const struct qb_json *root, int64_t amount_max, struct qb_decoded *decoded)
{
    struct qb_command *command = &decoded->command;

    for (size_t i = 0; i < QB_COUNT(fields); i++) {
        if (fields[i].command != command->kind) continue;
        if (!read_field(&fields[i], root, amount_max, decoded)) return false;
    }
    if (command->kind != QB_COMMAND_WATCH) return true;
    bool has_epoch = qb_json_member(root, "epoch") != NULL;
    command->has_position = qb_json_member(root, "seq") != NULL;
    if (has_epoch == command->has_position) return true;
    return fail(decoded, QB_WIRE_ERROR_MISSING_FIELD,
                "The field %s is missing. Send epoch and seq of the last update seen, or neither.",
                has_epoch ? "seq" : "epoch");
}

static bool fail_json(struct qb_decoded *decoded, enum qb_json_fault fault,
                      const struct qb_error *error)
{
    switch (fault) {
    case QB_JSON_FAULT_DEPTH:
        return fail(decoded, QB_WIRE_ERROR_TOO_DEEP,
                    "The JSON is nested deeper than %d. Commands are flat objects.", QB_DEPTH_MAX);
    case QB_JSON_FAULT_MEMBERS:
        return fail(decoded, QB_WIRE_ERROR_TOO_MANY_MEMBERS,
                    "The JSON has more than %d members. No command has more than a few.",
                    QB_MEMBERS_MAX);
    case QB_JSON_FAULT_DUPLICATE:
        return fail(decoded, QB_WIRE_ERROR_DUPLICATE_MEMBER,
                    "A member came twice (%.100s). Send each one once.", error->text);
    case QB_JSON_FAULT_NUMBER:
        return fail(decoded, QB_WIRE_ERROR_BIG_NUMBER,
                    "A number is larger than any field takes (%.100s).", error->text);
    case QB_JSON_FAULT_NONE:
    case QB_JSON_FAULT_BYTES:
    case QB_JSON_FAULT_SYNTAX:
        break;
    }
    return fail(decoded, QB_WIRE_ERROR_MALFORMED,
                "The message is not JSON (%.100s). Send one object, such as {\"id\":1,\"do\":"
                "\"ping\"}.",
                error->text);
}

static bool decode(const char *text, size_t length, int64_t amount_max, struct qb_decoded *decoded)
{
    const struct qb_json_limits limits = {
        .bytes_max = SIZE_MAX, /* the connection has its own */
        .depth_max = QB_DEPTH_MAX,
        .members_max = QB_MEMBERS_MAX,
    };
    struct qb_error error = {{0}};
    enum qb_json_fault fault = QB_JSON_FAULT_NONE;

    decoded->root = qb_json_parse_fault(text, length, &limits, &fault, &error);
    if (decoded->root == NULL) return fail_json(decoded, fault, &error);
    if (qb_json_kind_of(decoded->root) != QB_JSON_OBJECT) {
        return fail(decoded, QB_WIRE_ERROR_MALFORMED,
                    "The message is no JSON object. Send one, such as {\"id\":1,\"do\":\"ping\"}.");
    }
    return read_id(decoded->root, decoded) && read_kind(decoded->root, decoded) &&
           has_only_known(decoded->root, decoded) &&
           read_fields(decoded->root, amount_max, decoded);
}

void qb_protocol_decode(const char *text, size_t length, int64_t amount_max,
                        struct qb_decoded *decoded)
{
    QB_ASSERT(amount_max >= 1);
    QB_ASSERT(amount_max <= QB_AMOUNT_MAX);

    *decoded = (struct qb_decoded){.command.id = "null", .command.kind = QB_COMMAND_COUNT};
    bool is_good = decode(text, length, amount_max, decoded);
    QB_ASSERT(is_good == (decoded->error == QB_WIRE_ERROR_NONE));
}

void qb_decoded_fini(struct qb_decoded *decoded)
{
    qb_json_free(&decoded->root);
}

void qb_protocol_error_json(struct qb_text *text, const struct qb_error_answer *answer)
{
    qb_text_format(text, "{\"id\":%s,\"ok\":false,\"error\":{",
                   answer->id != NULL ? answer->id : "null");
    qb_text_json_text(text, "code", answer->code);
    qb_text_json_text(text, "message", answer->message);
    qb_text_json_bool(text, "temporary", answer->is_temporary);
    if (answer->retry_after_ms > 0) {
        qb_text_json_int(text, "retry_after_ms", answer->retry_after_ms);
    }
    if (answer->extra != NULL && answer->extra[0] != '\0') {
        qb_text_string(text, ",");
        qb_text_string(text, answer->extra);
    }
    qb_text_string(text, "}}");
}

void qb_protocol_docs(struct qb_text *text)
{
    qb_text_string(text, "| do | fields | visitors | |\n|---|---|---|---|\n");
    for (size_t i = 0; i < QB_COMMAND_COUNT; i++) {
        const char *before = "";
        qb_text_format(text, "| `%s` | ", commands[i].name);
        for (size_t f = 0; f < QB_COUNT(fields); f++) {
            if (fields[f].command != i) continue;
            qb_text_format(text, "%s`%s`%s", before, fields[f].name,
                           fields[f].presence == OPTIONAL ? " (optional)" : "");
            before = ", ";
        }
        qb_text_format(text, " | %s | %s |\n", commands[i].is_open ? "yes" : "no",
                       commands[i].help);
    }
    qb_text_string(text, "\n| of | field | form | meaning |\n|---|---|---|---|\n");
    for (size_t f = 0; f < QB_COUNT(fields); f++) {
        qb_text_format(text, "| `%s` | `%s` | ", commands[fields[f].command].name, fields[f].name);
        form_of((enum field_kind)fields[f].kind, QB_AMOUNT_MAX, text);
        qb_text_format(text, " | %s |\n", fields[f].help);
    }
}

void qb_error_docs(struct qb_text *text)
{
    qb_text_string(text, "| code | temporary | meaning |\n|---|---|---|\n");
    for (size_t i = 1; i < QB_WIRE_ERROR_COUNT; i++) {
        qb_text_format(text, "| `%s` | %s | %s |\n", errors[i].code,
                       errors[i].is_temporary ? "yes" : "no", errors[i].text);
    }
}
