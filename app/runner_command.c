#include <stdlib.h>
#include <string.h>

#include "app/runner_state.h"
#include "base/assert.h"
#include "base/clock.h"
#include "base/metrics.h"
#include "base/shard.h"

static void deliver(void *context, void *message)
{
    struct qb_request *request = message;

    (void)context;
    request->answer(request->context, &request->result);
    (void)atomic_fetch_sub(&request->origin->open_requests, 1);
    free(request->rules);
    free(request);
}

static bool is_bid(const struct qb_entry *entry)
{
    return entry->type == QB_ENTRY_BID || entry->type == QB_ENTRY_BUY_NOW;
}

void qb_request_release(const struct qb_runner *at, const struct qb_request *request)
{
    if (at->all->options.shards > 0)
        qb_runner_unreserve(at, request);
    else if (is_bid(&request->entry))
        qb_holds_release(at->all->options.holds, &request->entry);
}

bool qb_request_is_bid(const struct qb_request *request)
{
    return is_bid(&request->entry);
}

void qb_request_end(struct qb_runner *at, struct qb_request *request,
                    const struct qb_answer *answer)
{
    request->result = *answer;
    qb_request_release(at, request);
    if (request->origin == at)
        deliver(NULL, request);
    else
        qb_mailbox_post_answer(qb_loop_mailbox(request->origin->loop), deliver, NULL, request);
}

/* The arrival in the ledger's time; left out when that clock is too uncertain (rules.md 5.4). */
static qb_time_us arrival_us(struct qb_runner *runner, int64_t read_us)
{
    int64_t uncertainty_us = 0;
    qb_time_us now_us = qb_ledger_now_us(runner->ledger, &uncertainty_us);
    int64_t ago_us = qb_clock_mono_us() - read_us;

    if (uncertainty_us > 5 * QB_MS_US) return 0;
    return now_us - (ago_us > 0 ? ago_us : 0);
}

/* A published auction moves in; its OPEN is the first command. */
static struct qb_home *move_in(struct qb_runner *runner, const struct qb_request *request)
{
    struct qb_lot lot;

    (void)memset(&lot, 0, sizeof lot);
    lot.auction = request->entry.auction;
    lot.price = QB_AMOUNT_NONE;
    lot.final_price = QB_AMOUNT_NONE;
    return qb_home_add(runner, &lot);
}

static void take_loaded(void *context, enum qb_ledger_found found);

static void accept_request(void *context, void *message)
{
    struct qb_runner *runner = context;
    struct qb_request *request = message;
    struct qb_home *home = qb_home_find(runner, request->entry.auction);
    bool is_open = request->entry.type == QB_ENTRY_OPEN && !request->is_resolve;
    struct qb_answer answer = {.reply = QB_REPLY_UNAVAILABLE, .retry_after_ms = 1000};

    if (home != NULL && !is_open && qb_auctioneer_lot(runner->auctioneer, home->lot)->seq == 0) {
        qb_request_end(runner, request, &answer); /* its OPEN is on its way: soon */
        return;
    }
    if (runner->is_feeding) { /* asked from within an answer: after this step, in order */
        qb_mailbox_post_answer(qb_loop_mailbox(runner->loop), accept_request, runner, request);
        return;
    }
    if (qb_runner_is_halted(runner, request->entry.auction)) {
        answer = qb_answer_halted();
        home = NULL;
    } else if (home == NULL && is_open) {
        home = move_in(runner, request);
        answer.retry_after_ms = 60000; /* auctions_max is reached */
    } else if (home == NULL) {
        request->home = runner;
        qb_runner_load(runner, request->entry.auction, take_loaded, request);
        return;
    }
    if (home == NULL) {
        qb_request_end(runner, request, &answer);
        return;
    }
    struct qb_event event = {
        .kind = request->is_resolve ? QB_EVENT_RESOLVE : QB_EVENT_COMMAND,
        .lot = home->lot,
        .entry = &request->entry,
        .waiter = (uint64_t)(uintptr_t)request,
    };
    qb_metric_add(QB_METRIC_commands_total,
                  request->is_resolve ? "RESOLVE"
                                      : qb_entry_type_name((enum qb_entry_type)request->entry.type),
                  1);
    qb_runner_feed(runner, &event);
}

static void take_loaded(void *context, enum qb_ledger_found found)
{
    struct qb_request *request = context;
    const struct qb_answer unavailable = {.reply = QB_REPLY_UNAVAILABLE, .retry_after_ms = 1000};

    if (found == QB_LEDGER_FOUND)
        accept_request(request->home, request);
    else if (found == QB_LEDGER_NOT_FOUND)
        qb_runner_ask_archive(request->home, request);
    else
        qb_request_end(request->home, request, &unavailable);
}

void qb_runners_suspend(struct qb_runner *runner, bool is_suspended)
{
    if (is_suspended && !runner->is_suspended) (void)atomic_fetch_add(&runner->all->suspended, 1);
    if (!is_suspended && runner->is_suspended) (void)atomic_fetch_sub(&runner->all->suspended, 1);
    runner->is_suspended = is_suspended;
    qb_metric_set(QB_METRIC_ledger_open, NULL, atomic_load(&runner->all->suspended) == 0);
}

