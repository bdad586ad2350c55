/*
 * Messages of clients, checked against protocol.def: a command, or an error that names the field
 * and says what would do.
 *
 * Pure but for memory; any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attributes.h"
#include "base/json.h"
#include "base/text.h"
#include "ws/edge.h"

enum qb_wire_error {
    QB_WIRE_ERROR_NONE,
#define QB_WIRE_ERROR(name, wire, is_temporary, text) QB_WIRE_ERROR_##name,
#include "ws/error.def"
    QB_WIRE_ERROR_COUNT
};

/* The code on the wire: "bad_field". Null for NONE. */
const char *qb_wire_error_code(enum qb_wire_error error);
bool qb_wire_error_is_temporary(enum qb_wire_error error);

#define QB_DEPTH_MAX         16
#define QB_MEMBERS_MAX       100
#define QB_ERROR_MESSAGE_MAX 320

/* What a message turned out to be. */
struct qb_decoded {
    enum qb_wire_error error;  /* NONE: `command` is valid */
    struct qb_command command; /* `id` also with an error; "null" if it could not be read */
    char message[QB_ERROR_MESSAGE_MAX]; /* with an error: a sentence for the author of the client */
    struct qb_json *root;               /* what `command.token` points into */
};

/*
 * Decodes one text message (design.md 7; security.md S31, S35, S45): an object with `id`, `do` and
 * exactly the fields of its row. `command.read_us` stays 0.
 *
 * amount_max   largest amount that passes
 * decoded      filled whatever it was; ends with qb_decoded_fini()
 */
void qb_protocol_decode(const char *text, size_t length, int64_t amount_max,
                        struct qb_decoded *decoded);
void qb_decoded_fini(struct qb_decoded *decoded);

/* "bid"; borrowed for ever. */
const char *qb_command_name(enum qb_command_kind kind);
/* Whether visitors may give it. */
bool qb_command_is_open(enum qb_command_kind kind);

/* An error answer: {"id":…,"ok":false,"error":{…}}; the parameters are qb_session_error()'s. */
struct qb_error_answer {
    const char *id; /* as JSON; null: null */
    const char *code;
    const char *message;
    bool is_temporary;
    int64_t retry_after_ms; /* 0: none */
    const char *extra;      /* JSON members without a leading comma; null: none */
};
void qb_protocol_error_json(struct qb_text *text, const struct qb_error_answer *answer);

/* Parts of an AsyncAPI document, as members without braces (protocol_schema.c): the schemas of
 * commands, their messages and their answers', these in the channel, and the operations. */
void qb_protocol_schemas(struct qb_text *text);
void qb_protocol_messages(struct qb_text *text);
void qb_protocol_channel(struct qb_text *text);
void qb_protocol_operations(struct qb_text *text);

/* The tables of docs/protocol.md in Markdown: commands and fields; error codes. */
void qb_protocol_docs(struct qb_text *text);
void qb_error_docs(struct qb_text *text);
