#include "storage/journal_rabbit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/condition.h"
#include "storage/journal_rabbit_parts.h"

#define ENTRIES_MAX      100
#define PREFETCH         200
#define HEARTBEAT_S      10
#define OLD_US           QB_SECOND_US /* an unconfirmed entry older than that opens the breaker */
#define BACKOFF_FIRST_US (100 * QB_MS_US)
#define BACKOFF_MAX_US   (2 * QB_SECOND_US)

void qb_journal_rabbit_exchange_name(const char *prefix, char name[NAME_BYTES])
{
    (void)snprintf(name, NAME_BYTES, "%s.entries", prefix);
}

void qb_journal_rabbit_queue_name(const char *prefix, unsigned shard, char name[NAME_BYTES])
{
    (void)snprintf(name, NAME_BYTES, "%s.entries.%u", prefix, shard);
}

void qb_journal_rabbit_route_name(uint32_t epoch, unsigned shard, char name[NAME_BYTES])
{
    (void)snprintf(name, NAME_BYTES, "e.%u.%u", epoch, shard);
}

int64_t qb_journal_rabbit_backoff_us(struct qb_random *random, unsigned failures)
{
    int64_t longest_us = BACKOFF_FIRST_US;

    for (unsigned i = 1; i < failures && longest_us < BACKOFF_MAX_US; i++) longest_us *= 2;
    if (longest_us > BACKOFF_MAX_US) longest_us = BACKOFF_MAX_US;
    return longest_us / 2 + (int64_t)qb_random_below(random, (uint64_t)longest_us / 2);
}

static void wake(struct rabbit_journal *journal)
{
    const uint64_t one = 1;

    (void)!write(journal->wake, &one, sizeof one);
}

static struct qb_journal_writer *writer(struct qb_journal *port, struct qb_mailbox *mailbox,
                                        qb_journal_durable *durable, void *context)
{
    struct rabbit_journal *journal = (struct rabbit_journal *)port;

    QB_ASSERT(!journal->options.has_no_writer);
    (void)pthread_mutex_lock(&journal->lock);
    QB_ASSERT(journal->writer_count < QB_JOURNAL_WRITERS_MAX);
    struct qb_journal_writer *made = &journal->writers[journal->writer_count++];
    *made = (struct qb_journal_writer){port, mailbox, durable, context};
    (void)pthread_mutex_unlock(&journal->lock);
    return made;
}

static bool are_current(const struct rabbit_journal *journal, const struct qb_journal_item *items,
                        size_t count)
{
    uint32_t epoch = atomic_load(&journal->epoch);

    for (size_t i = 0; i < count; i++) {
        if (items[i].epoch < epoch) return false;
    }
    return true;
}

static bool append(struct qb_journal_writer *writer, const struct qb_journal_item *items,
                   size_t count)
{
    struct rabbit_journal *journal = (struct rabbit_journal *)writer->journal;
    size_t bytes = qb_journal_items_bytes(items, count);

    (void)pthread_mutex_lock(&journal->lock);
    uint64_t waiting_bytes = atomic_load(&journal->breaker.bytes);
    bool has_room =
        waiting_bytes == 0 || waiting_bytes + bytes <= journal->options.waiting_bytes_max;
    bool is_taken = has_room && !journal->is_ending && are_current(journal, items, count);
    bool was_empty = journal->waiting.count == 0;
    if (is_taken) {
        qb_journal_pile_add(&journal->waiting, writer, items, count);
        journal->appended += count;
        (void)atomic_fetch_add(&journal->breaker.entries, count);
        (void)atomic_fetch_add(&journal->breaker.bytes, bytes);
    }
    (void)pthread_mutex_unlock(&journal->lock);
    if (is_taken && was_empty) wake(journal);
    return is_taken;
}

static bool flush(struct qb_journal *port, int64_t timeout_us)
{
    struct rabbit_journal *journal = (struct rabbit_journal *)port;
    const struct timespec until = qb_condition_after(timeout_us);
    int waited = 0;

    (void)pthread_mutex_lock(&journal->lock);
    uint64_t wanted = journal->appended;
    uint64_t dropped = journal->dropped;
    while (journal->settled_upto < wanted && waited == 0) {
        waited = pthread_cond_timedwait(&journal->changed, &journal->lock, &until);
    }
    bool is_done = journal->settled_upto >= wanted && journal->dropped == dropped;
    (void)pthread_mutex_unlock(&journal->lock);
    return is_done;
}

bool qb_journal_rabbit_is_open(struct qb_journal *port, uint32_t *retry_after_ms)
{
    struct breaker *breaker = &((struct rabbit_journal *)port)->breaker;
    int64_t oldest_us = atomic_load(&breaker->oldest_us);
    bool is_old = oldest_us > 0 && qb_clock_mono_us() - oldest_us > OLD_US;
    bool is_much = atomic_load(&breaker->entries) > QB_JOURNAL_RABBIT_ENTRIES_MAX ||
                   atomic_load(&breaker->bytes) > QB_JOURNAL_RABBIT_BYTES_MAX;
    bool is_open = is_old || is_much || !atomic_load(&breaker->is_connected) ||
                   atomic_load(&breaker->is_blocked) || atomic_load(&breaker->unproven) > 0;

    if (is_open && retry_after_ms != NULL) {
        /* Spread by a multiplicative hash; nothing hangs on its quality. */
        uint64_t turn = atomic_fetch_add(&breaker->asked, 1) * UINT64_C(0x9E3779B97F4A7C15);
        *retry_after_ms = 1000 + (uint32_t)((turn >> 32) % 2001);
    }
    return is_open;
}

