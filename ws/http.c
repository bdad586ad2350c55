#include "ws/http.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "ws/http_request.h"

enum qb_http_method qb_http_method_of(const struct qb_http_request *request)
{
    return request->head.method;
}

const char *qb_http_method_name(const struct qb_http_request *request)
{
    return &request->bytes[request->head.method_name.at];
}

const char *qb_http_path(const struct qb_http_request *request)
{
    return &request->bytes[request->head.path.at];
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

/* Decodes a query's value: percent escapes and plus signs. False if it does not fit, has a wrong
 * escape or a zero byte. */
static bool decode_value(const char *bytes, size_t length, char *value, size_t room)
{
    size_t out = 0;

    for (size_t in = 0; in < length; in++) {
        char c = bytes[in] == '+' ? ' ' : bytes[in];
        if (c == '%') {
            int high = in + 2 < length ? hex_value(bytes[in + 1]) : -1;
            int low = high >= 0 ? hex_value(bytes[in + 2]) : -1;
            if (low < 0 || high * 16 + low == 0) return false;
            c = (char)(high * 16 + low);
            in += 2;
        }
        if (out + 1 >= room) return false;
        value[out++] = c;
    }
    value[out] = '\0';
    return true;
}

enum qb_http_query qb_http_query(const struct qb_http_request *request, const char *name,
                                 char *value, size_t room)
{
    const char *query = &request->bytes[request->head.query.at];
    const char *end = query + request->head.query.length;
    size_t name_length = strlen(name);

    while (query < end) {
        const char *next = memchr(query, '&', (size_t)(end - query));
        if (next == NULL) next = end;
        size_t length = (size_t)(next - query);
        bool is_it = length >= name_length && memcmp(query, name, name_length) == 0 &&
                     (length == name_length || query[name_length] == '=');
        if (is_it && length == name_length) {
            value[0] = '\0';
            return QB_QUERY_GIVEN;
        }
        if (is_it) {
            const char *given = query + name_length + 1;
            bool is_good = decode_value(given, length - name_length - 1, value, room);
            return is_good ? QB_QUERY_GIVEN : QB_QUERY_BAD;
        }
        query = next + 1;
    }
    return QB_QUERY_ABSENT;
}

/* Puts the text beside the request, among those that earlier calls have handed out. */
static const char *keep(const struct qb_http_request *request, const struct qb_text *text)
{
    union {
        const struct qb_http_request *fixed;
        struct qb_http_request *own;
    } mine = {.fixed = request}; /* inside the request, not seen from outside */
    struct qb_http_joined *joined = malloc(sizeof *joined + text->length + 1);

    QB_ASSERT(joined != NULL);
    if (text->length > 0) (void)memcpy(joined->text, text->bytes, text->length);
    joined->text[text->length] = '\0';
    joined->next = request->joined;
    mine.own->joined = joined;
    return joined->text;
}

const char *qb_http_header(const struct qb_http_request *request, const char *name)
{
    unsigned count = 0;
    const char *value = qb_http_field(&request->head, request->bytes, name, &count);

    if (count <= 1) return value;
    struct qb_text text = {0};
    for (uint32_t i = 0; i < request->head.field_count; i++) {
        const struct qb_http_field *field = &request->head.fields[i];
        if (strcmp(&request->bytes[field->name.at], name) != 0) continue;
        if (text.length > 0) qb_text_string(&text, ", ");
        qb_text_add(&text, &request->bytes[field->value.at], field->value.length);
    }
    const char *kept = keep(request, &text);
    qb_text_fini(&text);
    return kept;
}

bool qb_http_cookie(const struct qb_http_request *request, const char *name, char *value,
                    size_t room)
{
    const char *at = qb_http_header(request, "cookie");
    size_t name_length = strlen(name);

    while (at != NULL && *at != '\0') {
        while (*at == ' ' || *at == ';') at++;
        size_t length = strcspn(at, ";,");
        bool is_it =
            length > name_length && memcmp(at, name, name_length) == 0 && at[name_length] == '=';
        if (is_it) {
            size_t value_length = length - name_length - 1;
            if (value_length >= room) return false;
            (void)memcpy(value, &at[name_length + 1], value_length);
            value[value_length] = '\0';
            return true;
        }
        at += length;
        if (*at != '\0') at++;
    }
    return false;
}

const char *qb_http_body(const struct qb_http_request *request, size_t *length)
{
    *length = request->body_length;
    return request->body != NULL ? request->body : "";
}

const struct qb_peer *qb_http_peer(const struct qb_http_request *request)
{
    return &request->peer;
}

bool qb_http_is_local(const struct qb_http_request *request)
{
    return request->peer.is_loopback && qb_http_header(request, "forwarded") == NULL &&
           qb_http_header(request, "x-forwarded-for") == NULL;
}

bool qb_http_is_websocket(const struct qb_http_request *request)
{
    return request->head.is_websocket;
}

int64_t qb_http_arrived_us(const struct qb_http_request *request)
{
    return request->arrived_us;
}

/* All threads share the memory, so they share the count. */
static _Atomic uint64_t bodies_bytes;

bool qb_http_body_hold(struct qb_http_request *request, size_t bytes, uint64_t most)
{
    uint64_t before = atomic_fetch_add(&bodies_bytes, bytes);

    QB_ASSERT(request->body_held == 0);
    if (bytes > most || before > most - bytes) {
        (void)atomic_fetch_sub(&bodies_bytes, bytes);
        return false;
    }
    request->body_held = bytes;
    return true;
}

void qb_http_request_free(struct qb_http_request *request)
{
    (void)atomic_fetch_sub(&bodies_bytes, request->body_held);
    free(request->body);
    while (request->joined != NULL) {
        struct qb_http_joined *joined = request->joined;
        request->joined = joined->next;
        free(joined);
    }
    free(request);
}
