/*
 * An auction decided again from its archived log: at the start of a server, and for
 * `quickbid replay`. Each entry is folded from OPEN on and its link of the chain compared.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "storage/store.h"

/* The result; the records belong to it. */
struct qb_loaded {
    struct qb_lot lot; /* seq 0: there are no entries */
    struct qb_bid_record *records;
    size_t record_count;
    bool is_broken; /* it failed because this log is not what was written, and of no other reason */
};

/* Called for each entry after it was folded, in order. */
typedef void qb_load_entry(void *context, const struct qb_entry *entry,
                           const struct qb_verdict *verdict, const struct qb_lot *lot);

/*
 * False with `error` set when an entry cannot be read, is missing, or folds to another chain or
 * verdict than was stored; the error names auction and seq.
 *
 * each     may be null
 */
QB_MUST_USE bool qb_load_auction(const struct qb_store_ops *store, struct qb_store_link *link,
                                 qb_id auction, qb_load_entry *each, void *context,
                                 struct qb_loaded *loaded, struct qb_error *error);
void qb_loaded_fini(struct qb_loaded *loaded);

/* The auctions that are open or paused. Zero-filled is empty; the list belongs to it. */
struct qb_live {
    qb_id *auctions;
    size_t count;
    size_t room;
};

QB_MUST_USE bool qb_load_live(const struct qb_store_ops *store, struct qb_store_link *link,
                              struct qb_live *live, struct qb_error *error);
void qb_live_fini(struct qb_live *live);
