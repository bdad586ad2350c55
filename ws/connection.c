#include "ws/connection.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/metrics.h"
#include "ws/http_request.h"

#define SESSION_TICK_US (QB_SECOND_US / 4)
#define CLOSE_WAIT_US   (2 * QB_SECOND_US)
#define CONTROLS_MAX    10 /* ping, pong and close frames of a client in a second (S40) */

void qb_connection_send(struct qb_connection *connection, struct qb_frame *frame)
{
    size_t length = qb_websocket_head_length(frame->length);

    if (connection->phase != QB_PHASE_SESSION) return;
    if (connection->is_events) {
        qb_events_send(connection, frame);
        return;
    }
    /* Header and payload stand side by side in the frame: one write, nothing copied. */
    qb_socket_write(connection, &frame->head[QB_FRAME_HEAD - length], length + frame->length);
}

bool qb_connection_is_blocked(const struct qb_connection *connection)
{
    return qb_socket_is_blocked(connection);
}

void qb_connection_want_writable(struct qb_connection *connection)
{
    qb_socket_want_writable(connection);
}

static void send_control(struct qb_connection *connection, enum qb_opcode opcode,
                         const void *payload, size_t length)
{
    uint8_t bytes[QB_WEBSOCKET_HEAD_MAX + QB_WEBSOCKET_CONTROL_MAX];
    size_t head = qb_websocket_head(bytes, opcode, length);

    if (length > 0) (void)memcpy(&bytes[head], payload, length);
    qb_socket_write(connection, bytes, head + length);
}

void qb_connection_ping(struct qb_connection *connection)
{
    if (connection->phase != QB_PHASE_SESSION) return;
    if (connection->is_events)
        qb_events_beat(connection);
    else
        send_control(connection, QB_OPCODE_PING, NULL, 0);
}

void qb_connection_set_retry(struct qb_connection *connection, uint32_t retry_ms)
{
    connection->retry_ms = retry_ms;
}

const struct qb_peer *qb_connection_peer(const struct qb_connection *connection)
{
    return &connection->client;
}

int64_t qb_connection_read_us(const struct qb_connection *connection)
{
    return connection->heard_us;
}

int64_t qb_connection_heard_us(const struct qb_connection *connection)
{
    return connection->heard_us;
}

static void drop_message(struct qb_connection *connection)
{
    free(connection->in);
    connection->in = NULL;
    connection->in_length = 0;
    connection->in_room = 0;
}

/* The owed close frame, once the socket takes it; then our side is shut. */
static void send_close(struct qb_connection *connection)
{
    uint8_t payload[QB_WEBSOCKET_CONTROL_MAX];
    enum qb_close reason = (enum qb_close)connection->close_reason;
    const char *text =
        connection->close_text != NULL ? connection->close_text : qb_close_text(reason);
    size_t length = strnlen(text, sizeof payload - 2);
    uint16_t code = qb_close_code(reason);

    if (connection->is_close_sent || qb_socket_is_blocked(connection)) return;
    connection->is_close_sent = true;
    if (code != 0 && connection->is_events) {
        qb_events_send_close(connection, reason, text);
    } else if (code != 0) {
        payload[0] = (uint8_t)(code >> 8);
        payload[1] = (uint8_t)code;
        (void)memcpy(&payload[2], text, length);
        send_control(connection, QB_OPCODE_CLOSE, payload, length + 2);
    }
    if (connection->phase == QB_PHASE_ENDED) return;
    if (qb_socket_is_blocked(connection)) return;
    qb_socket_finish(connection);
}

void qb_connection_close(struct qb_connection *connection, enum qb_close reason, const char *detail)
{
    if (connection->phase != QB_PHASE_SESSION) return;
    connection->phase = QB_PHASE_CLOSING;
    connection->close_reason = (uint8_t)reason;
    if (detail != NULL) connection->close_text = strdup(detail);
    drop_message(connection);
    qb_server_set_timer(connection, qb_clock_mono_us() + CLOSE_WAIT_US);
    /* Sent on the next turn: `closed` may not come inside this call. */
    qb_socket_want_writable(connection);
}

