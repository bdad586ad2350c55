/*
 * A request as the lower half of ws/ holds it; private to ws/.
 */
#pragma once

#include "ws/http_head.h"
#include "ws/server_parts.h"

/* One block: the struct, then the head's bytes. Its own until it is answered; `connection` is null
 * once the client is gone. */
struct qb_http_request {
    struct qb_connection *connection;
    struct qb_peer peer;
    struct qb_http_head head;
    char *body; /* zero-terminated; null without one */
    size_t body_length;
    size_t body_room;
    int64_t arrived_us;
    char *joined; /* of a header that came several times, while somebody reads it */
    char bytes[];
};

/* Frees a request and what it holds. */
void qb_http_request_free(struct qb_http_request *request);
