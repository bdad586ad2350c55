/*
 * The exchange of tallies (tally.h) between replicas, in Redis: one for a process, on one of its
 * loops, with a connection to each shard; a key is on the shard of its first bytes. One call a
 * shard: each `exchange_us` while there is something to tell, else twice a second, to hear of keys
 * that others let through much of.
 *
 * Its owner calls qb_tally_redis_turn() at the end of each turn of the loop, and sees to it that
 * there is one at qb_tally_redis_wake_us() at the latest.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "storage/tally.h"

struct qb_tally_redis;

struct qb_tally_redis_options {
    void *loop;                   /* uv_loop_t */
    const char *const *addresses; /* of each shard: see base/redis.h; borrowed for the call */
    unsigned shards;
    const char *name; /* of its connections; borrowed for the call */
    bool must_be_safe;
    struct qb_tally *tally; /* kept; outlives this */
    int64_t exchange_us;    /* 0: 50 ms */
    const char *what;       /* "auth": what is counted, a part of the keys; a literal */
};

/* Null with `error` set: an address that cannot be read. */
struct qb_tally_redis *qb_tally_redis_new(const struct qb_tally_redis_options *options,
                                          struct qb_error *error);
/* Nulls the pointer, accepts null. The loop must turn once more for its handles to close. */
void qb_tally_redis_free(struct qb_tally_redis **redis);

/* Works with the scripts of `epoch` from now on; called at each epoch that is opened. */
void qb_tally_redis_open(struct qb_tally_redis *redis, uint32_t epoch);

void qb_tally_redis_turn(struct qb_tally_redis *redis);
/* The monotonic time of the next turn that it needs. */
int64_t qb_tally_redis_wake_us(const struct qb_tally_redis *redis);
