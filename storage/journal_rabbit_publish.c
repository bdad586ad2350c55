/*
 * The publishing thread: takes over what was handed in, keeps a connection, publishes, and counts
 * only what was confirmed in time and not returned (reliability.md P2, P9).
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "storage/journal_rabbit_parts.h"

#define GATHER_US                                                                                  \
    (2 * QB_MS_US) /* how long a message waits for company while others are under way */
#define PROBE_US    QB_SECOND_US
#define END_US      (5 * QB_SECOND_US) /* for what waits when the journal ends */
#define TURN_US     QB_SECOND_US
#define RETURNED_US QB_SECOND_US   /* for so long no message arrived: there is no route */
#define FULL_US     (5 * QB_MS_US) /* the socket takes no more: look again after that */

static void lower(_Atomic uint64_t *counter, uint64_t amount)
{
    (void)atomic_fetch_sub(counter, amount);
}

/* Confirmed or dropped: it waits no longer. */
static void count_out(struct rabbit_journal *journal, const struct qb_journal_outgoing *outgoing)
{
    lower(&journal->breaker.entries, outgoing->head.count);
    lower(&journal->breaker.bytes, outgoing->entry_bytes);
}

static void drop(struct rabbit_journal *journal, struct qb_journal_outgoing *outgoing)
{
    uint16_t count = outgoing->head.count;

    count_out(journal, outgoing);
    qb_journal_outbox_dropped(&journal->publisher.outbox, &outgoing);
    (void)pthread_mutex_lock(&journal->lock);
    journal->dropped += count;
    (void)pthread_mutex_unlock(&journal->lock);
}

/* Takes over what was handed in since the last turn. False: the end has come. */
static bool take_over(struct rabbit_journal *journal)
{
    struct publisher *publisher = &journal->publisher;
    struct qb_journal_pile *pile = &publisher->pile;
    struct qb_journal_outgoing *stale = NULL;
    int64_t now_us = qb_clock_mono_us();

    pile->count = 0;
    pile->length = 0;
    (void)pthread_mutex_lock(&journal->lock);
    const struct qb_journal_pile waiting = journal->waiting;
    journal->waiting = *pile;
    *pile = waiting;
    bool goes_on = !journal->is_ending;
    (void)pthread_mutex_unlock(&journal->lock);
    for (size_t i = 0; i < pile->count; i++) {
        const struct qb_journal_waiting *item = &pile->items[i];
        qb_journal_outbox_add(&publisher->outbox, item, &pile->bytes[item->offset],
                              ++publisher->serial, now_us);
    }
    publisher->epoch = atomic_load(&journal->epoch);
    while ((stale = qb_journal_outbox_stale(&publisher->outbox, publisher->epoch)) != NULL) {
        drop(journal, stale);
    }
    return goes_on;
}

static void mistrust(struct publisher *publisher, unsigned shard)
{
    struct shard_out *out = &publisher->shards[shard];
    int64_t half_us = PROBE_US / 2;

    /* At once a second, but not all replicas at the same moment. */
    out->is_proven = false;
    out->probe_us = qb_clock_mono_us() + half_us +
                    (int64_t)qb_random_below(&publisher->random, (uint64_t)half_us);
}

static struct qb_journal_outgoing *take_outstanding(struct publisher *publisher, size_t at)
{
    struct qb_journal_outgoing *outgoing = publisher->outstanding[at];

    publisher->outstanding_count--;
    for (size_t i = at; i < publisher->outstanding_count; i++) {
        publisher->outstanding[i] = publisher->outstanding[i + 1];
    }
    publisher->shards[outgoing->head.shard].outstanding--;
    return outgoing;
}

/* Back into its lane, or gone if recovery has voided it meanwhile. */
static void put_back(struct rabbit_journal *journal, size_t at)
{
    struct publisher *publisher = &journal->publisher;
    struct qb_journal_outgoing *outgoing = take_outstanding(publisher, at);
    bool is_stale = outgoing->head.epoch < publisher->epoch;

    if (is_stale && outgoing->head.kind == QB_JOURNAL_MESSAGE_ENTRIES)
        drop(journal, outgoing);
    else
        qb_journal_outbox_again(&publisher->outbox, &outgoing);
}

