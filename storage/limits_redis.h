/*
 * What accounts may do, over all replicas, in Redis (security.md S47, rules.md 10): submissions in
 * any window by Redis's clock, and what an account has at stake over all auctions. One for each I/O
 * thread, on its loop, with a connection to each shard; an account's keys are on the shard of its
 * id.
 *
 * Steps go to a shard in the order in which they were given, those that came while a call was under
 * way together in the next one.
 * Without Redis, or before the epoch is open, a submission is answered as unknown: then this
 * replica's own exact window (holds_memory.h) is what stands, so that nobody gets a new start by
 * crashing Redis (reliability.md H30); see `qb_submitted`.
 *
 * Only accounts with a limit have stakes. What is at stake is set by whoever folds: holds that meet
 * no Redis are kept for a minute, and their owner sets those of all its leaders again every ten
 * seconds, for what a replica that died had not set; the same hold twice costs a read. Holds of an
 * epoch before end in an hour unless they are set in the new one, so the owner sets those of all
 * leaders of live auctions after each opening.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "bidding/entry.h"
#include "storage/holds_memory.h"

struct qb_limits_redis;

struct qb_limits_redis_options {
    void *loop;                   /* uv_loop_t */
    const char *const *addresses; /* of each shard: see base/redis.h; borrowed for the call */
    unsigned shards;
    const char *name;  /* of its connections; borrowed for the call */
    bool must_be_safe; /* refuse a Redis whose settings lose bids (P0) */
    int64_t answer_ms; /* without an answer for so long it is unknown; 0: 1,000 */
    uint32_t bids_max; /* in any window */
    int64_t window_us;
    int64_t reserved_us; /* the life of a reservation: more than a bid's; 0: 20 s */
    size_t steps_max;    /* of a shard that wait; beyond, unknown; 0: 20,000 */
};

struct qb_submission {
    qb_id user;
    uint8_t bid_id[QB_BID_ID_BYTES];
    qb_id auction;
    char currency[QB_CURRENCY_BYTES]; /* of the auction */
    int64_t max;                      /* of a bid, else QB_AMOUNT_NONE: nothing is reserved */
    int64_t limit;                    /* of the account in that currency; -1: none */
};

struct qb_submitted {
    bool is_known;
    int64_t wait_us; /* known: 0 is let through; else the wait, and nothing was reserved */
    /* Known and let through: what the account can grant in this auction, -1: no limit. Up to that
     * the maximum is reserved until it is released or its life ends. Unknown: 0 with a limit, as
     * too little must never be held, else -1. */
    int64_t allowance;
};

/* Once for each submission, never inside the call; `answer` is borrowed. May call the limits, but
 * not free them, and not within qb_limits_redis_free(). */
typedef void qb_limits_done(void *context, const struct qb_submitted *answer);

/* Null with `error` set: an address that cannot be read. */
struct qb_limits_redis *qb_limits_redis_new(const struct qb_limits_redis_options *options,
                                            struct qb_error *error);
/* Answers what is under way as unknown, inside the call; nulls the pointer, accepts null. The loop
 * must turn once more for its handles to close. */
void qb_limits_redis_free(struct qb_limits_redis **limits);

/* Works with the scripts of `epoch` from now on; called at each epoch that is opened, before holds
 * of its logs are set: those of the one before that were not sent are dropped. A shard that proves
 * to be of another epoch is left alone until then. */
void qb_limits_redis_open(struct qb_limits_redis *limits, uint32_t epoch);

/* Asks whether a submission is let through, and reserves what a bid may cost. The same bid_id
 * inside the window takes no second place. */
void qb_limits_redis_submit(struct qb_limits_redis *limits, const struct qb_submission *submission,
                            qb_limits_done *done, void *context);

/* The bid was decided, or never will be; once for each allowance that was known and reached its
 * maximum. After the hold of the fold, so that it is held by one of them. */
void qb_limits_redis_release(struct qb_limits_redis *limits, qb_id user, qb_id auction,
                             const uint8_t bid_id[QB_BID_ID_BYTES]);

/* What the folded state holds; an older seq never overwrites a newer one. Of accounts with a limit
 * only. */
void qb_limits_redis_hold(struct qb_limits_redis *limits, const struct qb_hold *hold);

/* The command that sets holds of accounts of one shard in `epoch`, for who has a connection of its
 * own: recovery, which knows all leaders. At most so many at a time. */
#define QB_LIMITS_REDIS_HOLDS_MAX 100
struct qb_words;
void qb_limits_redis_hold_words(struct qb_words *words, unsigned shard, uint32_t epoch,
                                const struct qb_hold *holds, size_t count);

/* Sends what has gathered: at the end of each turn of the loop. */
void qb_limits_redis_turn(struct qb_limits_redis *limits);

/* Whether every shard can be asked. */
bool qb_limits_redis_is_ready(const struct qb_limits_redis *limits);
/* Steps that were not answered yet. */
size_t qb_limits_redis_under_way(const struct qb_limits_redis *limits);
