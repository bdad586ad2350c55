#include "app/runner.h"

#include <stdlib.h>
#include <string.h>

#include "app/runner_state.h"
#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"

struct qb_runners *qb_runners_new(const struct qb_runners_options *options)
{
    struct qb_runners *all = calloc(1, sizeof *all);

    QB_ASSERT(all != NULL);
    all->options = *options;
    qb_metric_set(QB_METRIC_ledger_open, NULL, !options->is_suspended);
    all->runners = calloc(options->threads, sizeof *all->runners);
    QB_ASSERT(all->runners != NULL);
    return all;
}

static struct qb_bid_record *all_records(void *context, uint32_t lot, size_t *count)
{
    struct qb_runner *runner = context;

    *count = runner->lots[lot]->record_count;
    return runner->lots[lot]->records;
}

static void add_record(void *context, uint32_t lot, const struct qb_bid_record *record)
{
    struct qb_runner *runner = context;
    qb_home_record(runner->lots[lot], record);
}

/* A notice that came from another process has no WebSocket header yet. */
static void notify(struct qb_runner *runner, qb_id user, const struct qb_frame *frame)
{
    struct qb_frame *sealed = qb_edge_seal((const char *)frame->bytes, frame->length);

    sealed->is_protected = frame->is_protected;
    qb_edge_notify(runner->edge, user, sealed);
    qb_frame_free(&sealed);
}

static void heard(void *context, struct qb_topic topic, uint64_t seq, struct qb_frame *frame)
{
    struct qb_runner *runner = context;

    if (runner->edge == NULL || runner->ledger == NULL) return; /* the end */
    if (topic.kind == QB_TOPIC_USER)
        notify(runner, topic.id, frame);
    else if (topic.kind == QB_TOPIC_LOG)
        qb_ledger_fed(runner->ledger, topic.id, frame->bytes, frame->length);
    else if (seq == 0)
        qb_edge_publish_crowd(runner->edge, topic.id, frame);
    else
        qb_edge_publish(runner->edge, topic.id, seq, frame, frame->is_protected);
}

struct qb_runner *qb_runner_new(struct qb_runners *all, struct qb_loop *loop,
                                struct qb_ledger *ledger)
{
    const struct qb_runners_options *options = &all->options;
    struct qb_runner *runner = calloc(1, sizeof *runner);
    uint32_t lots_max = (options->auctions_max + options->threads - 1) / options->threads;

    QB_ASSERT(runner != NULL);
    QB_ASSERT(all->count < options->threads);
    runner->all = all;
    const struct qb_auctioneer_options auctioneer = {
        .lots_max = lots_max,
        .tickets_max = options->commands_max / options->threads,
        .heard_max = options->heard_max / options->threads,
        .held_max = options->held_max,
        .unconfirmed_max = options->unconfirmed_max,
        .entries_max = options->entries_max,
        .expires_us = options->expires_us,
        .pending_us = options->pending_us,
        .records = {all_records, add_record, runner},
        .outages = qb_runner_outages(runner),
    };
    size_t bytes = (qb_auctioneer_bytes(&auctioneer) + 63) / 64 * 64;
    runner->memory = aligned_alloc(64, bytes);
    runner->lots = calloc(lots_max, sizeof *runner->lots);
    runner->dirty = calloc(lots_max, sizeof *runner->dirty);
    runner->recent = calloc(lots_max, sizeof *runner->recent);
    runner->crowded = calloc(lots_max, sizeof *runner->crowded);
    QB_ASSERT(runner->memory != NULL && runner->lots != NULL);
    QB_ASSERT(runner->dirty != NULL && runner->recent != NULL && runner->crowded != NULL);
    runner->loop = loop;
    runner->ledger = ledger;
    runner->auctioneer = qb_auctioneer_init(runner->memory, &auctioneer);
    runner->own.bytes.bytes_max = SIZE_MAX / 4;
    runner->adopted.bytes.bytes_max = SIZE_MAX / 4;
    qb_map_init(&runner->homes, sizeof(qb_id));
    qb_map_init(&runner->halted, sizeof(qb_id));
    qb_map_init(&runner->watching, sizeof(qb_id));
    runner->own.writer =
        qb_journal_writer(options->journal, qb_loop_mailbox(loop), qb_runner_durable, runner);
    if (options->heard_max > 0) {
        runner->adopted.writer =
            qb_journal_writer(options->journal, qb_loop_mailbox(loop), qb_runner_adopted, runner);
    }
    runner->member = qb_bus_join(options->bus, qb_loop_mailbox(loop), heard, runner);
    runner->waiters_max = options->commands_max / options->threads;
    qb_runner_listen(runner);
    if (options->is_suspended) qb_runners_suspend(runner, true);
    runner->index = all->count;
    all->runners[all->count++] = runner;
    return runner;
}

void qb_runner_set_limits(struct qb_runner *runner, struct qb_limits_redis *limits)
{
    runner->limits = limits;
}

void qb_runner_set_edge(struct qb_runner *runner, struct qb_edge *edge)
{
    runner->edge = edge;
}

