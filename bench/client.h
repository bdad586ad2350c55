/*
 * Many WebSocket or HTTP connections over one epoll: the load side of the benchmarks. Small and
 * without libraries, so that its own cost stays near that of the kernel.
 *
 * One thread. Errors of the set-up end the process with a message: a benchmark that did not run
 * as meant has no figure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attributes.h"

struct bench_connection {
    int fd;
    bool is_open;  /* the handshake is answered (WebSocket) */
    bool is_plain; /* HTTP: bytes are handed up as they come */
    uint32_t index;
    uint32_t frames; /* received since the caller last set it to 0 */
    uint32_t length; /* of what waits in `in` */
    uint32_t room;
    uint8_t *in;
};

struct bench {
    int epoll;
    uint16_t port;
    struct bench_connection *connections;
    size_t count;
    size_t open_count;
    /* A text frame of the server (not zero-terminated), or bytes of an HTTP answer. */
    void (*received)(struct bench *bench, struct bench_connection *connection, const char *text,
                     size_t length);
    void *context;
};

int64_t bench_now_us(void);
QB_NORETURN void bench_fail(const char *what);

/* Opens `count` more connections from addresses of 127.0.0.0/8, at most 256 handshakes at a time.
 */
void bench_open(struct bench *bench, size_t count, bool is_plain);
/* Waits up to `wait_ms` and hands up what came. */
void bench_turn(struct bench *bench, int wait_ms);
/* Sends a masked text frame. */
void bench_send(struct bench_connection *connection, const char *text, size_t length);
void bench_write(struct bench_connection *connection, const void *bytes, size_t length);
void bench_close_all(struct bench *bench);

/* Processor time of process `pid` so far, in microseconds; resident bytes. */
int64_t bench_cpu_us(int pid);
int64_t bench_resident_bytes(int pid);
