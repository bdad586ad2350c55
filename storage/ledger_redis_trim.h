/*
 * What persisters do to the ledger in Redis (reliability.md P7): they say how far auctions are
 * committed in Postgres, and what is safe there and no longer needed goes. By one script with the
 * fence of all others: nothing goes while a recovery rebuilds, nor of an epoch that is over.
 *
 * Any number of processes may do so, again and again and in any order.
 *
 * Any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attributes.h"
#include "base/redis.h"
#include "storage/ledger_redis_scripts.h"

#define QB_TRIM_MAX 100 /* auctions in a call: others wait while it runs */

struct qb_trim_options {
    uint64_t entries_kept; /* newest of a stream that stay; a few more do */
    int64_t failover_us;   /* for so long a commit of Postgres may be lost by a failover */
    int64_t over_us;       /* for so long the keys of an auction stay that is over and safe */
};

struct qb_trim_item {
    qb_id auction;
    uint64_t committed; /* read from Postgres in the epoch of the call, or before */
    bool is_over;       /* that is its end */
    /* the answer */
    bool is_gone;     /* its keys were taken away */
    uint64_t seq;     /* the newest entry; 0: no such auction */
    uint64_t durable; /* and of no outbox: the journal has all up to here */
    uint64_t said;    /* committed by what was said before */
    uint64_t left;    /* entries in the stream */
    uint64_t taken;   /* entries taken away */
};

/* Puts the call together; `count` is at most QB_TRIM_MAX, all auctions of one shard. */
void qb_trim_words(struct qb_words *words, uint32_t epoch, unsigned shard,
                   const struct qb_trim_options *options, const struct qb_trim_item *items,
                   size_t count);

/* Fills in the answers. False: this is none. */
QB_MUST_USE bool qb_trim_read(const struct qb_redis_reply *reply, struct qb_trim_item *items,
                              size_t count);