static void runner_free(struct qb_runner *runner)
{
    size_t cursor = 0;
    struct qb_home *home = NULL;

    while ((home = qb_map_next(&runner->homes, &cursor, NULL)) != NULL) qb_home_free(home);
    qb_map_fini(&runner->homes);
    qb_map_fini(&runner->halted);
    qb_map_fini(&runner->watching);
    qb_runner_follow_free(runner);
    qb_ledger_free(&runner->ledger);
    qb_text_fini(&runner->own.bytes);
    qb_text_fini(&runner->adopted.bytes);
    free(runner->own.items);
    free(runner->adopted.items);
    free(runner->waiting.calls);
    free(runner->calling.calls);
    free(runner->dirty);
    free(runner->recent);
    free(runner->crowded);
    free(runner->found);
    free(runner->aways);
    free(runner->lots);
    free(runner->memory);
    free(runner);
}

void qb_runners_free(struct qb_runners **runners)
{
    struct qb_runners *old = *runners;

    *runners = NULL;
    if (old == NULL) return;
    for (unsigned i = 0; i < old->count; i++) runner_free(old->runners[i]);
    free(old->runners);
    free(old);
}

/* Of a halted auction everything is answered: what waits here at once, what was never sent now, and
 * what is under way when its ledger goes. */
static void runner_end(struct qb_runner *runner)
{
    size_t count = 0;
    struct qb_home **homes = qb_homes_list(runner, &count);

    for (size_t i = 0; i < count; i++) {
        struct qb_event halt = {.kind = QB_EVENT_HALT, .lot = homes[i]->lot};
        qb_runner_feed(runner, &halt);
    }
    free(homes);
    for (size_t i = 0; i < runner->waiting.count; i++) {
        struct qb_event event = {.kind = QB_EVENT_APPENDED,
                                 .ticket = runner->waiting.calls[i].ticket,
                                 .outcome = QB_APPEND_FENCED};
        qb_runner_feed(runner, &event);
    }
    runner->waiting.count = 0;
    qb_ledger_free(&runner->ledger);
}

void qb_runners_end(struct qb_runners *all)
{
    for (unsigned i = 0; i < all->count; i++) runner_end(all->runners[i]);
}

struct qb_ledger *qb_runner_ledger(struct qb_runner *runner)
{
    return runner->ledger;
}

struct qb_runner *qb_runners_home(struct qb_runners *all, qb_id auction)
{
    /* The low bits of an id are random: the same spread in every run, which logs and tests need. */
    return all->runners[auction % all->count];
}

bool qb_runner_restore(struct qb_runner *runner, const struct qb_lot *lot,
                       const struct qb_bid_record *records, size_t record_count)
{
    struct qb_home *home = qb_home_add(runner, lot);

    if (home == NULL) return false;
    for (size_t i = 0; i < record_count; i++) qb_home_record(home, &records[i]);
    if (lot->leader != 0) {
        const struct qb_hold hold = {.user = lot->leader,
                                     .auction = lot->auction,
                                     .currency = lot->rules.currency,
                                     .seq = lot->seq,
                                     .amount = lot->m1};
        qb_holds_set(runner->all->options.holds, &hold);
    }
    return true;
}

void qb_runner_restore_entry(struct qb_runner *runner, const struct qb_entry *entry,
                             const struct qb_verdict *verdict)
{
    struct qb_home *home = qb_home_find(runner, entry->auction);
    const struct qb_ring_item item = {
        .seq = entry->seq,
        .epoch = entry->epoch,
        .type = entry->type,
        .bidder = entry->bidder,
        .verdict = *verdict,
    };

    QB_ASSERT(home != NULL);
    qb_home_remember(runner, home, &item);
}

void qb_runner_restored(struct qb_runner *runner)
{
    struct qb_event tick = {.kind = QB_EVENT_TICK};
    qb_time_us now_us = qb_runner_now_us(runner);
    int64_t count = 0;
    size_t cursor = 0;
    struct qb_home *home = NULL;

    while ((home = qb_map_next(&runner->homes, &cursor, NULL)) != NULL) {
        const struct qb_lot *lot = qb_auctioneer_lot(runner->auctioneer, home->lot);
        if (lot->status != QB_STATUS_OPEN || lot->ends_at_us > now_us) continue;
        if (qb_runner_is_halted(runner, home->auction)) continue;
        qb_auctioneer_extend(runner->auctioneer, home->lot, DOWN_EXTENSION_US);
        count++;
    }
    if (count == 0) return;
    qb_log(QB_LOG_INFO, "auctions.extended", QB_TEXT("why", "they ended while the server was down"),
           QB_INT("auctions", count), QB_INT("by_us", DOWN_EXTENSION_US));
    qb_runner_feed(runner, &tick);
}

void qb_runners_opened(struct qb_runners *all, qb_time_us opened_us)
{
    atomic_store(&all->opened_us, opened_us);
}

void qb_runners_refuse(struct qb_runners *all)
{
    atomic_store(&all->is_refusing, true);
}

uint64_t qb_runners_open_requests(struct qb_runners *all)
{
    uint64_t open = 0;

    for (unsigned i = 0; i < all->count; i++) open += atomic_load(&all->runners[i]->open_requests);
    return open;
}

void qb_runner_presence(struct qb_runner *runner, qb_id user, bool is_here)
{
    const struct qb_topic topic = {.kind = QB_TOPIC_USER, .id = user};

    if (is_here)
        qb_bus_subscribe(runner->all->options.bus, runner->member, topic);
    else
        qb_bus_unsubscribe(runner->all->options.bus, runner->member, topic);
}
