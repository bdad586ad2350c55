#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/metrics.h"
#include "base/random.h"
#include "ws/server_parts.h"

#define BACKLOG        4096
#define ACCEPTS_A_TURN 64
#define UNACKED_MS     20000 /* TCP_USER_TIMEOUT: a peer that takes nothing is gone */

struct qb_listener {
    struct qb_server *server;
    uv_poll_t poll;
    uv_timer_t rest; /* after EMFILE the listener is still for a moment */
    int fd;
    int spare; /* a descriptor to accept and refuse with when there are none left */
    int open_handles;
    int64_t tokens_us; /* handshake bucket: time credited so far */
    struct qb_random random;
};

static struct qb_ip address_of(const struct sockaddr_storage *from)
{
    struct qb_ip ip = {{[10] = 0xff, [11] = 0xff}}; /* the prefix of IPv4 */
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;

    (void)memcpy(&v4, from, sizeof v4);
    (void)memcpy(&v6, from, sizeof v6);
    if (from->ss_family == AF_INET)
        (void)memcpy(&ip.bytes[12], &v4.sin_addr, 4);
    else
        (void)memcpy(ip.bytes, v6.sin6_addr.s6_addr, sizeof ip.bytes);
    return ip;
}

/* An answer to a connection that never gets in; nothing of it is read. */
static void turn_away(struct qb_listener *listener, int fd, int status, const char *reason,
                      const char *code, const char *why)
{
    char body[256];
    char text[640];
    unsigned after_s = 1 + (unsigned)qb_random_below(&listener->random, 3);
    int length =
        snprintf(body, sizeof body,
                 "{\"type\":\"about:blank\",\"title\":\"%s\",\"status\":%d,\"code\":\"%s\","
                 "\"detail\":\"%s\",\"retry_after_ms\":%u}",
                 reason, status, code, why, after_s * 1000);
    int whole = snprintf(text, sizeof text,
                         "HTTP/1.1 %d %s\r\nContent-Type: application/problem+json\r\n"
                         "Content-Length: %d\r\nRetry-After: %u\r\nCache-Control: no-store\r\n"
                         "Connection: close\r\n\r\n%s",
                         status, reason, length, after_s, body);

    qb_metric_add(QB_METRIC_connections_refused_total, code, 1);
    (void)send(fd, text, (size_t)whole, MSG_NOSIGNAL | MSG_DONTWAIT);
    (void)shutdown(fd, SHUT_WR);
    (void)close(fd);
}

/* A token bucket of one second's worth of handshakes. */
static bool take_token(struct qb_listener *listener, int64_t now_us)
{
    int64_t each_us = QB_SECOND_US / qb_server_options(listener->server)->handshakes_per_second;

    if (listener->tokens_us < now_us - QB_SECOND_US) listener->tokens_us = now_us - QB_SECOND_US;
    if (listener->tokens_us + each_us > now_us) return false;
    listener->tokens_us += each_us > 0 ? each_us : 1;
    return true;
}

/* Left alone, the kernel keeps up to 4 MiB for a socket that nobody reads. */
static void set_options(int fd, uint32_t send_bytes)
{
    static const int on = 1;
    static const int unacked_ms = UNACKED_MS;
    const int kept_bytes = (int)send_bytes;

    (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &kept_bytes, sizeof kept_bytes);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &unacked_ms, sizeof unacked_ms);
}

static void take_in(struct qb_listener *listener, int fd, const struct sockaddr_storage *from)
{
    const struct qb_edge_options *options = qb_server_options(listener->server);
    struct qb_ip ip = address_of(from);
    bool is_proxy = options->proxies != NULL && qb_ip_ranges_have(options->proxies, &ip);
    struct qb_peer peer;

    qb_metric_add(QB_METRIC_connections_total, NULL, 1);
    qb_peer_of(&ip, &peer);
    if (qb_server_is_refusing(listener->server) ||
        qb_server_connections(listener->server) >= options->connections_max) {
        turn_away(listener, fd, 503, "Service Unavailable", "full",
                  "This server takes no more connections now. Try again after the time given.");
        return;
    }
    if (!take_token(listener, qb_clock_mono_us())) {
        turn_away(listener, fd, 503, "Service Unavailable", "handshakes",
                  "Too many connect at once. Try again after the time given.");
        return;
    }
    /* Those of a proxy count for whom it asks: see http_connection.c. */
    if (!is_proxy && !qb_peer_enter(&peer, options->connections_per_address)) {
        turn_away(listener, fd, 429, "Too Many Requests", "address",
                  "Too many connections come from your address. Close some, then try again.");
        return;
    }
    set_options(fd, options->socket_send_bytes);
    if (!qb_server_adopt(listener->server, fd, &peer, is_proxy) && !is_proxy) qb_peer_leave(&peer);
}

