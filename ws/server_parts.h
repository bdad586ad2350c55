/*
 * The lower half of ws/ among its own files: connections and what they call of each other. Only
 * server.c knows libwebsockets; only listener.c and server.c know libuv.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ip.h"
#include "base/text.h"
#include "base/wheel.h"
#include "ws/connection.h"
#include "ws/http_head.h"
#include "ws/server.h"
#include "ws/websocket.h"

enum qb_phase {
    QB_PHASE_HEAD,      /* reading a request's head; also between two requests */
    QB_PHASE_BODY,      /* reading its body */
    QB_PHASE_ANSWERING, /* somebody has the request; or its answer is being written */
    QB_PHASE_LINGERING, /* our side is closed: reads and drops until the client closes, 1 s */
    QB_PHASE_SESSION,   /* a session has it: its messages, its frames */
    QB_PHASE_CLOSING,   /* a close frame is owed or sent; waits for the client's, 2 s */
    QB_PHASE_ENDED,     /* the socket is shut; libwebsockets will say so */
};

struct qb_connection {
    struct qb_server *server;
    void *wsi; /* libwebsockets' */
    int fd;
    uint8_t phase; /* enum qb_phase */
    bool wants_writable;
    bool is_close_sent;
    bool is_keep_alive;   /* after the answer under way */
    uint8_t close_reason; /* enum qb_close; of CLOSING and of the end */
    uint8_t controls;     /* control frames in this second */
    struct qb_timer timer;
    bool is_proxy;         /* of ours: its requests are for others */
    bool is_counted;       /* among the connections of `client` */
    struct qb_peer peer;   /* of the socket */
    struct qb_peer client; /* the same, or whom the proxy asked for last */
    int64_t heard_us;      /* when the last byte was read */
    int64_t begun_us;      /* when the head, body or this second of control frames began */
    char *in; /* bytes that wait: a head in parts, pipelined ones, a message in parts */
    uint32_t in_length;
    uint32_t in_room;
    struct qb_http_scan scan;
    struct qb_http_request *request; /* being read or answered */
    struct qb_frame *out;            /* the rest of an answer, from out_at on */
    size_t out_at;
    struct qb_frame *unsent; /* the rest of one write that the kernel did not take */
    size_t unsent_at;
    bool is_reading;
    bool is_events;     /* an event stream: its session sends, and reads nothing */
    uint32_t retry_ms;  /* what its next event tells of reconnecting; 0: nothing */
    bool request_is_up; /* somebody above has the request until it is answered */
    char *early;        /* frames that came right behind the handshake */
    uint32_t early_length;
    struct qb_websocket_parser *parser; /* of a WebSocket */
    void *session;
    const struct qb_connection_handlers *handlers;
    char *close_text; /* what the owed close frame says */
};

/* --- server.c: the socket --- */

/* Writes now; what the kernel does not take is buffered. Not while qb_socket_is_blocked(). */
void qb_socket_write(struct qb_connection *connection, const void *bytes, size_t length);
/* Hands the rest of an earlier write to the kernel, as far as it takes it. */
void qb_socket_flush(struct qb_connection *connection);
bool qb_socket_is_blocked(const struct qb_connection *connection);
void qb_socket_want_writable(struct qb_connection *connection);
/* No further reading (or reading again): the kernel's buffer holds the client back. */
void qb_socket_read(struct qb_connection *connection, bool is_wanted);
/* Shuts the socket down for good; `qb_connection_gone()` follows from the loop. */
void qb_socket_end(struct qb_connection *connection);
/* Shuts our side: what was written still arrives. */
void qb_socket_finish(struct qb_connection *connection);

const struct qb_edge_options *qb_server_options(const struct qb_server *server);
const struct qb_http_limits *qb_server_limits(const struct qb_server *server);
/* As `admit` of qb_server_handlers. */
int64_t qb_server_admit(const struct qb_server *server, const struct qb_peer *peer, bool is_api,
                        const char **limit);
void qb_server_hand_up(struct qb_server *server, struct qb_http_request *request);
void qb_server_set_timer(struct qb_connection *connection, int64_t due_us);
bool qb_server_is_refusing(const struct qb_server *server);
/* Bytes for one write, grown on demand and kept. */
struct qb_text *qb_server_scratch(struct qb_server *server);
/* The event made last, for the next watcher that gets the same. */
struct qb_events_made *qb_server_made(struct qb_server *server);

/* One connection less. */
void qb_server_left(struct qb_server *server);

/* Takes an accepted socket, counted by qb_peer_enter() unless it is a proxy's. False: it could not;
 * the caller closes it. */
QB_MUST_USE bool qb_server_adopt(struct qb_server *server, int fd, const struct qb_peer *peer,
                                 bool is_proxy);

/* --- http_connection.c --- */

/* Bytes of a connection that is not a WebSocket. */
void qb_http_take(struct qb_connection *connection, const char *bytes, size_t length);
void qb_http_timer(struct qb_connection *connection, int64_t now_us);
void qb_http_writable(struct qb_connection *connection);
/* The answer is wholly handed to the socket: the next request, or the end. */
void qb_http_answered(struct qb_connection *connection);
/* Keeps bytes for later. False: more than may wait. */
QB_MUST_USE bool qb_connection_keep(struct qb_connection *connection, const char *bytes,
                                    size_t length, size_t most);

/* --- connection.c --- */

/* From now on `session` has the connection. What came behind its request is dropped. */
void qb_session_begin(struct qb_connection *connection, void *session,
                      const struct qb_connection_handlers *handlers);
void qb_websocket_take(struct qb_connection *connection, uint8_t *bytes, size_t length);
void qb_websocket_timer(struct qb_connection *connection, int64_t now_us);
void qb_websocket_writable(struct qb_connection *connection);
/* The socket is closed: tells whoever holds the connection and frees it. */
void qb_connection_gone(struct qb_connection *connection);

/* --- events.c --- */

/* A frame as an event: made once for all watchers that get it one after the other. */
struct qb_events_made {
    struct qb_frame *frame; /* held; null: none yet */
    struct qb_text text;
};

void qb_events_send(struct qb_connection *connection, struct qb_frame *frame);
/* A comment line, so that nobody between here and the client thinks the connection dead. */
void qb_events_beat(struct qb_connection *connection);
/* The last event: why the stream ends. */
void qb_events_send_close(struct qb_connection *connection, enum qb_close reason, const char *text);
void qb_events_made_fini(struct qb_events_made *made);

/* --- listener.c --- */

struct qb_listener;
struct qb_listener *qb_listener_new(struct qb_server *server, void *loop, int listen_fd);
/* Its handles close within the loop's next turns. */
void qb_listener_free(struct qb_listener **listener);

/* --- peers.c --- */

void qb_peer_of(const struct qb_ip *ip, struct qb_peer *peer);
/* One connection of this address more, or less; on any thread. False: it has `most`. */
QB_MUST_USE bool qb_peer_enter(const struct qb_peer *peer, uint32_t most);
void qb_peer_leave(const struct qb_peer *peer);
/* Replaces a proxy by whom its request is for, if it says so. False: it says no address. */
QB_MUST_USE bool qb_peer_behind(const struct qb_ip_ranges *proxies, const struct qb_http_head *head,
                                const char *bytes, struct qb_peer *peer);
