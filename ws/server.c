#include "ws/server.h"

#include <errno.h>
#include <libwebsockets.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "ws/server_parts.h"

#define TICK_MS       50
#define SERVICE_BYTES 16384 /* one read of a socket */
#define SETTLE_TURNS  200
#define SCRATCH_KEPT  65536

struct qb_server {
    struct qb_edge_options options;
    struct qb_http_limits limits;
    char *hosts;
    const struct qb_server_handlers *handlers;
    void *context;
    uv_loop_t *loop;
    uv_timer_t tick;
    uv_idle_t turn;
    int open_handles; /* ours that are not closed yet */
    struct lws_context *lws;
    struct lws_vhost *vhost;
    struct qb_listener *listener;
    struct qb_wheel wheel;
    struct qb_text scratch;
    struct qb_events_made made;
    size_t connections;
    int64_t now_us; /* monotonic, of this turn or shortly before */
    bool is_refusing;
    bool is_ending;
};

/* libwebsockets reads and tells what became of a socket; it parses nothing of a client. */
static int on_socket(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                     size_t length)
{
    struct qb_connection *connection = lws_get_opaque_user_data(wsi);

    (void)user;
    if (connection == NULL) return 0;
    switch ((int)reason) {
    case LWS_CALLBACK_RAW_RX:
        connection->heard_us = qb_clock_mono_us();
        qb_metric_add(QB_METRIC_bytes_received_total, NULL, (int64_t)length);
        if (connection->phase >= QB_PHASE_SESSION)
            qb_websocket_take(connection, in, length);
        else
            qb_http_take(connection, in, length);
        return connection->phase == QB_PHASE_ENDED ? -1 : 0;
    case LWS_CALLBACK_RAW_WRITEABLE:
        qb_socket_flush(connection);
        if (connection->phase == QB_PHASE_ENDED) return -1;
        if (connection->unsent != NULL) return 0;
        connection->wants_writable = false;
        if (connection->phase >= QB_PHASE_SESSION)
            qb_websocket_writable(connection);
        else
            qb_http_writable(connection);
        return connection->phase == QB_PHASE_ENDED ? -1 : 0;
    case LWS_CALLBACK_RAW_CLOSE:
        lws_set_opaque_user_data(wsi, NULL);
        qb_connection_gone(connection);
        return 0;
    default:
        return 0;
    }
}

static const struct lws_protocols protocols[] = {
    {.name = "quickbid", .callback = on_socket},
    {0},
};

/* --- the socket --- */

void qb_socket_want_writable(struct qb_connection *connection)
{
    if (connection->wants_writable || connection->phase == QB_PHASE_ENDED) return;
    connection->wants_writable = true;
    (void)lws_callback_on_writable(connection->wsi);
}

bool qb_socket_is_blocked(const struct qb_connection *connection)
{
    return connection->unsent != NULL;
}

/* As much as the kernel takes; a negative result is its refusal. */
static ssize_t send_some(struct qb_connection *connection, const void *bytes, size_t length)
{
    ssize_t sent = send(connection->fd, bytes, length, MSG_NOSIGNAL | MSG_DONTWAIT);

    if (sent < 0 && (errno == EAGAIN || errno == EINTR)) return 0;
    if (sent > 0) qb_metric_add(QB_METRIC_bytes_sent_total, NULL, sent);
    return sent;
}

void qb_socket_write(struct qb_connection *connection, const void *bytes, size_t length)
{
    QB_ASSERT(connection->unsent == NULL);
    if (connection->phase == QB_PHASE_ENDED) return;
    ssize_t sent = send_some(connection, bytes, length);
    if (sent < 0) {
        qb_socket_end(connection);
    } else if ((size_t)sent < length) {
        /* One write at most waits here: nothing more is handed over until it is out. */
        connection->unsent = qb_frame_new((const uint8_t *)bytes + sent, length - (size_t)sent);
        connection->unsent_at = 0;
        qb_socket_want_writable(connection);
    }
}

void qb_socket_flush(struct qb_connection *connection)
{
    if (connection->unsent == NULL) return;
    size_t left = connection->unsent->length - connection->unsent_at;
    ssize_t sent = send_some(connection, &connection->unsent->bytes[connection->unsent_at], left);
    connection->wants_writable = false;
    if (sent < 0) {
        qb_socket_end(connection);
    } else if ((size_t)sent == left) {
        qb_frame_free(&connection->unsent);
    } else {
        connection->unsent_at += (size_t)sent;
        qb_socket_want_writable(connection);
    }
}

