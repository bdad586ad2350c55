/*
 * Auctions that come into this replica's memory from the ledger, what other replicas append, and
 * recoveries. With the embedded ledger every live auction is in memory from the start, so that
 * every question here ends with "not found".
 */
#include <stdlib.h>
#include <string.h>

#include "app/runner_state.h"
#include "base/assert.h"
#include "base/attributes.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"

#define ADOPTED_MAX     1024 /* orphans that wait for the journal */
#define LOADS_UNDER_WAY 128  /* of auctions that were lost */

/* Who waits for an auction that is being asked for. */
struct waiter {
    qb_runner_loaded *done;
    void *context;
};

struct qb_loading {
    struct waiter *waiters;
    size_t count;
    size_t room;
};

static void add_waiter(struct qb_loading *loading, qb_runner_loaded *done, void *context)
{
    if (loading->count == loading->room) {
        loading->room = loading->room == 0 ? 4 : loading->room * 2;
        loading->waiters = realloc(loading->waiters, loading->room * sizeof *loading->waiters);
        QB_ASSERT(loading->waiters != NULL);
    }
    loading->waiters[loading->count++] = (struct waiter){done, context};
}

static void loading_free(struct qb_loading *loading)
{
    free(loading->waiters);
    free(loading);
}

void qb_runner_feed_heard(struct qb_runner *runner, const struct qb_home *home,
                          const struct qb_entry *entry)
{
    struct qb_event event = {.kind = QB_EVENT_HEARD, .lot = home->lot, .entry = entry};
    qb_runner_feed(runner, &event);
}

/* An end that fell into a recovery, or is too near to it for anybody to have come back: the
 * auction goes on for a while, once, whoever loads it first (reliability.md P5, step 7). */
static void extend_after_recovery(struct qb_runner *runner, struct qb_home *home)
{
    const struct qb_lot *lot = qb_auctioneer_lot(runner->auctioneer, home->lot);
    qb_time_us opened_us = atomic_load(&runner->all->opened_us);

    if (lot->status != QB_STATUS_OPEN) return;
    if (lot->ends_at_us > opened_us + DOWN_EXTENSION_US) return;
    qb_auctioneer_extend(runner->auctioneer, home->lot, DOWN_EXTENSION_US);
}

/* The auction as its log has it moves in. Null: no room. */
static struct qb_home *take_log(struct qb_runner *runner, qb_id auction,
                                const struct qb_ledger_log *log)
{
    struct qb_lot blank = {
        .auction = auction, .price = QB_AMOUNT_NONE, .final_price = QB_AMOUNT_NONE};
    struct qb_home *home = qb_home_add(runner, log->state != NULL ? log->state : &blank);
    /* As the recovery left it, whatever others have appended since. */
    bool is_old = log->state != NULL && log->state->epoch < runner->epoch;

    if (home == NULL) return NULL;
    for (size_t i = 0; i < log->record_count; i++) qb_home_record(home, &log->records[i]);
    struct qb_event durable = {.kind = QB_EVENT_DURABLE, .lot = home->lot, .seq = log->durable_seq};
    qb_runner_feed(runner, &durable);
    for (size_t i = 0; i < log->entry_count; i++) {
        qb_runner_feed_heard(runner, home, &log->entries[i]);
    }
    if (is_old) extend_after_recovery(runner, home);
    qb_runner_hold_leader(runner, home);
    /* Loaded because it was due and is not: others need not look for a while. */
    qb_home_keep_snapshot(runner, home, 1);
    return home;
}

static void tell_waiters(struct qb_runner *runner, qb_id auction, enum qb_ledger_found found)
{
    struct qb_loading *loading = qb_map_remove(&runner->loading, &auction);

    if (loading == NULL) return;
    runner->loading_waiters -= loading->count;
    for (size_t i = 0; i < loading->count; i++) {
        loading->waiters[i].done(loading->waiters[i].context, found);
    }
    loading_free(loading);
}

