/*
 * One connection to one Redis or Sentinel: finds it, sends commands, matches answers, notices
 * silence. It ends once and is not tried again; base/redis.c does that. Private to base/redis*.c.
 *
 * hiredis reads what the server says. Its own asynchronous context is not used: in 0.14 it takes
 * the first thing that arrives for the answer to a subscriber's ping, also a message, resolves
 * names on the loop, and has no deadline of any kind.
 *
 * Thread    the loop's.
 * Callback  never inside qb_redis_wire_new(), _send() or _subscribe(). A wire may be freed in any.
 */
#pragma once

#include "base/redis.h"
#include "base/redis_address.h"

struct qb_redis_wire;

struct qb_redis_wire_options {
    void *loop; /* uv_loop_t */
    const struct qb_redis_host *host;
    int64_t connect_ms; /* until qb_redis_wire_ready() */
    int64_t answer_ms;
    bool is_subscriber;
    void (*opened)(void *context);
    /* Once; nothing comes after it, and what is under way is answered by qb_redis_wire_free(). */
    void (*closed)(void *context, const char *why);
    /* Of a subscriber: a message, or the server's word that it took a subscription. */
    void (*pushed)(void *context, const struct qb_redis_reply *message);
    /* After the answer to a command that the server refused. */
    void (*refused)(void *context, const char *text);
    void *context;
};

/* Begins to connect. */
struct qb_redis_wire *qb_redis_wire_new(const struct qb_redis_wire_options *options);
/* Answers what is under way with null; nulls the pointer. Accepts null. Its handles close at a
 * later turn. */
void qb_redis_wire_free(struct qb_redis_wire **wire);

/* The first answers were good: from now on only answer_ms counts. */
void qb_redis_wire_ready(struct qb_redis_wire *wire);

/* False: too much is unsent, nothing was taken and `answer` will not be called. */
QB_MUST_USE bool qb_redis_wire_send(struct qb_redis_wire *wire, size_t count,
                                    const char *const *words, const size_t *lengths,
                                    qb_redis_answer *answer, void *context);
/* SUBSCRIBE or UNSUBSCRIBE, which are answered by `pushed`. */
QB_MUST_USE bool qb_redis_wire_subscribe(struct qb_redis_wire *wire, size_t count,
                                         const char *const *words, const size_t *lengths);

/* Commands that wait for their answer. */
size_t qb_redis_wire_under_way(const struct qb_redis_wire *wire);
/* Monotonic time at which the server last said anything. */
int64_t qb_redis_wire_heard_us(const struct qb_redis_wire *wire);
