#include "bench/swarm.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"

#define FLYING_MAX    256 /* handshakes under way: below any server's backlog */
#define OPEN_LIMIT_US (60 * QB_SECOND_US)
#define EVENTS        512
#define TEXT_MAX      1024
#define OPCODE_TEXT   0x1
#define OPCODE_CLOSE  0x8

static const char handshake[] = "GET /ws HTTP/1.1\r\n"
                                "Host: 127.0.0.1\r\n"
                                "Upgrade: websocket\r\n"
                                "Connection: Upgrade\r\n"
                                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                                "Sec-WebSocket-Version: 13\r\n"
                                "Sec-WebSocket-Protocol: quickbid.v1\r\n\r\n";

void qb_load_fail(const char *format, ...)
{
    va_list values;

    va_start(values, format);
    (void)fputs("qb_load: ", stderr);
    (void)vfprintf(stderr, format, values);
    (void)fputc('\n', stderr);
    va_end(values);
    exit(1);
}

void qb_swarm_init(struct qb_swarm *swarm, size_t count, uint16_t port, bool is_http)
{
    *swarm = (struct qb_swarm){.count = count, .is_http = is_http};
    swarm->epoll = epoll_create1(EPOLL_CLOEXEC);
    swarm->peers = calloc(count, sizeof *swarm->peers);
    if (swarm->epoll < 0 || swarm->peers == NULL) qb_load_fail("no room for %zu peers", count);
    for (size_t i = 0; i < count; i++) {
        swarm->peers[i].fd = -1;
        swarm->peers[i].index = (uint32_t)i;
    }
    qb_swarm_add_port(swarm, port);
}

void qb_swarm_add_port(struct qb_swarm *swarm, uint16_t port)
{
    if (swarm->to_count == QB_PORTS_MAX) qb_load_fail("more than %d ports", QB_PORTS_MAX);
    struct sockaddr_in *to = &swarm->to[swarm->to_count++];
    to->sin_family = AF_INET;
    to->sin_port = htons(port);
    to->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
}

static void close_peer(struct qb_swarm *swarm, struct qb_peer *peer)
{
    const struct linger reset = {.l_onoff = 1, .l_linger = 0};

    if (peer->phase == QB_PEER_FREE) return;
    if (peer->phase == QB_PEER_OPEN) swarm->open--;
    (void)setsockopt(peer->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    (void)close(peer->fd);
    free(peer->in);
    *peer = (struct qb_peer){.fd = -1, .index = peer->index};
}

void qb_swarm_close(struct qb_swarm *swarm, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++) close_peer(swarm, &swarm->peers[i]);
}

void qb_swarm_fini(struct qb_swarm *swarm)
{
    qb_swarm_close(swarm, 0, swarm->count);
    free(swarm->peers);
    (void)close(swarm->epoll);
}

void qb_peer_send_raw(struct qb_peer *peer, const char *bytes, size_t length)
{
    ssize_t sent = send(peer->fd, bytes, length, MSG_NOSIGNAL);

    if (sent != (ssize_t)length)
        qb_load_fail("peer %u took no bytes: %s", peer->index, strerror(errno));
}

void qb_peer_send(struct qb_peer *peer, const char *text, size_t length)
{
    static const uint8_t mask[4] = {0x37, 0xfa, 0x21, 0x3d};
    uint8_t frame[TEXT_MAX + 8];
    size_t at = 0;

    if (length > TEXT_MAX) qb_load_fail("a message of %zu bytes", length);
    frame[at++] = 0x80 | OPCODE_TEXT;
    if (length < 126) {
        frame[at++] = (uint8_t)(0x80 | length);
    } else {
        frame[at++] = 0x80 | 126;
        frame[at++] = (uint8_t)(length >> 8);
        frame[at++] = (uint8_t)length;
    }
    (void)memcpy(&frame[at], mask, sizeof mask);
    at += sizeof mask;
    for (size_t i = 0; i < length; i++) frame[at + i] = (uint8_t)text[i] ^ mask[i % 4];
    qb_peer_send_raw(peer, (const char *)frame, at + length);
}

static void begin_connect(struct qb_swarm *swarm, struct qb_peer *peer)
{
    const int on = 1;
    struct epoll_event event = {.events = EPOLLOUT, .data.ptr = peer};

    peer->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (peer->fd < 0) qb_load_fail("no socket for peer %u: %s", peer->index, strerror(errno));
    (void)setsockopt(peer->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    const struct sockaddr_in *to = &swarm->to[peer->index % swarm->to_count];
    int result = connect(peer->fd, (const struct sockaddr *)to, sizeof *to);
    if (result != 0 && errno != EINPROGRESS)
        qb_load_fail("peer %u: connect: %s", peer->index, strerror(errno));
    peer->phase = QB_PEER_CONNECTING;
    if (epoll_ctl(swarm->epoll, EPOLL_CTL_ADD, peer->fd, &event) != 0)
        qb_load_fail("epoll: %s", strerror(errno));
}

static void connected(struct qb_swarm *swarm, struct qb_peer *peer)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = peer};
    int fault = 0;
    socklen_t size = sizeof fault;

    (void)getsockopt(peer->fd, SOL_SOCKET, SO_ERROR, &fault, &size);
    if (fault != 0) qb_load_fail("peer %u: connect: %s", peer->index, strerror(fault));
    (void)epoll_ctl(swarm->epoll, EPOLL_CTL_MOD, peer->fd, &event);
    if (swarm->is_http) {
        peer->phase = QB_PEER_OPEN;
        swarm->open++;
        return;
    }
    peer->phase = QB_PEER_SHAKING;
    qb_peer_send_raw(peer, handshake, sizeof handshake - 1);
}