void qb_socket_read(struct qb_connection *connection, bool is_wanted)
{
    if (connection->is_reading == is_wanted) return;
    connection->is_reading = is_wanted;
    (void)lws_rx_flow_control(connection->wsi, is_wanted);
}

void qb_socket_end(struct qb_connection *connection)
{
    if (connection->phase == QB_PHASE_ENDED) return;
    connection->phase = QB_PHASE_ENDED;
    qb_timer_stop(&connection->timer);
    qb_socket_read(connection, true); /* the end is seen by reading it */
    (void)shutdown(connection->fd, SHUT_RDWR);
}

void qb_socket_finish(struct qb_connection *connection)
{
    qb_socket_read(connection, true);
    (void)shutdown(connection->fd, SHUT_WR);
}

/* --- the server --- */

const struct qb_edge_options *qb_server_options(const struct qb_server *server)
{
    return &server->options;
}

const struct qb_http_limits *qb_server_limits(const struct qb_server *server)
{
    return &server->limits;
}

int64_t qb_server_admit(const struct qb_server *server, const struct qb_peer *peer, bool is_api,
                        const char **limit)
{
    return server->handlers->admit(server->context, peer, is_api, limit);
}

void qb_server_hand_up(struct qb_server *server, struct qb_http_request *request)
{
    server->handlers->request(server->context, request);
}

void qb_server_set_timer(struct qb_connection *connection, int64_t due_us)
{
    qb_wheel_set(&connection->server->wheel, &connection->timer, due_us);
}

bool qb_server_is_refusing(const struct qb_server *server)
{
    return server->is_refusing;
}

struct qb_text *qb_server_scratch(struct qb_server *server)
{
    if (server->scratch.room > SCRATCH_KEPT) qb_text_fini(&server->scratch);
    server->scratch.length = 0;
    server->scratch.is_full = false;
    return &server->scratch;
}

struct qb_events_made *qb_server_made(struct qb_server *server)
{
    return &server->made;
}

bool qb_server_adopt(struct qb_server *server, int fd, const struct qb_peer *peer, bool is_proxy)
{
    struct qb_connection *connection = calloc(1, sizeof *connection);
    lws_adopt_desc_t adopt = {.vh = server->vhost,
                              .type = LWS_ADOPT_SOCKET,
                              .vh_prot_name = protocols[0].name,
                              .opaque = connection};

    QB_ASSERT(connection != NULL);
    connection->server = server;
    connection->fd = fd;
    connection->peer = *peer;
    connection->client = *peer;
    connection->is_proxy = is_proxy;
    connection->is_counted = !is_proxy;
    connection->heard_us = qb_clock_mono_us();
    connection->is_reading = true;
    connection->close_reason = QB_CLOSE_GONE;
    adopt.fd.sockfd = fd;
    struct lws *wsi = lws_adopt_descriptor_vhost_via_info(&adopt);
    if (wsi == NULL) {
        free(connection);
        return false;
    }
    connection->wsi = wsi;
    lws_set_opaque_user_data(wsi, connection);
    lws_set_timeout(wsi, NO_PENDING_TIMEOUT, 0); /* deadlines are the wheel's */
    server->connections++;
    qb_metric_add(QB_METRIC_connections, "http", 1);
    qb_server_set_timer(connection,
                        connection->heard_us + server->options.head_timeout_ms * QB_MS_US);
    return true;
}

void qb_server_left(struct qb_server *server)
{
    QB_ASSERT(server->connections > 0);
    server->connections--;
}

static void fire(void *context, struct qb_timer *timer)
{
    struct qb_server *server = context;
    struct qb_connection *connection =
        (struct qb_connection *)(void *)((char *)timer - offsetof(struct qb_connection, timer));

    if (connection->phase >= QB_PHASE_SESSION)
        qb_websocket_timer(connection, server->now_us);
    else
        qb_http_timer(connection, server->now_us);
}

static void on_tick(uv_timer_t *tick)
{
    struct qb_server *server = tick->data;

    server->now_us = qb_clock_mono_us();
    qb_wheel_advance(&server->wheel, server->now_us, fire, server);
}

