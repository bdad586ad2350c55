/*
 * The thread of `quickbid persist` that keeps Redis small (reliability.md P7). Again and again it
 * looks at all auctions that have keys there, tells Redis how far each is committed in Postgres,
 * and what is safe and no longer needed goes. Of several processes one does so.
 *
 * It remembers nothing: a process that takes over finds everything by the same look.
 */
#pragma once

#include "app/shard_addresses.h"
#include "base/error.h"
#include "storage/journal_rabbit.h"
#include "storage/ledger_redis_trim.h"
#include "storage/store.h"

struct qb_trimmer;

struct qb_trimmer_options {
    const struct qb_shard_addresses *shards; /* as the application's user */
    const struct qb_journal_rabbit_options
        *journal;           /* for what is missing: see app/trim_missing.h */
    struct qb_store *store; /* on the primary, with all migrations */
    struct qb_trim_options trim;
};

/* `options` are copied, what they point to is borrowed. */
struct qb_trimmer *qb_trimmer_new(const struct qb_trimmer_options *options);
/* Ends after the call to a service that is under way. Nulls the pointer; accepts null. */
void qb_trimmer_free(struct qb_trimmer **trimmer);
