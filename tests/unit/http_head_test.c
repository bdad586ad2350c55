#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "tests/kit/test.h"
#include "ws/http_head.h"

/*
 * The head of a request, by raw bytes (security.md 4.1, S2 to S11). Each row is fed to the scan at
 * once and byte by byte: both must say the same.
 */

#define HEAD_MAX 16384

static const struct qb_http_limits limits = {
    .head_bytes_max = HEAD_MAX,
    .url_bytes_max = 2048,
    .headers_max = 50,
    .body_bytes_max = 10485760,
    .hosts = "",
};

enum how { AT_ONCE, BYTE_BY_BYTE };

/* Scans and parses a copy of `raw`. The bytes stay valid for `head`'s spans until the next call. */
static struct qb_http_refusal judge(const char *raw, size_t length, enum how how,
                                    const struct qb_http_limits *with, struct qb_http_head *head,
                                    char **bytes)
{
    static char *kept;
    struct qb_http_scan scan = {0};
    struct qb_http_refusal refusal = {0, NULL, NULL};
    size_t found = 0;
    size_t at = how == AT_ONCE ? length : 1;

    free(kept);
    kept = malloc(length + 1); /* exact, so that the sanitizer sees a read behind it */
    QB_EXPECT(kept != NULL, "memory");
    (void)memcpy(kept, raw, length);
    kept[length] = '\0';
    *bytes = kept;
    for (; at <= length && found == 0 && refusal.status == 0; at++) {
        found = qb_http_scan(&scan, kept, at, with, &refusal);
    }
    if (refusal.status != 0) return refusal;
    if (found == 0) return (struct qb_http_refusal){1, "incomplete", ""};
    (void)memset(head, 0xa5, sizeof *head); /* as memory comes to the server: with anything */
    return qb_http_head_parse(kept, found, with, head);
}

struct row {
    const char *name;
    const char *raw;
    size_t length;
    int status; /* 0: taken; 1: not whole yet */
    const char *code;
};

#define ROW(name, raw, status, code)                                                               \
    {                                                                                              \
        name, raw, sizeof(raw) - 1, status, code                                                   \
    }
#define G   "GET / HTTP/1.1\r\n"
#define H   "Host: a.example\r\n"
#define END "\r\n"
#define P   "POST /api/x HTTP/1.1\r\n" H
#define U   "Connection: Upgrade\r\nUpgrade: websocket\r\n"
#define V   "Sec-WebSocket-Version: 13\r\n"
#define K   "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
#define S   "Sec-WebSocket-Protocol: quickbid.v1\r\n"

