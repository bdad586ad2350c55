/*
 * What is done when something was lost that Redis still has, or was acknowledged as Redis had it:
 * entries of its streams are published once more, past the routes. By a recovery of a lost queue or
 * of an epoch of `ack = ledger`, before the markers (reliability.md P5), and when Postgres has lost
 * commits (P7).
 */
#pragma once

#include <stdatomic.h>

#include "app/redis_desk.h"
#include "base/attributes.h"
#include "base/error.h"
#include "storage/journal_rabbit.h"
#include "storage/store.h"

struct qb_republish {
    const struct qb_journal_rabbit_options *journal;
    const struct qb_store_ops *store; /* of qb_republish_run(), and its link */
    struct qb_store_link *link;
    struct qb_redis_desk *desk;
    uint64_t upto;                /* of an auction no entry above this one */
    bool must_fence;              /* Redis first takes no more: that would be acknowledged */
    const atomic_bool *is_ending; /* may be null */
    size_t entries;               /* published so far */
};

/* Publishes what Redis has of every live auction and the store has not. What is in the store or in
 * another queue, too, is no harm. What cannot be read, or lies behind a gap, is left out with an
 * error in the log. False with `error` set: begin again at the top. */
QB_MUST_USE bool qb_republish_run(struct qb_republish *republish, struct qb_error *error);

/* Publishes what Redis has of an auction behind `seq`, which is the newest that the store has. */
QB_MUST_USE bool qb_republish_auction(struct qb_republish *republish, unsigned shard, qb_id auction,
                                      uint64_t seq, struct qb_error *error);
