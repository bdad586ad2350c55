#include "bench/client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define AT_A_TIME     256
#define PER_ADDRESS   20000
#define EVENTS_A_TURN 512
#define READ_BYTES    65536

int64_t bench_now_us(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

void bench_fail(const char *what)
{
    (void)fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
    exit(1);
}

void bench_write(struct bench_connection *connection, const void *bytes, size_t length)
{
    const uint8_t *at = bytes;

    while (length > 0) {
        ssize_t sent = send(connection->fd, at, length, MSG_NOSIGNAL);
        if (sent < 0) bench_fail("send");
        at += sent;
        length -= (size_t)sent;
    }
}

void bench_send(struct bench_connection *connection, const char *text, size_t length)
{
    uint8_t frame[1024] = {0x81};
    size_t head = 2;

    if (length + 8 > sizeof frame) bench_fail("a frame too long for this client");
    frame[1] = (uint8_t)(0x80 | (length < 126 ? length : 126));
    if (length >= 126) {
        frame[2] = (uint8_t)(length >> 8);
        frame[3] = (uint8_t)length;
        head = 4;
    }
    (void)memset(&frame[head], 0, 4); /* a mask of zeros leaves the payload as it is */
    (void)memcpy(&frame[head + 4], text, length);
    bench_write(connection, frame, head + 4 + length);
}

static void begin(struct bench *bench, struct bench_connection *connection)
{
    static const char handshake[] = "GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
                                    "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                                    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
                                    "Sec-WebSocket-Protocol: quickbid.v1\r\n\r\n";
    static const int on = 1;
    struct sockaddr_in from = {.sin_family = AF_INET};
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(bench->port)};
    struct epoll_event event = {.events = EPOLLIN};

    from.sin_addr.s_addr = htonl(INADDR_LOOPBACK + connection->index / PER_ADDRESS);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connection->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connection->fd < 0) bench_fail("socket");
    (void)setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    (void)setsockopt(connection->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    if (bind(connection->fd, (struct sockaddr *)(void *)&from, sizeof from) != 0)
        bench_fail("bind");
    if (connect(connection->fd, (struct sockaddr *)(void *)&to, sizeof to) != 0) {
        bench_fail("connect");
    }
    event.data.u32 = connection->index;
    if (epoll_ctl(bench->epoll, EPOLL_CTL_ADD, connection->fd, &event) != 0) bench_fail("epoll");
    if (connection->is_plain) {
        connection->is_open = true;
        bench->open_count++;
    } else {
        bench_write(connection, handshake, sizeof handshake - 1);
    }
}

void bench_open(struct bench *bench, size_t count, bool is_plain)
{
    size_t first = bench->count;

    if (bench->epoll == 0) bench->epoll = epoll_create1(EPOLL_CLOEXEC);
    bench->connections = realloc(bench->connections, (first + count) * sizeof *bench->connections);
    if (bench->connections == NULL) bench_fail("memory");
    (void)memset(&bench->connections[first], 0, count * sizeof *bench->connections);
    for (size_t i = first; i < first + count; i++) {
        bench->connections[i].index = (uint32_t)i;
        bench->connections[i].is_plain = is_plain;
        bench->count++;
        begin(bench, &bench->connections[i]);
        while (bench->count - bench->open_count >= AT_A_TIME) bench_turn(bench, 1000);
    }
    while (bench->open_count < bench->count) bench_turn(bench, 1000);
}

static void keep(struct bench_connection *connection, const uint8_t *bytes, size_t length)
{
    size_t room = connection->room > 0 ? connection->room : 1024;

    while (room < connection->length + length) room *= 2;
    if (room != connection->room) {
        connection->in = realloc(connection->in, room);
        if (connection->in == NULL) bench_fail("memory");
        connection->room = (uint32_t)room;
    }
    (void)memcpy(&connection->in[connection->length], bytes, length);
    connection->length += (uint32_t)length;
}

