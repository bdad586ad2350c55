#include "storage/journal_sqlite.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/condition.h"
#include "base/log.h"
#include "base/metrics.h"
#include "storage/journal_waiting.h"

struct sqlite_journal {
    struct qb_journal journal;
    struct qb_journal_sqlite_options options;
    struct qb_sql_link *link;   /* the writing thread's */
    struct qb_sql_link *reader; /* the archiver's, shared or own */
    bool is_reader_own;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed; /* something waits, was committed, or the end has come */
    struct qb_journal_pile waiting;
    struct qb_journal_pile committing;
    uint64_t appended;  /* items ever handed in */
    uint64_t committed; /* items ever made durable */
    bool is_ending;
    bool has_failed;
    /* Positions are dense: those above `settled` up to `newest` are the backlog. */
    _Atomic uint64_t newest;  /* committed */
    _Atomic uint64_t settled; /* as last seen outside the archiver's transaction */
    bool must_recount;        /* of the reading thread: settled since, perhaps rolled back */
    struct qb_journal_writer writers[QB_JOURNAL_WRITERS_MAX];
    size_t writer_count;
};

static bool insert_all(struct sqlite_journal *journal, const struct qb_journal_pile *pile,
                       struct qb_error *error)
{
    struct qb_error ignored;

    QB_TRY(qb_sql_begin(journal->link, error));
    bool is_good = true;
    for (size_t i = 0; is_good && i < pile->count; i++) {
        const struct qb_journal_waiting *item = &pile->items[i];
        struct qb_statement *insert = qb_sql(
            journal->link, "INSERT INTO journal (auction, seq, epoch, bytes) VALUES (?, ?, ?, ?)");
        qb_bind_int(insert, 1, (int64_t)item->auction);
        qb_bind_int(insert, 2, (int64_t)item->seq);
        qb_bind_int(insert, 3, item->epoch);
        qb_bind_blob(insert, 4, &pile->bytes[item->offset], item->length);
        is_good = qb_step(insert, error) == QB_STEP_DONE;
    }
    return qb_sql_finish(journal->link, is_good, is_good ? error : &ignored) && is_good;
}

static int by_writer_and_auction(const void *left, const void *right)
{
    const struct qb_journal_waiting *a = left;
    const struct qb_journal_waiting *b = right;

    if (a->writer != b->writer) return a->writer < b->writer ? -1 : 1;
    if (a->auction != b->auction) return a->auction < b->auction ? -1 : 1;
    if (a->seq != b->seq) return a->seq < b->seq ? -1 : 1;
    return 0;
}

/* One answer for each auction: its newest durable seq. */
static void tell_durable(struct qb_journal_pile *pile)
{
    qsort(pile->items, pile->count, sizeof pile->items[0], by_writer_and_auction);
    for (size_t i = 0; i < pile->count; i++) {
        const struct qb_journal_waiting *item = &pile->items[i];
        bool is_last = i + 1 == pile->count || item[1].writer != item->writer ||
                       item[1].auction != item->auction;
        if (is_last) qb_journal_tell(item->writer, item->auction, item->seq);
    }
}

static void tell_failed(struct sqlite_journal *journal, const struct qb_error *error)
{
    qb_log(QB_LOG_ERROR, "journal.commit_failed", QB_TEXT("error", error->text));
    for (size_t i = 0; i < journal->writer_count; i++) qb_journal_tell(&journal->writers[i], 0, 0);
}

/* Takes what waits; false when the end has come and nothing does. */
static bool take_pile(struct sqlite_journal *journal)
{
    (void)pthread_mutex_lock(&journal->lock);
    while (journal->waiting.count == 0 && !journal->is_ending) {
        (void)pthread_cond_wait(&journal->changed, &journal->lock);
    }
    struct qb_journal_pile pile = journal->waiting;
    journal->waiting = journal->committing;
    journal->committing = pile;
    bool has_work = pile.count > 0 && !journal->has_failed;
    (void)pthread_mutex_unlock(&journal->lock);
    return has_work;
}

static void settle_pile(struct sqlite_journal *journal, bool is_good)
{
    struct qb_journal_pile *pile = &journal->committing;

    (void)pthread_mutex_lock(&journal->lock);
    if (is_good)
        journal->committed += pile->count;
    else
        journal->has_failed = true;
    (void)pthread_cond_broadcast(&journal->changed);
    (void)pthread_mutex_unlock(&journal->lock);
    pile->count = 0;
    pile->length = 0;
}

