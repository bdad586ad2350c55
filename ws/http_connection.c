#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/metrics.h"
#include "ws/http_request.h"

#define LINGER_US     (QB_SECOND_US / 2)
#define BODY_GRACE_US (5 * QB_SECOND_US)
#define BODY_RATE     1024 /* bytes a second at least, after the grace */
#define BODY_ROOM     4096
#define PIPELINED_MAX 65536

#define AGAIN_S 2 /* after a refusal that ends by itself */

#define QB_HTTP_REFUSAL(name, number, wire, sentence)                                              \
    static const struct qb_http_refusal name = {number, wire, sentence};
#include "ws/http_refusal.def"

bool qb_connection_keep(struct qb_connection *connection, const char *bytes, size_t length,
                        size_t most)
{
    size_t room = connection->in_room > 0 ? connection->in_room : 512;

    if (connection->in_length + length > most) return false;
    while (room < connection->in_length + length) room *= 2;
    if (room != connection->in_room) {
        connection->in = realloc(connection->in, room);
        QB_ASSERT(connection->in != NULL);
        connection->in_room = (uint32_t)room;
    }
    if (length > 0) (void)memcpy(&connection->in[connection->in_length], bytes, length);
    connection->in_length += (uint32_t)length;
    return true;
}

static void drop_input(struct qb_connection *connection)
{
    free(connection->in);
    connection->in = NULL;
    connection->in_length = 0;
    connection->in_room = 0;
    connection->scan = (struct qb_http_scan){0};
}

/* Takes the first `length` bytes of the input away; an empty input holds no memory. */
static void consume(struct qb_connection *connection, size_t length)
{
    connection->in_length -= (uint32_t)length;
    if (connection->in_length == 0) {
        drop_input(connection);
        return;
    }
    (void)memmove(connection->in, connection->in + length, connection->in_length);
    connection->scan = (struct qb_http_scan){0};
}

static struct qb_http_request *request_new(struct qb_connection *connection, const char *bytes,
                                           size_t length)
{
    struct qb_http_request *request = malloc(sizeof *request + length + 1);

    QB_ASSERT(request != NULL);
    (void)memset(request, 0, offsetof(struct qb_http_request, head));
    request->connection = connection;
    request->peer = connection->peer;
    request->body = NULL;
    request->body_length = 0;
    request->body_room = 0;
    request->body_held = 0;
    request->joined = NULL;
    (void)memset(&request->head, 0, offsetof(struct qb_http_head, fields));
    (void)memcpy(request->bytes, bytes, length);
    request->bytes[length] = '\0';
    return request;
}

/* What nobody shall see is answered, and the connection ends with that. */
static struct qb_http_request *give_up(struct qb_connection *connection, const char *why)
{
    if (connection->request == NULL) connection->request = request_new(connection, "", 0);
    connection->request->arrived_us = connection->heard_us;
    connection->request->head.is_keep_alive = false;
    connection->phase = QB_PHASE_ANSWERING;
    qb_timer_stop(&connection->timer);
    drop_input(connection);
    qb_metric_add(QB_METRIC_http_refused_total, why, 1);
    return connection->request;
}

static void refuse(struct qb_connection *connection, const struct qb_http_refusal *refusal)
{
    bool may_come_again = refusal->status == 429 || refusal->status == 503;

    qb_http_problem(give_up(connection, refusal->code), refusal->status, refusal->code,
                    refusal->text, may_come_again ? AGAIN_S : 0);
}

/* False: its address has asked too often, and it is answered. */
static bool admit(struct qb_connection *connection, const struct qb_http_request *request)
{
    const char *path = &request->bytes[request->head.path.at];
    bool is_api = request->head.is_websocket || strncmp(path, "/api/", 5) == 0;
    const char *limit = NULL;
    int64_t wait_us = qb_server_admit(connection->server, &request->peer, is_api, &limit);

    if (wait_us == 0) return true;
    qb_metric_add(QB_METRIC_limited_total, limit, 1);
    qb_http_limited(give_up(connection, "rate_limited"), limit,
                    (int)((wait_us + QB_SECOND_US - 1) / QB_SECOND_US));
    return false;
}

/* While an answer is under way its client may send the next requests, up to half of the room; then
 * the kernel holds it back. */
static void hold_back(struct qb_connection *connection)
{
    qb_socket_read(connection, connection->in_length <= PIPELINED_MAX / 2);
}

