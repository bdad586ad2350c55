/*
 * A request as the lower half of ws/ holds it; private to ws/.
 */
#pragma once

#include "ws/http_head.h"
#include "ws/server_parts.h"

/* The values of a header that came several times, joined; as long as the request. */
struct qb_http_joined {
    struct qb_http_joined *next;
    char text[];
};

/* One block: the struct, then the head's bytes. Its own until it is answered; `connection` is null
 * once the client is gone. */
struct qb_http_request {
    struct qb_connection *connection;
    struct qb_peer peer;
    struct qb_http_head head;
    char *body; /* zero-terminated; null without one */
    size_t body_length;
    size_t body_room;
    size_t body_held; /* of the bytes that all bodies may take */
    int64_t arrived_us;
    struct qb_http_joined *joined; /* of headers that were asked for */
    char bytes[];
};

/* Takes `bytes` for the body out of the `most` that all bodies of the process may take together,
 * given back when the request is freed. False: they are used up. Any thread. */
QB_MUST_USE bool qb_http_body_hold(struct qb_http_request *request, size_t bytes, uint64_t most);

/* Writes the head of an answer and counts it, without answering; the connection closes after it. */
void qb_http_write_head(const struct qb_http_request *request,
                        const struct qb_http_response *response, struct qb_text *text);

/* Answers that `limit` (a literal) is reached. */
void qb_http_limited(struct qb_http_request *request, const char *limit, int retry_after_s);

/* Frees a request and what it holds. */
void qb_http_request_free(struct qb_http_request *request);