static void on_connections(uv_poll_t *poll, int status, int events);

static void on_rested(uv_timer_t *rest)
{
    struct qb_listener *listener = rest->data;
    (void)uv_poll_start(&listener->poll, UV_READABLE, on_connections);
}

/* No descriptor is left: refuses one with the spare, then rests, so that the loop does not spin. */
static void out_of_descriptors(struct qb_listener *listener)
{
    if (listener->spare >= 0) (void)close(listener->spare);
    int fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC);
    if (fd >= 0) {
        turn_away(listener, fd, 503, "Service Unavailable", "full",
                  "This server takes no more connections now. Try again after the time given.");
    }
    listener->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
    (void)uv_poll_stop(&listener->poll);
    (void)uv_timer_start(&listener->rest, on_rested, 100, 0);
}

static void on_connections(uv_poll_t *poll, int status, int events)
{
    struct qb_listener *listener = poll->data;

    (void)events;
    if (status < 0) return;
    for (int i = 0; i < ACCEPTS_A_TURN; i++) {
        struct sockaddr_storage from = {0};
        socklen_t length = sizeof from;
        int fd = accept4(listener->fd, (struct sockaddr *)(void *)&from, &length,
                         SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0)
            take_in(listener, fd, &from);
        else if (errno == EMFILE || errno == ENFILE)
            out_of_descriptors(listener);
        if (fd < 0) return; /* none is left, or this one broke before it was taken */
    }
}

struct qb_listener *qb_listener_new(struct qb_server *server, void *loop, int listen_fd)
{
    struct qb_listener *listener = calloc(1, sizeof *listener);
    uint64_t seed = 0;

    QB_ASSERT(listener != NULL);
    listener->server = server;
    listener->fd = listen_fd;
    listener->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
    qb_random_secret(&seed, sizeof seed);
    qb_random_seed(&listener->random, seed);
    (void)uv_poll_init(loop, &listener->poll, listen_fd);
    (void)uv_timer_init(loop, &listener->rest);
    listener->poll.data = listener;
    listener->rest.data = listener;
    listener->open_handles = 2;
    (void)uv_poll_start(&listener->poll, UV_READABLE, on_connections);
    return listener;
}

static void on_closed(uv_handle_t *handle)
{
    struct qb_listener *listener = handle->data;

    if (--listener->open_handles > 0) return;
    (void)close(listener->fd);
    if (listener->spare >= 0) (void)close(listener->spare);
    free(listener);
}

void qb_listener_free(struct qb_listener **listener)
{
    struct qb_listener *old = *listener;

    *listener = NULL;
    if (old == NULL) return;
    uv_close((uv_handle_t *)&old->poll, on_closed);
    uv_close((uv_handle_t *)&old->rest, on_closed);
}

static int bound_socket(const char *address, uint16_t port, bool is_shared)
{
    static const int on = 1;
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    bool is_v6 = strchr(address, ':') != NULL;
    int is_known = is_v6 ? inet_pton(AF_INET6, address, &v6.sin6_addr)
                         : inet_pton(AF_INET, address, &v4.sin_addr);

    errno = EINVAL;
    if (is_known != 1) return -1;
    int fd = socket(is_v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return -1;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (is_shared) (void)setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
    const struct sockaddr *at = is_v6 ? (const struct sockaddr *)(const void *)&v6
                                      : (const struct sockaddr *)(const void *)&v4;
    socklen_t length = is_v6 ? sizeof v6 : sizeof v4;
    if (bind(fd, at, length) == 0 && listen(fd, BACKLOG) == 0) return fd;
    int failed = errno;
    (void)close(fd);
    errno = failed;
    return -1;
}

int qb_edge_listen(const char *address, uint16_t *port, bool is_shared, struct qb_error *error)
{
    struct sockaddr_storage bound = {0};
    socklen_t length = sizeof bound;
    int fd = bound_socket(address, *port, is_shared);

    if (fd < 0) {
        (void)qb_error_set(error, "cannot listen on %s port %u: %s; choose another address or port",
                           address, *port, strerror(errno));
        return -1;
    }
    if (getsockname(fd, (struct sockaddr *)(void *)&bound, &length) != 0) return fd;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    (void)memcpy(&v4, &bound, sizeof v4);
    (void)memcpy(&v6, &bound, sizeof v6);
    *port = ntohs(bound.ss_family == AF_INET6 ? v6.sin6_port : v4.sin_port);
    return fd;
}
