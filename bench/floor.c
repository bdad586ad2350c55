/*
 * qb_floor PORT BYTES: the bare limit. An epoll server that knows as much of the protocol as the
 * load client needs and does nothing else: the handshake's bytes, one fixed answer to a command,
 * and for each bid one send() of one frame of BYTES to every connection that watches. What the
 * product costs beyond this is the product's.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/attributes.h"

#define FILES_MAX  20000
#define IN_BYTES   4096
#define OUT_BYTES  8192
#define EVENTS     512
#define LISTEN_LOG 4096

static const char accepted[] = "HTTP/1.1 101 Switching Protocols\r\n"
                               "Upgrade: websocket\r\n"
                               "Connection: Upgrade\r\n"
                               "Sec-WebSocket-Protocol: quickbid.v1\r\n"
                               "Sec-WebSocket-Accept: s3pPLBMiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

static struct {
    int epoll;
    int listener;
    size_t bytes; /* payload of an update, body of a response */
    unsigned seq;
    size_t watcher_count;
    int watchers[FILES_MAX];
    bool is_open[FILES_MAX]; /* by file: the handshake is done */
} server;

static _Noreturn void fail(const char *what)
{
    perror(what);
    exit(1);
}

static void put(int file, const char *bytes, size_t length)
{
    /* A full socket is the client's fault here, and the client will say so. */
    (void)!send(file, bytes, length, MSG_NOSIGNAL);
}

static size_t frame_head(char *out, size_t length)
{
    out[0] = (char)0x81;
    if (length < 126) {
        out[1] = (char)length;
        return 2;
    }
    out[1] = 126;
    out[2] = (char)(length >> 8);
    out[3] = (char)length;
    return 4;
}

static void send_update(void)
{
    char text[OUT_BYTES];
    char out[OUT_BYTES + 4];

    (void)memset(text, ' ', server.bytes);
    int used = snprintf(text, sizeof text, "{\"on\":\"update\",\"seq\":%u", server.seq);
    text[used] = ' '; /* the rest stays as padding */
    text[server.bytes - 1] = '}';
    size_t head = frame_head(out, server.bytes);
    (void)memcpy(&out[head], text, server.bytes);
    for (size_t i = 0; i < server.watcher_count; i++) {
        put(server.watchers[i], out, head + server.bytes);
    }
}

static void answer(int file, const char *command)
{
    char text[160];
    char out[sizeof text + 4];
    const char *id = strstr(command, "\"id\":");

    if (strstr(command, "\"watch\"") != NULL && server.watcher_count < FILES_MAX) {
        server.watchers[server.watcher_count++] = file;
    }
    if (strstr(command, "\"bid\"") != NULL) {
        server.seq++;
        send_update();
    }
    int length = snprintf(text, sizeof text, "{\"id\":%lld,\"ok\":true,\"seq\":%u}",
                          id == NULL ? 0 : strtoll(id + 5, NULL, 10), server.seq);
    size_t head = frame_head(out, (size_t)length);
    (void)memcpy(&out[head], text, (size_t)length);
    put(file, out, head + (size_t)length);
}

static void respond(int file)
{
    char out[OUT_BYTES + 256];

    int head = snprintf(out, sizeof out,
                        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                        "Content-Length: %zu\r\n\r\n",
                        server.bytes);
    (void)memset(&out[head], ' ', server.bytes);
    put(file, out, (size_t)head + server.bytes);
}

/* All frames in `in`; the load client sends each whole. */
static void take_frames(int file, uint8_t *in, size_t have)
{
    while (have >= 6) {
        size_t head = 6;
        size_t length = in[1] & 0x7f;
        if (length == 126) {
            length = (size_t)in[2] << 8 | in[3];
            head = 8;
        }
        if (have < head + length) return;
        char command[IN_BYTES + 1];
        for (size_t i = 0; i < length; i++) {
            command[i] = (char)(in[head + i] ^ in[head - 4 + i % 4]);
        }
        command[length] = '\0';
        answer(file, command);
        in += head + length;
        have -= head + length;
    }
}

static void forget(int file)
{
    for (size_t i = 0; i < server.watcher_count; i++) {
        if (server.watchers[i] == file)
            server.watchers[i--] = server.watchers[--server.watcher_count];
    }
    server.is_open[file] = false;
    (void)close(file);
}

static void readable(int file)
{
    uint8_t in[IN_BYTES + 1];
    ssize_t got = recv(file, in, IN_BYTES, 0);

    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) {
        forget(file);
        return;
    }
    in[got] = '\0';
    if (server.is_open[file]) {
        take_frames(file, in, (size_t)got);
    } else if (strstr((const char *)in, "Upgrade: websocket") != NULL) {
        server.is_open[file] = true;
        put(file, accepted, sizeof accepted - 1);
    } else {
        respond(file);
    }
}

static void take_connections(void)
{
    const int on = 1;

    for (;;) {
        int file = accept4(server.listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (file < 0) return;
        if (file >= FILES_MAX) fail("too many files");
        struct epoll_event event = {.events = EPOLLIN, .data.fd = file};
        (void)setsockopt(file, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        if (epoll_ctl(server.epoll, EPOLL_CTL_ADD, file, &event) != 0) fail("epoll_ctl");
    }
}

static void listen_on(uint16_t port)
{
    const int on = 1;
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    server.listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    server.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (server.listener < 0 || server.epoll < 0) fail("socket");
    (void)setsockopt(server.listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(server.listener, (const struct sockaddr *)&to, sizeof to) != 0) fail("bind");
    if (listen(server.listener, LISTEN_LOG) != 0) fail("listen");
    struct epoll_event event = {.events = EPOLLIN, .data.fd = server.listener};
    if (epoll_ctl(server.epoll, EPOLL_CTL_ADD, server.listener, &event) != 0) fail("epoll_ctl");
}

int main(int count, char **words)
{
    struct epoll_event events[EVENTS];

    if (count != 3) {
        (void)fputs("usage: qb_floor PORT BYTES\n", stderr);
        return 2;
    }
    server.bytes = strtoul(words[2], NULL, 10);
    if (server.bytes < 64 || server.bytes > OUT_BYTES - 64) fail("BYTES from 64 to 8128");
    listen_on((uint16_t)strtoul(words[1], NULL, 10));
    for (;;) {
        int ready = epoll_wait(server.epoll, events, EVENTS, -1);
        for (int i = 0; i < ready; i++) {
            if (events[i].data.fd == server.listener)
                take_connections();
            else
                readable(events[i].data.fd);
        }
    }
}
