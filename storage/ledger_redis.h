/*
 * The ledger in Redis, shared by all replicas (reliability.md 2.3: P1 to P4, P8, P10). One for each
 * home thread, on its loop, with a connection for each shard.
 *
 * It is closed until qb_ledger_redis_open(), and closes itself (listener.open) when Redis turns out
 * to be another than that of the epoch: no such script, another epoch, read-only, another process.
 * Only recovery opens a new epoch (ledger_redis_open.h). A connection that is lost does not close
 * it: what was sent is UNKNOWN, what is asked meanwhile FENCED, and it goes on by itself.
 *
 * Its owner calls qb_ledger_redis_turn() at the end of each turn of the loop, and sees to it that
 * there is one at qb_ledger_redis_wake_us() at the latest. Owner of the bus's subscriptions: the
 * channel of a followed auction is fed to qb_ledger_fed(), subscribed before qb_ledger_follow() or
 * the call with its OPEN.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attributes.h"
#include "base/error.h"
#include "base/mailbox.h"
#include "storage/ack.h"
#include "storage/ledger.h"

struct qb_ledger_redis_options {
    void *loop;                   /* uv_loop_t */
    const char *const *addresses; /* of each shard: see base/redis.h; borrowed for the call */
    unsigned shards;
    const char *name;           /* of its connections; borrowed for the call */
    bool must_be_safe;          /* refuse a Redis whose settings lose bids (P0) */
    int64_t answer_ms;          /* without an answer for so long an outcome is UNKNOWN; 0: 2,000 */
    struct qb_mailbox *mailbox; /* of the loop's thread: for answers that need no Redis */
    uint32_t marks_max;         /* early refusals remembered in one auction */
    uint64_t unconfirmed_max;   /* entries of one auction not durable; beyond: BUSY */
    /* The rest is of QB_ACK_LEDGER. */
    const unsigned *replicas; /* of each shard: all that may be promoted; null: none. Copied */
    uint64_t outbox_max;      /* entries of a shard that the journal lacks; beyond: BUSY */
    bool (*may_sweep)(void *context); /* whether the journal would take orphans; null: always */
    void *context;
};

/* Null with `error` set: an address that cannot be read. */
struct qb_ledger *qb_ledger_redis_new(const struct qb_ledger_redis_options *options,
                                      struct qb_error *error);

/*
 * Lets go of all auctions and works in `epoch` from now on, once recovery has opened it; then, or
 * when that proves wrong, listener.open says so.
 *
 * ack   of the epoch. With QB_ACK_LEDGER an entry is durable once Redis has it on disk and a WAIT
 *       behind it says that each of `replicas` has it, too. While a shard has fewer, or more, than
 *       that, nothing of it becomes durable (qb_ledger_redis_is_stuck). qb_ledger_durable() and
 *       qb_ledger_adopted() then only empty the outbox: what the journal lacks of the logs.
 */
void qb_ledger_redis_open(struct qb_ledger *ledger, uint32_t epoch, enum qb_ack ack);
/* Recovery begins: takes no commands until qb_ledger_redis_open(). listener.open says so. */
void qb_ledger_redis_suspend(struct qb_ledger *ledger);

/* Sends what has gathered and does what is due. */
void qb_ledger_redis_turn(struct qb_ledger *ledger);
/* The monotonic time of the next turn that it needs, if nothing else makes one before. */
int64_t qb_ledger_redis_wake_us(const struct qb_ledger *ledger);

/* Whether commands may be given now: open, and every shard within reach. */
bool qb_ledger_redis_is_ready(const struct qb_ledger *ledger);
/* The newest monotonic time when a shard was asked how it does, and answered; what is followed
 * there is known here about as of then. 0: never. */
int64_t qb_ledger_redis_checked_us(const struct qb_ledger *ledger, unsigned shard);
/* Whether a shard is out of reach; then since when at the earliest, by its last answer about itself
 * (monotonic), if there was any. */
bool qb_ledger_redis_is_away(const struct qb_ledger *ledger, unsigned shard, int64_t *since_us);
/* With QB_ACK_LEDGER: whether what is appended to the shard now would not become durable soon, as
 * it lacks a replica, or its outbox is full. Any thread. */
bool qb_ledger_redis_is_stuck(const struct qb_ledger *ledger, unsigned shard);
/* With QB_ACK_LEDGER: an own entry is not handed to the journal; it stays in the outbox, from which
 * it is told as an orphan once the journal takes some. */
void qb_ledger_redis_leave(struct qb_ledger *ledger, qb_id auction, uint64_t seq);
/* Requests to Redis that wait for their answer. */
size_t qb_ledger_redis_under_way(const struct qb_ledger *ledger);