static void *commit_piles(void *argument)
{
    struct sqlite_journal *journal = argument;

    while (take_pile(journal)) {
        struct qb_journal_pile *pile = &journal->committing;
        struct qb_error error = {""};
        int64_t began_us = qb_clock_mono_us();
        int64_t count = (int64_t)pile->count;
        bool is_good = insert_all(journal, pile, &error);
        if (is_good) {
            atomic_store(&journal->newest, (uint64_t)qb_sqlite_last_id(journal->link));
            tell_durable(pile);
            qb_metric_observe(QB_METRIC_journal_commit_us, qb_clock_mono_us() - began_us);
            qb_metric_observe(QB_METRIC_journal_batch_entries, count);
            qb_metric_add(QB_METRIC_journal_entries_total, NULL, count);
            qb_metric_add(QB_METRIC_journal_pending_entries, NULL, -count);
        } else {
            tell_failed(journal, &error);
        }
        settle_pile(journal, is_good);
    }
    return NULL;
}

static struct qb_journal_writer *writer(struct qb_journal *port, struct qb_mailbox *mailbox,
                                        qb_journal_durable *durable, void *context)
{
    struct sqlite_journal *journal = (struct sqlite_journal *)port;

    (void)pthread_mutex_lock(&journal->lock);
    QB_ASSERT(journal->writer_count < QB_JOURNAL_WRITERS_MAX);
    struct qb_journal_writer *made = &journal->writers[journal->writer_count++];
    *made = (struct qb_journal_writer){port, mailbox, durable, context};
    (void)pthread_mutex_unlock(&journal->lock);
    return made;
}

static bool append(struct qb_journal_writer *writer, const struct qb_journal_item *items,
                   size_t count)
{
    struct sqlite_journal *journal = (struct sqlite_journal *)writer->journal;
    const struct qb_journal_pile *pile = &journal->waiting;
    size_t bytes = qb_journal_items_bytes(items, count);

    (void)pthread_mutex_lock(&journal->lock);
    bool is_taken =
        !journal->has_failed && !journal->is_ending &&
        (pile->count == 0 || pile->length + bytes <= journal->options.waiting_bytes_max);
    if (is_taken) {
        qb_journal_pile_add(&journal->waiting, writer, items, count);
        journal->appended += count;
        (void)pthread_cond_broadcast(&journal->changed);
    }
    (void)pthread_mutex_unlock(&journal->lock);
    if (is_taken) qb_metric_add(QB_METRIC_journal_pending_entries, NULL, (int64_t)count);
    return is_taken;
}

static bool flush(struct qb_journal *port, int64_t timeout_us)
{
    struct sqlite_journal *journal = (struct sqlite_journal *)port;
    const struct timespec until = qb_condition_after(timeout_us);
    int waited = 0;

    (void)pthread_mutex_lock(&journal->lock);
    uint64_t wanted = journal->appended;
    while (journal->committed < wanted && !journal->has_failed && waited == 0) {
        waited = pthread_cond_timedwait(&journal->changed, &journal->lock, &until);
    }
    bool is_done = journal->committed >= wanted;
    (void)pthread_mutex_unlock(&journal->lock);
    return is_done;
}

static uint64_t backlog(struct qb_journal *port)
{
    struct sqlite_journal *journal = (struct sqlite_journal *)port;
    uint64_t settled = atomic_load(&journal->settled);
    uint64_t newest = atomic_load(&journal->newest);

    /* The archiver may settle a commit of which this count has not heard yet. */
    return newest > settled ? newest - settled : 0;
}

/* Waits until the journal has something that is not settled. */
static void await_backlog(struct sqlite_journal *journal, int64_t wait_us)
{
    const struct timespec until = qb_condition_after(wait_us);
    int waited = 0;

    if (wait_us == 0) return;
    (void)pthread_mutex_lock(&journal->lock);
    while (backlog(&journal->journal) == 0 && !journal->is_ending && waited == 0) {
        waited = pthread_cond_timedwait(&journal->changed, &journal->lock, &until);
    }
    (void)pthread_mutex_unlock(&journal->lock);
}

/* What is settled, as the table says: a settling that was rolled back never happened. */
static bool recount(struct sqlite_journal *journal, struct qb_error *error)
{
    struct qb_statement *query =
        qb_sql(journal->reader, "SELECT coalesce((SELECT min(position) - 1 FROM journal), (SELECT "
                                "seq FROM sqlite_sequence WHERE name = 'journal'), 0)");

    if (qb_step(query, error) != QB_STEP_ROW) return false;
    atomic_store(&journal->settled, (uint64_t)qb_column_int(query, 0));
    qb_sql_end(query);
    journal->must_recount = false;
    return true;
}

