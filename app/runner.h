/*
 * Runs the auctions of all I/O threads: commands to their home threads, events into the
 * auctioneer's step, effects to ledger, journal, bus and edge, answers back to who asked.
 *
 * One struct qb_runner is one I/O thread. An auction's home is one of them, by its id.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/frame.h"
#include "base/text.h"
#include "bidding/auctioneer.h"
#include "ws/edge.h"

struct qb_runner;

/* The answer to a command, on the thread that asked. Borrowed for the call. */
struct qb_answer {
    uint8_t reply;    /* enum qb_reply_kind; QB_REPLY_PENDING is not the last one */
    bool is_unknown_auction; /* there is no such live auction: nothing else is set */
    bool is_rate_limited;    /* reply BUSY: the user's own limit; retry_after_ms says when */
    uint64_t seq;     /* the entry's, or as of which it was refused */
    uint32_t epoch;
    int64_t retry_after_ms;
    struct qb_verdict verdict;
    char label[QB_LABEL_BYTES]; /* the asking user's label in this auction */
};
typedef void qb_runner_answer(void *context, const struct qb_answer *answer);

/*
 * Gives a command to its auction's home and calls `answer` on the calling I/O thread, also before
 * this returns. Limits per user and exposure are applied here.
 *
 * entry    copied; auction, type, by, bidder, actor, max, currency, target_seq, end_us, reason,
 *          text, bid_id and (OPEN) rules are set by the caller; recv_us by the runner from read_us
 * read_us  monotonic arrival of the last byte
 */
void qb_runner_command(struct qb_runner *runner, const struct qb_entry *entry, int64_t read_us,
                       qb_runner_answer *answer, void *context);

/* What became of `bid_id` of `user` (resolve). */
void qb_runner_resolve(struct qb_runner *runner, qb_id auction, qb_id user,
                       const uint8_t bid_id[QB_BID_ID_BYTES], qb_runner_answer *answer,
                       void *context);

/* The newest public state as JSON (the body of …/state), or null when the auction is not live
 * here or in the store. Held for the callback. Called on the asking thread, maybe at once. */
typedef void qb_runner_state_answer(void *context, struct qb_frame *state);
void qb_runner_state(struct qb_runner *runner, qb_id auction, qb_runner_state_answer *answer,
                     void *context);

/* Verdict, refusal or failure as JSON members ("verdict":"leading","price":…), the same on
 * WebSocket and HTTP. */
void qb_answer_json(struct qb_text *text, const struct qb_answer *answer);