void qb_request_send(struct qb_request *request)
{
    struct qb_runner *runner = request->origin;
    struct qb_runner *home = qb_runners_home(runner->all, request->entry.auction);
    const struct qb_answer busy = {.reply = QB_REPLY_BUSY, .retry_after_ms = 250};

    if (home == runner)
        accept_request(runner, request);
    else if (!qb_mailbox_post(qb_loop_mailbox(home->loop), accept_request, home, request)) {
        qb_request_end(runner, request, &busy);
    }
}

static struct qb_request *request_new(struct qb_runner *runner, const struct qb_entry *entry,
                                      int64_t read_us, qb_runner_answer *answer, void *context)
{
    struct qb_request *request = calloc(1, sizeof *request);

    QB_ASSERT(request != NULL);
    request->origin = runner;
    request->answer = answer;
    request->context = context;
    request->user = entry->actor;
    request->read_us = read_us;
    request->entry = *entry;
    if (entry->rules != NULL) {
        request->rules = malloc(sizeof *request->rules);
        QB_ASSERT(request->rules != NULL);
        *request->rules = *entry->rules;
        request->entry.rules = request->rules;
    }
    return request;
}

/* The breaker, before anything has its place (reliability.md P9). */
static bool is_stuck(struct qb_runner *runner, qb_id auction, struct qb_answer *refusal)
{
    const struct qb_runners_options *options = &runner->all->options;
    uint32_t retry_after_ms = 0;

    if (options->is_stuck == NULL) return false;
    const struct qb_ledger *ledger = qb_runners_home(runner->all, auction)->ledger;
    unsigned shard = qb_shard_of(auction, options->shards);
    if (!options->is_stuck(options->cluster, ledger, shard, &retry_after_ms)) return false;
    qb_metric_add(QB_METRIC_limited_total, "breaker", 1);
    refusal->retry_after_ms = retry_after_ms;
    return true;
}

/* What the edge alone knows: the drain, the account's own limit, what it may still spend. False:
 * answered already. */
static bool admit(struct qb_runner *runner, struct qb_entry *entry, bool is_counted,
                  qb_runner_answer *answer, void *context)
{
    struct qb_holds *holds = runner->all->options.holds;
    struct qb_answer refusal = {.reply = QB_REPLY_UNAVAILABLE, .retry_after_ms = 1000};

    if (atomic_load(&runner->all->is_refusing) || atomic_load(&runner->all->suspended) > 0) {
        answer(context, &refusal);
        return false;
    }
    if (is_stuck(runner, entry->auction, &refusal)) {
        answer(context, &refusal);
        return false;
    }
    if (is_counted) {
        int64_t wait_us = qb_holds_admit(holds, entry->actor, entry->bid_id, qb_clock_mono_us());
        if (wait_us > 0) {
            refusal.reply = QB_REPLY_BUSY;
            refusal.is_rate_limited = true;
            refusal.retry_after_ms = (wait_us + QB_MS_US - 1) / QB_MS_US;
            qb_metric_add(QB_METRIC_limited_total, "bids_per_minute", 1);
            answer(context, &refusal);
            return false;
        }
    }
    if (is_bid(entry) && runner->limits == NULL) entry->allowance = qb_holds_reserve(holds, entry);
    return true;
}

/* On its way: in a cluster by way of the limits over all replicas. */
static void begin(struct qb_request *request, bool is_counted)
{
    struct qb_runner *runner = request->origin;

    (void)atomic_fetch_add(&runner->open_requests, 1);
    if (runner->limits != NULL && is_counted)
        qb_runner_limit(runner, request);
    else
        qb_request_send(request);
}

void qb_runner_command(struct qb_runner *runner, const struct qb_entry *entry, int64_t read_us,
                       qb_runner_answer *answer, void *context)
{
    struct qb_entry command = *entry;
    /* Publishing is bounded by auctions_max; each other command may grow a log. */
    bool is_counted = entry->by == QB_ACTOR_BIDDER ||
                      (entry->by == QB_ACTOR_SELLER && entry->type != QB_ENTRY_OPEN);

    command.allowance = -1;
    if (!admit(runner, &command, is_counted, answer, context)) return;
    if (is_bid(entry)) command.recv_us = arrival_us(runner, read_us);
    begin(request_new(runner, &command, read_us, answer, context), is_counted);
}

void qb_runner_resolve(struct qb_runner *runner, qb_id auction, qb_id user,
                       const uint8_t bid_id[QB_BID_ID_BYTES], qb_runner_answer *answer,
                       void *context)
{
    struct qb_entry discard = {
        .auction = auction,
        .type = QB_ENTRY_DISCARD,
        .by = QB_ACTOR_BIDDER,
        .actor = user,
        .max = QB_AMOUNT_NONE,
        .allowance = -1,
    };

    (void)memcpy(discard.bid_id, bid_id, sizeof discard.bid_id);
    if (!admit(runner, &discard, true, answer, context)) return;
    struct qb_request *request = request_new(runner, &discard, qb_clock_mono_us(), answer, context);
    request->is_resolve = true;
    begin(request, true);
}