static bool take(struct qb_journal *port, size_t items_max, int64_t wait_us,
                 bool (*each)(void *context, const struct qb_journal_item *item), void *context,
                 struct qb_error *error)
{
    struct sqlite_journal *journal = (struct sqlite_journal *)port;
    enum qb_step step = QB_STEP_DONE;
    bool goes_on = true;

    if (journal->must_recount) QB_TRY(recount(journal, error));
    await_backlog(journal, wait_us);
    struct qb_statement *query = qb_sql(
        journal->reader,
        "SELECT position, auction, seq, epoch, bytes FROM journal ORDER BY position LIMIT ?");
    qb_bind_int(query, 1, (int64_t)items_max);
    while (goes_on && (step = qb_step(query, error)) == QB_STEP_ROW) {
        struct qb_journal_item item = {
            .position = (uint64_t)qb_column_int(query, 0),
            .auction = (qb_id)qb_column_int(query, 1),
            .seq = (uint64_t)qb_column_int(query, 2),
            .epoch = (uint32_t)qb_column_int(query, 3),
        };
        item.bytes = qb_column_blob(query, 4, &item.length);
        goes_on = each(context, &item);
    }
    qb_sql_end(query);
    return step != QB_STEP_FAILED;
}

static bool remove_settled(struct sqlite_journal *journal, uint64_t position,
                           struct qb_error *error)
{
    struct qb_statement *remove =
        qb_sql(journal->reader, "DELETE FROM journal WHERE position <= ?");

    qb_bind_int(remove, 1, (int64_t)position);
    return qb_step(remove, error) == QB_STEP_DONE;
}

static bool settle(struct qb_journal *port, uint64_t position, struct qb_error *error)
{
    struct sqlite_journal *journal = (struct sqlite_journal *)port;
    struct qb_error ignored;

    journal->must_recount = true;
    if (!journal->is_reader_own) return remove_settled(journal, position, error);
    QB_TRY(qb_sql_begin(journal->reader, error));
    bool is_done = remove_settled(journal, position, error);
    return qb_sql_finish(journal->reader, is_done, is_done ? error : &ignored) && is_done;
}

static void journal_free(struct qb_journal *port)
{
    struct sqlite_journal *journal = (struct sqlite_journal *)port;

    (void)pthread_mutex_lock(&journal->lock);
    journal->is_ending = true;
    (void)pthread_cond_broadcast(&journal->changed);
    (void)pthread_mutex_unlock(&journal->lock);
    (void)pthread_join(journal->thread, NULL);
    if (journal->is_reader_own) qb_sql_close(&journal->reader);
    qb_sql_close(&journal->link);
    qb_journal_pile_fini(&journal->waiting);
    qb_journal_pile_fini(&journal->committing);
    (void)pthread_cond_destroy(&journal->changed);
    (void)pthread_mutex_destroy(&journal->lock);
    free(journal);
}

static bool count_newest(struct sqlite_journal *journal, struct qb_error *error)
{
    struct qb_statement *query =
        qb_sql(journal->reader, "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = "
                                "'journal'");

    if (qb_step(query, error) != QB_STEP_ROW) return false;
    atomic_store(&journal->newest, (uint64_t)qb_column_int(query, 0));
    qb_sql_end(query);
    return recount(journal, error);
}

struct qb_journal *qb_journal_sqlite_new(const struct qb_journal_sqlite_options *options,
                                         struct qb_error *error)
{
    static const struct qb_journal_ops ops = {writer, append,  flush,       take,
                                              settle, backlog, journal_free};
    struct sqlite_journal *journal = calloc(1, sizeof *journal);

    QB_ASSERT(journal != NULL);
    journal->journal.ops = &ops;
    journal->options = *options;
    journal->link = qb_sqlite_open(options->database, error);
    journal->reader = journal->link != NULL ? qb_sqlite_open(options->database, error) : NULL;
    journal->is_reader_own = true;
    if (journal->reader == NULL || !count_newest(journal, error)) {
        qb_sql_close(&journal->reader);
        qb_sql_close(&journal->link);
        free(journal);
        return NULL;
    }
    (void)pthread_mutex_init(&journal->lock, NULL);
    qb_condition_init(&journal->changed);
    int failed = pthread_create(&journal->thread, NULL, commit_piles, journal);
    QB_ASSERT(failed == 0);
    return &journal->journal;
}

void qb_journal_sqlite_share(struct qb_journal *port, struct qb_sql_link *link)
{
    struct sqlite_journal *journal = (struct sqlite_journal *)port;

    if (journal->is_reader_own) qb_sql_close(&journal->reader);
    journal->is_reader_own = false;
    journal->reader = link;
}
