/*
 * The sockets of one I/O thread: accepts them under caps, hands up checked HTTP requests, and turns
 * a handshake into a WebSocket. The only header between edge.c and the lower half of ws/; the types
 * of libwebsockets and libuv stay below it.
 *
 * Thread    the I/O thread whose loop it got, except where said.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/attributes.h"
#include "base/error.h"
#include "ws/connection.h"
#include "ws/edge.h"
#include "ws/http.h"

struct qb_server;

/* Called by the server; `context` is what qb_server_new() got. */
struct qb_server_handlers {
    /* As that of qb_edge_handlers. */
    int64_t (*admit)(void *context, const struct qb_peer *peer, bool is_api, const char **limit);
    /* A checked request; answered exactly once, now or later. */
    void (*request)(void *context, struct qb_http_request *request);
    /* The turn that qb_server_want_turn() asked for. */
    void (*turn)(void *context);
};

/*
 * Starts to accept on options->listen_fd, which is owned by the server from now on, also when it
 * fails.
 *
 * options   copied; `hosts` is copied too, `handlers` is not looked at
 * handlers  borrowed for the server's life
 * returns   null with `error` set when libwebsockets cannot start
 */
QB_MUST_USE struct qb_server *qb_server_new(const struct qb_edge_options *options,
                                            const struct qb_server_handlers *handlers,
                                            void *context, struct qb_error *error);

/* Ends all connections at once (`closed` with QB_CLOSE_GONE) and frees; not inside a handler. The
 * loop must turn a few times after it. Requests not answered yet stay valid until they are. */
void qb_server_free(struct qb_server **server);

/* No new connections or upgrades from now on: 503 with Retry-After. */
void qb_server_refuse_new(struct qb_server *server);

/* Asks for `turn` on the next turn of the loop, after what is readable has been read; asking again
 * before it changes nothing. */
void qb_server_want_turn(struct qb_server *server);

/* Connections open now, HTTP and WebSocket. */
size_t qb_server_connections(const struct qb_server *server);

/*
 * Answers a handshake (qb_http_is_websocket()) with 101 and begins the connection. The request is
 * gone after the call.
 *
 * session   handed to `handlers`; owned by the caller until `closed`
 * handlers  borrowed for the connection's life
 * returns   null when the client is gone or new ones are refused (then 503 was sent): no handler is
 *           called
 */
QB_MUST_USE struct qb_connection *
qb_server_accept_websocket(struct qb_server *server, struct qb_http_request *request, void *session,
                           const struct qb_connection_handlers *handlers);

/*
 * Answers a GET with an endless text/event-stream; the rest is as for a WebSocket.
 *
 * headers   further header lines, each ending in \r\n; null: none
 */
QB_MUST_USE struct qb_connection *
qb_server_accept_events(struct qb_server *server, struct qb_http_request *request,
                        const char *headers, void *session,
                        const struct qb_connection_handlers *handlers);
