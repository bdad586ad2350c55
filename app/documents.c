#include "app/documents.h"

#include <stdlib.h>
#include <string.h>

#include "app/settings.h"
#include "base/assert.h"
#include "base/sha256.h"
#include "bidding/refusal.h"
#include "ws/close.h"
#include "ws/protocol.h"

#define SETTING     "setting."
#define PLACE_BYTES 64

extern const char qb_data_openapi[];
extern const char qb_data_paths[];
extern const char qb_data_http_schemas[];
extern const char qb_data_asyncapi[];
extern const char qb_data_message_schemas[];
extern const char qb_data_schemas[];

/* --- what the tables give --- */

/* One more string of a list, unless it was there before: some codes have two texts. */
static void add_code(struct qb_text *text, size_t begin, const char *code)
{
    struct qb_text quoted = {0};

    qb_text_format(&quoted, "\"%s\"", code);
    bool is_known = text->length > begin && strstr(text->bytes + begin, quoted.bytes) != NULL;
    if (!is_known) qb_text_format(text, "%s%s", text->length > begin ? "," : "", quoted.bytes);
    qb_text_fini(&quoted);
}

static void problem_codes(struct qb_text *text)
{
    static const char *const codes[] = {
#define QB_API_PROBLEM(name, status, code, text) code,
#include "app/problem.def"
    };
    size_t begin = text->length;

    for (size_t i = 0; i < QB_COUNT(codes); i++) add_code(text, begin, codes[i]);
}

static void request_codes(struct qb_text *text)
{
    static const char *const codes[] = {
#define QB_HTTP_HEAD_REFUSAL(name, status, code, text) code,
#define QB_HTTP_REFUSAL(name, status, code, text)      code,
#include "ws/http_refusal.def"
    };
    size_t begin = text->length;

    for (size_t i = 0; i < QB_COUNT(codes); i++) add_code(text, begin, codes[i]);
}

static void refusal_codes(struct qb_text *text)
{
    size_t begin = text->length;

    for (int i = QB_REFUSAL_NONE + 1; i < QB_REFUSAL_COUNT; i++) {
        add_code(text, begin, qb_refusal_code((enum qb_refusal)i));
    }
}

static void error_codes(struct qb_text *text)
{
    size_t begin = text->length;

    for (int i = QB_WIRE_ERROR_NONE + 1; i < QB_WIRE_ERROR_COUNT; i++) {
        add_code(text, begin, qb_wire_error_code((enum qb_wire_error)i));
    }
}

static void close_reasons(struct qb_text *text)
{
    size_t begin = text->length;

    for (int i = 0; i < QB_CLOSE_COUNT; i++) {
        if (qb_close_code((enum qb_close)i) == 0) continue;
        add_code(text, begin, qb_close_metric((enum qb_close)i));
    }
}

static void close_codes(struct qb_text *text)
{
    const char *before = "";

    for (int i = 0; i < QB_CLOSE_COUNT; i++) {
        enum qb_close reason = (enum qb_close)i;
        if (qb_close_code(reason) == 0) continue;
        qb_text_format(text, "%s{", before);
        qb_text_json_int(text, "code", qb_close_code(reason));
        qb_text_json_text(text, "reason", qb_close_metric(reason));
        qb_text_json_text(text, "text", qb_close_text(reason));
        qb_text_string(text, "}");
        before = ",";
    }
}

static void version(struct qb_text *text)
{
    qb_text_string(text, "\"" QB_VERSION "\"");
}

static void expand(const char *data, const struct qb_settings *settings, struct qb_text *text);

/* clang-format off */
static const struct {
    const char *name;
    void (*write)(struct qb_text *text);
} places[] = {
    {"version",            version},
    {"problem_codes",      problem_codes},
    {"request_codes",      request_codes},
    {"refusal_codes",      refusal_codes},
    {"error_codes",        error_codes},
    {"close_reasons",      close_reasons},
    {"close_codes",        close_codes},
    {"command_schemas",    qb_protocol_schemas},
    {"command_messages",   qb_protocol_messages},
    {"channel_messages",   qb_protocol_channel},
    {"command_operations", qb_protocol_operations},
};
/* clang-format on */