/* Returned, refused or late: it may not have arrived, and what comes next may not either. */
static void fail(struct rabbit_journal *journal, size_t at, const char *why)
{
    unsigned shard = journal->publisher.outstanding[at]->head.shard;

    if (journal->publisher.shards[shard].is_proven)
        qb_log(QB_LOG_WARNING, "journal.not_confirmed", QB_INT("shard", shard),
               QB_TEXT("why", why));
    mistrust(&journal->publisher, shard);
    put_back(journal, at);
}

static void lose_connection(struct rabbit_journal *journal, const char *why)
{
    struct publisher *publisher = &journal->publisher;

    qb_rabbit_cut(publisher->rabbit);
    atomic_store(&journal->breaker.is_connected, false);
    atomic_store(&journal->breaker.is_blocked, false);
    while (publisher->outstanding_count > 0) put_back(journal, 0);
    publisher->failures++;
    publisher->connect_us =
        qb_clock_mono_us() + qb_journal_rabbit_backoff_us(&publisher->random, publisher->failures);
    qb_log(QB_LOG_WARNING, "journal.disconnected", QB_TEXT("error", why),
           QB_INT("failures", publisher->failures));
}

/* Looks whether the shard's queue is there, since it is not ours to create. One that is there again
 * is tried at once. */
static bool find_queue(struct rabbit_journal *journal, unsigned shard, struct qb_error *error)
{
    struct shard_out *out = &journal->publisher.shards[shard];
    struct qb_rabbit_count count;
    char name[NAME_BYTES];

    qb_journal_rabbit_queue_name(journal->prefix, shard, name);
    QB_TRY(qb_rabbit_count(journal->publisher.rabbit, name, &count, error));
    if (count.is_missing && !out->is_missing)
        qb_log(QB_LOG_ERROR, "journal.queue_missing", QB_TEXT("queue", name));
    if (count.is_missing)
        mistrust(&journal->publisher, shard);
    else if (out->is_missing)
        out->is_proven = true;
    out->is_missing = count.is_missing;
    return true;
}

static void connect_if_due(struct rabbit_journal *journal)
{
    struct publisher *publisher = &journal->publisher;
    struct qb_error error = {""};

    if (qb_rabbit_is_connected(publisher->rabbit) || qb_clock_mono_us() < publisher->connect_us)
        return;
    bool is_good = qb_rabbit_connect(publisher->rabbit, &error) &&
                   qb_rabbit_confirms(publisher->rabbit, &error);
    for (unsigned shard = 0; is_good && shard < journal->options.shards; shard++) {
        publisher->shards[shard].is_proven = true;
        is_good = find_queue(journal, shard, &error);
    }
    if (!is_good) {
        lose_connection(journal, error.text);
        return;
    }
    publisher->confirmed_us = qb_clock_mono_us();
    atomic_store(&journal->breaker.is_connected, true);
    qb_log(QB_LOG_INFO, "journal.connected", QB_INT("failures", publisher->failures));
}

/* No queue takes messages of that epoch: because it is gone, or only its route. */
static void count_return(struct shard_out *out, uint32_t epoch)
{
    int64_t now_us = qb_clock_mono_us();

    out->must_look = true;
    if (out->returned_epoch != epoch || out->returned_us == 0) out->returned_us = now_us;
    out->returned_epoch = epoch;
    out->has_no_route = now_us - out->returned_us >= RETURNED_US;
}

static void confirm(struct rabbit_journal *journal, size_t at, int64_t now_us)
{
    struct publisher *publisher = &journal->publisher;
    const struct qb_journal_outgoing *seen = publisher->outstanding[at];
    int64_t took_us = now_us - seen->published_us;

    if (seen->is_returned) count_return(&publisher->shards[seen->head.shard], seen->head.epoch);
    if (seen->is_returned || took_us > QB_JOURNAL_RABBIT_CONFIRM_US) {
        fail(journal, at, seen->is_returned ? "returned" : "late");
        return;
    }
    struct qb_journal_outgoing *outgoing = take_outstanding(publisher, at);
    int64_t count = outgoing->head.count;
    publisher->shards[outgoing->head.shard].is_proven = true;
    publisher->shards[outgoing->head.shard].returned_us = 0;
    publisher->shards[outgoing->head.shard].has_no_route = false;
    publisher->failures = 0;
    if (count > 0) {
        qb_metric_observe(QB_METRIC_journal_confirm_us, took_us);
        qb_metric_observe(QB_METRIC_journal_batch_entries, count);
        qb_metric_add(QB_METRIC_journal_entries_total, NULL, count);
        if (journal->options.is_reader)
            (void)atomic_fetch_add(&journal->reader.shards[outgoing->head.shard].in_queue, count);
    }
    count_out(journal, outgoing);
    qb_journal_outbox_confirmed(&publisher->outbox, &outgoing);
}

