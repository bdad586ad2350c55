/*
 * One HTTP/1.1 request, checked strictly before anybody sees it, and its answer.
 *
 * The head is parsed by our own parser (http_head.h), not by libwebsockets: what is refused, and
 * with which words, is ours to decide (security.md 4.1). A request is answered exactly once, at
 * any later time, on its thread; when the client is gone meanwhile the answer goes nowhere and the
 * request is still valid until then.
 *
 * Thread    the I/O thread that made it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attributes.h"
#include "base/frame.h"

enum qb_http_method {
    QB_HTTP_GET,
    QB_HTTP_HEAD,
    QB_HTTP_POST,
    QB_HTTP_PUT,
    QB_HTTP_DELETE,
    QB_HTTP_OPTIONS,
    QB_HTTP_OTHER, /* any other token: answered with 405 */
};

#define QB_ADDRESS_BYTES 48

/* Where a request comes from: the socket's peer or, if that is a trusted proxy, whom it names.
 * `key` is what limits count: IPv4 whole, IPv6 by its /64. */
struct qb_peer {
    char address[QB_ADDRESS_BYTES]; /* text */
    uint8_t key[16];
    bool is_loopback; /* and nobody named by a proxy */
};

struct qb_http_request; /* opaque; read through the functions below */

enum qb_http_method qb_http_method_of(const struct qb_http_request *request);
const char *qb_http_method_name(const struct qb_http_request *request);

/* The path, percent-decoded once, starting with a slash, without the query; valid UTF-8 without
 * control characters, dot segments or doubled slashes (those were refused). */
const char *qb_http_path(const struct qb_http_request *request);

enum qb_http_query {
    QB_QUERY_ABSENT,
    QB_QUERY_GIVEN, /* maybe empty */
    QB_QUERY_BAD,   /* it came, and cannot be decoded or does not fit */
};

/* Copies the decoded value of query parameter `name` into `value`, if it is given. */
QB_MUST_USE enum qb_http_query qb_http_query(const struct qb_http_request *request,
                                             const char *name, char *value, size_t room);

/* The value of header `name` (lower case), without white space around it; null if it is not there.
 * Of a header that came several times, the values joined by ", ". Valid as long as the request. */
const char *qb_http_header(const struct qb_http_request *request, const char *name);

/* Copies the cookie's value. False if it is not there or does not fit. */
QB_MUST_USE bool qb_http_cookie(const struct qb_http_request *request, const char *name,
                                char *value, size_t room);

const char *qb_http_body(const struct qb_http_request *request, size_t *length);
const struct qb_peer *qb_http_peer(const struct qb_http_request *request);

/* Whether it comes from this machine, and from nobody behind a proxy on it. */
bool qb_http_is_local(const struct qb_http_request *request);

/* Whether it is a well-formed WebSocket handshake (GET, version 13, good key, `quickbid.v1` among
 * the subprotocols). Such a request ends in qb_edge_accept() or an error answer. */
bool qb_http_is_websocket(const struct qb_http_request *request);

/* Monotonic time when its last byte was read. */
int64_t qb_http_arrived_us(const struct qb_http_request *request);

struct qb_http_response {
    int status;
    const char *content_type;  /* null: no body */
    const char *cache_control; /* null: "no-store" */
    const char *etag;          /* with its quotes; null: none */
    const char *headers;       /* further lines, each ending in \r\n; null: none */
    const void *body;          /* copied; or null and `frame` */
    size_t length;
    struct qb_frame *frame; /* held by the answer; its bytes are the body */
    bool is_endless;        /* the body of a GET ends with the connection: no Content-Length */
};

/* Answers. HEAD gets the headers only; 304 and 204 no body. Security headers, Date, Content-Length
 * and Connection are added. The request is gone after the call. */
void qb_http_respond(struct qb_http_request *request, const struct qb_http_response *response);

/*
 * Answers with application/problem+json (RFC 9457): type "about:blank", title, status, `code`,
 * `detail`: what happened and what to do.
 *
 * retry_after_s   > 0: also a Retry-After header
 */
void qb_http_problem(struct qb_http_request *request, int status, const char *code,
                     const char *detail, int retry_after_s);
