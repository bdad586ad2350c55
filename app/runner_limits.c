/*
 * Limits of accounts over all replicas (storage/limits_redis.h): asked before a command is sent to
 * its auction, told what auctions hold of whom. Embedded, holds_memory.h alone decides.
 */
#include <string.h>

#include "app/runner_state.h"
#include "base/clock.h"
#include "base/metrics.h"

/* A replica that died may not have set its last holds; they are few, and the same twice is cheap.
 */
#define HOLD_AGAIN_SECONDS 10

static void take_answer(void *context, const struct qb_submitted *submitted)
{
    struct qb_request *request = context;
    struct qb_answer refusal = {.reply = QB_REPLY_BUSY, .is_rate_limited = true};

    /* Unknown: this replica's own window, which let it through, is what stands. */
    if (submitted->is_known && submitted->wait_us > 0) {
        refusal.retry_after_ms = (submitted->wait_us + QB_MS_US - 1) / QB_MS_US;
        qb_metric_add(QB_METRIC_limited_total, "bids_per_minute", 1);
        qb_request_end(request->origin, request, &refusal);
        return;
    }
    if (!submitted->is_known && request->limit >= 0) { /* too little must never be held */
        refusal = (struct qb_answer){.reply = QB_REPLY_UNAVAILABLE, .retry_after_ms = 1000};
        qb_request_end(request->origin, request, &refusal);
        return;
    }
    if (qb_request_is_bid(request)) {
        request->entry.allowance = submitted->allowance;
        request->is_reserved = submitted->is_known && submitted->allowance >= request->entry.max;
    }
    qb_request_send(request);
}

void qb_runner_limit(struct qb_runner *runner, struct qb_request *request)
{
    const struct qb_entry *entry = &request->entry;
    bool is_bid = qb_request_is_bid(request);
    struct qb_submission submission = {
        .user = entry->actor,
        .auction = entry->auction,
        .max = is_bid ? entry->max : QB_AMOUNT_NONE,
        .limit = -1,
    };

    (void)memcpy(submission.bid_id, entry->bid_id, sizeof submission.bid_id);
    (void)memcpy(submission.currency, entry->currency, sizeof submission.currency);
    if (is_bid) {
        submission.limit =
            qb_holds_limit(runner->all->options.holds, entry->bidder, entry->currency);
    }
    request->limit = submission.limit;
    qb_limits_redis_submit(runner->limits, &submission, take_answer, request);
}

void qb_runner_unreserve(const struct qb_runner *at, const struct qb_request *request)
{
    if (!request->is_reserved || at->limits == NULL) return; /* it ends by itself */
    qb_limits_redis_release(at->limits, request->entry.bidder, request->entry.auction,
                            request->entry.bid_id);
}

void qb_runner_hold(struct qb_runner *runner, const struct qb_hold *hold)
{
    struct qb_holds *holds = runner->all->options.holds;

    qb_holds_set(holds, hold);
    if (runner->limits == NULL || qb_holds_limit(holds, hold->user, hold->currency) < 0) return;
    qb_limits_redis_hold(runner->limits, hold);
}

void qb_runner_hold_leader(struct qb_runner *runner, const struct qb_home *home)
{
    const struct qb_lot *lot = qb_auctioneer_lot(runner->auctioneer, home->lot);
    const struct qb_hold hold = {.user = lot->leader,
                                 .auction = lot->auction,
                                 .currency = lot->rules.currency,
                                 .seq = lot->seq,
                                 .amount = qb_lot_is_over(lot) ? 0 : lot->m1};

    if (lot->leader != 0) qb_runner_hold(runner, &hold);
}

void qb_runner_hold_again(struct qb_runner *runner)
{
    size_t cursor = 0;
    struct qb_home *home = NULL;

    if (runner->limits == NULL || ++runner->hold_seconds < HOLD_AGAIN_SECONDS) return;
    runner->hold_seconds = 0;
    while ((home = qb_map_next(&runner->homes, &cursor, NULL)) != NULL) {
        qb_runner_hold_leader(runner, home);
    }
}
