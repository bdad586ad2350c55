/*
 * Step 6 of a recovery: the shards of Redis written anew from what the store has. Every write is
 * refused by Redis once another leader has begun to rebuild.
 */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

#include "app/recovery_holds.h"
#include "app/redis_desk.h"
#include "base/attributes.h"
#include "base/error.h"
#include "storage/store.h"

struct qb_rebuild {
    struct qb_redis_desk *desk;
    const struct qb_store_ops *store;
    struct qb_store_link *link;
    uint32_t ring_entries; /* newest entries of an auction, kept for clients that resume */
    bool has_outbox;       /* the next epoch's `ack` is `ledger` */
    const atomic_bool *is_ending;
    struct qb_recovery_holds holds; /* of the auctions written so far; the caller's to end */
    char token[64];                 /* of this leader's attempt; set by qb_rebuild_run() */
    size_t auctions;                /* written so far */
    size_t entries;
};

/* Fences the shards off, wipes them, and writes every auction that is not over. False with `error`
 * set: begin again at the top. */
QB_MUST_USE bool qb_rebuild_run(struct qb_rebuild *rebuild, struct qb_error *error);

/* The newest time of all shards, in us. */
QB_MUST_USE bool qb_rebuild_now_us(struct qb_rebuild *rebuild, qb_time_us *now_us,
                                   struct qb_error *error);
