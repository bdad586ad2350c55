#include "ws/http_head.h"

#include <string.h>

#include "base/text.h"

#define FIELD_BYTES_MAX 8192
#define PARAMETERS_MAX  100

#define QB_HTTP_HEAD_REFUSAL(name, number, wire, sentence)                                         \
    static const struct qb_http_refusal name = {number, wire, sentence};
#include "ws/http_refusal.def"

static const struct qb_http_refusal fine = {0, NULL, NULL};

size_t qb_http_scan(struct qb_http_scan *scan, const char *bytes, size_t length,
                    const struct qb_http_limits *limits, struct qb_http_refusal *refusal)
{
    *refusal = fine;
    for (; scan->at < length; scan->at++) {
        if (scan->at >= limits->head_bytes_max) {
            *refusal = scan->has_line ? big_head : long_url;
            return 0;
        }
        char c = bytes[scan->at];
        bool wants_lf = scan->matched == 1 || scan->matched == 3;
        if (wants_lf != (c == '\n') || c == '\0') {
            *refusal = bad_bytes;
            return 0;
        }
        if (c == '\n') {
            scan->matched++;
            scan->has_line = true;
        } else if (c == '\r') {
            scan->matched++;
        } else {
            scan->matched = 0;
        }
        if (scan->matched == 4) return ++scan->at;
    }
    if (!scan->has_line && length > limits->url_bytes_max + 64) *refusal = long_url;
    return 0;
}