static void hand_up(struct qb_connection *connection)
{
    struct qb_http_request *request = connection->request;

    connection->phase = QB_PHASE_ANSWERING;
    hold_back(connection);
    qb_timer_stop(&connection->timer);
    request->arrived_us = connection->heard_us;
    connection->request_is_up = true;
    qb_server_hand_up(connection->server, request);
}

/* The body's bytes in `bytes`; returns how many were taken. */
static size_t take_body(struct qb_connection *connection, const char *bytes, size_t length)
{
    struct qb_http_request *request = connection->request;
    size_t wanted = (size_t)request->head.content_length - request->body_length;
    size_t part = length < wanted ? length : wanted;

    if (request->body_length + part >= request->body_room) {
        size_t room = request->body_room > 0 ? request->body_room : BODY_ROOM;
        while (room <= request->body_length + part) room *= 2;
        request->body = realloc(request->body, room);
        QB_ASSERT(request->body != NULL);
        request->body_room = room;
    }
    if (part > 0) (void)memcpy(&request->body[request->body_length], bytes, part);
    request->body_length += part;
    request->body[request->body_length] = '\0';
    return part;
}

static void begin_body(struct qb_connection *connection)
{
    static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
    const struct qb_http_request *request = connection->request;

    connection->phase = QB_PHASE_BODY;
    qb_socket_read(connection, true);
    connection->begun_us = connection->heard_us;
    qb_server_set_timer(connection, connection->begun_us + BODY_GRACE_US);
    if (request->head.wants_continue && connection->in_length == 0 &&
        !qb_socket_is_blocked(connection)) {
        qb_socket_write(connection, go_on, sizeof go_on - 1);
    }
}

/* Whom a request is from. A connection of a proxy counts for whom it asked last. */
static const struct qb_http_refusal *know_client(struct qb_connection *connection,
                                                 struct qb_http_request *request)
{
    const struct qb_edge_options *options = qb_server_options(connection->server);

    if (!connection->is_proxy) return NULL;
    if (!qb_peer_behind(options->proxies, &request->head, request->bytes, &request->peer))
        return &bad_forwarded;
    size_t key_bytes = sizeof request->peer.key;
    bool is_same = memcmp(request->peer.key, connection->client.key, key_bytes) == 0;
    bool was_counted = connection->is_counted;
    if (was_counted && !is_same) qb_peer_leave(&connection->client);
    connection->is_counted =
        (was_counted && is_same) || qb_peer_enter(&request->peer, options->connections_per_address);
    connection->client = request->peer;
    return connection->is_counted ? NULL : &many_here;
}

/* A whole head of `length` bytes at the start of the input. */
static void take_head(struct qb_connection *connection, size_t length)
{
    struct qb_http_request *request = request_new(connection, connection->in, length);
    struct qb_http_refusal refusal = qb_http_head_parse(
        request->bytes, length, qb_server_limits(connection->server), &request->head);

    connection->request = request;
    consume(connection, length);
    const struct qb_http_refusal *why =
        refusal.status != 0 ? &refusal : know_client(connection, request);
    if (why != NULL) {
        refuse(connection, why);
        return;
    }
    if (!admit(connection, request)) return;
    if (request->head.content_length == 0) {
        hand_up(connection);
        return;
    }
    if (!qb_http_body_hold(request, (size_t)request->head.content_length,
                           qb_server_limits(connection->server)->bodies_bytes_max)) {
        refuse(connection, &no_room);
        return;
    }
    begin_body(connection);
    size_t taken = take_body(connection, connection->in, connection->in_length);
    if (taken > 0) consume(connection, taken);
    if (request->body_length == request->head.content_length) hand_up(connection);
}

/* What waits in the input while a head is wanted. */
static void look_for_head(struct qb_connection *connection)
{
    struct qb_http_refusal refusal;
    bool is_first = connection->scan.at == 0;
    size_t length = qb_http_scan(&connection->scan, connection->in, connection->in_length,
                                 qb_server_limits(connection->server), &refusal);

    if (refusal.status != 0) {
        refuse(connection, &refusal);
        return;
    }
    if (length > 0) {
        take_head(connection, length);
        return;
    }
    qb_socket_read(connection, true);
    if (is_first) { /* the whole head has this long, however it drips */
        connection->begun_us = connection->heard_us;
        qb_server_set_timer(connection,
                            connection->begun_us +
                                qb_server_options(connection->server)->head_timeout_ms * QB_MS_US);
    }
}