/* clang-format off */
static const struct row rows[] = {
    /* the request line */
    ROW("the least there is",        G H END, 0, ""),
    ROW("HTTP/1.0 without Host",     "GET / HTTP/1.0\r\n\r\n", 0, ""),
    ROW("not whole",                 G H, 1, "incomplete"),
    ROW("nothing",                   "", 1, "incomplete"),
    ROW("only empty lines",          "\r\n\r\n", 400, "bad_request_line"),
    ROW("an empty line before",      "\r\n" G H END, 400, "bad_request_line"),
    ROW("HTTP/0.9",                  "GET /\r\n\r\n", 400, "bad_request_line"),
    ROW("two spaces",                "GET  / HTTP/1.1\r\n" H END, 400, "bad_request_line"),
    ROW("two spaces later",          "GET /  HTTP/1.1\r\n" H END, 400, "bad_request_line"),
    ROW("a tab",                     "GET\t/ HTTP/1.1\r\n" H END, 400, "bad_request_line"),
    ROW("a space in front",          " GET / HTTP/1.1\r\n" H END, 400, "bad_request_line"),
    ROW("a space behind",            "GET / HTTP/1.1 \r\n" H END, 400, "bad_request_line"),
    ROW("method not a token",        "G(T / HTTP/1.1\r\n" H END, 400, "bad_request_line"),
    ROW("method too long",           "ABCDEFGHIJKLMNOPQRSTU / HTTP/1.1\r\n" H END, 400, "bad_request_line"),
    ROW("unknown method",            "BREW / HTTP/1.1\r\n" H END, 0, ""),
    ROW("lower-case protocol",       "GET / http/1.1\r\n" H END, 400, "bad_request_line"),
    ROW("HTTP/2.0",                  "GET / HTTP/2.0\r\n" H END, 505, "http_version"),
    ROW("HTTP/2 by prior knowledge", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, "http_version"),
    ROW("HTTP/1.2",                  "GET / HTTP/1.2\r\n" H END, 505, "http_version"),
    ROW("HTTP/1.10",                 "GET / HTTP/1.10\r\n" H END, 400, "bad_request_line"),
    ROW("HTTP/1,1",                  "GET / HTTP/1,1\r\n" H END, 400, "bad_request_line"),
    ROW("TLS on a plain port",       "\x16\x03\x01\x02\x00\x01\xfc\x03\x03", 400, "bad_bytes"),
    /* bytes and lines (S5) */
    ROW("bare LF",                   "GET / HTTP/1.1\nHost: a\n\n", 400, "bad_bytes"),
    ROW("bare LF in a header",       G "Host: a\nX: 1\r\n\r\n", 400, "bad_bytes"),
    ROW("bare CR",                   "GET / HTTP/1.1\rHost: a\r\n\r\n", 400, "bad_bytes"),
    ROW("CR CR LF",                  G "X: 1\r\r\n\r\n", 400, "bad_bytes"),
    ROW("NUL in the path",           "GET /\0 HTTP/1.1\r\n" H END, 400, "bad_bytes"),
    ROW("NUL in a value",            G H "X: a\0b\r\n\r\n", 400, "bad_bytes"),
    ROW("ESC in a value",            G H "X: a\033[1m\r\n\r\n", 400, "bad_header"),
    ROW("DEL in a value",            G H "X: a\177\r\n\r\n", 400, "bad_header"),
    ROW("ESC in Connection",         G H "Connection: a\033\r\n\r\n", 400, "bad_header"),
    ROW("tab in a value",            G H "X: a\tb\r\n\r\n", 0, ""),
    ROW("bytes above 127 in a value", G H "X: \xc3\xa4\r\n\r\n", 0, ""),
    /* header names */
    ROW("space before the colon",    G "Host : a\r\n\r\n", 400, "bad_header"),
    ROW("a folded line",             G H "X: 1\r\n 2\r\n\r\n", 400, "bad_header"),
    ROW("a line folded by a tab",    G H "X: 1\r\n\t2\r\n\r\n", 400, "bad_header"),
    ROW("no colon",                  G H "X\r\n\r\n", 400, "bad_header"),
    ROW("no name",                   G H ": 1\r\n\r\n", 400, "bad_header"),
    ROW("a name with a space",       G H "X Y: 1\r\n\r\n", 400, "bad_header"),
    ROW("a name with a bracket",     G H "X(: 1\r\n\r\n", 400, "bad_header"),
    ROW("a name above 127",          G H "X\xc3\xa4: 1\r\n\r\n", 400, "bad_header"),
    ROW("an empty value",            G H "X:\r\n\r\n", 0, ""),
    ROW("the smuggler's first line", G " Host: a\r\n" H END, 400, "bad_header"),
    /* Host (S10) */
    ROW("no Host",                   G END, 400, "bad_host"),
    ROW("two Hosts",                 G H H END, 400, "bad_host"),
    ROW("two Hosts on HTTP/1.0",     "GET / HTTP/1.0\r\n" H H END, 400, "bad_host"),
    ROW("an empty Host",             G "Host:\r\n\r\n", 400, "bad_host"),
    ROW("a Host with a path",        G "Host: a/b\r\n\r\n", 400, "bad_host"),
    ROW("a Host with a user",        G "Host: u@a\r\n\r\n", 400, "bad_host"),
    ROW("two names in a Host",       G "Host: a, b\r\n\r\n", 400, "bad_host"),
    ROW("a Host with a port",        G "Host: a.example:80\r\n\r\n", 0, ""),
    ROW("an IPv6 Host",              G "Host: [::1]:80\r\n\r\n", 0, ""),
    /* the target (S10, S11) */
    ROW("absolute form",             "GET http://a.example/ HTTP/1.1\r\n" H END, 400, "bad_target"),
    ROW("absolute form, other host", "GET http://b.example/ HTTP/1.1\r\n" H END, 400, "bad_target"),
    ROW("asterisk form",             "OPTIONS * HTTP/1.1\r\n" H END, 400, "bad_target"),
    ROW("authority form",            "CONNECT a:80 HTTP/1.1\r\n" H END, 400, "bad_target"),
    ROW("a fragment",                "GET /#a HTTP/1.1\r\n" H END, 400, "bad_path"),
    ROW("raw UTF-8",                 "GET /\xc3\xa4 HTTP/1.1\r\n" H END, 400, "bad_path"),
    ROW("escaped UTF-8",             "GET /%C3%A4 HTTP/1.1\r\n" H END, 0, ""),
    ROW("escaped NUL",               "GET /%00 HTTP/1.1\r\n" H END, 400, "bad_path"),
    ROW("escaped line end",          "GET /%0d%0aX:1 HTTP/1.1\r\n" H END, 400, "bad_path"),
    ROW("escaped DEL",               "GET /%7f HTTP/1.1\r\n" H END, 400, "bad_path"),
    ROW("dot dot",                   "GET /../etc/passwd HTTP/1.1\r\n" H END, 400, "bad_path"),
    ROW("dot dot at the end",        "GET /a/.. HTTP/1.1\r\n" H END, 400, "bad_path"),
    ROW("escaped dots",              "GET /%2e%2e/etc/passwd HTTP/1.1\r\n" H END, 400, "bad_path"),
    ROW("escaped slash and dots",    "GET /a%2f..%2fb HTTP/1.1\r\n" H END, 400, "bad_path"),
    ROW("one dot",                   "GET /./a HTTP/1.1\r\n" H END, 400, "bad_path"),
    ROW("three dots",                "GET /... HTTP/1.1\r\n" H END, 0, ""),
    ROW("escaped twice",             "GET /%252e%252e/ HTTP/1.1\r\n" H END, 0, ""),
    ROW("a doubled slash",           "GET //a HTTP/1.1\r\n" H END, 400, "bad_path"),
    ROW("a doubled slash at the end", "GET /a// HTTP/1.1\r\n" H END, 400, "bad_path"),
    ROW("a slash at the end",        "GET /a/ HTTP/1.1\r\n" H END, 0, ""),
    ROW("a backslash",               "GET /..\\a HTTP/1.1\r\n" H END, 400, "bad_path"),
    ROW("an escaped backslash",      "GET /..%5ca HTTP/1.1\r\n" H END, 400, "bad_path"),
    ROW("an overlong slash",         "GET /%c0%af HTTP/1.1\r\n" H END, 400, "bad_path"),
    ROW("an overlong dot, 3 bytes",  "GET /%e0%80%ae HTTP/1.1\r\n" H END, 400, "bad_path"),
    ROW("a surrogate",               "GET /%ed%a0%80 HTTP/1.1\r\n" H END, 400, "bad_path"),
    ROW("a short escape",            "GET /%4 HTTP/1.1\r\n" H END, 400, "bad_path"),
    ROW("a lonely percent",          "GET /% HTTP/1.1\r\n" H END, 400, "bad_path"),
    ROW("no hex",                    "GET /%zz HTTP/1.1\r\n" H END, 400, "bad_path"),
    ROW("IIS' escape",               "GET /%u002e HTTP/1.1\r\n" H END, 400, "bad_path"),
    ROW("an escape cut by the query", "GET /%4?1 HTTP/1.1\r\n" H END, 400, "bad_path"),
    /* the body (S5, S8) */
    ROW("a body",                    P "Content-Length: 3\r\n\r\n", 0, ""),
    ROW("two equal lengths",         P "Content-Length: 3\r\nContent-Length: 3\r\n\r\n", 400, "bad_length"),
    ROW("two lengths",               P "Content-Length: 3\r\nContent-Length: 4\r\n\r\n", 400, "bad_length"),
    ROW("a list of lengths",         P "Content-Length: 3, 3\r\n\r\n", 400, "bad_length"),
    ROW("a signed length",           P "Content-Length: +3\r\n\r\n", 400, "bad_length"),
    ROW("a negative length",         P "Content-Length: -1\r\n\r\n", 400, "bad_length"),
    ROW("a hexadecimal length",      P "Content-Length: 0x3\r\n\r\n", 400, "bad_length"),
    ROW("no length in it",           P "Content-Length:\r\n\r\n", 400, "bad_length"),
    ROW("a length of 2 to the 64",   P "Content-Length: 18446744073709551619\r\n\r\n", 400, "bad_length"),
    ROW("the largest body",          P "Content-Length: 10485760\r\n\r\n", 0, ""),
    ROW("one byte more",             P "Content-Length: 10485761\r\n\r\n", 413, "body_too_large"),
    ROW("zeros in front",            P "Content-Length: 0000003\r\n\r\n", 0, ""),
    ROW("length and chunks",         P "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", 400, "bad_length"),
    ROW("chunks and length",         P "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n", 400, "bad_length"),
    ROW("chunks",                    P "Transfer-Encoding: chunked\r\n\r\n", 501, "transfer_encoding"),
    ROW("gzip, chunks",              P "Transfer-Encoding: gzip, chunked\r\n\r\n", 501, "transfer_encoding"),
    ROW("a disguised encoding",      P "Transfer-Encoding: xchunked\r\n\r\n", 501, "transfer_encoding"),
    ROW("an encoding with a space",  P "Transfer-Encoding : chunked\r\n\r\n", 400, "bad_header"),
    ROW("GET with a body",           G H "Content-Length: 3\r\n\r\n", 400, "unexpected_body"),
    ROW("GET with an empty body",    G H "Content-Length: 0\r\n\r\n", 0, ""),
    ROW("HEAD with a body",          "HEAD / HTTP/1.1\r\n" H "Content-Length: 3\r\n\r\n", 400, "unexpected_body"),
    /* the handshake (S2, S3) */
    ROW("a handshake",               G H U V K S END, 0, ""),
    ROW("other spellings",           G H "connection: keep-alive, uPGRADE\r\nUPGRADE: WebSocket\r\n" V K S END, 0, ""),
    ROW("several subprotocols",      G H U V K "Sec-WebSocket-Protocol: a, quickbid.v1\r\n" END, 0, ""),
    ROW("no subprotocol",            G H U V K END, 400, "bad_upgrade"),
    ROW("another subprotocol",       G H U V K "Sec-WebSocket-Protocol: quickbid.v2\r\n" END, 400, "bad_upgrade"),
    ROW("a longer subprotocol",      G H U V K "Sec-WebSocket-Protocol: quickbid.v10\r\n" END, 400, "bad_upgrade"),
    ROW("version 777",               G H U "Sec-WebSocket-Version: 777\r\n" K S END, 426, "websocket_version"),
    ROW("version 8",                 G H U "Sec-WebSocket-Version: 8\r\n" K S END, 426, "websocket_version"),
    ROW("no version",                G H U K S END, 426, "websocket_version"),
    ROW("two versions",              G H U V V K S END, 426, "websocket_version"),
    ROW("no key",                    G H U V S END, 400, "bad_upgrade"),
    ROW("two keys",                  G H U V K K S END, 400, "bad_upgrade"),
    ROW("a key of 15 bytes",         G H U V "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAA\r\n" S END, 400, "bad_upgrade"),
    ROW("a key of 17 bytes",         G H U V "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAAA=\r\n" S END, 400, "bad_upgrade"),
    ROW("a key with stray bits",     G H U V "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZR==\r\n" S END, 400, "bad_upgrade"),
    ROW("a key that is no base64",   G H U V "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j!Q==\r\n" S END, 400, "bad_upgrade"),
    ROW("POST",                      "POST / HTTP/1.1\r\n" H U V K S END, 400, "bad_upgrade"),
    ROW("HTTP/1.0",                  "GET / HTTP/1.0\r\n" H U V K S END, 400, "bad_upgrade"),
    ROW("no Connection: Upgrade",    G H "Upgrade: websocket\r\n" V K S END, 400, "bad_upgrade"),
    ROW("Connection: upgraded",      G H "Connection: upgraded\r\nUpgrade: websocket\r\n" V K S END, 400, "bad_upgrade"),
    ROW("two Connections",           G H "Connection: close\r\n" U V K S END, 400, "bad_upgrade"),
    ROW("two Upgrades",              G H U "Upgrade: websocket\r\n" V K S END, 400, "bad_upgrade"),
    ROW("upgrade to h2c",            G H "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n" END, 400, "bad_upgrade"),
    ROW("a body with it",            G H U V K S "Content-Length: 3\r\n\r\n", 400, "unexpected_body"),
    ROW("Connection alone",          G H "Connection: Upgrade\r\n" END, 0, ""),
};
/* clang-format on */