/* Files that are part of another. */
static const struct {
    const char *name;
    const char *data;
} files[] = {
    {"paths", qb_data_paths},
    {"schemas", qb_data_schemas},
    {"http_schemas", qb_data_http_schemas},
    {"message_schemas", qb_data_message_schemas},
};

/* The members of an object, without the braces around them. False: there is no such file. */
static bool include(const char *name, const struct qb_settings *settings, struct qb_text *text)
{
    struct qb_text whole = {0};
    size_t i = 0;

    while (i < QB_COUNT(files) && strcmp(files[i].name, name) != 0) i++;
    if (i == QB_COUNT(files)) return false;
    expand(files[i].data, settings, &whole);
    QB_ASSERT(whole.length > 2);
    qb_text_add(text, whole.bytes + 1, whole.length - 2);
    qb_text_fini(&whole);
    return true;
}

static void fill(const char *name, const struct qb_settings *settings, struct qb_text *text)
{
    int64_t number = 0;

    if (include(name, settings, text)) return;
    if (strncmp(name, SETTING, sizeof SETTING - 1) == 0) {
        bool is_known = qb_settings_number(settings, name + sizeof SETTING - 1, &number);
        QB_ASSERT(is_known);
        qb_text_int(text, number);
        return;
    }
    size_t i = 0;
    while (i < QB_COUNT(places) && strcmp(places[i].name, name) != 0) i++;
    QB_ASSERT(i < QB_COUNT(places)); /* a place in the data that no table fills */
    places[i].write(text);
}

/* Of a string that begins at `data`: its length with the quotes. */
static size_t string_length(const char *data)
{
    size_t at = 1;

    while (data[at] != '"') at += data[at] == '\\' ? 2 : 1;
    return at + 1;
}

/* Copies JSON without its white space, and fills its places. */
static void expand(const char *data, const struct qb_settings *settings, struct qb_text *text)
{
    char name[PLACE_BYTES];

    while (*data != '\0') {
        if (*data != '"') {
            if (strchr(" \t\r\n", *data) == NULL) qb_text_add(text, data, 1);
            data++;
            continue;
        }
        size_t length = string_length(data);
        if (data[1] != '@') {
            qb_text_add(text, data, length);
        } else {
            QB_ASSERT(length - 3 < sizeof name);
            (void)memcpy(name, data + 2, length - 3);
            name[length - 3] = '\0';
            fill(name, settings, text);
            if (strncmp(data + length, ": 0", 3) == 0) length += 3;
        }
        data += length;
    }
}

void qb_document_write(enum qb_document_kind kind, const struct qb_settings *settings,
                       struct qb_text *text)
{
    static const char *const data[] = {
        [QB_DOCUMENT_OPENAPI] = qb_data_openapi,
        [QB_DOCUMENT_ASYNCAPI] = qb_data_asyncapi,
    };

    expand(data[kind], settings, text);
    QB_ASSERT(!text->is_full);
}

struct qb_documents *qb_documents_new(const struct qb_settings *settings)
{
    struct qb_documents *documents = calloc(1, sizeof *documents);

    QB_ASSERT(documents != NULL);
    for (int i = 0; i < QB_DOCUMENT_COUNT; i++) {
        struct qb_text text = {0};
        uint8_t digest[QB_SHA256_BYTES];
        qb_document_write((enum qb_document_kind)i, settings, &text);
        documents->list[i].frame = qb_frame_new(text.bytes, text.length);
        qb_sha256_of(text.bytes, text.length, digest);
        qb_hex(digest, (QB_DOCUMENT_TAG_BYTES - 1) / 2, documents->list[i].tag);
        qb_text_fini(&text);
    }
    return documents;
}

void qb_documents_free(struct qb_documents **documents)
{
    if (*documents == NULL) return;
    for (int i = 0; i < QB_DOCUMENT_COUNT; i++) qb_frame_free(&(*documents)->list[i].frame);
    free(*documents);
    *documents = NULL;
}
