#include "tests/fuzz/fuzz.h"
#include "ws/http_request.h"

/* What handlers ask of a request: query, headers and cookies stay within their room, and what was
 * handed out once is still there after more was asked for. */

static const struct qb_http_limits limits = {
    .head_bytes_max = 16384,
    .url_bytes_max = 2048,
    .headers_max = 50,
    .body_bytes_max = 10485760,
    .hosts = "",
};

static void ask(const struct qb_http_request *request)
{
    static const char *const names[] = {"cookie", "x", "authorization", "origin", "accept"};
    const char *values[QB_COUNT(names)];
    size_t lengths[QB_COUNT(names)];

    for (size_t i = 0; i < QB_COUNT(names); i++) {
        values[i] = qb_http_header(request, names[i]);
        lengths[i] = values[i] != NULL ? strlen(values[i]) : 0;
    }
    for (size_t room = 1; room < 40; room += 13) {
        char *value = malloc(room);
        QB_ASSERT(value != NULL);
        if (qb_http_query(request, "a", value, room) == QB_QUERY_GIVEN)
            QB_ASSERT(strlen(value) < room);
        if (qb_http_cookie(request, "b", value, room)) QB_ASSERT(strlen(value) < room);
        free(value);
    }
    for (size_t i = 0; i < QB_COUNT(names); i++) {
        if (values[i] != NULL) QB_ASSERT(strlen(values[i]) == lengths[i]);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    struct qb_http_scan scan = {0};
    struct qb_http_refusal refusal;
    const char *raw = (const char *)bytes;
    size_t head_length = qb_http_scan(&scan, raw, length, &limits, &refusal);

    if (head_length == 0) return 0;
    struct qb_http_request *request = calloc(1, sizeof *request + head_length + 1);
    QB_ASSERT(request != NULL);
    (void)memcpy(request->bytes, raw, head_length);
    refusal = qb_http_head_parse(request->bytes, head_length, &limits, &request->head);
    if (refusal.status == 0) ask(request);
    qb_http_request_free(request);
    return 0;
}
