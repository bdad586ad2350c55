/*
 * Parts of the fold that its files share; private to bidding/lot*.c. Pure; any thread.
 */
#pragma once

#include "bidding/lot.h"

/* One live bid into leader, second, and price (rules.md 2). */
void qb_lot_apply_bid(struct qb_lot *lot, qb_id bidder, int64_t max, uint64_t seq);

/* The leader's hidden maximum, if it would meet `reserve` now, goes to one tick below (rules 3). */
void qb_lot_cut_maximum(struct qb_lot *lot, int64_t reserve);

/* Leader, second, price and count anew from the live bids, not judging them again (rules.md 8). */
void qb_lot_recompute(struct qb_lot *lot, const struct qb_bid_record *records, size_t record_count);

/* VOID and RETRACT: what they strike out, or why not. */
enum qb_refusal qb_lot_void(struct qb_lot *lot, const struct qb_entry *entry,
                            struct qb_bid_record *records, size_t record_count);
enum qb_refusal qb_lot_retract(struct qb_lot *lot, const struct qb_entry *entry, qb_time_us t_us,
                               struct qb_bid_record *records, size_t record_count);

/* The next link of the hash chain (reliability.md 2.3). */
void qb_lot_chain(struct qb_lot *lot, const struct qb_entry *entry,
                  const struct qb_verdict *verdict);

/* Refusal of every command to an auction that is over; NONE before. */
enum qb_refusal qb_lot_over_refusal(const struct qb_lot *lot);