static void expect_row(const struct row *row, enum how how)
{
    struct qb_http_head head;
    char *bytes = NULL;
    char seen[96];
    char expected[96];
    struct qb_http_refusal refusal = judge(row->raw, row->length, how, &limits, &head, &bytes);

    (void)snprintf(seen, sizeof seen, "%d %s", refusal.status,
                   refusal.code != NULL ? refusal.code : "");
    (void)snprintf(expected, sizeof expected, "%d %s", row->status, row->code);
    QB_EXPECT_TEXT(seen, expected, row->name);
    if (refusal.status > 1) QB_EXPECT(refusal.text[0] != '\0', row->name);
}

QB_TEST(each_head_gets_its_answer_at_once_and_byte_by_byte)
{
    for (size_t i = 0; i < QB_COUNT(rows); i++) {
        expect_row(&rows[i], AT_ONCE);
        expect_row(&rows[i], BYTE_BY_BYTE);
    }
}

/* --- what a good head holds --- */

static struct qb_http_head parsed;
static char *parsed_bytes;

static void parse(const char *raw)
{
    struct qb_http_refusal refusal =
        judge(raw, strlen(raw), AT_ONCE, &limits, &parsed, &parsed_bytes);
    QB_EXPECT_TEXT(refusal.code != NULL ? refusal.code : "", "", raw);
}

