/*
 * Thousands of client connections on one epoll: WebSocket (own handshake, masking, framing) or
 * HTTP/1.1 with keep-alive. A broken connection ends the process with a message: a benchmark that
 * lost connections has measured nothing.
 *
 * One thread. The swarm owns its peers; `frame` may send on any of them.
 */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attributes.h"

#define QB_PEER_BYTES 8192 /* the largest frame or response that a scenario meets */
#define QB_PORTS_MAX  16

enum qb_peer_phase { QB_PEER_FREE, QB_PEER_CONNECTING, QB_PEER_SHAKING, QB_PEER_OPEN };

struct qb_peer {
    int fd;
    uint8_t phase; /* enum qb_peer_phase */
    uint32_t index;
    uint32_t have;   /* bytes in `in` */
    uint64_t seq;    /* for the scenario: newest update seen */
    int64_t sent_us; /* for the scenario */
    char *in;        /* of QB_PEER_BYTES, only while a part of a frame waits */
};

struct qb_swarm {
    int epoll;
    bool is_http;
    size_t count;
    size_t open;
    struct qb_peer *peers;
    struct sockaddr_in to[QB_PORTS_MAX]; /* peer i connects to the one at i modulo `to_count` */
    size_t to_count;
    void *context;
    /* A text frame or the body of a response has come whole. */
    void (*frame)(void *context, struct qb_peer *peer, const char *text, size_t length);
};

/* Makes room for `count` peers of the server at 127.0.0.1:`port`; none is connected yet. */
void qb_swarm_init(struct qb_swarm *swarm, size_t count, uint16_t port, bool is_http);

/* One more server, before peers are connected. */
void qb_swarm_add_port(struct qb_swarm *swarm, uint16_t port);

/* Closes all and frees. */
void qb_swarm_fini(struct qb_swarm *swarm);

/* Connects the peers from..to-1 and waits until all are open, with a deadline of 60 s. */
void qb_swarm_open(struct qb_swarm *swarm, size_t from, size_t to);

/* Resets the peers from..to-1: no TIME_WAIT uses up the ports. */
void qb_swarm_close(struct qb_swarm *swarm, size_t from, size_t to);

/* Reads what there is; waits for it `timeout_ms` at most. */
void qb_swarm_turn(struct qb_swarm *swarm, int timeout_ms);

/* Sends one text frame. */
void qb_peer_send(struct qb_peer *peer, const char *text, size_t length);

/* Sends bytes as they are: an HTTP request. */
void qb_peer_send_raw(struct qb_peer *peer, const char *bytes, size_t length);

/* Ends the process with a message. */
_Noreturn void qb_load_fail(const char *format, ...) QB_PRINTF(1, 2);