/* Whole frames at the start of `bytes`; returns how much was used. */
static size_t take_frames(struct bench *bench, struct bench_connection *connection,
                          const uint8_t *bytes, size_t length)
{
    size_t used = 0;

    while (length - used >= 2) {
        const uint8_t *at = &bytes[used];
        size_t head = (at[1] & 127) == 126 ? 4 : (at[1] & 127) == 127 ? 10 : 2;
        if (length - used < head) break;
        size_t payload = at[1] & 127;
        if (head == 4) payload = (size_t)at[2] << 8 | at[3];
        if (head == 10)
            payload = (size_t)at[6] << 24 | (size_t)at[7] << 16 | (size_t)at[8] << 8 | at[9];
        if (length - used < head + payload) break;
        if ((at[0] & 15) == 8) bench_fail("the server closed a connection");
        if ((at[0] & 15) == 1) {
            connection->frames++;
            bench->received(bench, connection, (const char *)at + head, payload);
        }
        used += head + payload;
    }
    return used;
}

static void take(struct bench *bench, struct bench_connection *connection, const uint8_t *bytes,
                 size_t length)
{
    if (connection->is_plain) {
        bench->received(bench, connection, (const char *)bytes, length);
        return;
    }
    if (connection->is_open && connection->length == 0) { /* the usual case: nothing to keep */
        size_t used = take_frames(bench, connection, bytes, length);
        if (used < length) keep(connection, bytes + used, length - used);
        return;
    }
    keep(connection, bytes, length);
    size_t used = 0;
    if (!connection->is_open) {
        const char *end = memmem(connection->in, connection->length, "\r\n\r\n", 4);
        if (end == NULL) return;
        if (memcmp(connection->in, "HTTP/1.1 101", 12) != 0) bench_fail("a handshake was refused");
        connection->is_open = true;
        bench->open_count++;
        used = (size_t)(end + 4 - (const char *)connection->in);
    }
    used += take_frames(bench, connection, connection->in + used, connection->length - used);
    connection->length -= (uint32_t)used;
    (void)memmove(connection->in, connection->in + used, connection->length);
    if (connection->length == 0) {
        free(connection->in);
        connection->in = NULL;
        connection->room = 0;
    }
}

void bench_turn(struct bench *bench, int wait_ms)
{
    static uint8_t bytes[READ_BYTES];
    struct epoll_event events[EVENTS_A_TURN];
    int count = epoll_wait(bench->epoll, events, EVENTS_A_TURN, wait_ms);

    for (int i = 0; i < count; i++) {
        struct bench_connection *connection = &bench->connections[events[i].data.u32];
        ssize_t length = recv(connection->fd, bytes, sizeof bytes, MSG_DONTWAIT);
        if (length == 0 || (length < 0 && errno != EAGAIN)) bench_fail("a connection broke");
        if (length > 0) take(bench, connection, bytes, (size_t)length);
    }
}

void bench_close_all(struct bench *bench)
{
    for (size_t i = 0; i < bench->count; i++) {
        (void)close(bench->connections[i].fd);
        free(bench->connections[i].in);
    }
    free(bench->connections);
    (void)close(bench->epoll);
    bench->connections = NULL;
    bench->count = 0;
    bench->open_count = 0;
    bench->epoll = 0;
}

int64_t bench_cpu_us(int pid)
{
    char path[64];
    char text[1024] = "";
    unsigned long long user = 0;
    unsigned long long system = 0;

    (void)snprintf(path, sizeof path, "/proc/%d/stat", pid);
    FILE *file = fopen(path, "re");
    if (file == NULL || fread(text, 1, sizeof text - 1, file) == 0) bench_fail("/proc/PID/stat");
    (void)fclose(file);
    const char *behind = strrchr(text, ')');
    if (behind == NULL || sscanf(behind, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu",
                                 &user, &system) != 2) {
        bench_fail("/proc/PID/stat");
    }
    return (int64_t)((user + system) * 1000000ULL / (unsigned long long)sysconf(_SC_CLK_TCK));
}

int64_t bench_resident_bytes(int pid)
{
    char path[64];
    long long pages = 0;

    (void)snprintf(path, sizeof path, "/proc/%d/statm", pid);
    FILE *file = fopen(path, "re");
    if (file == NULL || fscanf(file, "%*d %lld", &pages) != 1) bench_fail("/proc/PID/statm");
    (void)fclose(file);
    return pages * sysconf(_SC_PAGESIZE);
}