/* The bytes of one frame at `in`, 0 while it is not whole. */
static size_t take_frame(struct qb_swarm *swarm, struct qb_peer *peer, const uint8_t *in,
                         size_t have)
{
    size_t head = 2;
    size_t length = have < 2 ? 0 : in[1];

    if (have < 2) return 0;
    if (length == 126) {
        head = 4;
        if (have < head) return 0;
        length = (size_t)in[2] << 8 | in[3];
    } else if (length == 127) {
        qb_load_fail("a frame of more than 64 KiB");
    }
    if (have < head + length) return 0;
    if ((in[0] & 0x0f) == OPCODE_CLOSE) {
        int code = length >= 2 ? in[head] << 8 | in[head + 1] : 0;
        qb_load_fail("the server closed peer %u with %d", peer->index, code);
    }
    if ((in[0] & 0x0f) == OPCODE_TEXT && swarm->frame != NULL) {
        swarm->frame(swarm->context, peer, (const char *)&in[head], length);
    }
    return head + length;
}

/* The bytes of one response head, and of its body unless it is a handshake's; 0: not whole. */
static size_t take_response(struct qb_swarm *swarm, struct qb_peer *peer, const char *in,
                            size_t have)
{
    const char *end = memmem(in, have, "\r\n\r\n", 4);
    const char *status = swarm->is_http ? "HTTP/1.1 200" : "HTTP/1.1 101";

    if (end == NULL) return 0;
    size_t head = (size_t)(end - in) + 4;
    if (strncmp(in, status, 12) != 0) {
        qb_load_fail("peer %u: expected %s, got %.*s", peer->index, status, (int)head, in);
    }
    if (!swarm->is_http) {
        peer->phase = QB_PEER_OPEN;
        swarm->open++;
        return head;
    }
    const char *field = memmem(in, head, "Content-Length: ", 16);
    if (field == NULL) qb_load_fail("a response without Content-Length");
    size_t length = strtoul(field + 16, NULL, 10);
    if (have < head + length) return 0;
    if (swarm->frame != NULL) swarm->frame(swarm->context, peer, &in[head], length);
    return head + length;
}

static void keep_rest(struct qb_peer *peer, const char *rest, size_t length)
{
    if (length == QB_PEER_BYTES) qb_load_fail("a frame of more than %d bytes", QB_PEER_BYTES);
    if (length == 0) {
        free(peer->in);
        peer->in = NULL;
    } else {
        if (peer->in == NULL) peer->in = malloc(QB_PEER_BYTES);
        if (peer->in == NULL) qb_load_fail("no memory");
        (void)memcpy(peer->in, rest, length);
    }
    peer->have = (uint32_t)length;
}

static void readable(struct qb_swarm *swarm, struct qb_peer *peer)
{
    char in[QB_PEER_BYTES + 1];
    size_t have = peer->have;
    size_t at = 0;
    size_t taken = 0;

    if (have > 0) (void)memcpy(in, peer->in, have);
    ssize_t got = recv(peer->fd, &in[have], QB_PEER_BYTES - have, 0);
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) qb_load_fail("the server dropped peer %u: %s", peer->index, strerror(errno));
    have += (size_t)got;
    in[have] = '\0';
    do {
        bool is_response = swarm->is_http || peer->phase == QB_PEER_SHAKING;
        taken = is_response ? take_response(swarm, peer, &in[at], have - at)
                            : take_frame(swarm, peer, (const uint8_t *)&in[at], have - at);
        at += taken;
    } while (taken > 0 && at < have);
    keep_rest(peer, &in[at], have - at);
}

void qb_swarm_turn(struct qb_swarm *swarm, int timeout_ms)
{
    struct epoll_event events[EVENTS];
    int count = epoll_wait(swarm->epoll, events, EVENTS, timeout_ms);

    for (int i = 0; i < count; i++) {
        struct qb_peer *peer = events[i].data.ptr;
        if (peer->phase == QB_PEER_CONNECTING)
            connected(swarm, peer);
        else if (peer->phase != QB_PEER_FREE)
            readable(swarm, peer);
    }
}

void qb_swarm_open(struct qb_swarm *swarm, size_t from, size_t to)
{
    int64_t limit_us = qb_clock_mono_us() + OPEN_LIMIT_US;
    size_t before = swarm->open;
    size_t begun = from;

    while (swarm->open - before < to - from) {
        while (begun < to && (begun - from) - (swarm->open - before) < FLYING_MAX) {
            begin_connect(swarm, &swarm->peers[begun++]);
        }
        qb_swarm_turn(swarm, 10);
        if (qb_clock_mono_us() > limit_us) {
            qb_load_fail("%zu of %zu connections open after 60 s", swarm->open - before, to - from);
        }
    }
}