static void take_followed(void *context, qb_id auction, enum qb_ledger_found found,
                          const struct qb_ledger_log *log)
{
    struct qb_runner *runner = context;

    if (found != QB_LEDGER_FOUND && qb_home_find(runner, auction) == NULL)
        qb_home_subscribe(runner, auction, false);
    if (found == QB_LEDGER_FOUND && qb_home_find(runner, auction) == NULL &&
        take_log(runner, auction, log) == NULL) {
        qb_metric_add(QB_METRIC_limited_total, "auctions_max", 1);
        qb_home_subscribe(runner, auction, false);
        qb_ledger_forget(runner->ledger, auction);
        found = QB_LEDGER_NO_ANSWER;
    }
    /* Its watchers have what was shown before; what became durable meanwhile was told to nobody. */
    if (found == QB_LEDGER_FOUND) qb_home_show(runner, qb_home_find(runner, auction));
    if (found != QB_LEDGER_NO_ANSWER) {
        uintptr_t was_here = (uintptr_t)qb_map_remove(&runner->again, &auction);
        if (was_here > 1 && found == QB_LEDGER_NOT_FOUND)
            qb_runner_absent(runner, auction, was_here - 1);
    }
    tell_waiters(runner, auction, found);
}

void qb_runner_load_again(struct qb_runner *runner)
{
    qb_id ids[LOADS_UNDER_WAY];
    const void *key = NULL;
    size_t cursor = 0;
    size_t count = 0;

    if (runner->again.count == 0 || runner->is_suspended) return;
    while (runner->loading.count + count < LOADS_UNDER_WAY &&
           qb_map_next(&runner->again, &cursor, &key) != NULL) {
        (void)memcpy(&ids[count], key, sizeof ids[count]);
        if (qb_map_get(&runner->loading, &ids[count]) == NULL) count++;
    }
    for (size_t i = 0; i < count; i++) qb_runner_load(runner, ids[i], NULL, NULL);
}

void qb_runner_again(struct qb_runner *runner, qb_id auction, uint64_t shown)
{
    (void)qb_map_set(&runner->again, &auction, (void *)(uintptr_t)(shown + 1));
}

void qb_runner_let_go(struct qb_runner *runner, struct qb_home *home)
{
    qb_id auction = home->auction;
    uint64_t shown = home->shown.seq;
    bool is_over = home->shown.status >= QB_STATUS_SOLD; /* and that was told: nothing follows */

    qb_home_remove(runner, home);
    if (!is_over) qb_runner_again(runner, auction, shown);
}

void qb_runner_load(struct qb_runner *runner, qb_id auction, qb_runner_loaded *done, void *context)
{
    struct qb_loading *loading = qb_map_get(&runner->loading, &auction);
    bool is_new = loading == NULL;

    if (done != NULL &&
        (runner->ledger == NULL || runner->loading_waiters >= runner->waiters_max)) {
        done(context, QB_LEDGER_NO_ANSWER);
        return;
    }
    if (is_new) {
        loading = calloc(1, sizeof *loading);
        QB_ASSERT(loading != NULL);
        (void)qb_map_set(&runner->loading, &auction, loading);
    }
    if (done != NULL) {
        add_waiter(loading, done, context);
        runner->loading_waiters++;
    }
    if (is_new) qb_home_subscribe(runner, auction, true); /* before the log is read: no gap */
    if (is_new) qb_ledger_follow(runner->ledger, auction, take_followed, runner);
}

static void hear(void *context, const struct qb_entry *entry)
{
    struct qb_runner *runner = context;
    const struct qb_home *home = qb_home_find(runner, entry->auction);

    if (home != NULL) qb_runner_feed_heard(runner, home, entry);
}

static bool rescue(void *context, const struct qb_entry *entry)
{
    struct qb_runner *runner = context;

    if (runner->adopted.count >= ADOPTED_MAX) return false;
    qb_metric_add(QB_METRIC_orphans_total, NULL, 1);
    qb_outgoing_add(&runner->adopted, entry);
    return true;
}

