/*
 * One connection as the session sees it: checked messages in, frames out. It is a WebSocket, or an
 * event stream (HTML's server-sent events), which takes no messages. Below it are the socket
 * (libwebsockets, raw role, on the thread's libuv loop) and our own RFC 6455 framing, which refuses
 * what security.md S36 lists before anything is buffered.
 *
 * Thread    its I/O thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/frame.h"
#include "ws/close.h"
#include "ws/http.h"

struct qb_connection;

/* Called by the connection; `session` is what qb_server_accept_websocket() or _events() got. */
struct qb_connection_handlers {
    /* A whole text message, valid UTF-8, zero byte behind it; borrowed. Never of a stream. */
    void (*message)(void *session, char *text, size_t length);
    /* The socket takes bytes again after qb_connection_is_blocked() was true, or after
     * qb_connection_want_writable(). */
    void (*writable)(void *session);
    /* Every 250 ms or so, for the session's own deadlines. */
    void (*tick)(void *session, int64_t mono_us);
    /* Gone; last call. */
    void (*closed)(void *session, enum qb_close reason);
};

/* The bytes of a text frame: header and payload, made once and sent to many. `frame->bytes` is
 * payload; the header is written right in front of it, into frame->head. Call once, before the
 * frame is shared. */
void qb_websocket_seal(struct qb_frame *frame);

/* Sends a sealed frame now, as one write. The caller has looked at qb_connection_is_blocked():
 * what the kernel does not take is buffered by libwebsockets, at most this one frame. */
void qb_connection_send(struct qb_connection *connection, struct qb_frame *frame);

/* Whether an earlier write is still not wholly with the kernel; then nothing may be sent, and
 * `writable` is called once it is. */
bool qb_connection_is_blocked(const struct qb_connection *connection);

/* Asks for `writable` on the next turn of the loop. */
void qb_connection_want_writable(struct qb_connection *connection);

/* Sends a close frame with the reason's code and text (or `detail` if not null) once the socket
 * takes it, and ends the connection when the client has answered or 2 s later. Nothing is read
 * from it any more. `closed` follows; never inside this call. */
void qb_connection_close(struct qb_connection *connection, enum qb_close reason,
                         const char *detail);

const struct qb_peer *qb_connection_peer(const struct qb_connection *connection);
/* Monotonic time at which the last byte of the message being handled was read. */
int64_t qb_connection_read_us(const struct qb_connection *connection);

/* How long the client shall wait before it connects again, told with the next event of a stream. */
void qb_connection_set_retry(struct qb_connection *connection, uint32_t retry_ms);

/* Sends an empty ping; on a stream a comment. The caller has looked at
 * qb_connection_is_blocked(). */
void qb_connection_ping(struct qb_connection *connection);
/* Monotonic time at which the last byte of any kind was read, pongs among them. */
int64_t qb_connection_heard_us(const struct qb_connection *connection);