static const char *text_of(struct qb_http_span span)
{
    return &parsed_bytes[span.at];
}

QB_TEST(the_line_is_taken_apart)
{
    parse("GET /a%20b/%C3%A4?x=%41&y HTTP/1.1\r\n" H END);
    QB_EXPECT_EQ(parsed.method, QB_HTTP_GET, "method");
    QB_EXPECT_TEXT(text_of(parsed.method_name), "GET", "its name");
    QB_EXPECT_TEXT(text_of(parsed.path), "/a b/\xc3\xa4", "decoded once");
    QB_EXPECT_EQ(parsed.path.length, 7, "its length");
    QB_EXPECT_TEXT(text_of(parsed.query), "x=%41&y", "as sent");
    QB_EXPECT_EQ(parsed.query.length, 7, "its length");

    parse("DELETE /%252e HTTP/1.1\r\n" H END);
    QB_EXPECT_EQ(parsed.method, QB_HTTP_DELETE, "method");
    QB_EXPECT_TEXT(text_of(parsed.path), "/%2e", "never decoded twice");
    QB_EXPECT_EQ(parsed.query.length, 0, "no query");

    parse("BREW /? HTTP/1.1\r\n" H END);
    QB_EXPECT_EQ(parsed.method, QB_HTTP_OTHER, "method");
    QB_EXPECT_TEXT(text_of(parsed.method_name), "BREW", "its name");
    QB_EXPECT_TEXT(text_of(parsed.path), "/", "path");
    QB_EXPECT_EQ(parsed.query.length, 0, "an empty query");

    parse("get / HTTP/1.1\r\n" H END);
    QB_EXPECT_EQ(parsed.method, QB_HTTP_OTHER, "methods have upper-case letters");
}

