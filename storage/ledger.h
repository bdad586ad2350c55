/*
 * Port: the one ordered, deduplicated log of each auction, and its clock. It gives every command
 * its place and knows no rule.
 *
 * Implementations: ledger_memory.h. tests/contract/ledger_contract.c says what each must do.
 *
 * Thread    one ledger a home thread; that thread only.
 * Callback  exactly once per call, on that thread, never before the call has returned.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bidding/auctioneer.h"
#include "bidding/entry.h"

struct qb_ledger;

struct qb_ledger_command {
    const struct qb_entry *entry; /* without seq, epoch, now; borrowed for the call */
    qb_time_us expires_us;        /* in the ledger's time */
    bool is_mark;                 /* record an early refusal of the bid_id; append nothing */
    uint8_t refusal;              /* of a mark: enum qb_refusal */
    uint64_t as_of;               /* of a mark: the seq it was judged at */
};

struct qb_ledger_result {
    uint8_t outcome; /* enum qb_append_outcome */
    uint8_t refusal; /* REFUSED */
    uint32_t epoch;
    uint64_t seq;      /* DONE, DUPLICATE: its place; REFUSED: the seq it was judged at */
    uint64_t asked;    /* DUPLICATE, REFUSED: qb_entry_asked() of what has the id; 0: a DISCARD */
    qb_time_us now_us; /* DONE: the ledger's stamp, never earlier than the entry before */
};

/* `results` in the order of the commands; borrowed for the callback. */
typedef void qb_ledger_done(void *context, const struct qb_ledger_result *results, size_t count);

struct qb_ledger_ops {
    void (*call)(struct qb_ledger *ledger, const struct qb_ledger_command *commands, size_t count,
                 qb_ledger_done *done, void *context);
    void (*durable)(struct qb_ledger *ledger, qb_id auction, uint64_t seq);
    void (*forget)(struct qb_ledger *ledger, qb_id auction);
    qb_time_us (*now_us)(struct qb_ledger *ledger, int64_t *uncertainty_us);
    void (*free)(struct qb_ledger *ledger);
};

struct qb_ledger { /* first member of every implementation */
    const struct qb_ledger_ops *ops;
};

/* Many commands of many auctions in one call, in order. Each is appended, or answered by what its
 * bid_id has already. `context` is kept. */
static inline void qb_ledger_call(struct qb_ledger *ledger,
                                  const struct qb_ledger_command *commands, size_t count,
                                  qb_ledger_done *done, void *context)
{
    ledger->ops->call(ledger, commands, count, done, context);
}

/* All entries of the auction up to `seq` are durable (MARK). */
static inline void qb_ledger_durable(struct qb_ledger *ledger, qb_id auction, uint64_t seq)
{
    ledger->ops->durable(ledger, auction, seq);
}

/* Lets go of an auction that is over and whose ids are no longer asked for. */
static inline void qb_ledger_forget(struct qb_ledger *ledger, qb_id auction)
{
    ledger->ops->forget(ledger, auction);
}

/* The ledger's clock as estimated here, and how far off the estimate may be. Never goes back. */
static inline qb_time_us qb_ledger_now_us(struct qb_ledger *ledger, int64_t *uncertainty_us)
{
    return ledger->ops->now_us(ledger, uncertainty_us);
}

/* Answers what is under way with UNKNOWN, frees the ledger, nulls the pointer. Accepts null. */
static inline void qb_ledger_free(struct qb_ledger **ledger)
{
    if (*ledger != NULL) (*ledger)->ops->free(*ledger);
    *ledger = NULL;
}
