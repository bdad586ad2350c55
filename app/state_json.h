/*
 * The public state of an auction and its events as JSON, one shape for WebSocket and HTTP
 * (docs/protocol.md, "state"). Nothing secret is in it: bidders by label, no reserve, no maximum.
 *
 * Pure but for the text's memory; any thread.
 */
#pragma once

#include <stdint.h>

#include "base/text.h"
#include "bidding/lot.h"

/* A durable entry that changed what people see. */
struct qb_state_event {
    uint64_t seq;
    uint8_t type; /* enum qb_entry_type */
    qb_id bidder; /* 0: none */
    struct qb_verdict verdict;
};

/* Where and when a state stands, and what is said beside it. */
struct qb_state_view {
    uint32_t epoch;
    uint64_t dur;                      /* highest seq up to which all is durable */
    qb_time_us now_us;                 /* the ledger's time */
    uint64_t watchers;                 /* connections that follow the auction, everywhere */
    const struct qb_state_event *last; /* newest public event, or null */
};

/* `lot` as it is to be shown. */
void qb_state_json(struct qb_text *text, const struct qb_lot *lot,
                   const struct qb_state_view *view);

/* A state that came out of the store: nobody follows the auction any more. */
void qb_state_archived_json(struct qb_text *text, const struct qb_lot *lot);

/* One event of `lot`, as in `last` and `missed`. */
void qb_state_event_json(struct qb_text *text, const struct qb_lot *lot,
                         const struct qb_state_event *event);