void qb_http_take(struct qb_connection *connection, const char *bytes, size_t length)
{
    size_t most = qb_server_limits(connection->server)->head_bytes_max + PIPELINED_MAX;

    if (connection->phase == QB_PHASE_LINGERING || connection->phase == QB_PHASE_ENDED) return;
    if (connection->phase == QB_PHASE_BODY) {
        size_t taken = take_body(connection, bytes, length);
        struct qb_http_request *request = connection->request;
        bool is_whole = request->body_length == request->head.content_length;
        bool fits = qb_connection_keep(connection, bytes + taken, length - taken, most);
        if (is_whole && fits)
            hand_up(connection);
        else if (!fits)
            refuse(connection, &too_much);
        return;
    }
    bool is_kept = qb_connection_keep(connection, bytes, length, most);
    if (connection->phase == QB_PHASE_ANSWERING) {
        /* Never a refusal here: somebody above has the request, and its answer is to come. */
        if (is_kept)
            hold_back(connection);
        else
            qb_socket_end(connection);
    } else if (!is_kept) {
        refuse(connection, &too_much);
    } else {
        look_for_head(connection);
    }
}

static void linger(struct qb_connection *connection)
{
    connection->phase = QB_PHASE_LINGERING;
    drop_input(connection);
    qb_socket_finish(connection);
    qb_server_set_timer(connection, qb_clock_mono_us() + LINGER_US);
}

void qb_http_answered(struct qb_connection *connection)
{
    if (!connection->is_keep_alive || qb_server_is_refusing(connection->server)) {
        linger(connection);
        return;
    }
    connection->phase = QB_PHASE_HEAD;
    qb_server_set_timer(connection,
                        qb_clock_mono_us() +
                            qb_server_options(connection->server)->keep_alive_ms * QB_MS_US);
    hold_back(connection);
    if (connection->in_length > 0) qb_socket_want_writable(connection); /* pipelined: next turn */
}

/* Sends what is left of an answer, in pieces, each when the one before is with the kernel. Only
 * then the next request is looked at, or our side shut: what waits would be lost by that. */
static void send_rest(struct qb_connection *connection)
{
    static const size_t piece = 65536;

    while (connection->out != NULL && !qb_socket_is_blocked(connection)) {
        size_t left = connection->out->length - connection->out_at;
        size_t part = left < piece ? left : piece;
        const uint8_t *at = &connection->out->bytes[connection->out_at];
        connection->out_at += part;
        bool is_last = part == left;
        qb_socket_write(connection, at, part);
        if (connection->phase == QB_PHASE_ENDED) return;
        if (is_last) qb_frame_free(&connection->out);
    }
    if (connection->out != NULL || qb_socket_is_blocked(connection)) {
        qb_socket_want_writable(connection);
        qb_server_set_timer(connection,
                            qb_clock_mono_us() +
                                qb_server_options(connection->server)->stalled_ms * QB_MS_US);
    } else {
        qb_http_answered(connection);
    }
}

void qb_http_writable(struct qb_connection *connection)
{
    bool is_answered = connection->phase == QB_PHASE_ANSWERING && connection->request == NULL;

    if (is_answered) {
        send_rest(connection);
    } else if (connection->phase == QB_PHASE_HEAD && connection->in_length > 0) {
        look_for_head(connection);
    }
}

/* A body must not drip: one that is behind 1 KiB a second is refused. */
static bool is_body_late(const struct qb_connection *connection, int64_t now_us)
{
    int64_t seconds = (now_us - connection->begun_us) / QB_SECOND_US;

    return (int64_t)connection->request->body_length < (seconds - 4) * BODY_RATE;
}

void qb_http_timer(struct qb_connection *connection, int64_t now_us)
{
    switch ((enum qb_phase)connection->phase) {
    case QB_PHASE_HEAD:
        if (connection->in_length > 0)
            refuse(connection, &late_head);
        else
            qb_socket_end(connection); /* idle between requests, or silent from the start */
        break;
    case QB_PHASE_BODY:
        if (is_body_late(connection, now_us))
            refuse(connection, &late_body);
        else
            qb_server_set_timer(connection, now_us + QB_SECOND_US);
        break;
    case QB_PHASE_ANSWERING: /* a client that does not read its answer */
    case QB_PHASE_LINGERING:
        qb_socket_end(connection);
        break;
    case QB_PHASE_SESSION:
    case QB_PHASE_CLOSING:
    case QB_PHASE_ENDED:
        break;
    }
}
