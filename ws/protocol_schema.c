/*
 * The commands of protocol.def as an AsyncAPI document describes them. What a good answer to a
 * command has is a schema of the document's own, named <command>_answer.
 *
 * Pure but for the text's memory; any thread.
 */
#include "ws/protocol.h"

enum field_kind { ID, AMOUNT, CURRENCY, KEY, TOKEN, COUNT32, COUNT64, REASON };
enum presence { OPTIONAL, REQUIRED };

#define SCHEMA(name) "{\"$ref\":\"#/components/schemas/" name "\"}"

static const struct {
    uint8_t command; /* enum qb_command_kind */
    uint8_t kind;    /* enum field_kind */
    uint8_t presence;
    const char *name;
    const char *help;
} fields[] = {
#define QB_FIELD(message, kind, name, presence, help)                                              \
    {QB_COMMAND_##message, kind, presence, #name, help},
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

static const char *const forms[] = {
    [ID] = SCHEMA("Id"),       [AMOUNT] = SCHEMA("PositiveAmount"), [CURRENCY] = SCHEMA("Currency"),
    [KEY] = SCHEMA("Key"),     [TOKEN] = SCHEMA("Token"),           [COUNT32] = SCHEMA("Epoch"),
    [COUNT64] = SCHEMA("Seq"), [REASON] = SCHEMA("RetractReason"),
};

static void required_json(struct qb_text *text, size_t command)
{
    qb_text_string(text, ",\"required\":[\"id\",\"do\"");
    for (size_t f = 0; f < QB_COUNT(fields); f++) {
        if (fields[f].command == command && fields[f].presence == REQUIRED)
            qb_text_format(text, ",\"%s\"", fields[f].name);
    }
    qb_text_string(text, "]");
}

/* Optional fields of a command come together or not at all. */
static void together_json(struct qb_text *text, size_t command)
{
    const char *before = "";

    qb_text_string(text, ",\"dependencies\":{");
    for (size_t f = 0; f < QB_COUNT(fields); f++) {
        if (fields[f].command != command || fields[f].presence == REQUIRED) continue;
        const char *comma = "";
        qb_text_format(text, "%s\"%s\":[", before, fields[f].name);
        for (size_t other = 0; other < QB_COUNT(fields); other++) {
            if (other == f || fields[other].command != command ||
                fields[other].presence == REQUIRED)
                continue;
            qb_text_format(text, "%s\"%s\"", comma, fields[other].name);
            comma = ",";
        }
        qb_text_string(text, "]");
        before = ",";
    }
    qb_text_string(text, "}");
}

void qb_protocol_schemas(struct qb_text *text)
{
    for (size_t i = 0; i < QB_COUNT(commands); i++) {
        if (i > 0) qb_text_string(text, ",");
        qb_text_format(text, "\"%s\":{\"type\":\"object\"", commands[i].name);
        qb_text_json_text(text, "description", commands[i].help);
        required_json(text, i);
        together_json(text, i);
        qb_text_format(text,
                       ",\"additionalProperties\":false,\"properties\":{\"id\":%s,\"do\":"
                       "{\"type\":\"string\",\"const\":\"%s\"}",
                       SCHEMA("CommandId"), commands[i].name);
        for (size_t f = 0; f < QB_COUNT(fields); f++) {
            if (fields[f].command != i) continue;
            qb_text_format(text, ",\"%s\":{\"allOf\":[%s]", fields[f].name, forms[fields[f].kind]);
            qb_text_json_text(text, "description", fields[f].help);
            qb_text_string(text, "}");
        }
        qb_text_string(text, "}}");
    }
}

void qb_protocol_messages(struct qb_text *text)
{
    for (size_t i = 0; i < QB_COUNT(commands); i++) {
        const char *name = commands[i].name;
        qb_text_format(text,
                       "%s\"%s\":{\"name\":\"%s\",\"payload\":{\"$ref\":\"#/components/schemas/"
                       "%s\"}},\"%s_answer\":{\"name\":\"%s_answer\",\"payload\":{\"$ref\":"
                       "\"#/components/schemas/%s_answer\"}}",
                       i > 0 ? "," : "", name, name, name, name, name, name);
    }
}

void qb_protocol_channel(struct qb_text *text)
{
    for (size_t i = 0; i < QB_COUNT(commands); i++) {
        const char *name = commands[i].name;
        qb_text_format(text,
                       "%s\"%s\":{\"$ref\":\"#/components/messages/%s\"},\"%s_answer\":{\"$ref\":"
                       "\"#/components/messages/%s_answer\"}",
                       i > 0 ? "," : "", name, name, name, name);
    }
}

void qb_protocol_operations(struct qb_text *text)
{
    for (size_t i = 0; i < QB_COUNT(commands); i++) {
        const char *name = commands[i].name;
        qb_text_format(text,
                       "%s\"%s\":{\"action\":\"receive\",\"channel\":{\"$ref\":"
                       "\"#/channels/websocket\"}",
                       i > 0 ? "," : "", name);
        qb_text_json_text(text, "summary", commands[i].help);
        if (!commands[i].is_open)
            qb_text_json_text(text, "description", "Only for who has said who they are.");
        qb_text_format(text,
                       ",\"messages\":[{\"$ref\":\"#/channels/websocket/messages/%s\"}],\"reply\":"
                       "{\"channel\":{\"$ref\":\"#/channels/websocket\"},\"messages\":[{\"$ref\":"
                       "\"#/channels/websocket/messages/%s_answer\"},{\"$ref\":"
                       "\"#/channels/websocket/messages/error\"}]}}",
                       name, name);
    }
}
