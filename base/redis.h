/*
 * One asynchronous connection to Redis on one libuv loop, which comes back by itself. The only
 * place that sees hiredis.
 *
 * Address   redis://[USER[:PASSWORD]@]HOST[:PORT], or through Sentinel
 *           redis+sentinel://[USER[:PASSWORD]@]HOST[:PORT][,HOST[:PORT]...]/PRIMARY_NAME
 * Thread    the loop's. Names are resolved off the loop.
 * Answers   exactly one for each command, never inside the call that gave it. Null: no answer came
 *           (not connected, time-out, connection lost): the command may or may not have run.
 * Comes back  first after 100 ms, then twice as long up to 2 s, each with jitter. Nothing is sent
 *           again by itself, and scripts are never loaded: a missing script is the fence.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attributes.h"
#include "base/error.h"

struct qb_redis;
struct qb_redis_reply; /* borrowed for the callback it is given to */

enum qb_redis_kind {
    QB_REDIS_NIL,
    QB_REDIS_TEXT,   /* bulk string */
    QB_REDIS_STATUS, /* +OK */
    QB_REDIS_ERROR,  /* -ERR ...; text starts with its code: NOSCRIPT, READONLY, OOM */
    QB_REDIS_INTEGER,
    QB_REDIS_ARRAY,
};

enum qb_redis_kind qb_redis_kind_of(const struct qb_redis_reply *reply);
/* INTEGER: its value; TEXT that is a whole decimal number: that; else `otherwise`. */
int64_t qb_redis_integer(const struct qb_redis_reply *reply, int64_t otherwise);
/* The bytes of TEXT, STATUS, ERROR, else "" and 0. Zero-terminated behind `length`. */
const char *qb_redis_text(const struct qb_redis_reply *reply, size_t *length);
/* Items of an ARRAY, else 0. */
size_t qb_redis_count(const struct qb_redis_reply *reply);
const struct qb_redis_reply *qb_redis_item(const struct qb_redis_reply *reply, size_t index);

typedef void qb_redis_answer(void *context, const struct qb_redis_reply *reply);

struct qb_redis_options {
    void *loop;          /* uv_loop_t */
    const char *address; /* copied; its password never reaches a log or an error */
    const char *name;    /* what CLIENT LIST shows; copied */
    int64_t connect_ms;  /* for name, connection and first answers; 3,000 */
    int64_t answer_ms;   /* the oldest command without an answer: then the connection ends; 2,000 */
    bool is_subscriber;  /* only subscribe and unsubscribe; pings itself when idle */
    bool must_be_safe;   /* refuse a server whose settings lose bids (reliability.md P0) */
    /* It may be used: connected, logged in, role primary, settings checked. `run_id` changes when
     * the server is another process than before. */
    void (*up)(void *context, const char *run_id);
    /* It may not, and why, for a log. Once per `up`, and once when the first attempt fails. Not
     * called by qb_redis_free(). */
    void (*down)(void *context, const char *why);
    /* A subscriber's message; both borrowed. */
    void (*message)(void *context, const char *channel, size_t channel_length, const void *bytes,
                    size_t length);
    void *context;
};

/* Null with `error` set: an address that cannot be read. Begins to connect; `up` comes later. */
struct qb_redis *qb_redis_new(const struct qb_redis_options *options, struct qb_error *error);
/* Answers what is under way with null, inside the call; nulls the pointer. Accepts null. The loop
 * must turn once more afterwards (qb_loop_settle) for its handles to close. */
void qb_redis_free(struct qb_redis **redis);

bool qb_redis_is_up(const struct qb_redis *redis);

/* One command of `count` words with their lengths; copied. `answer` may be null. */
void qb_redis_command(struct qb_redis *redis, size_t count, const char *const *words,
                      const size_t *lengths, qb_redis_answer *answer, void *context);

/* Kept over reconnects until unsubscribed. */
void qb_redis_subscribe(struct qb_redis *redis, const char *channel);
void qb_redis_unsubscribe(struct qb_redis *redis, const char *channel);

/* Whether the address can be read, for the check of settings at the start. */
QB_MUST_USE bool qb_redis_address_check(const char *address, struct qb_error *error);
