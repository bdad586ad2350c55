/*
 * The start: every auction that is not over, decided again from its log, goes to its home.
 */
#pragma once

#include <stddef.h>

#include "app/data.h"
#include "app/revoked.h"
#include "app/runner.h"
#include "storage/holds_memory.h"

/* Limits first, then auctions with their ids and newest entries. One whose log or state is not what
 * was written is halted. False with `error` set when the store fails, or there are more live
 * auctions than auctions_max. */
QB_MUST_USE bool qb_replica_load(struct qb_data *data, struct qb_runners *runners,
                                 struct qb_holds *holds, size_t ring_entries,
                                 struct qb_error *error);

/* Tokens that were revoked and have not ended: a restart gives none back. */
QB_MUST_USE bool qb_replica_load_revoked(struct qb_data *data, struct qb_revoked *revoked,
                                         struct qb_error *error);
