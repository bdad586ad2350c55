/*
 * Entries that are acknowledged and on their way to nobody: RabbitMQ had confirmed them, and then a
 * failover of Postgres lost the commit, or RabbitMQ lost what it had confirmed. Redis still has
 * them, and they are published once more. A repetition is no harm.
 *
 * It is known by an auction that stays behind what is durable while its shard's queue is empty, or
 * at once by a Postgres that has less than it once had.
 *
 * Thread    the trimmer's.
 */
#pragma once

#include <stdatomic.h>

#include "app/redis_desk.h"
#include "app/shard_addresses.h"
#include "base/attributes.h"
#include "base/error.h"
#include "base/map.h"
#include "storage/journal_rabbit.h"
#include "storage/ledger_redis_trim.h"
#include "storage/store.h"

struct qb_missing {
    const struct qb_journal_rabbit_options *journal;
    const struct qb_store_ops *store;
    const atomic_bool *is_ending; /* ends a look that publishes; may be null */
    struct qb_map lags;           /* auction -> struct lag: those that are behind */
    struct {
        int64_t asked_us;
        bool is_empty;
    } queues[QB_SHARDS_MAX];
};

void qb_missing_init(struct qb_missing *missing, const struct qb_journal_rabbit_options *journal,
                     const struct qb_store_ops *store);
void qb_missing_fini(struct qb_missing *missing);
/* What was seen so far counts no more: it was of another epoch, or another process has looked. */
void qb_missing_forget(struct qb_missing *missing);

/* Looks at an auction as Redis has just answered about it. False: a service did not answer. */
QB_MUST_USE bool qb_missing_look(struct qb_missing *missing, struct qb_store_link *link,
                                 struct qb_redis_desk *desk, unsigned shard,
                                 const struct qb_trim_item *item, struct qb_error *error);
