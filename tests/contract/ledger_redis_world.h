/*
 * Replicas on one real Redis, for tests: each a ledger as a runner would use it, on one loop. What
 * a ledger promises of its order is checked whenever it tells something: the entries of an auction
 * come by seq without a gap, each once.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/mailbox.h"
#include "base/redis.h"
#include "storage/ledger_redis.h"
#include "storage/ledger_redis_state.h"
#include "storage/ledger_redis_trim.h"
#include "tests/kit/rules.h"

#define WORLD_SHARDS   2
#define WORLD_AUCTIONS 24   /* ids 1 to below this */
#define WORLD_ENTRIES  2000 /* remembered of each */
#define WORLD_RESULTS  64

/* An auction as a replica knows it: the first bytes of the bid_id at each seq. */
struct told {
    uint64_t seq;
    uint64_t ids[WORLD_ENTRIES + 1];
    bool is_own[WORLD_ENTRIES + 1];
    uint64_t durable;
    enum qb_ledger_found found; /* of the last follow */
    int follows;                /* answered */
    uint64_t state_seq;         /* of the last follow's snapshot; 0: none */
    size_t record_count;
    uint64_t orphans;    /* told as such */
    uint64_t orphan_seq; /* the last one */
    int dues;
    int losses;
};

struct replica {
    const char *name;
    struct qb_ledger *ledger;
    struct qb_mailbox *mailbox;
    struct qb_redis *ears[WORLD_SHARDS]; /* its subscribers */
    int64_t loss_percent;                /* of what the bus brings */
    bool must_adopt;                     /* says at once that orphans are durable */
    unsigned refused_orphans;            /* so many more orphans are not taken */
    bool is_journal_away;                /* of QB_ACK_LEDGER: it takes no orphans */
    bool must_journal;                   /* says at once that own entries are durable */
    bool is_open;
    int opened;
    int closed;
    uint32_t epoch;
    struct told told[WORLD_AUCTIONS];
    /* The call under way, and the answer to it. */
    struct qb_entry entries[WORLD_RESULTS];
    struct qb_ledger_command commands[WORLD_RESULTS];
    size_t command_count;
    struct qb_ledger_result results[WORLD_RESULTS];
    int calls;
};

/* How the ledgers of replicas made, and epochs opened from now on acknowledge. */
extern enum qb_ack world_ack;
extern unsigned world_replicas[WORLD_SHARDS];
extern uint64_t world_outbox_max;

/* The uv_loop_t of everything here. */
void *world_loop(void);

/* --- ledger_redis_servers.c --- */

/* Starts one Redis for both shards, or (parts "redis") one each, of which the first has a replica
 * and is reached through Sentinel; once a program. */
void world_start(void);
void world_start_with(const char *parts);
/* Empties Redis and opens `epoch`. */
void world_reset(uint32_t epoch);
void world_open(uint32_t epoch);
/* A command of somebody who may do all; waits for its answer and returns its integer, or -1. */
int64_t world_command(size_t count, const char *const *words);
int64_t world_command_to(unsigned shard, size_t count, const char *const *words);
/* To whom Sentinel calls the primary now, with the rights of the coordinator. */
int64_t world_command_to_primary(unsigned shard, size_t count, const char *const *words);

/* Makes its stream and its state disagree. */
void world_break(qb_id auction);
/* How replicas reach a shard. */
const char *world_address(unsigned shard);
/* How a recovery does. */
const char *world_coordinator_address(unsigned shard);
/* Takes the entries of an auction below `seq` out of its stream. */
void world_trim(qb_id auction, uint64_t seq);
/* Says how far an auction is committed, as a persister in `epoch` does. False: an error. */
bool world_committed(uint32_t epoch, const struct qb_trim_options *options,
                     struct qb_trim_item *item);

/* --- ledger_redis_world.c --- */

/* A replica in `epoch` that is ready. */
struct replica *replica_new(const char *name, uint32_t epoch, uint32_t marks_max,
                            uint64_t unconfirmed_max);
void replica_free(struct replica **replica);

/* Turns the loop and the replicas once. */
void world_turn(void);
/* Turns until the condition holds, at most `ms`. */
#define WORLD_UNTIL(condition, ms)                                                                 \
    for (int64_t world_until_us = qb_clock_mono_us() + (ms)*QB_MS_US;                              \
         !(condition) && qb_clock_mono_us() < world_until_us;)                                     \
    world_turn()
/* Turns for so long. */
void world_run(int64_t ms);
/* Turns until no replica waits for Redis. */
void world_settle(void);

/* A bid, or (bidder 0) the OPEN, of an auction under a key that `number` makes. */
struct qb_entry world_entry(qb_id auction, qb_id bidder, uint64_t number);
/* The auction as the fold has it after its OPEN and the first bids of one bidder, up to `seq`. */
struct qb_lot world_folded(qb_id auction, qb_id bidder, uint64_t seq);
/* Gives the entries as one call of commands that do not expire. The answer comes while the world
 * turns. */
void replica_call(struct replica *replica, const struct qb_entry *entries, size_t count);
/* Any commands as one call. */
void replica_give(struct replica *replica, const struct qb_ledger_command *commands, size_t count);
/* The same call once more. */
void replica_again(struct replica *replica);
/* One entry; returns when that is answered. */
struct qb_ledger_result replica_append(struct replica *replica, struct qb_entry entry);
/* Hears the auction's channel, and follows it; returns when that is answered. */
void replica_subscribe(struct replica *replica, qb_id auction);
enum qb_ledger_found replica_follow(struct replica *replica, qb_id auction);
/* Breaks its connection to a shard at the next turn. */
void replica_drop(struct replica *replica, unsigned shard);

/* Whether two replicas know the same log. */
bool world_is_same(const struct replica *a, const struct replica *b, qb_id auction);
/* Expectations that did not hold inside the replicas. */
int world_failures(void);
