/*
 * What the leaders of all live auctions have at stake (rules.md 10), set in a new epoch by who has
 * just read those auctions. A replica sets only what it has in memory, and what an epoch before has
 * set ends in an hour (storage/limits_redis.h).
 */
#pragma once

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "app/redis_desk.h"
#include "base/attributes.h"
#include "base/error.h"
#include "storage/holds_memory.h"
#include "storage/store.h"

/* Zero-filled is empty; the list belongs to it. */
struct qb_recovery_holds {
    struct qb_recovery_hold *list;
    size_t count;
    size_t room;
};

/* Remembers what the leader of `lot` stands for. */
void qb_recovery_holds_add(struct qb_recovery_holds *holds, const struct qb_lot *lot);
void qb_recovery_holds_fini(struct qb_recovery_holds *holds);

/*
 * Sets those of accounts with a limit, over a desk on which `epoch` was opened; others have nothing
 * at stake there. `*set` counts them. False with `error` set: not all are set, and end in an hour.
 */
QB_MUST_USE bool qb_recovery_holds_set(const struct qb_recovery_holds *holds,
                                       struct qb_redis_desk *desk, const struct qb_store_ops *store,
                                       struct qb_store_link *link, uint32_t epoch,
                                       const atomic_bool *is_ending, size_t *set,
                                       struct qb_error *error);
