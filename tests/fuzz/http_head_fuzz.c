#include "base/text.h"
#include "tests/fuzz/fuzz.h"
#include "ws/http_head.h"

/* A head cut into pieces is judged as if it came at once, and one that is taken holds what its
 * header promises. */

static const struct qb_http_limits limits = {
    .head_bytes_max = 16384,
    .url_bytes_max = 2048,
    .headers_max = 50,
    .body_bytes_max = 10485760,
    .hosts = "a.example,[::1]",
};

struct scanned {
    size_t length;
    int status;
};

/* Bytes come in pieces of `step`. */
static struct scanned scan_in_steps(const char *bytes, size_t length, size_t step)
{
    struct qb_http_scan scan = {0};
    struct qb_http_refusal refusal = {0};
    struct scanned seen = {0};

    for (size_t end = 0; end < length && seen.length == 0 && refusal.status == 0;) {
        end = length - end < step ? length : end + step;
        char *part = copy_of(bytes, end);
        seen.length = qb_http_scan(&scan, part, end, &limits, &refusal);
        free(part);
    }
    seen.status = refusal.status;
    return seen;
}

static void check_span(struct qb_http_span span, const char *bytes, size_t length)
{
    QB_ASSERT(span.at < length);
    QB_ASSERT(span.length < length - span.at);
    QB_ASSERT(memchr(&bytes[span.at], '\0', span.length) == NULL);
    QB_ASSERT(bytes[span.at + span.length] == '\0');
}

static void check_path(const char *path)
{
    QB_ASSERT(path[0] == '/');
    QB_ASSERT(qb_utf8_is_valid(path, strlen(path)));
    QB_ASSERT(strstr(path, "//") == NULL);
    QB_ASSERT(strstr(path, "/../") == NULL);
    QB_ASSERT(strstr(path, "/./") == NULL);
    QB_ASSERT(strchr(path, '\\') == NULL);
    for (const char *at = path; *at != '\0'; at++) QB_ASSERT((unsigned char)*at >= 0x20);
}

static void check_head(const struct qb_http_head *head, const char *bytes, size_t length)
{
    unsigned hosts = 0;
    unsigned lengths = 0;

    check_span(head->method_name, bytes, length);
    check_span(head->path, bytes, length);
    check_span(head->query, bytes, length);
    check_path(&bytes[head->path.at]);
    QB_ASSERT(head->field_count <= limits.headers_max);
    for (uint32_t i = 0; i < head->field_count; i++) {
        check_span(head->fields[i].name, bytes, length);
        check_span(head->fields[i].value, bytes, length);
        QB_ASSERT(head->fields[i].name.length > 0);
    }
    (void)qb_http_field(head, bytes, "host", &hosts);
    (void)qb_http_field(head, bytes, "content-length", &lengths);
    QB_ASSERT(hosts <= 1);
    QB_ASSERT(lengths <= 1);
    QB_ASSERT(qb_http_field(head, bytes, "transfer-encoding", NULL) == NULL);
    QB_ASSERT(head->content_length <= limits.body_bytes_max);
    QB_ASSERT(head->content_length == 0 || lengths == 1);
    if (!head->is_websocket) return;
    QB_ASSERT(head->method == QB_HTTP_GET);
    QB_ASSERT(head->content_length == 0);
    QB_ASSERT(strlen(qb_http_field(head, bytes, "sec-websocket-key", NULL)) == 24);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    static struct qb_http_head head;
    const char *raw = (const char *)bytes;
    struct scanned whole = scan_in_steps(raw, length, length);
    struct scanned bytewise = scan_in_steps(raw, length, 1);
    struct scanned pieces = scan_in_steps(raw, length, 7);

    /* An endless first line is found endless a little earlier when it comes in pieces. */
    bool is_same = whole.status == bytewise.status || bytewise.status == 414;
    QB_ASSERT(is_same);
    QB_ASSERT(whole.length == bytewise.length || bytewise.status == 414);
    QB_ASSERT(pieces.length == bytewise.length || bytewise.status == 414);
    if (whole.length == 0) return 0;

    char *kept = malloc(whole.length + 1); /* as the server keeps it: with a zero byte behind */
    QB_ASSERT(kept != NULL);
    (void)memcpy(kept, raw, whole.length);
    kept[whole.length] = '\0';
    (void)memset(&head, 0xa5, sizeof head); /* as memory comes to the server: with anything */
    struct qb_http_refusal refusal = qb_http_head_parse(kept, whole.length, &limits, &head);
    if (refusal.status == 0)
        check_head(&head, kept, whole.length);
    else
        QB_ASSERT(refusal.status >= 400 && refusal.code[0] != '\0' && refusal.text[0] != '\0');
    free(kept);
    return 0;
}