bool qb_journal_rabbit_lacks_queue(struct qb_journal *port)
{
    return atomic_load(&((struct rabbit_journal *)port)->breaker.lacks_queue);
}

bool qb_journal_rabbit_lacks_route(struct qb_journal *port, uint32_t epoch)
{
    return epoch > 0 && atomic_load(&((struct rabbit_journal *)port)->breaker.lacks_route) == epoch;
}

void qb_journal_rabbit_set_epoch(struct qb_journal *port, uint32_t epoch)
{
    struct rabbit_journal *journal = (struct rabbit_journal *)port;

    atomic_store(&journal->epoch, epoch);
    wake(journal);
}

static void dismantle(struct rabbit_journal *journal)
{
    qb_journal_outbox_fini(&journal->publisher.outbox);
    qb_rabbit_free(&journal->publisher.rabbit);
    qb_journal_rabbit_reader_fini(journal);
    qb_journal_pile_fini(&journal->publisher.pile);
    qb_journal_pile_fini(&journal->waiting);
    (void)pthread_cond_destroy(&journal->changed);
    (void)pthread_mutex_destroy(&journal->lock);
    if (journal->wake >= 0) (void)close(journal->wake);
    if (journal->urls != NULL) explicit_bzero(journal->urls, strlen(journal->urls));
    free(journal->publisher.shards);
    free(journal->urls);
    free(journal->ca_file);
    free(journal);
}

static void journal_free(struct qb_journal *port)
{
    struct rabbit_journal *journal = (struct rabbit_journal *)port;

    (void)pthread_mutex_lock(&journal->lock);
    journal->is_ending = true;
    (void)pthread_mutex_unlock(&journal->lock);
    wake(journal);
    if (!journal->options.has_no_writer) (void)pthread_join(journal->thread, NULL);
    dismantle(journal);
}

static void copy_options(struct rabbit_journal *journal,
                         const struct qb_journal_rabbit_options *options)
{
    journal->options = *options;
    journal->urls = strdup(options->urls);
    journal->ca_file = options->ca_file != NULL ? strdup(options->ca_file) : NULL;
    QB_ASSERT(journal->urls != NULL);
    journal->options.urls = journal->urls;
    journal->options.ca_file = journal->ca_file;
    QB_ASSERT(strlen(options->prefix) < sizeof journal->prefix);
    (void)snprintf(journal->prefix, sizeof journal->prefix, "%s", options->prefix);
    if (options->entries_max == 0) journal->options.entries_max = ENTRIES_MAX;
    if (options->prefetch == 0) journal->options.prefetch = PREFETCH;
    atomic_store(&journal->epoch, options->epoch);
}

struct qb_journal *qb_journal_rabbit_new(const struct qb_journal_rabbit_options *options,
                                         struct qb_error *error)
{
    static const struct qb_journal_ops ops = {writer,
                                              append,
                                              flush,
                                              qb_journal_rabbit_take,
                                              qb_journal_rabbit_settle,
                                              qb_journal_rabbit_backlog,
                                              journal_free};
    struct rabbit_journal *journal = calloc(1, sizeof *journal);
    uint64_t seed = 0;

    QB_ASSERT(journal != NULL);
    QB_ASSERT(options->shards > 0 && options->shards <= QB_JOURNAL_RABBIT_SHARDS_MAX);
    journal->journal.ops = &ops;
    copy_options(journal, options);
    (void)pthread_mutex_init(&journal->lock, NULL);
    qb_condition_init(&journal->changed);
    journal->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    QB_ASSERT(journal->wake >= 0);
    struct publisher *publisher = &journal->publisher;
    qb_random_secret(&seed, sizeof seed);
    qb_random_seed(&publisher->random, seed);
    atomic_store(&journal->breaker.asked, seed);
    qb_journal_outbox_init(&publisher->outbox, options->shards, journal->options.entries_max);
    publisher->shards = calloc(options->shards, sizeof *publisher->shards);
    QB_ASSERT(publisher->shards != NULL);
    qb_journal_rabbit_reader_init(journal);
    const struct qb_rabbit_options connection = {.urls = journal->urls,
                                                 .ca_file = journal->ca_file,
                                                 .name = "quickbid publisher",
                                                 .heartbeat_s = HEARTBEAT_S};
    publisher->rabbit = qb_rabbit_new(&connection, error);
    if (publisher->rabbit == NULL) {
        dismantle(journal);
        return NULL;
    }
    if (!options->has_no_writer) {
        int failed = pthread_create(&journal->thread, NULL, qb_journal_rabbit_publish, journal);
        QB_ASSERT(failed == 0);
    }
    return &journal->journal;
}
