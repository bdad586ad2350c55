/*
 * One asynchronous connection to Redis on one libuv loop, which comes back by itself. The only
 * place that sees hiredis.
 *
 * Address   redis://[USER[:PASSWORD]@]HOST[:PORT], or through Sentinel
 *           redis+sentinel://[USER[:PASSWORD]@]HOST[:PORT][,HOST[:PORT]...]/PRIMARY_NAME
 *           [?sentinel_password=PASSWORD]
 *           Signs of the address itself are written as %40 in words. Sentinels are asked in turn.
 *           All addresses of a name are tried.
 * Process   ignores SIGPIPE, which a write to a server that has just died may raise.
 * Thread    the loop's. Names are resolved off the loop, which must turn until that has ended.
 * Answers   exactly one for each command, never inside the call that gave it. Null: no answer came
 *           (not up, too many under way, time-out, connection lost): the command may or may not
 *           have run. When a connection is lost, is_up is false first, then come the nulls, then
 *           `down`. qb_redis_free() may be called in any callback.
 * Comes back  first after 100 ms, then twice as long up to 2 s, each with jitter. Nothing is sent
 *           again by itself, and scripts are never loaded: a missing script is the fence.
 * Primary   each second a link asks its server for its ROLE, which is its ping too, and a server
 *           that answers READONLY or is a replica is left at once. A subscriber may not ask: it is
 *           cut off by Sentinel when that turns its server into a replica, and else whoever has a
 *           second link to the same address compares their run_id (qb_redis_drop).
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
/* Whether the bytes of TEXT, STATUS or ERROR are exactly `text`. */
bool qb_redis_is_text(const struct qb_redis_reply *reply, const char *text);
/* INTEGER: its value; TEXT that is a whole decimal number: that; else `otherwise`. */
int64_t qb_redis_integer(const struct qb_redis_reply *reply, int64_t otherwise);
/* The bytes of TEXT, STATUS, ERROR, else "" and 0. Zero-terminated behind `length`, which may be
 * null. */
const char *qb_redis_text(const struct qb_redis_reply *reply, size_t *length);
/* Items of an ARRAY, else 0. */
size_t qb_redis_count(const struct qb_redis_reply *reply);
const struct qb_redis_reply *qb_redis_item(const struct qb_redis_reply *reply, size_t index);

typedef void qb_redis_answer(void *context, const struct qb_redis_reply *reply);

struct qb_redis_options {
    void *loop;          /* uv_loop_t */
    const char *address; /* copied; its password never reaches a log or an error */
    const char *name;    /* what CLIENT LIST shows, without spaces; copied */
    int64_t connect_ms;  /* for name, connection and first answers of one server; 0: 3,000 */
    int64_t answer_ms;   /* the oldest command without an answer: the connection ends; 0: 2,000 */
    size_t commands_max; /* under way; what is beyond is answered null; 0: 10,000 */
    bool is_subscriber;  /* only subscribe and unsubscribe; pings itself when idle */
    bool must_be_safe;   /* refuse a server whose settings lose bids (reliability.md P0) */
    /* It may be used: connected, logged in, role primary, settings checked; of a subscriber: the
     * server has taken every subscription too. `run_id` changes when the server is another process
     * than before. */
    void (*up)(void *context, const char *run_id);
    /* It may not, and why, for a log: once per `up`, and while it is not up, each time the reason
     * is another one than told last. Not called by qb_redis_free(). */
    void (*down)(void *context, const char *why);
    /* A subscriber's message; both borrowed. */
    void (*message)(void *context, const char *channel, size_t channel_length, const void *bytes,
                    size_t length);
    /* The server has taken a subscription that was made while the link was up: what is published
     * from here on arrives. May be null. */
    void (*subscribed)(void *context, const char *channel, size_t channel_length);
    void *context;
};

/* Null with `error` set: an address that cannot be read. Begins to connect; `up` comes later. */
struct qb_redis *qb_redis_new(const struct qb_redis_options *options, struct qb_error *error);
/* Answers what is under way with null, inside the call; nulls the pointer. Accepts null. The loop
 * must turn once more afterwards (qb_loop_settle) for its handles to close. */
void qb_redis_free(struct qb_redis **redis);

bool qb_redis_is_up(const struct qb_redis *redis);

/* One command of `count` words with their lengths (null: texts); copied. `answer` may be null. Not
 * for a subscriber. */
void qb_redis_command(struct qb_redis *redis, size_t count, const char *const *words,
                      const size_t *lengths, qb_redis_answer *answer, void *context);

/* Kept over reconnects until unsubscribed. Twice is once. */
void qb_redis_subscribe(struct qb_redis *redis, const char *channel);
void qb_redis_unsubscribe(struct qb_redis *redis, const char *channel);

/* Leaves the server at a later turn, as if the connection had broken, and finds it anew. */
void qb_redis_drop(struct qb_redis *redis, const char *why);

/* Whether it goes through Sentinel, of one that can be read. */
bool qb_redis_address_has_sentinel(const char *address);
/* Whether the address can be read, for the check of settings at the start. */
QB_MUST_USE bool qb_redis_address_check(const char *address, struct qb_error *error);
