/*
 * Event streams (HTML, "Server-sent events"): a GET whose answer does not end. What a session sends
 * leaves as events that are named by the JSON's `on` and numbered by the state they show, with the
 * very bytes that a WebSocket gets.
 *
 * The end of the stream is the end of the connection: no chunks, so that clients and proxies that
 * speak HTTP/1.0 can follow too. An event ends with an empty line, so half of one shows.
 */
#include <string.h>

#include "base/assert.h"
#include "ws/http_request.h"

#define PAYLOAD_BEGIN "{\"on\":\""

void qb_events_made_fini(struct qb_events_made *made)
{
    qb_frame_free(&made->frame);
    qb_text_fini(&made->text);
}

static void make_event(struct qb_text *text, const struct qb_frame *frame, uint32_t retry_ms)
{
    static const char begin[] = PAYLOAD_BEGIN;
    const char *payload = (const char *)frame->bytes;
    size_t skip = sizeof begin - 1;

    QB_ASSERT(frame->length > skip);
    QB_ASSERT(memcmp(payload, begin, skip) == 0); /* an answer cannot be: nothing was asked */
    const char *end = memchr(payload + skip, '"', frame->length - skip);
    QB_ASSERT(end != NULL);
    if (retry_ms > 0) qb_text_format(text, "retry: %u\n", retry_ms);
    qb_text_string(text, "event: ");
    qb_text_add(text, payload + skip, (size_t)(end - payload) - skip);
    if (frame->position != 0) {
        qb_text_format(text, "\nid: %u-%u", (unsigned)(frame->position >> 32),
                       (unsigned)(frame->position & UINT32_MAX));
    }
    qb_text_string(text, "\ndata: ");
    qb_text_add(text, payload, frame->length); /* JSON of ours has no line breaks */
    qb_text_string(text, "\n\n");
}

void qb_events_send(struct qb_connection *connection, struct qb_frame *frame)
{
    struct qb_events_made *made = qb_server_made(connection->server);
    struct qb_text *text = &made->text;

    if (connection->retry_ms > 0) { /* of this connection alone */
        text = qb_server_scratch(connection->server);
        make_event(text, frame, connection->retry_ms);
        connection->retry_ms = 0;
    } else if (made->frame != frame) {
        qb_frame_free(&made->frame);
        made->frame = qb_frame_hold(frame);
        text->length = 0;
        make_event(text, frame, 0);
    }
    qb_socket_write(connection, text->bytes, text->length);
}

void qb_events_beat(struct qb_connection *connection)
{
    static const char comment[] = ":\n\n";

    qb_socket_write(connection, comment, sizeof comment - 1);
}

void qb_events_send_close(struct qb_connection *connection, enum qb_close reason, const char *text)
{
    struct qb_text *event = qb_server_scratch(connection->server);

    qb_text_string(event, "event: close\ndata: " PAYLOAD_BEGIN "close\"");
    qb_text_json_int(event, "code", qb_close_code(reason));
    qb_text_json_text(event, "reason", qb_close_metric(reason));
    qb_text_json_text(event, "message", text);
    qb_text_string(event, "}\n\n");
    qb_socket_write(connection, event->bytes, event->length);
}

struct qb_connection *qb_server_accept_events(struct qb_server *server,
                                              struct qb_http_request *request, const char *headers,
                                              void *session,
                                              const struct qb_connection_handlers *handlers)
{
    struct qb_connection *connection = request->connection;
    const struct qb_http_response response = {
        .status = 200,
        .content_type = "text/event-stream",
        .headers = headers,
        .is_endless = true,
    };

    QB_ASSERT(request->head.method == QB_HTTP_GET);
    if (connection == NULL || qb_server_is_refusing(server)) {
        qb_http_problem(
            request, 503, "full",
            "This server takes no more connections now. Try again after the time given.", 2);
        return NULL;
    }
    struct qb_text *text = qb_server_scratch(server);
    qb_http_write_head(request, &response, text);
    qb_http_request_free(request);
    connection->is_keep_alive = false;
    connection->is_events = true;
    qb_session_begin(connection, session, handlers);
    qb_socket_write(connection, text->bytes, text->length);
    return connection;
}
