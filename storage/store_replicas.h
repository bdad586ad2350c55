/*
 * The store on Postgres with read replicas.
 *
 * Public reads (listings, an auction's bids, images) go to a replica that has replayed all that
 * this process committed. Everything else goes to the primary: an account's own pages, which may
 * depend on what another process wrote, and whatever a decision rests on. So does what a replica
 * does not answer or does not find; one that failed is left alone for a while.
 */
#pragma once

#include "storage/postgres.h"
#include "storage/store.h"

/* All are kept and outlive the store; `primary` is migrated. At least one replica; the list is
 * copied. */
struct qb_store *qb_store_replicas_new(struct qb_postgres *primary,
                                       struct qb_postgres *const *replicas, size_t count);