/* An end is near that nobody here follows: whoever follows it proposes the close. The ledger of
 * each thread tells of it. */
static void take_due(void *context, qb_id auction)
{
    struct qb_runner *runner = context;

    if (qb_runners_home(runner->all, auction) != runner) return;
    if (qb_home_find(runner, auction) == NULL) qb_runner_load(runner, auction, NULL, NULL);
}

static void lose(struct qb_runner *runner, struct qb_home *home)
{
    struct qb_event halt = {.kind = QB_EVENT_HALT, .lot = home->lot};

    home->is_lost = true;
    qb_runner_feed(runner, &halt);
}

/* Everything that rests on the log of before the recovery goes; what was here comes again, so
 * that its watchers see the state that counts. */
static void begin_again(struct qb_runner *runner)
{
    struct qb_outgoing *outgoing[] = {&runner->own, &runner->adopted};
    size_t count = 0;

    for (size_t i = 0; i < QB_COUNT(outgoing); i++) { /* recovery decided about them already */
        outgoing[i]->count = 0;
        outgoing[i]->bytes.length = 0;
    }
    struct qb_home **homes = qb_homes_list(runner, &count);
    for (size_t i = 0; i < count; i++) {
        lose(runner, homes[i]);
        if (qb_auctioneer_is_idle(runner->auctioneer, homes[i]->lot))
            qb_runner_let_go(runner, homes[i]);
    }
    free(homes);
}

static void take_open(void *context, bool is_open, uint32_t epoch)
{
    struct qb_runner *runner = context;

    qb_log(QB_LOG_WARNING, is_open ? "ledger.open" : "ledger.closed", QB_INT("epoch", epoch));
    qb_runners_suspend(runner, !is_open);
    if (is_open) {
        runner->epoch = epoch;
        begin_again(runner);
    } else if (runner->all->options.fenced != NULL) {
        runner->all->options.fenced(runner->all->options.cluster, epoch);
    }
}

/* The ledger let the auction go, as it fell too far behind: it comes anew. */
static void take_lost(void *context, qb_id auction)
{
    struct qb_runner *runner = context;
    struct qb_home *home = qb_home_find(runner, auction);

    if (home != NULL) lose(runner, home);
}

/* The bus hears a shard again, or a log from here on: what came before is in the stream. */
static void take_gap(void *context, unsigned shard, bool is_deaf)
{
    struct qb_runner *runner = context;

    (void)shard;
    if (!is_deaf && runner->ledger != NULL) qb_ledger_missed(runner->ledger, 0);
}

static void take_begun(void *context, struct qb_topic topic)
{
    struct qb_runner *runner = context;

    if (topic.kind == QB_TOPIC_LOG && runner->ledger != NULL)
        qb_ledger_missed(runner->ledger, topic.id);
}

void qb_runner_listen(struct qb_runner *runner)
{
    const struct qb_ledger_listener listener = {
        .heard = hear,
        .durable = qb_runner_settled,
        .orphan = rescue,
        .due = take_due,
        .lost = take_lost,
        .open = take_open,
        .context = runner,
    };

    const struct qb_bus_listener bus = {
        .gap = take_gap, .begun = take_begun, .watchers = qb_runner_take_crowd, .context = runner};

    qb_map_init(&runner->loading, sizeof(qb_id));
    qb_map_init(&runner->again, sizeof(qb_id));
    qb_map_init(&runner->absent, sizeof(qb_id));
    qb_ledger_listen(runner->ledger, &listener);
    qb_bus_listen(runner->all->options.bus, runner->member, &bus);
}

void qb_runner_follow_free(struct qb_runner *runner)
{
    size_t cursor = 0;
    struct qb_loading *loading = NULL;

    while ((loading = qb_map_next(&runner->loading, &cursor, NULL)) != NULL) loading_free(loading);
    qb_map_fini(&runner->loading);
    qb_map_fini(&runner->again);
    qb_runner_absent_free(runner);
}