/* --- what comes in --- */

static void take_piece(struct qb_connection *connection, const struct qb_websocket_read *read)
{
    size_t most = connection->parser->message_bytes_max;
    static const char end = '\0';

    /* The parser has looked at the announced length: what comes fits, and its zero byte. */
    bool is_kept =
        qb_connection_keep(connection, (const char *)read->piece, read->length, most + 1);
    QB_ASSERT(is_kept);
    if (!read->is_last) return;
    size_t length = connection->in_length;
    is_kept = qb_connection_keep(connection, &end, 1, most + 1);
    QB_ASSERT(is_kept);
    char *message = connection->in;
    connection->in = NULL; /* the handler may close, which drops what is kept */
    connection->in_length = 0;
    connection->in_room = 0;
    qb_metric_add(QB_METRIC_messages_received_total, NULL, 1);
    connection->handlers->message(connection->session, message, length);
    free(message);
}

static void take_control(struct qb_connection *connection, enum qb_opcode opcode)
{
    const struct qb_websocket_parser *parser = connection->parser;
    enum qb_close reason = QB_CLOSE_NORMAL;

    if (connection->heard_us - connection->begun_us > QB_SECOND_US) {
        connection->begun_us = connection->heard_us;
        connection->controls = 0;
    }
    if (opcode == QB_OPCODE_CLOSE) {
        bool is_good =
            qb_websocket_close_code(parser->control, parser->control_length, &reason) != 0;
        qb_connection_close(connection, is_good ? QB_CLOSE_NORMAL : reason, NULL);
    } else if (++connection->controls > CONTROLS_MAX) {
        qb_connection_close(connection, QB_CLOSE_POLICY, NULL);
    } else if (opcode == QB_OPCODE_PING && !qb_socket_is_blocked(connection)) {
        /* A blocked client that pings gets no pong: it does not read the one before. */
        send_control(connection, QB_OPCODE_PONG, parser->control, parser->control_length);
    }
}

static void feed(struct qb_connection *connection, uint8_t *bytes, size_t length)
{
    while (connection->phase == QB_PHASE_SESSION) {
        struct qb_websocket_read read = qb_websocket_read(connection->parser, &bytes, &length);
        switch (read.event) {
        case QB_WEBSOCKET_MORE:
            return;
        case QB_WEBSOCKET_PIECE:
            take_piece(connection, &read);
            break;
        case QB_WEBSOCKET_CONTROL:
            take_control(connection, read.opcode);
            break;
        case QB_WEBSOCKET_ERROR:
            qb_connection_close(connection, read.reason, NULL);
            break;
        }
    }
}

/* What came right behind the handshake comes before all that is read later. */
static void take_early(struct qb_connection *connection)
{
    char *early = connection->early;

    connection->early = NULL;
    if (early == NULL) return;
    feed(connection, (uint8_t *)early, connection->early_length);
    free(early);
}

void qb_websocket_take(struct qb_connection *connection, uint8_t *bytes, size_t length)
{
    if (connection->is_events) {
        /* It has nothing to say: the kernel holds it back, and its end shows when we write. */
        if (connection->phase == QB_PHASE_SESSION) qb_socket_read(connection, false);
        return;
    }
    take_early(connection);
    feed(connection, bytes, length);
}

void qb_websocket_timer(struct qb_connection *connection, int64_t now_us)
{
    if (connection->phase != QB_PHASE_SESSION) { /* the client did not answer our close */
        qb_socket_end(connection);
        return;
    }
    qb_server_set_timer(connection, now_us + SESSION_TICK_US);
    connection->handlers->tick(connection->session, now_us);
}