QB_TEST(fields_lose_case_and_white_space_around_them)
{
    unsigned count = 0;

    parse(G H "X-Many: 1\r\nACCEPT:\t text/html ,b \t\r\nx-mANY:2\r\n\r\n");
    QB_EXPECT_EQ(parsed.field_count, 4, "fields");
    QB_EXPECT_TEXT(qb_http_field(&parsed, parsed_bytes, "accept", &count), "text/html ,b", "value");
    QB_EXPECT_EQ(count, 1, "once");
    QB_EXPECT_TEXT(qb_http_field(&parsed, parsed_bytes, "x-many", &count), "1", "the first");
    QB_EXPECT_EQ(count, 2, "twice");
    QB_EXPECT(qb_http_field(&parsed, parsed_bytes, "x-man", &count) == NULL, "no prefix");
    QB_EXPECT_EQ(count, 0, "never");
}

QB_TEST(a_connection_is_kept_unless_either_side_may_not)
{
    parse(G H END);
    QB_EXPECT(parsed.is_keep_alive, "HTTP/1.1");
    parse(G H "Connection: Close\r\n\r\n");
    QB_EXPECT(!parsed.is_keep_alive, "close");
    parse(G H "Connection: keep-alive, close\r\n\r\n");
    QB_EXPECT(!parsed.is_keep_alive, "close in a list");
    parse("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    QB_EXPECT(!parsed.is_keep_alive, "HTTP/1.0");
}

QB_TEST(bodies_and_handshakes_are_announced)
{
    parse(P "Content-Length: 10485760\r\nExpect: 100-Continue\r\n\r\n");
    QB_EXPECT_EQ(parsed.content_length, 10485760, "length");
    QB_EXPECT(parsed.wants_continue, "Expect");
    QB_EXPECT(!parsed.is_websocket, "a plain request");
    parse(G H U V K S END);
    QB_EXPECT(parsed.is_websocket, "a handshake");
    QB_EXPECT(!parsed.wants_continue, "no Expect");
    parse(G H "Connection: Upgrade\r\n\r\n");
    QB_EXPECT(!parsed.is_websocket, "Upgrade in Connection alone");
}

/* --- limits, at the last value that passes and the first that does not --- */

static void expect_code(const struct qb_text *raw, const struct qb_http_limits *with,
                        const char *code, const char *says)
{
    for (int how = AT_ONCE; how <= BYTE_BY_BYTE; how++) {
        struct qb_http_refusal refusal =
            judge(raw->bytes, raw->length, (enum how)how, with, &parsed, &parsed_bytes);
        QB_EXPECT_TEXT(refusal.code != NULL ? refusal.code : "", code, says);
    }
}

static void repeat(struct qb_text *text, const char *part, size_t times)
{
    for (size_t i = 0; i < times; i++) qb_text_string(text, part);
}

static void url_of(size_t length, const char *code)
{
    struct qb_text raw = {0};

    qb_text_string(&raw, "GET /");
    repeat(&raw, "a", length - 1);
    qb_text_string(&raw, " HTTP/1.1\r\n" H END);
    expect_code(&raw, &limits, code, "a URL's length");
    qb_text_fini(&raw);
}

QB_TEST(a_url_has_2048_bytes_at_most)
{
    url_of(2048, "");
    url_of(2049, "url_too_long");
    url_of(9000, "url_too_long");
    url_of(HEAD_MAX + 100, "url_too_long");
}

static void fields_of(size_t count, const char *code)
{
    struct qb_text raw = {0};

    qb_text_string(&raw, G H);
    repeat(&raw, "X: 1\r\n", count - 1);
    qb_text_string(&raw, END);
    expect_code(&raw, &limits, code, "a count of headers");
    qb_text_fini(&raw);
}

QB_TEST(fifty_headers_pass)
{
    fields_of(50, "");
    fields_of(51, "too_many_headers");
    fields_of(1000, "too_many_headers");
}

static void field_of(size_t length, const char *code)
{
    struct qb_text raw = {0};

    qb_text_string(&raw, G H "X: ");
    repeat(&raw, "a", length - 3);
    qb_text_string(&raw, "\r\n" END);
    expect_code(&raw, &limits, code, "a header's length");
    qb_text_fini(&raw);
}

QB_TEST(a_header_has_8_kib_at_most)
{
    field_of(8192, "");
    field_of(8193, "head_too_large");
}

static void head_of(size_t length, const char *code)
{
    struct qb_text raw = {0};

    qb_text_string(&raw, G H);
    while (raw.length + 7000 < length) {
        qb_text_string(&raw, "X: ");
        repeat(&raw, "a", 6000);
        qb_text_string(&raw, "\r\n");
    }
    qb_text_string(&raw, "Y: ");
    repeat(&raw, "b", length - raw.length - 4);
    qb_text_string(&raw, "\r\n" END);
    QB_EXPECT_EQ(raw.length, length, "what is tried");
    expect_code(&raw, &limits, code, "a head's length");
    qb_text_fini(&raw);
}

QB_TEST(a_head_has_16_kib_at_most)
{
    head_of(HEAD_MAX, "");
    head_of(HEAD_MAX + 1, "head_too_large");
    head_of(HEAD_MAX + 2, "head_too_large");
    head_of(HEAD_MAX + 5000, "head_too_large");
}

static void parameters_of(size_t count, const char *code)
{
    struct qb_text raw = {0};

    qb_text_string(&raw, "GET /?a=1");
    repeat(&raw, "&a=1", count - 1);
    qb_text_string(&raw, " HTTP/1.1\r\n" H END);
    expect_code(&raw, &limits, code, "a count of parameters");
    qb_text_fini(&raw);
}

QB_TEST(a_query_has_100_parameters_at_most)
{
    parameters_of(100, "");
    parameters_of(101, "too_many_parameters");
}

QB_TEST(only_the_configured_hosts_are_served)
{
    static const struct {
        const char *hosts;
        const char *host;
        const char *code;
    } hosts[] = {
        {"a.example", "a.example", ""},
        {"a.example", "A.EXAMPLE", ""},
        {"a.example", "a.example:4010", ""},
        {"b.example, a.example", "a.example", ""},
        {"a.example:4010", "a.example:4010", ""},
        {"a.example:4010", "a.example:4011", "wrong_host"},
        {"a.example:4010", "a.example", "wrong_host"},
        {"a.example", "b.example", "wrong_host"},
        {"a.example", "a.example.evil", "wrong_host"},
        {"a.example", "evil.a.example", "wrong_host"},
        {"a.example", "a.exampl", "wrong_host"},
        {"a.example", "example", "wrong_host"},
        {"a.example", "127.0.0.1", "wrong_host"},
        {"a.example", "a.example.", "wrong_host"},
        {"a.example, ", ":4010", "bad_host"},
        {"[::1]", "[::1]", ""},
        {"[::1]", "[::1]:4010", ""},
        {"[::1]", "[::2]", "wrong_host"},
    };
    struct qb_http_limits with = limits;

    for (size_t i = 0; i < QB_COUNT(hosts); i++) {
        struct qb_text raw = {0};
        with.hosts = hosts[i].hosts;
        qb_text_format(&raw, G "Host: %s\r\n\r\n", hosts[i].host);
        expect_code(&raw, &with, hosts[i].code, hosts[i].host);
        qb_text_fini(&raw);
    }
}

QB_TEST(what_comes_behind_a_head_is_not_looked_at)
{
    static const char raw[] = G H END "\0\n\r\r";
    struct qb_http_scan scan = {0};
    struct qb_http_refusal refusal;

    size_t length = qb_http_scan(&scan, raw, sizeof raw - 1, &limits, &refusal);
    QB_EXPECT_EQ(length, sizeof raw - 1 - 4, "the head's length");
    QB_EXPECT_EQ(refusal.status, 0, "not refused");
}

QB_TEST(tokens_are_whole_words_of_a_list)
{
    QB_EXPECT(qb_http_has_token("a, Upgrade ,b", "upgrade"), "in the middle");
    QB_EXPECT(qb_http_has_token("upgrade", "upgrade"), "alone");
    QB_EXPECT(qb_http_has_token(",,\tupgrade", "upgrade"), "after nothing");
    QB_EXPECT(!qb_http_has_token("upgrades", "upgrade"), "longer");
    QB_EXPECT(!qb_http_has_token("upgrad", "upgrade"), "shorter");
    QB_EXPECT(!qb_http_has_token("", "upgrade"), "an empty list");
    QB_EXPECT(!qb_http_has_token(NULL, "upgrade"), "no list");
}

QB_TEST(the_accept_key_is_the_one_of_the_standard)
{
    char accept[QB_HTTP_ACCEPT_BYTES];

    qb_http_accept_key("dGhlIHNhbXBsZSBub25jZQ==", accept);
    QB_EXPECT_TEXT(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "RFC 6455 1.3");
}
