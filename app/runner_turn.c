#include <string.h>

#include "app/fatal.h"
#include "app/runner_state.h"
#include "base/assert.h"
#include "base/clock.h"
#include "base/metrics.h"

/* What the auctioneer shall make of an answer: the mark of a barred bid is a refusal known to the
 * ledger, like that of an earlier request with its id. */
static struct qb_event event_of(const struct qb_call *call, const struct qb_ledger_result *result)
{
    struct qb_event event = {
        .kind = QB_EVENT_APPENDED,
        .ticket = call->ticket,
        .outcome = result->outcome,
        .refusal = result->refusal,
        .seq = result->seq,
        .asked = result->asked,
        .epoch = result->epoch,
        .at_us = result->now_us,
    };

    if (call->is_barred && result->outcome == QB_APPEND_MARKED) {
        event.outcome = QB_APPEND_REFUSED;
        event.refusal = QB_REFUSAL_BLOCKED;
    }
    return event;
}

/* The ledger's answers, in the order of the call. */
static void take_results(void *context, const struct qb_ledger_result *results, size_t count)
{
    struct qb_runner *runner = context;

    QB_ASSERT(runner->is_calling);
    QB_ASSERT(count == runner->calling.count);
    for (size_t i = 0; i < count; i++) {
        struct qb_event event = event_of(&runner->calling.calls[i], &results[i]);
        qb_runner_feed(runner, &event);
    }
    runner->calling.count = 0;
    runner->is_calling = false;
}

#define COMMANDS_PER_CALL 512

/* What came while a call was under way goes together in the next one. */
static void begin_calling(struct qb_runner *runner)
{
    struct qb_call_list list = runner->waiting;
    runner->waiting = runner->calling;
    runner->calling = list;
    if (list.count > COMMANDS_PER_CALL) { /* the rest keeps its place for the call after */
        for (size_t i = COMMANDS_PER_CALL; i < list.count; i++) {
            struct qb_call_list *next = &runner->waiting;
            if (next->room < list.count) qb_call_list_grow(next, list.count);
            next->calls[next->count++] = list.calls[i];
        }
        runner->calling.count = COMMANDS_PER_CALL;
    }
}

/* A bid is barred here and not when it came: it may have waited, in a queue or for the end, while
 * its bidder was banned. */
static bool is_barred(const struct qb_holds *holds, const struct qb_call *call)
{
    bool is_bid = call->entry.type == QB_ENTRY_BID || call->entry.type == QB_ENTRY_BUY_NOW;

    return is_bid && !call->is_mark && qb_holds_kept_ban(holds, call->entry.bidder);
}

static void call_ledger(struct qb_runner *runner)
{
    struct qb_ledger_command commands[COMMANDS_PER_CALL];
    struct qb_holds *holds = runner->all->options.holds;

    if (runner->is_calling || runner->waiting.count == 0) return;
    begin_calling(runner);
    qb_holds_keep_bans(holds);
    for (size_t i = 0; i < runner->calling.count; i++) {
        struct qb_call *call = &runner->calling.calls[i];
        call->is_barred = is_barred(holds, call);
        commands[i] = (struct qb_ledger_command){
            .entry = &call->entry,
            .expires_us = call->expires_us,
            .is_mark = call->is_mark || call->is_barred,
            .refusal = call->is_barred ? QB_REFUSAL_BLOCKED : call->refusal,
            .as_of = call->as_of,
        };
    }
    runner->is_calling = true;
    qb_ledger_call(runner->ledger, commands, runner->calling.count, take_results, runner);
    qb_holds_release_bans(holds);
}

/* Whether own entries were left in the ledger's outbox. */
static bool leave(struct qb_runner *runner, struct qb_outgoing *outgoing)
{
    const struct qb_runners_options *options = &runner->all->options;

    if (options->may_leave == NULL || !options->may_leave(options->cluster)) return false;
    for (size_t i = 0; i < outgoing->count; i++) {
        options->leave(runner->ledger, outgoing->items[i].auction, outgoing->items[i].seq);
    }
    outgoing->count = 0;
    outgoing->bytes.length = 0;
    return true;
}

/* Entries of this turn go to the journal together. A journal that takes nothing now is asked
 * again at the end of the next turn; their bidders wait meanwhile, and get `pending`. */
static void journal(struct qb_runner *runner, struct qb_outgoing *outgoing)
{
    size_t at = 0;

    if (outgoing->count == 0) return;
    if (outgoing == &runner->own && leave(runner, outgoing)) return;
    for (size_t i = 0; i < outgoing->count; i++) {
        outgoing->items[i].bytes = (const uint8_t *)&outgoing->bytes.bytes[at];
        at += outgoing->items[i].length;
    }
    QB_ASSERT(at == outgoing->bytes.length);
    if (!qb_journal_append(runner->all->options.journal, outgoing->writer, outgoing->items,
                           outgoing->count)) {
        return;
    }
    outgoing->count = 0;
    outgoing->bytes.length = 0;
}

