/*
 * Auctions that were here before a recovery (or before the ledger let go of them) and of which the
 * ledger knows no log any more: they are over, or could not be rebuilt. What became durable in the
 * last moment is in the store, told to nobody. It is read from there and goes the way of any other
 * entry, from the first that was not shown here, so that no watcher stays on an old price.
 */
#include <stdlib.h>
#include <string.h>

#include "app/runner_state.h"
#include "base/assert.h"
#include "base/log.h"
#include "storage/load.h"

/* A copy of the store may be behind, or the store be away: looked for again each second. */
#define TRIES_MAX 300
/* At a time, of one thread: a recovery must not keep others from the store. */
#define READS_MAX 8

struct qb_absent {
    struct qb_runner *runner;
    qb_id auction;
    uint64_t shown; /* all up to here was told */
    unsigned tries;
    bool is_wanted; /* the ledger does not have it: to be read */
    bool is_reading;
    /* read from the store */
    bool is_found; /* and at least as far as it was shown */
    struct qb_loaded loaded;
    struct qb_lot base; /* as it was shown, with its records */
    struct qb_bid_record *records;
    size_t record_count;
    struct qb_entry *entries; /* those behind it */
    size_t entry_count;
    size_t entry_room;
};

static void let_go_of_read(struct qb_absent *absent)
{
    free(absent->records);
    free(absent->entries);
    absent->records = NULL;
    absent->entries = NULL;
    absent->record_count = 0;
    absent->entry_count = 0;
    absent->entry_room = 0;
    absent->is_found = false;
}

static void absent_free(struct qb_absent *absent)
{
    let_go_of_read(absent);
    free(absent);
}

/* --- on a worker --- */

static void keep_base(struct qb_absent *absent, const struct qb_lot *lot)
{
    size_t count = absent->loaded.record_count;

    absent->is_found = true;
    absent->base = *lot;
    absent->records = calloc(count + 1, sizeof *absent->records);
    QB_ASSERT(absent->records != NULL);
    for (size_t i = 0; i < count; i++) absent->records[i] = absent->loaded.records[i];
    absent->record_count = count;
}

static void keep_entry(struct qb_absent *absent, const struct qb_entry *entry)
{
    if (absent->entry_count == absent->entry_room) {
        absent->entry_room = absent->entry_room == 0 ? 4 : absent->entry_room * 2;
        absent->entries = realloc(absent->entries, absent->entry_room * sizeof *absent->entries);
        QB_ASSERT(absent->entries != NULL);
    }
    struct qb_entry *kept = &absent->entries[absent->entry_count++];
    *kept = *entry;
    kept->rules = NULL; /* only an OPEN has some, and it is part of what was shown */
}

static void take_entry(void *context, const struct qb_entry *entry,
                       const struct qb_verdict *verdict, const struct qb_lot *lot)
{
    struct qb_absent *absent = context;

    (void)verdict;
    if (entry->seq == absent->shown) keep_base(absent, lot);
    if (entry->seq > absent->shown) keep_entry(absent, entry);
}

static void run_read(void *job, void *worker)
{
    struct qb_absent *absent = job;
    struct qb_error error = {""};

    if (worker == NULL) { /* none was free in time: it is read again */
        absent->is_found = false;
        return;
    }
    if (!qb_load_auction(absent->runner->all->options.store, worker, absent->auction, take_entry,
                         absent, &absent->loaded, &error)) {
        qb_log(QB_LOG_ERROR, "store.failed", QB_TEXT("query", "absent"),
               QB_TEXT("error", error.text));
        absent->is_found = false;
        return;
    }
    qb_loaded_fini(&absent->loaded);
}

/* --- on the runner's thread --- */

/* Moves in for as long as it takes to tell what was not told. False: no room. */
static bool show(struct qb_runner *runner, struct qb_absent *absent)
{
    struct qb_home *home = qb_home_add(runner, &absent->base);

    if (home == NULL) return false;
    for (size_t i = 0; i < absent->record_count; i++) qb_home_record(home, &absent->records[i]);
    struct qb_event durable = {
        .kind = QB_EVENT_DURABLE, .lot = home->lot, .seq = absent->base.seq + absent->entry_count};
    qb_runner_feed(runner, &durable);
    for (size_t i = 0; i < absent->entry_count; i++) {
        qb_runner_feed_heard(runner, home, &absent->entries[i]);
    }
    absent->shown = home->shown.seq;
    qb_home_show(runner, home);
    qb_home_publish(runner, home);
    qb_home_remove(runner, home);
    return true;
}

/* Whether nothing more of it can come. */
static bool is_told(struct qb_runner *runner, struct qb_absent *absent)
{
    if (qb_home_find(runner, absent->auction) != NULL) return true; /* the ledger has it */
    if (!absent->is_found) return false;
    bool is_over = qb_lot_is_over(&absent->loaded.lot);
    return show(runner, absent) && is_over;
}

static void read_some(struct qb_runner *runner);

static void end_read(void *job)
{
    struct qb_absent *absent = job;
    struct qb_runner *runner = absent->runner;

    absent->is_reading = false;
    runner->absent_reads--;
    bool is_done = is_told(runner, absent);
    let_go_of_read(absent);
    if (!is_done && ++absent->tries >= TRIES_MAX) {
        char id[QB_ID_TEXT_BYTES];
        qb_id_text(absent->auction, id);
        qb_log(QB_LOG_ERROR, "auction.absent", QB_TEXT("auction", id),
               QB_TEXT("why", "the ledger has no log of it, and the store no end"));
        is_done = true;
    }
    if (is_done) {
        (void)qb_map_remove(&runner->absent, &absent->auction);
        absent_free(absent);
    }
    read_some(runner);
}

static void read_some(struct qb_runner *runner)
{
    struct qb_absent *absent = NULL;
    size_t cursor = 0;

    while (runner->absent_reads < READS_MAX &&
           (absent = qb_map_next(&runner->absent, &cursor, NULL)) != NULL) {
        if (!absent->is_wanted) continue;
        absent->is_reading =
            qb_work_submit(runner->all->options.store_pool, qb_loop_mailbox(runner->loop), run_read,
                           end_read, absent);
        if (!absent->is_reading) return; /* too much waits: the next second asks again */
        absent->is_wanted = false;
        runner->absent_reads++;
    }
}

void qb_runner_absent(struct qb_runner *runner, qb_id auction, uint64_t shown)
{
    struct qb_absent *absent = qb_map_get(&runner->absent, &auction);

    QB_ASSERT(shown > 0);
    if (absent == NULL) {
        absent = calloc(1, sizeof *absent);
        QB_ASSERT(absent != NULL);
        absent->runner = runner;
        absent->auction = auction;
        absent->shown = shown;
        (void)qb_map_set(&runner->absent, &auction, absent);
    }
    absent->is_wanted = !absent->is_reading;
    read_some(runner);
}

void qb_runner_absent_again(struct qb_runner *runner)
{
    const struct qb_absent *absent = NULL;
    size_t cursor = 0;

    /* By way of the ledger: a recovery may have written it meanwhile. */
    while ((absent = qb_map_next(&runner->absent, &cursor, NULL)) != NULL) {
        if (absent->is_reading || absent->is_wanted) continue;
        qb_runner_again(runner, absent->auction, absent->shown);
    }
    read_some(runner);
}

void qb_runner_absent_free(struct qb_runner *runner)
{
    struct qb_absent *absent = NULL;
    size_t cursor = 0;

    while ((absent = qb_map_next(&runner->absent, &cursor, NULL)) != NULL) absent_free(absent);
    qb_map_fini(&runner->absent);
}