/* A confirm or refusal for one tag, or for all up to it. */
static void answer(struct rabbit_journal *journal, const struct qb_rabbit_event *event)
{
    struct publisher *publisher = &journal->publisher;
    int64_t now_us = qb_clock_mono_us();

    publisher->confirmed_us = now_us;
    for (size_t i = publisher->outstanding_count; i > 0; i--) {
        uint64_t tag = publisher->outstanding[i - 1]->tag;
        if (tag != event->tag && !(event->is_multiple && tag < event->tag)) continue;
        if (event->kind == QB_RABBIT_CONFIRMED)
            confirm(journal, i - 1, now_us);
        else
            fail(journal, i - 1, "refused");
    }
}

static void note_return(struct publisher *publisher, uint64_t id)
{
    qb_metric_add(QB_METRIC_journal_returned_total, NULL, 1);
    for (size_t i = 0; i < publisher->outstanding_count; i++) {
        if (publisher->outstanding[i]->id == id) publisher->outstanding[i]->is_returned = true;
    }
}

static void read_answers(struct rabbit_journal *journal)
{
    struct publisher *publisher = &journal->publisher;
    struct qb_rabbit_event event = {.kind = QB_RABBIT_UNBLOCKED};
    struct qb_error error = {""};

    if (!qb_rabbit_is_connected(publisher->rabbit)) return;
    while (event.kind != QB_RABBIT_NOTHING) {
        if (!qb_rabbit_next(publisher->rabbit, &event, &error)) {
            lose_connection(journal, error.text);
            return;
        }
        switch (event.kind) {
        case QB_RABBIT_CONFIRMED:
        case QB_RABBIT_NACKED:
            answer(journal, &event);
            break;
        case QB_RABBIT_RETURNED:
            note_return(publisher, event.id);
            break;
        case QB_RABBIT_BLOCKED:
        case QB_RABBIT_UNBLOCKED:
            atomic_store(&journal->breaker.is_blocked, event.kind == QB_RABBIT_BLOCKED);
            qb_log(QB_LOG_WARNING, "journal.blocked",
                   QB_INT("is_blocked", event.kind == QB_RABBIT_BLOCKED));
            break;
        case QB_RABBIT_DELIVERED:
        case QB_RABBIT_NOTHING:
            break;
        }
    }
}

/* What is not confirmed in time counts as lost. If nothing at all was answered since it was
 * published, the connection is; but not while the broker has said that it takes nothing. */
static void give_up_late_ones(struct rabbit_journal *journal)
{
    struct publisher *publisher = &journal->publisher;
    int64_t now_us = qb_clock_mono_us();
    bool is_blocked = atomic_load(&journal->breaker.is_blocked);

    for (size_t i = publisher->outstanding_count; i > 0; i--) {
        int64_t published_us = publisher->outstanding[i - 1]->published_us;
        if (now_us - published_us <= QB_JOURNAL_RABBIT_CONFIRM_US) continue;
        if (publisher->confirmed_us <= published_us && !is_blocked) {
            mistrust(publisher, publisher->outstanding[i - 1]->head.shard);
            lose_connection(journal, "no confirm in time");
            return;
        }
        fail(journal, i - 1, "late");
    }
}

