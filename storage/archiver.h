/*
 * From the journal into the store's tables: each auction's entries are folded in order, and entry,
 * verdict, chain, bids, the auction's state and, once it is sold, the pending payment are written
 * in one transaction a batch, which settles the journal too. Idempotent by (auction, seq).
 *
 * A journal that many processes write gives entries again and before their predecessors: the same
 * content in a taken place is a repetition, and what is ahead is staged until its turn.
 *
 * An entry that is out of place, unreadable, or whose place or bid_id other content has taken, is
 * a conflict: it is kept beside (`conflicts`), the auction is frozen, and what follows of it goes
 * beside, too, until a person has looked and removed those rows; other auctions go on. So it is
 * with the entries of an auction whose stored state cannot be read. What the journal gives of
 * auction 0 is nobody's entry, and goes beside.
 *
 * Entries of an epoch that a recovery has ended (reliability.md P5, P6) are void: they are kept in
 * `void_entries` and change nothing, and what was staged of it goes there, too.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attributes.h"
#include "base/error.h"
#include "storage/journal.h"
#include "storage/store.h"

struct qb_archive;
struct qb_archiver;

struct qb_archive_options {
    struct qb_journal *journal;
    const struct qb_store_ops *store;
    struct qb_store_link *link; /* used by the archive alone */
    size_t items_max;           /* of a batch */
    /* The journal is not in the store's database: it is settled after the commit, and what is
     * ahead of its turn is no fault but waits, since others write there, too. */
    bool is_journal_apart;
    /* Called between batches, on the archiver's thread; may be null. `is_due`: nothing more came
     * for a moment, or much has come since it was due: time for a checkpoint, say. */
    void (*between)(void *context, bool is_due);
    /* For each entry that goes beside: the auction shall take no more. On the archiver's thread;
     * may be null. */
    void (*frozen)(void *context, qb_id auction);
    void *context;
};

/* What batches share: the folded states of the newest auctions. */
struct qb_archive *qb_archive_new(const struct qb_archive_options *options);
void qb_archive_free(struct qb_archive **archive);

/*
 * One batch: waits up to `wait_us` for entries, archives them, settles them. `*count` gets how many
 * there were. False with `error` set: nothing was archived; try again later.
 */
QB_MUST_USE bool qb_archive_batch(struct qb_archive *archive, int64_t wait_us, size_t *count,
                                  struct qb_error *error);

/* The ledger's stamp of the oldest entry that was taken and is not written yet; 0: there is none.
 * Any thread. */
qb_time_us qb_archive_oldest_us(const struct qb_archive *archive);

/* Calls `between`; for whoever calls qb_archive_batch() in a loop. */
void qb_archive_tend(struct qb_archive *archive, bool is_due);

/* A thread that archives until it is freed, and then what is left. `archive` is borrowed. */
struct qb_archiver *qb_archiver_new(struct qb_archive *archive);
void qb_archiver_free(struct qb_archiver **archiver);
