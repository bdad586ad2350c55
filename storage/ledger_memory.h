/*
 * The ledger of one home thread in memory: it gives places and times, and knows every id. The log
 * itself is what the journal and the store hold; it is rebuilt from there at the start.
 *
 * Knows the newest `marks_max` early refusals of each auction; the oldest are forgotten first, but
 * it answers BUSY rather than forget one younger than 15 s (rules.md 7).
 */
#pragma once

#include "base/mailbox.h"
#include "storage/ledger.h"

struct qb_ledger_memory_options {
    uint32_t epoch;
    struct qb_mailbox *mailbox;         /* answers come through it; this thread's */
    uint32_t marks_max;                 /* early refusals remembered in one auction */
    uint64_t unconfirmed_max;           /* entries of one auction not durable; beyond: BUSY */
    qb_time_us (*clock)(void *context); /* null: the even clock */
    void *clock_context;
};

struct qb_ledger *qb_ledger_memory_new(const struct qb_ledger_memory_options *options);

/* At the start: an auction whose log stands at `seq`, all of it durable; then each of its ids. */
void qb_ledger_memory_restore(struct qb_ledger *ledger, qb_id auction, uint64_t seq,
                              qb_time_us last_now_us);
void qb_ledger_memory_restore_id(struct qb_ledger *ledger, qb_id auction,
                                 const uint8_t bid_id[QB_BID_ID_BYTES], uint64_t seq,
                                 uint64_t asked);