static bool publish_one(struct rabbit_journal *journal, struct qb_journal_outgoing *outgoing)
{
    struct publisher *publisher = &journal->publisher;
    struct shard_out *out = &publisher->shards[outgoing->head.shard];
    struct qb_error error = {""};
    char exchange[NAME_BYTES];
    char key[NAME_BYTES];

    qb_journal_rabbit_exchange_name(journal->prefix, exchange);
    qb_journal_rabbit_route_name(outgoing->head.epoch, outgoing->head.shard, key);
    if (outgoing->was_published) qb_metric_add(QB_METRIC_journal_republished_total, NULL, 1);
    outgoing->is_returned = false;
    outgoing->was_published = true;
    outgoing->published_us = qb_clock_mono_us();
    publisher->outstanding[publisher->outstanding_count++] = outgoing;
    out->outstanding++;
    if (!out->is_proven) mistrust(publisher, outgoing->head.shard); /* the next try */
    const struct qb_rabbit_message message = {exchange, key, outgoing->id, outgoing->bytes,
                                              outgoing->length};
    bool is_good = qb_rabbit_publish(publisher->rabbit, &message, &outgoing->tag, &error);
    if (!is_good) lose_connection(journal, error.text);
    return is_good;
}

/* The shard's next message that may go now: while it is not proven one a second, a probe if nothing
 * waits; else gathered for GATHER_US, unless nothing is under way. */
static struct qb_journal_outgoing *next_of(struct rabbit_journal *journal, unsigned shard)
{
    struct publisher *publisher = &journal->publisher;
    const struct shard_out *out = &publisher->shards[shard];
    const struct qb_journal_outgoing *open = publisher->outbox.lanes[shard].open;
    int64_t now_us = qb_clock_mono_us();

    if (out->is_proven) {
        bool may_cut = publisher->outstanding_count == 0 ||
                       (open != NULL && now_us - open->since_us >= GATHER_US);
        return qb_journal_outbox_next(&publisher->outbox, shard, may_cut);
    }
    if (out->outstanding > 0 || now_us < out->probe_us) return NULL;
    struct qb_journal_outgoing *next = qb_journal_outbox_next(&publisher->outbox, shard, true);
    return next != NULL ? next
                        : qb_journal_outbox_probe(&publisher->outbox, shard, publisher->epoch);
}

static void look_for_queues(struct rabbit_journal *journal)
{
    struct publisher *publisher = &journal->publisher;
    struct qb_error error = {""};

    for (unsigned shard = 0; shard < journal->options.shards; shard++) {
        struct shard_out *out = &publisher->shards[shard];
        bool is_due = out->is_missing && qb_clock_mono_us() >= out->probe_us;
        if (!is_due && !out->must_look) continue;
        out->must_look = false;
        if (find_queue(journal, shard, &error)) continue;
        lose_connection(journal, error.text);
        return;
    }
}

static void publish_all(struct rabbit_journal *journal)
{
    struct publisher *publisher = &journal->publisher;
    bool has_more = true;

    if (qb_rabbit_is_connected(publisher->rabbit)) look_for_queues(journal);
    while (has_more && !atomic_load(&journal->breaker.is_blocked)) {
        has_more = false;
        for (unsigned shard = 0; shard < journal->options.shards; shard++) {
            bool may_publish = publisher->outstanding_count < OUTSTANDING_MAX &&
                               !publisher->shards[shard].is_missing &&
                               qb_rabbit_can_publish(publisher->rabbit);
            struct qb_journal_outgoing *next = may_publish ? next_of(journal, shard) : NULL;
            if (next == NULL) continue;
            if (!publish_one(journal, next)) return;
            has_more = true;
        }
    }
}

/* The earlier of the oldest so far and this one. */
static const struct qb_journal_outgoing *older(const struct qb_journal_outgoing *oldest,
                                               const struct qb_journal_outgoing *other)
{
    if (other == NULL || other->head.count == 0) return oldest;
    return oldest == NULL || other->serial < oldest->serial ? other : oldest;
}

static const struct qb_journal_outgoing *oldest_of(const struct publisher *publisher)
{
    const struct qb_journal_outgoing *oldest = NULL;

    for (unsigned shard = 0; shard < publisher->outbox.shards; shard++) {
        oldest = older(oldest, qb_journal_lane_oldest(&publisher->outbox.lanes[shard]));
    }
    for (size_t i = 0; i < publisher->outstanding_count; i++) {
        oldest = older(oldest, publisher->outstanding[i]);
    }
    return oldest;
}

