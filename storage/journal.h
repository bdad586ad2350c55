/*
 * Port: the durable queue from ledger to store, at least once. What was handed in and confirmed
 * survives any crash until the archiver has settled it.
 *
 * Implementations: journal_sqlite.h. tests/contract/journal_contract.c says what each must do.
 *
 * Writing   from any number of home threads, each through a writer of its own.
 * Reading   one reader at a time: the archiver's thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attributes.h"
#include "base/error.h"
#include "base/mailbox.h"

struct qb_journal;
struct qb_journal_writer;

struct qb_journal_item {
    uint64_t position; /* grows along the queue; by the journal */
    qb_id auction;
    uint64_t seq;
    uint32_t epoch;
    const uint8_t *bytes; /* the entry's canonical bytes */
    size_t length;
};

/*
 * On the writer's thread, through its mailbox: all of `auction` that was handed in up to `seq` is
 * durable. `seq` 0: the journal can confirm no more (disk full, I/O error): take nothing new, end
 * the process and let the next start decide.
 */
typedef void qb_journal_durable(void *context, qb_id auction, uint64_t seq);

struct qb_journal_ops {
    struct qb_journal_writer *(*writer)(struct qb_journal *journal, struct qb_mailbox *mailbox,
                                        qb_journal_durable *durable, void *context);
    bool (*append)(struct qb_journal_writer *writer, const struct qb_journal_item *items,
                   size_t count);
    bool (*flush)(struct qb_journal *journal, int64_t timeout_us);
    bool (*take)(struct qb_journal *journal, size_t items_max, int64_t wait_us,
                 bool (*each)(void *context, const struct qb_journal_item *item), void *context,
                 struct qb_error *error);
    bool (*settle)(struct qb_journal *journal, uint64_t position, struct qb_error *error);
    uint64_t (*backlog)(struct qb_journal *journal);
    void (*free)(struct qb_journal *journal);
};

struct qb_journal { /* first member of every implementation */
    const struct qb_journal_ops *ops;
};

/* A writer for one thread; lives as long as the journal, which frees it. */
static inline struct qb_journal_writer *qb_journal_writer(struct qb_journal *journal,
                                                          struct qb_mailbox *mailbox,
                                                          qb_journal_durable *durable,
                                                          void *context)
{
    return journal->ops->writer(journal, mailbox, durable, context);
}

/* Hands items in, in order of seq for each auction; bytes are copied. False: its limit of waiting
 * bytes is reached (a setting) or it has failed; nothing was taken. */
QB_MUST_USE static inline bool qb_journal_append(struct qb_journal *journal,
                                                 struct qb_journal_writer *writer,
                                                 const struct qb_journal_item *items, size_t count)
{
    return journal->ops->append(writer, items, count);
}

/* Waits until all that was handed in is durable. Any thread. False on time-out or failure. */
QB_MUST_USE static inline bool qb_journal_flush(struct qb_journal *journal, int64_t timeout_us)
{
    return journal->ops->flush(journal, timeout_us);
}

/* Reads items in order from the first not settled, `items_max` at most, and gives each to `each`
 * (borrowed for the call), which may stop by returning false. Waits for one up to `wait_us`. */
QB_MUST_USE static inline bool
qb_journal_take(struct qb_journal *journal, size_t items_max, int64_t wait_us,
                bool (*each)(void *context, const struct qb_journal_item *item), void *context,
                struct qb_error *error)
{
    return journal->ops->take(journal, items_max, wait_us, each, context, error);
}

/* All up to `position` is in the store: the journal may forget it. Call after the store's commit.
 */
QB_MUST_USE static inline bool qb_journal_settle(struct qb_journal *journal, uint64_t position,
                                                 struct qb_error *error)
{
    return journal->ops->settle(journal, position, error);
}

/* Items durable and not settled, as of the last take. Any thread. */
static inline uint64_t qb_journal_backlog(struct qb_journal *journal)
{
    return journal->ops->backlog(journal);
}

/* Makes durable what was handed in, ends its threads, nulls the pointer. Accepts null. */
static inline void qb_journal_free(struct qb_journal **journal)
{
    if (*journal != NULL) (*journal)->ops->free(*journal);
    *journal = NULL;
}