static void on_turn(uv_idle_t *turn)
{
    struct qb_server *server = turn->data;

    (void)uv_idle_stop(turn);
    server->now_us = qb_clock_mono_us();
    server->handlers->turn(server->context);
}

void qb_server_want_turn(struct qb_server *server)
{
    if (!server->is_ending) (void)uv_idle_start(&server->turn, on_turn);
}

void qb_server_refuse_new(struct qb_server *server)
{
    server->is_refusing = true;
}

size_t qb_server_connections(const struct qb_server *server)
{
    return server->connections;
}

static void log_line(int level, const char *line)
{
    size_t length = strcspn(line, "\n");
    char text[200];

    if (length >= sizeof text) length = sizeof text - 1;
    (void)memcpy(text, line, length);
    text[length] = '\0';
    qb_log(level == LLL_ERR ? QB_LOG_WARNING : QB_LOG_INFO, "libwebsockets", QB_TEXT("line", text));
}

static bool start_lws(struct qb_server *server, struct qb_error *error)
{
    void *loops[] = {server->loop};
    struct lws_context_creation_info info = {0};

    lws_set_log_level(LLL_ERR, log_line);
    info.port = CONTEXT_PORT_NO_LISTEN_SERVER;
    info.protocols = protocols;
    info.options = LWS_SERVER_OPTION_LIBUV;
    info.foreign_loops = loops;
    info.pt_serv_buf_size = SERVICE_BYTES;
    info.gid = (gid_t)-1;
    info.uid = (uid_t)-1;
    info.pcontext = &server->lws; /* null again once the context is wholly gone */
    server->lws = lws_create_context(&info);
    if (server->lws != NULL) server->vhost = lws_get_vhost_by_name(server->lws, "default");
    if (server->vhost != NULL) return true;
    return qb_error_set(error, "libwebsockets could not start; see the log lines before");
}

static void on_closed(uv_handle_t *handle)
{
    struct qb_server *server = handle->data;
    server->open_handles--;
}

struct qb_server *qb_server_new(const struct qb_edge_options *options,
                                const struct qb_server_handlers *handlers, void *context,
                                struct qb_error *error)
{
    struct qb_server *server = calloc(1, sizeof *server);

    QB_ASSERT(server != NULL);
    server->options = *options;
    server->hosts = strdup(options->hosts != NULL ? options->hosts : "");
    QB_ASSERT(server->hosts != NULL);
    server->limits = (struct qb_http_limits){options->head_bytes_max,   options->url_bytes_max,
                                             options->headers_max,      options->body_bytes_max,
                                             options->bodies_bytes_max, server->hosts};
    server->handlers = handlers;
    server->context = context;
    server->loop = options->loop;
    server->now_us = qb_clock_mono_us();
    qb_wheel_init(&server->wheel, TICK_MS * QB_MS_US, server->now_us);
    (void)uv_timer_init(server->loop, &server->tick);
    (void)uv_idle_init(server->loop, &server->turn);
    server->tick.data = server;
    server->turn.data = server;
    server->open_handles = 2;
    if (!start_lws(server, error)) {
        (void)close(options->listen_fd);
        qb_server_free(&server);
        return NULL;
    }
    server->listener = qb_listener_new(server, server->loop, options->listen_fd);
    (void)uv_timer_start(&server->tick, on_tick, TICK_MS, TICK_MS);
    return server;
}

void qb_server_free(struct qb_server **server)
{
    struct qb_server *old = *server;

    *server = NULL;
    if (old == NULL) return;
    old->is_ending = true;
    qb_listener_free(&old->listener);
    uv_close((uv_handle_t *)&old->tick, on_closed);
    uv_close((uv_handle_t *)&old->turn, on_closed);
    /* Closes every socket; its own handles need turns of the loop, then it is asked again. */
    for (int i = 0; i < SETTLE_TURNS; i++) {
        if (old->lws != NULL) lws_context_destroy(old->lws);
        (void)uv_run(old->loop, UV_RUN_NOWAIT);
        if (old->lws == NULL && old->connections == 0 && old->open_handles == 0) break;
    }
    QB_ASSERT(old->connections == 0);
    qb_text_fini(&old->scratch);
    qb_events_made_fini(&old->made);
    free(old->hosts);
    free(old);
}