/* Tells what has changed to whoever asks: writers, flush, breaker, metrics. */
static void tell_all(struct rabbit_journal *journal)
{
    struct publisher *publisher = &journal->publisher;
    const struct qb_journal_outgoing *oldest = oldest_of(publisher);
    uint64_t settled_upto = oldest != NULL ? oldest->serial - 1 : publisher->serial;
    unsigned unproven = 0;
    bool lacks_queue = false;
    uint32_t lacks_route = 0;

    for (unsigned shard = 0; shard < journal->options.shards; shard++) {
        if (!publisher->shards[shard].is_proven) unproven++;
        if (publisher->shards[shard].is_missing) lacks_queue = true;
        if (publisher->shards[shard].has_no_route)
            lacks_route = publisher->shards[shard].returned_epoch;
    }
    atomic_store(&journal->breaker.unproven, unproven);
    atomic_store(&journal->breaker.lacks_queue, lacks_queue);
    atomic_store(&journal->breaker.lacks_route, lacks_route);
    atomic_store(&journal->breaker.oldest_us, oldest != NULL ? oldest->since_us : 0);
    qb_metric_set(QB_METRIC_journal_unconfirmed, NULL,
                  (int64_t)atomic_load(&journal->breaker.entries));
    qb_metric_set(QB_METRIC_journal_breaker_open, NULL,
                  qb_journal_rabbit_is_open(&journal->journal, NULL));
    qb_journal_outbox_tell(&publisher->outbox, atomic_load(&journal->epoch));
    (void)pthread_mutex_lock(&journal->lock);
    if (journal->settled_upto != settled_upto) {
        journal->settled_upto = settled_upto;
        (void)pthread_cond_broadcast(&journal->changed);
    }
    (void)pthread_mutex_unlock(&journal->lock);
}

static int64_t sooner(int64_t left_us, int64_t right_us)
{
    return left_us < right_us ? left_us : right_us;
}

/* Until when there is nothing to do unless something comes in. */
static int64_t next_turn_us(const struct rabbit_journal *journal)
{
    const struct publisher *publisher = &journal->publisher;
    int64_t now_us = qb_clock_mono_us();
    int64_t until_us = now_us + TURN_US;
    bool has_room = publisher->outstanding_count < OUTSTANDING_MAX;

    if (!qb_rabbit_is_connected(publisher->rabbit)) return sooner(until_us, publisher->connect_us);
    for (size_t i = 0; i < publisher->outstanding_count; i++) {
        until_us = sooner(until_us, publisher->outstanding[i]->published_us +
                                        QB_JOURNAL_RABBIT_CONFIRM_US + 1);
    }
    if (atomic_load(&journal->breaker.is_blocked)) return until_us;
    for (unsigned shard = 0; shard < journal->options.shards; shard++) {
        const struct shard_out *out = &publisher->shards[shard];
        const struct qb_journal_lane *lane = &publisher->outbox.lanes[shard];
        if (!out->is_proven && out->outstanding == 0) until_us = sooner(until_us, out->probe_us);
        if (!out->is_proven || !has_room) continue;
        if (lane->first != NULL) until_us = sooner(until_us, now_us + FULL_US);
        if (lane->open != NULL) until_us = sooner(until_us, lane->open->since_us + GATHER_US);
    }
    return until_us;
}

void *qb_journal_rabbit_publish(void *argument)
{
    struct rabbit_journal *journal = argument;
    struct publisher *publisher = &journal->publisher;
    int64_t end_us = INT64_MAX;

    while (qb_clock_mono_us() < end_us) {
        bool goes_on = take_over(journal);
        if (!goes_on && end_us == INT64_MAX) end_us = qb_clock_mono_us() + END_US;
        connect_if_due(journal);
        read_answers(journal);
        give_up_late_ones(journal);
        publish_all(journal);
        tell_all(journal);
        if (!goes_on && atomic_load(&journal->breaker.entries) == 0) break;
        int64_t until_us = sooner(next_turn_us(journal), end_us);
        int64_t wait_us = until_us - qb_clock_mono_us();
        qb_rabbit_wait(&publisher->rabbit, 1, journal->wake, wait_us > 0 ? wait_us : 0);
    }
    uint64_t left = atomic_load(&journal->breaker.entries);
    if (left > 0) qb_log(QB_LOG_ERROR, "journal.not_drained", QB_INT("entries", left));
    while (publisher->outstanding_count > 0) put_back(journal, 0);
    return NULL;
}