void qb_websocket_writable(struct qb_connection *connection)
{
    if (connection->phase == QB_PHASE_CLOSING && !connection->is_close_sent) {
        send_close(connection);
    } else if (connection->phase == QB_PHASE_CLOSING) { /* the close frame is out now */
        qb_socket_finish(connection);
    } else if (connection->phase == QB_PHASE_SESSION) {
        take_early(connection);
    }
    if (connection->phase == QB_PHASE_SESSION) connection->handlers->writable(connection->session);
}

static const char *kind_of(const struct qb_connection *connection)
{
    if (connection->handlers == NULL) return "http";
    return connection->is_events ? "events" : "websocket";
}

void qb_session_begin(struct qb_connection *connection, void *session,
                      const struct qb_connection_handlers *handlers)
{
    qb_metric_add(QB_METRIC_connections, kind_of(connection), -1);
    drop_message(connection);
    connection->phase = QB_PHASE_SESSION;
    connection->session = session;
    connection->handlers = handlers;
    connection->begun_us = connection->heard_us;
    connection->request = NULL;
    connection->request_is_up = false;
    qb_socket_read(connection, true); /* who sent much behind its request was held back */
    qb_metric_add(QB_METRIC_connections, kind_of(connection), 1);
    qb_server_set_timer(connection, qb_clock_mono_us() + SESSION_TICK_US);
}

struct qb_connection *qb_server_accept_websocket(struct qb_server *server,
                                                 struct qb_http_request *request, void *session,
                                                 const struct qb_connection_handlers *handlers)
{
    struct qb_connection *connection = request->connection;
    char accept[QB_HTTP_ACCEPT_BYTES];

    QB_ASSERT(request->head.is_websocket);
    if (connection == NULL || qb_server_is_refusing(server)) {
        qb_http_problem(
            request, 503, "full",
            "This server takes no more connections now. Try again after the time given.", 2);
        return NULL;
    }
    qb_http_accept_key(qb_http_header(request, "sec-websocket-key"), accept);
    struct qb_text *text = qb_server_scratch(server);
    qb_text_string(text, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                         "Connection: Upgrade\r\nSec-WebSocket-Protocol: quickbid.v1\r\n"
                         "Sec-WebSocket-Accept: ");
    qb_text_string(text, accept);
    qb_text_string(text, "\r\n\r\n");
    qb_http_request_free(request);
    char *early = connection->in; /* frames that came behind the handshake */
    size_t early_length = connection->in_length;
    connection->in = NULL;
    connection->in_length = 0;
    connection->in_room = 0;
    connection->parser = calloc(1, sizeof *connection->parser);
    QB_ASSERT(connection->parser != NULL);
    connection->parser->message_bytes_max = qb_server_options(server)->message_bytes_max;
    qb_session_begin(connection, session, handlers);
    qb_socket_write(connection, text->bytes, text->length);
    if (early_length > 0) {
        connection->early = early;
        connection->early_length = (uint32_t)early_length;
        qb_socket_want_writable(connection);
    } else {
        free(early);
    }
    return connection;
}

void qb_connection_gone(struct qb_connection *connection)
{
    struct qb_server *server = connection->server;

    qb_timer_stop(&connection->timer);
    if (connection->is_counted) qb_peer_leave(&connection->client);
    qb_server_left(server);
    qb_metric_add(QB_METRIC_connections, kind_of(connection), -1);
    if (connection->request != NULL) {
        connection->request->connection = NULL;
        /* A request still being read belongs to nobody else. */
        if (!connection->request_is_up) qb_http_request_free(connection->request);
    }
    if (connection->handlers != NULL) {
        connection->handlers->closed(connection->session, (enum qb_close)connection->close_reason);
    }
    qb_frame_free(&connection->out);
    qb_frame_free(&connection->unsent);
    free(connection->in);
    free(connection->early);
    free(connection->parser);
    free(connection->close_text);
    free(connection);
}
