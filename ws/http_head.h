/*
 * The head of an HTTP/1.1 request: found, checked and taken apart, strictly (security.md 4.1).
 * What any proxy might read differently than we do is refused.
 *
 * Pure; any thread; the buffer is the caller's.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ws/http.h"

#define QB_HTTP_HEADERS_MAX 200

struct qb_http_limits {
    uint32_t head_bytes_max;
    uint32_t url_bytes_max;
    uint32_t headers_max; /* at most QB_HTTP_HEADERS_MAX */
    uint32_t body_bytes_max;
    uint64_t bodies_bytes_max; /* of all requests of the process together */
    const char *hosts;         /* comma-separated; empty: any */
};

/* Why a request is refused before anybody sees it. */
struct qb_http_refusal {
    int status; /* 0: not refused */
    const char *code;
    const char *text;
};

/* Where the search for the end of a head stands; zero-filled at its start. */
struct qb_http_scan {
    size_t at;       /* bytes looked at */
    uint8_t matched; /* of CR LF CR LF */
    bool has_line;   /* the request line is whole */
};

/*
 * Looks at bytes not seen before. Returns the length of the head with its empty line, or 0 while
 * it is not whole; `refusal` is set when it never can be good.
 */
size_t qb_http_scan(struct qb_http_scan *scan, const char *bytes, size_t length,
                    const struct qb_http_limits *limits, struct qb_http_refusal *refusal);

struct qb_http_span {
    uint32_t at;
    uint32_t length;
};

struct qb_http_field {
    struct qb_http_span name; /* lower case */
    struct qb_http_span value;
};

struct qb_http_head {
    enum qb_http_method method;
    struct qb_http_span method_name;
    struct qb_http_span path;  /* decoded in place */
    struct qb_http_span query; /* as sent, without the question mark */
    bool is_keep_alive;
    bool is_websocket; /* a well-formed handshake */
    bool wants_continue;
    uint64_t content_length;
    uint32_t field_count;
    struct qb_http_field fields[QB_HTTP_HEADERS_MAX];
};

/*
 * Takes a whole head apart. Names become lower case, the path is decoded, spans are ended with
 * zero bytes, all in `bytes`.
 *
 * returns  refusal.status 0, or how to answer before closing
 */
struct qb_http_refusal qb_http_head_parse(char *bytes, size_t length,
                                          const struct qb_http_limits *limits,
                                          struct qb_http_head *head);

/* The field's value, or null. `count` (may be null) gets how often it came. */
const char *qb_http_field(const struct qb_http_head *head, const char *bytes, const char *name,
                          unsigned *count);

/* Whether a comma-separated list holds `token`, without regard to case. */
bool qb_http_has_token(const char *list, const char *token);

#define QB_HTTP_ACCEPT_BYTES 29

/* Sec-WebSocket-Accept of a key (RFC 6455 4.2.2). */
void qb_http_accept_key(const char *key, char accept[QB_HTTP_ACCEPT_BYTES]);
