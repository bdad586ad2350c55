#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/metrics.h"
#include "ws/http_request.h"

#define ONE_WRITE_MAX 16384 /* an answer up to here leaves in one write */

static const char *reason_of(int status)
{
    static const struct {
        int status;
        const char *reason;
    } rows[] = {
        {200, "OK"},
        {201, "Created"},
        {202, "Accepted"},
        {204, "No Content"},
        {206, "Partial Content"},
        {304, "Not Modified"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {406, "Not Acceptable"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {413, "Content Too Large"},
        {414, "URI Too Long"},
        {415, "Unsupported Media Type"},
        {416, "Range Not Satisfiable"},
        {421, "Misdirected Request"},
        {422, "Unprocessable Content"},
        {426, "Upgrade Required"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {503, "Service Unavailable"},
        {505, "HTTP Version Not Supported"},
    };

    for (size_t i = 0; i < QB_COUNT(rows); i++) {
        if (rows[i].status == status) return rows[i].reason;
    }
    return "Status";
}

/* The Date header, made once a second. */
static const char *date_header(void)
{
    static _Thread_local int64_t made_second;
    static _Thread_local char text[QB_TIME_TEXT_BYTES];
    qb_time_us now_us = qb_clock_wall_us();

    if (now_us / QB_SECOND_US != made_second) {
        made_second = now_us / QB_SECOND_US;
        qb_clock_http_date(now_us, text);
    }
    return text;
}

static void count(int status, int64_t arrived_us)
{
    static const char *const classes[] = {"1xx", "2xx", "3xx", "4xx", "5xx"};

    qb_metric_add(QB_METRIC_http_requests_total, classes[(status / 100 - 1) % 5], 1);
    qb_metric_observe(QB_METRIC_http_duration_us, qb_clock_mono_us() - arrived_us);
}

static void line(struct qb_text *text, const char *name, const char *value)
{
    qb_text_string(text, name);
    qb_text_string(text, value);
    qb_text_add(text, "\r\n", 2);
}

static void write_head(struct qb_text *text, const struct qb_http_response *response, size_t length,
                       bool is_keep_alive)
{
    bool has_body = response->content_type != NULL && response->status != 304;

    qb_text_string(text, "HTTP/1.1 ");
    qb_text_int(text, response->status);
    qb_text_add(text, " ", 1);
    line(text, reason_of(response->status), "");
    line(text, "Date: ", date_header());
    if (has_body) line(text, "Content-Type: ", response->content_type);
    if (response->status != 204 && response->status != 304 && !response->is_endless) {
        qb_text_string(text, "Content-Length: ");
        qb_text_int(text, (int64_t)length);
        qb_text_add(text, "\r\n", 2);
    }
    line(text,
         "Cache-Control: ", response->cache_control != NULL ? response->cache_control : "no-store");
    if (response->etag != NULL && response->etag[0] != '\0') line(text, "ETag: ", response->etag);
    line(text, "X-Content-Type-Options: ", "nosniff");
    line(text, "Referrer-Policy: ", "no-referrer");
    line(text, "X-Frame-Options: ", "DENY");
    if (response->headers != NULL) qb_text_string(text, response->headers);
    line(text, "Connection: ", is_keep_alive ? "keep-alive" : "close");
    qb_text_add(text, "\r\n", 2);
}

void qb_http_write_head(const struct qb_http_request *request,
                        const struct qb_http_response *response, struct qb_text *text)
{
    count(response->status, request->arrived_us);
    write_head(text, response, 0, false);
}

/* Hands an answer to the socket: small ones in one write, the rest of large ones as the socket
 * takes it. */
static void send_answer(struct qb_connection *connection, struct qb_text *text, const void *body,
                        size_t length, struct qb_frame *frame)
{
    bool is_blocked = qb_socket_is_blocked(connection); /* by a 100 Continue */
    bool is_small = is_blocked || text->length + length <= ONE_WRITE_MAX;

    if (connection->phase == QB_PHASE_ENDED) return;
    if (is_small && length > 0)
        qb_text_add(text, body, length);
    else if (length > 0)
        connection->out = frame != NULL ? qb_frame_hold(frame) : qb_frame_new(body, length);
    if (is_blocked)
        connection->out = qb_frame_new(text->bytes, text->length);
    else
        qb_socket_write(connection, text->bytes, text->length);
    connection->out_at = 0;
    if (connection->phase != QB_PHASE_ENDED) qb_http_writable(connection);
}

void qb_http_respond(struct qb_http_request *request, const struct qb_http_response *response)
{
    struct qb_connection *connection = request->connection;
    size_t length = response->frame != NULL ? response->frame->length : response->length;
    const void *body = response->frame != NULL ? response->frame->bytes : response->body;
    bool has_none =
        request->head.method == QB_HTTP_HEAD || response->status == 204 || response->status == 304;

    count(response->status, request->arrived_us);
    if (connection == NULL) { /* the client is gone */
        qb_http_request_free(request);
        return;
    }
    QB_ASSERT(connection->request == request);
    /* Errors close (security.md S12), but for those that a page meets in ordinary use. */
    bool is_plain = response->status < 400 || response->status == 401 || response->status == 404 ||
                    response->status == 409 || response->status == 422 || response->status == 403;
    connection->is_keep_alive =
        request->head.is_keep_alive && is_plain && !request->head.is_websocket;
    connection->request = NULL;
    connection->request_is_up = false;
    struct qb_text *text = qb_server_scratch(connection->server);
    write_head(text, response, length, connection->is_keep_alive);
    qb_http_request_free(request);
    send_answer(connection, text, body, has_none ? 0 : length, response->frame);
}

static void answer_problem(struct qb_http_request *request, int status, const char *code,
                           const char *detail, int retry_after_s, const char *limit)
{
    struct qb_text body = {0};
    char headers[96] = "";

    qb_text_string(&body, "{");
    qb_text_json_text(&body, "type", "about:blank");
    qb_text_json_text(&body, "title", reason_of(status));
    qb_text_json_int(&body, "status", status);
    qb_text_json_text(&body, "code", code);
    qb_text_json_text(&body, "detail", detail);
    if (retry_after_s > 0) qb_text_json_int(&body, "retry_after_ms", retry_after_s * 1000LL);
    if (limit != NULL) qb_text_json_text(&body, "limit", limit);
    qb_text_string(&body, "}");
    if (retry_after_s > 0)
        (void)snprintf(headers, sizeof headers, "Retry-After: %d\r\n", retry_after_s);
    if (status == 426)
        (void)memcpy(headers, "Sec-WebSocket-Version: 13\r\nUpgrade: websocket\r\n", 48);
    const struct qb_http_response response = {
        .status = status,
        .content_type = "application/problem+json",
        .headers = headers,
        .body = body.bytes,
        .length = body.length,
    };
    qb_http_respond(request, &response);
    qb_text_fini(&body);
}

void qb_http_problem(struct qb_http_request *request, int status, const char *code,
                     const char *detail, int retry_after_s)
{
    answer_problem(request, status, code, detail, retry_after_s, NULL);
}

void qb_http_limited(struct qb_http_request *request, const char *limit, int retry_after_s)
{
    answer_problem(request, 429, "rate_limited",
                   "Too many requests come from your address. Try again after the time given.",
                   retry_after_s, limit);
}