static bool is_token_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static char lower(char c)
{
    return (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
}

static bool is_same_word(const char *a, const char *b)
{
    while (*a != '\0' && lower(*a) == lower(*b)) {
        a++;
        b++;
    }
    return *a == *b;
}

static enum qb_http_method method_of(const char *name)
{
    static const char *const names[] = {"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"};

    for (size_t i = 0; i < QB_COUNT(names); i++) {
        if (strcmp(name, names[i]) == 0) return (enum qb_http_method)i;
    }
    return QB_HTTP_OTHER;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

/* Decodes percent escapes once, in place. False for a wrong escape or a control character. */
static bool decode_path(char *path, uint32_t *length)
{
    uint32_t out = 0;

    for (uint32_t in = 0; in < *length; in++) {
        char c = path[in];
        if (c == '%') {
            int high = in + 2 < *length ? hex_value(path[in + 1]) : -1;
            int low = high >= 0 ? hex_value(path[in + 2]) : -1;
            if (low < 0) return false;
            c = (char)(high * 16 + low);
            in += 2;
        }
        if ((unsigned char)c < 0x20 || c == 0x7f || c == '\\') return false;
        path[out++] = c;
    }
    *length = out;
    path[out] = '\0';
    return qb_utf8_is_valid(path, out);
}

/* No dot segments, no empty ones but the last. */
static bool is_plain_path(const char *path, uint32_t length)
{
    uint32_t begin = 1;

    for (uint32_t at = 1; at <= length; at++) {
        if (at < length && path[at] != '/') continue;
        uint32_t segment = at - begin;
        bool is_dots = (segment == 1 && path[begin] == '.') ||
                       (segment == 2 && path[begin] == '.' && path[begin + 1] == '.');
        if (is_dots || (segment == 0 && at < length)) return false;
        begin = at + 1;
    }
    return true;
}

static struct qb_http_refusal parse_target(char *bytes, uint32_t at, uint32_t length,
                                           const struct qb_http_limits *limits,
                                           struct qb_http_head *head)
{
    char *target = &bytes[at];
    unsigned parameters = 1;

    if (length > limits->url_bytes_max) return long_url;
    if (target[0] != '/') return no_absolute;
    for (uint32_t i = 0; i < length; i++) {
        if ((unsigned char)target[i] <= 0x20 || (unsigned char)target[i] >= 0x7f) return bad_path;
        if (target[i] == '#') return bad_path;
    }
    char *mark = memchr(target, '?', length);
    uint32_t path_length = mark != NULL ? (uint32_t)(mark - target) : length;
    head->query = (struct qb_http_span){at + path_length, 0};
    if (mark != NULL) {
        head->query = (struct qb_http_span){at + path_length + 1, length - path_length - 1};
        *mark = '\0';
        for (uint32_t i = 0; i < head->query.length; i++) parameters += mark[1 + i] == '&';
        if (parameters > PARAMETERS_MAX) return bad_query;
    }
    if (!decode_path(target, &path_length)) return bad_path;
    if (!is_plain_path(target, path_length)) return bad_path;
    head->path = (struct qb_http_span){at, path_length};
    return fine;
}

/* METHOD SP target SP HTTP/1.x, `end` without its CR LF. */
static struct qb_http_refusal parse_line(char *bytes, uint32_t end,
                                         const struct qb_http_limits *limits,
                                         struct qb_http_head *head)
{
    uint32_t at = 0;
    uint32_t target = 0;

    while (at < end && is_token_char(bytes[at])) at++;
    if (at == 0 || at > 20 || bytes[at] != ' ') return bad_line;
    bytes[at] = '\0';
    head->method_name = (struct qb_http_span){0, at};
    head->method = method_of(bytes);
    target = ++at;
    while (at < end && bytes[at] != ' ') at++;
    if (at == target || at >= end) return bad_line;
    uint32_t target_length = at - target;
    bytes[at++] = '\0';
    if (end - at != 8 || memcmp(&bytes[at], "HTTP/", 5) != 0 || bytes[at + 6] != '.') {
        return bad_line;
    }
    bool is_known = bytes[at + 5] == '1' && (bytes[at + 7] == '1' || bytes[at + 7] == '0');
    if (!is_known) return wrong_version;
    head->is_keep_alive = bytes[at + 7] == '1';
    return parse_target(bytes, target, target_length, limits, head);
}

/* "name: value" without its CR LF. */
static struct qb_http_refusal parse_field(char *bytes, uint32_t at, uint32_t end,
                                          struct qb_http_head *head)
{
    uint32_t begin = at;

    if (end - at > FIELD_BYTES_MAX) return big_head;
    for (; at < end && is_token_char(bytes[at]); at++) bytes[at] = lower(bytes[at]);
    if (at == begin || at == end || bytes[at] != ':') return bad_field;
    struct qb_http_field *field = &head->fields[head->field_count];
    field->name = (struct qb_http_span){begin, at - begin};
    bytes[at++] = '\0';
    while (at < end && (bytes[at] == ' ' || bytes[at] == '\t')) at++;
    while (end > at && (bytes[end - 1] == ' ' || bytes[end - 1] == '\t')) end--;
    for (uint32_t i = at; i < end; i++) {
        unsigned char c = (unsigned char)bytes[i];
        if ((c < 0x20 && c != '\t') || c == 0x7f) return bad_field;
    }
    field->value = (struct qb_http_span){at, end - at};
    bytes[end] = '\0';
    head->field_count++; /* only now: a refused head is still asked for its fields */
    return fine;
}

const char *qb_http_field(const struct qb_http_head *head, const char *bytes, const char *name,
                          unsigned *count)
{
    const char *value = NULL;
    unsigned found = 0;

    for (uint32_t i = 0; i < head->field_count; i++) {
        if (strcmp(&bytes[head->fields[i].name.at], name) != 0) continue;
        if (found++ == 0) value = &bytes[head->fields[i].value.at];
    }
    if (count != NULL) *count = found;
    return value;
}

bool qb_http_has_token(const char *list, const char *token)
{
    size_t length = strlen(token);

    while (list != NULL && *list != '\0') {
        while (*list == ' ' || *list == '\t' || *list == ',') list++;
        size_t at = 0;
        while (at < length && lower(list[at]) == lower(token[at])) at++;
        if (at == length && (list[at] == '\0' || strchr(" \t,", list[at]) != NULL)) return true;
        while (*list != '\0' && *list != ',') list++;
    }
    return false;
}

/* The host of `value` without its port is one of the list, or the whole value is. */
static bool is_served(const char *hosts, const char *value)
{
    const char *colon = strrchr(value, ':');
    bool is_bracketed = value[0] == '[';
    size_t length = strlen(value);

    if (hosts == NULL || hosts[0] == '\0' || qb_http_has_token(hosts, value)) return true;
    if (colon == NULL || (is_bracketed && value[length - 1] == ']')) return false;
    char host[256];
    length = (size_t)(colon - value);
    if (length >= sizeof host) return false;
    (void)memcpy(host, value, length);
    host[length] = '\0';
    return qb_http_has_token(hosts, host);
}

static struct qb_http_refusal check_host(const struct qb_http_head *head, const char *bytes,
                                         const struct qb_http_limits *limits)
{
    unsigned count = 0;
    const char *host = qb_http_field(head, bytes, "host", &count);

    if (count > 1 || (count == 0 && head->is_keep_alive)) return bad_host;
    if (host == NULL) return fine;
    for (const char *at = host; *at != '\0'; at++) {
        char c = lower(*at);
        bool is_good =
            (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || strchr(".-:[]_", c) != NULL;
        if (!is_good) return bad_host;
    }
    if (host[0] == '\0' || host[0] == ':') return bad_host;
    return is_served(limits->hosts, host) ? fine : wrong_host;
}

static struct qb_http_refusal check_body(struct qb_http_head *head, const char *bytes,
                                         const struct qb_http_limits *limits)
{
    unsigned lengths = 0;
    unsigned encodings = 0;
    const char *length = qb_http_field(head, bytes, "content-length", &lengths);

    (void)qb_http_field(head, bytes, "transfer-encoding", &encodings);
    if (lengths > 1 || (lengths > 0 && encodings > 0)) return bad_length;
    if (encodings > 0) return no_chunks;
    if (length == NULL) return fine;
    size_t digits = strspn(length, "0123456789");
    if (digits == 0 || digits > 18 || length[digits] != '\0') return bad_length;
    for (size_t i = 0; i < digits; i++) {
        head->content_length = head->content_length * 10 + (uint64_t)(length[i] - '0');
    }
    if (head->content_length > limits->body_bytes_max) return big_body;
    bool may_have = head->method == QB_HTTP_POST || head->method == QB_HTTP_PUT ||
                    head->method == QB_HTTP_DELETE || head->method == QB_HTTP_OTHER;
    return head->content_length > 0 && !may_have ? no_body_here : fine;
}

/* Sixteen bytes in base64: 22 digits, the last with four stray bits that are zero, and "==". */
static bool is_good_key(const char *key)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    if (strlen(key) != 24 || strspn(key, digits) != 22 || strcmp(&key[22], "==") != 0) return false;
    return (strchr(digits, key[21]) - digits) % 16 == 0;
}

static struct qb_http_refusal check_upgrade(struct qb_http_head *head, const char *bytes)
{
    unsigned upgrades = 0;
    unsigned connections = 0;
    unsigned keys = 0;
    unsigned versions = 0;
    const char *upgrade = qb_http_field(head, bytes, "upgrade", &upgrades);
    const char *connection = qb_http_field(head, bytes, "connection", &connections);
    const char *key = qb_http_field(head, bytes, "sec-websocket-key", &keys);
    const char *version = qb_http_field(head, bytes, "sec-websocket-version", &versions);
    const char *protocols = qb_http_field(head, bytes, "sec-websocket-protocol", NULL);

    if (upgrades == 0) return fine;
    bool is_shaped = upgrades == 1 && connections == 1 && is_same_word(upgrade, "websocket") &&
                     qb_http_has_token(connection, "upgrade") && head->method == QB_HTTP_GET &&
                     head->is_keep_alive;
    if (!is_shaped) return bad_upgrade;
    if (versions != 1 || strcmp(version, "13") != 0) return ws_version;
    bool is_good = keys == 1 && is_good_key(key) && qb_http_has_token(protocols, "quickbid.v1");
    if (!is_good) return bad_upgrade;
    head->is_websocket = true;
    return fine;
}

struct qb_http_refusal qb_http_head_parse(char *bytes, size_t length,
                                          const struct qb_http_limits *limits,
                                          struct qb_http_head *head)
{
    struct qb_http_refusal refusal = fine;
    bool is_line = true;

    (void)memset(head, 0, offsetof(struct qb_http_head, fields));
    for (uint32_t at = 0; at + 2 < length && refusal.status == 0;) {
        char *cr = memchr(&bytes[at], '\r', length - at);
        uint32_t end = (uint32_t)(cr - bytes); /* the scan saw that every line has one */
        if (end == at) break;
        if (is_line)
            refusal = parse_line(bytes, end, limits, head);
        else if (head->field_count >= limits->headers_max)
            refusal = many_fields;
        else
            refusal = parse_field(bytes, at, end, head);
        is_line = false;
        at = end + 2;
    }
    if (refusal.status == 0 && is_line) refusal = bad_line;
    if (refusal.status == 0) refusal = check_host(head, bytes, limits);
    if (refusal.status == 0) refusal = check_body(head, bytes, limits);
    if (refusal.status == 0) refusal = check_upgrade(head, bytes);
    const char *connection = qb_http_field(head, bytes, "connection", NULL);
    if (connection != NULL && qb_http_has_token(connection, "close")) head->is_keep_alive = false;
    const char *expect = qb_http_field(head, bytes, "expect", NULL);
    head->wants_continue = expect != NULL && is_same_word(expect, "100-continue");
    return refusal;
}