static void publish(struct qb_runner *runner)
{
    for (size_t i = 0; i < runner->dirty_count; i++) {
        struct qb_home *home = runner->dirty[i];
        home->is_dirty = false;
        qb_home_publish(runner, home);
        if (home->is_recent) continue;
        home->is_recent = true;
        runner->recent[runner->recent_count++] = home;
    }
    runner->dirty_count = 0;
}

/* Asks the loop to wake when the auctioneer wants its next tick. */
static void arm(struct qb_runner *runner)
{
    qb_time_us wake_us = qb_auctioneer_wake_us(runner->auctioneer);
    int64_t at_us = INT64_MAX;

    if (runner->own.count + runner->adopted.count > 0) {
        at_us = qb_clock_mono_us() + 10 * QB_MS_US;
    }
    if (runner->all->options.ledger_wake_us != NULL) {
        int64_t ledger_us = runner->all->options.ledger_wake_us(runner->ledger);
        if (ledger_us < at_us) at_us = ledger_us;
    }
    if (wake_us != INT64_MAX) {
        int64_t tick_us = qb_clock_mono_us() + (wake_us - qb_runner_now_us(runner));
        if (tick_us < at_us) at_us = tick_us;
    }
    if (at_us == runner->armed_us) return;
    runner->armed_us = at_us;
    qb_loop_wake_at(runner->loop, at_us);
}

void qb_runner_turn(struct qb_runner *runner)
{
    qb_runner_outages_look(runner);
    qb_runner_load_again(runner);
    call_ledger(runner);
    journal(runner, &runner->own);
    journal(runner, &runner->adopted);
    if (runner->all->options.ledger_turn != NULL) runner->all->options.ledger_turn(runner->ledger);
    if (runner->limits != NULL) qb_limits_redis_turn(runner->limits);
    publish(runner);
    arm(runner);
}

void qb_runner_timer(struct qb_runner *runner)
{
    struct qb_event tick = {.kind = QB_EVENT_TICK};

    runner->armed_us = 0;
    if (qb_auctioneer_wake_us(runner->auctioneer) > qb_runner_now_us(runner)) return;
    qb_runner_feed(runner, &tick);
}

/* Auctions that were over long enough, or whose OPEN got no place in the log, leave the memory, a
 * few at a time. */
static void evict(struct qb_runner *runner)
{
    int64_t now_us = qb_clock_mono_us();
    size_t cursor = 0;
    struct qb_home *home = NULL;
    struct qb_home *gone[64];
    size_t gone_count = 0;

    while (gone_count < QB_COUNT(gone) &&
           (home = qb_map_next(&runner->homes, &cursor, NULL)) != NULL) {
        bool is_stillborn = qb_auctioneer_lot(runner->auctioneer, home->lot)->seq == 0;
        bool is_long_over =
            home->over_us != 0 && now_us - home->over_us >= runner->all->options.over_keep_us;
        if (!is_stillborn && !is_long_over && !home->is_lost) continue;
        if (qb_auctioneer_is_idle(runner->auctioneer, home->lot)) gone[gone_count++] = home;
    }
    for (size_t i = 0; i < gone_count; i++) {
        if (gone[i]->is_lost)
            qb_runner_let_go(runner, gone[i]);
        else
            qb_home_remove(runner, gone[i]);
    }
}

void qb_runner_second(struct qb_runner *runner)
{
    size_t count = runner->recent_count;

    /* The bus may have lost a message; who has the newest state drops this one by its seq. */
    runner->recent_count = 0;
    for (size_t i = 0; i < count; i++) {
        runner->recent[i]->is_recent = false;
        qb_home_publish(runner, runner->recent[i]);
    }
    qb_runner_tell_crowds(runner);
    evict(runner);
    qb_runner_absent_again(runner);
    qb_runner_hold_again(runner);
    qb_metric_add(QB_METRIC_tickets_in_use, NULL,
                  (int64_t)qb_auctioneer_tickets_in_use(runner->auctioneer) - runner->told_tickets);
    runner->told_tickets = qb_auctioneer_tickets_in_use(runner->auctioneer);
    qb_metric_add(QB_METRIC_held_bids, NULL,
                  (int64_t)qb_auctioneer_held(runner->auctioneer) - runner->told_held);
    runner->told_held = qb_auctioneer_held(runner->auctioneer);
}

void qb_runner_durable(void *context, qb_id auction, uint64_t seq)
{
    struct qb_runner *runner = context;

    if (seq == 0) {
        qb_fatal("journal.failed", "the disk takes no more bids; free space or replace it, then "
                                   "start again: nothing acknowledged is lost");
    }
    if (runner->ledger != NULL) qb_ledger_durable(runner->ledger, auction, seq);
}

void qb_runner_adopted(void *context, qb_id auction, uint64_t seq)
{
    struct qb_runner *runner = context;

    if (seq != 0 && runner->ledger != NULL) qb_ledger_adopted(runner->ledger, auction, seq);
}

void qb_runner_settled(void *context, qb_id auction, uint64_t seq)
{
    struct qb_runner *runner = context;
    struct qb_home *home = qb_home_find(runner, auction);

    if (home == NULL) return; /* evicted: it was over and answered long ago */
    struct qb_event event = {.kind = QB_EVENT_DURABLE, .lot = home->lot, .seq = seq};
    qb_runner_feed(runner, &event);
}
