#include "app/persist.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "app/drain.h"
#include "app/fatal.h"
#include "app/journal_options.h"
#include "app/probes.h"
#include "app/shard_addresses.h"
#include "app/trim.h"
#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/random.h"
#include "storage/archiver.h"
#include "storage/epochs.h"
#include "storage/journal_rabbit_admin.h"
#include "storage/migrate.h"
#include "storage/store_postgres.h"

#define WAIT_US          (QB_SECOND_US / 2) /* for entries; how long a signal may wait, too */
#define AHEAD_US         (24 * 3600 * QB_SECOND_US) /* months are made two ahead */
#define AHEAD_AGAIN_US   (600 * QB_SECOND_US)
#define BACKOFF_FIRST_US (100 * QB_MS_US)
#define STUCK_US         (120 * QB_SECOND_US) /* more than all limits of time in a batch together */
#define BACKOFF_MAX_US   (2 * QB_SECOND_US) /* a recovery waits for whoever reads its new queues */

struct persister {
    const struct qb_settings *settings;
    struct qb_journal_rabbit_options options;
    struct qb_postgres *postgres;
    struct qb_store *store;
    struct qb_store_link *link;
    struct qb_journal *journal;
    struct qb_archive *archive;
    struct qb_trimmer *trimmer;
    struct qb_shard_addresses shards;
    struct qb_probes *probes; /* null: none are wanted */
    struct qb_random random;
    unsigned failures;         /* in a row */
    int64_t ahead_us;          /* when tables of coming months are looked at next; monotonic */
    bool has_barrier_failed;   /* since the last batch began */
    pthread_t thread;          /* all above are its own while it runs */
    int wake;                  /* an eventfd: it shall end */
    atomic_bool is_ending;     /* likewise */
    atomic_bool holds_nothing; /* it waits for a service: the process may end at any moment */
    atomic_bool is_reading;    /* both services answer, and the last batch was written */
    _Atomic int64_t beat_us;   /* monotonic: when the thread last began something */
    _Atomic(struct qb_archive *) told_archive; /* `archive`, once it may be asked */
};

/* On the thread, with everything before the barrier committed. */
static bool met_barrier(void *context, uint32_t epoch, unsigned shard, unsigned number)
{
    struct persister *persister = context;
    struct qb_sql_link *sql = qb_store_sql_link(persister->link);
    struct qb_error error = {""};

    if (!qb_epochs_drained(sql, epoch, shard, number, &error)) {
        qb_log(QB_LOG_ERROR, "persist.barrier_failed", QB_INT("epoch", epoch),
               QB_INT("shard", shard), QB_TEXT("error", error.text));
        persister->has_barrier_failed = true;
        return false;
    }
    qb_log(QB_LOG_INFO, "persist.barrier", QB_INT("epoch", epoch), QB_INT("shard", shard),
           QB_INT("number", number));
    return true;
}

/* Longer after each failure, by chance, so that several do not come back together. */
static void back_off(struct persister *persister)
{
    struct pollfd wake = {.fd = persister->wake, .events = POLLIN};
    int64_t longest_us = BACKOFF_FIRST_US;

    for (unsigned i = 0; i < persister->failures && longest_us < BACKOFF_MAX_US; i++)
        longest_us *= 2;
    if (longest_us > BACKOFF_MAX_US) longest_us = BACKOFF_MAX_US;
    persister->failures++;
    int64_t wait_us =
        longest_us / 2 + (int64_t)qb_random_below(&persister->random, (uint64_t)longest_us / 2);
    (void)poll(&wake, 1, (int)(wait_us / QB_MS_US));
}

/* A database that is not of this version ends the process. */
static bool ask_postgres(struct persister *persister, struct qb_error *error)
{
    size_t count = 0;
    const struct qb_migration *migrations = qb_migrations_postgres(&count);
    bool is_current = false;

    if (persister->link == NULL)
        persister->link = persister->store->ops->open(persister->store, error);
    if (persister->link == NULL) return false;
    QB_TRY(qb_migrate_check(qb_store_sql_link(persister->link), migrations, count, &is_current,
                            error));
    if (!is_current) qb_fatal("start.failed", error->text);
    return true;
}

static bool ask_rabbit(struct persister *persister, struct qb_error *error)
{
    bool is_missing = false;

    QB_TRY(qb_journal_rabbit_find(&persister->options, &is_missing, error));
    return !is_missing || qb_error_set(error, "RabbitMQ has no queue for every shard yet; the "
                                              "first server that starts makes them");
}

/* Until both services answer. False: it shall end. */
static bool await_services(struct persister *persister)
{
    atomic_store(&persister->holds_nothing, true);
    atomic_store(&persister->is_reading, false);
    while (!atomic_load(&persister->is_ending)) {
        struct qb_error error = {""};
        atomic_store(&persister->beat_us, qb_clock_mono_us());
        if (ask_postgres(persister, &error) && ask_rabbit(persister, &error)) {
            atomic_store(&persister->holds_nothing, false);
            atomic_store(&persister->is_reading, true);
            return true;
        }
        qb_log(QB_LOG_WARNING, "persist.waiting", QB_TEXT("error", error.text),
               QB_INT("failures", persister->failures));
        back_off(persister);
    }
    return false;
}

/* One batch. After a failure nothing is held: what was taken and not written goes back. */
static bool archive_some(struct persister *persister)
{
    struct qb_error error = {""};
    size_t count = 0;

    persister->has_barrier_failed = false;
    atomic_store(&persister->beat_us, qb_clock_mono_us());
    bool is_done = qb_archive_batch(persister->archive, WAIT_US, &count, &error);
    if (is_done && !persister->has_barrier_failed) {
        persister->failures = 0;
        return true;
    }
    if (!is_done) qb_log(QB_LOG_ERROR, "archive.failed", QB_TEXT("error", error.text));
    qb_metric_add(QB_METRIC_archive_failures_total, NULL, 1);
    qb_journal_rabbit_let_go(persister->journal, "nothing can be archived now");
    return false;
}

static void make_months(struct persister *persister)
{
    struct qb_error error = {""};
    int64_t now_us = qb_clock_mono_us();

    if (now_us < persister->ahead_us) return;
    bool is_made = qb_store_postgres_ahead(qb_store_sql_link(persister->link), &error);
    persister->ahead_us = now_us + (is_made ? AHEAD_US : AHEAD_AGAIN_US);
    if (!is_made) qb_log(QB_LOG_WARNING, "persist.no_months", QB_TEXT("error", error.text));
}

static bool open_parts(struct persister *persister, struct qb_error *error)
{
    persister->journal = qb_journal_rabbit_new(&persister->options, error);
    if (persister->journal == NULL) return false;
    const struct qb_archive_options archive = {
        .journal = persister->journal,
        .store = persister->store->ops,
        .link = persister->link,
        .items_max = (size_t)persister->settings->persist_batch,
        .is_journal_apart = true,
    };
    persister->archive = qb_archive_new(&archive);
    const struct qb_settings *settings = persister->settings;
    const struct qb_trimmer_options trimmer = {
        .shards = &persister->shards,
        .journal = &persister->options,
        .store = persister->store,
        .trim = {.entries_kept = (uint64_t)settings->ring_entries,
                 .failover_us = settings->postgres_failover_ms * QB_MS_US,
                 .over_us = settings->redis_keep_ms * QB_MS_US},
    };
    persister->trimmer = qb_trimmer_new(&trimmer);
    atomic_store(&persister->told_archive, persister->archive);
    return true;
}

static void *persist(void *argument)
{
    struct persister *persister = argument;
    struct qb_error error = {""};

    if (!await_services(persister)) return NULL;
    if (!open_parts(persister, &error)) qb_fatal("start.failed", error.text);
    qb_log(QB_LOG_INFO, "persist.ready", QB_INT("shards", persister->options.shards));
    while (!atomic_load(&persister->is_ending)) {
        make_months(persister);
        if (archive_some(persister)) continue;
        back_off(persister);
        if (await_services(persister))
            qb_log(QB_LOG_INFO, "persist.resumed", QB_INT("failures", persister->failures));
    }
    return NULL;
}

/* --- on the thread of the probes --- */

static bool is_alive(void *context)
{
    struct persister *persister = context;

    return qb_clock_mono_us() - atomic_load(&persister->beat_us) < STUCK_US;
}

static bool is_ready(void *context)
{
    struct persister *persister = context;

    return atomic_load(&persister->is_reading) && !atomic_load(&persister->is_ending);
}

/* While a batch is not written, its entries grow older. */
static void measure(void *context)
{
    struct persister *persister = context;
    const struct qb_archive *archive = atomic_load(&persister->told_archive);
    qb_time_us oldest_us = archive != NULL ? qb_archive_oldest_us(archive) : 0;
    int64_t lag_us = qb_clock_wall_us() - oldest_us;

    if (oldest_us > 0 && lag_us > 0) qb_metric_set(QB_METRIC_archive_lag_us, NULL, lag_us);
}

static bool open_probes(struct persister *persister, struct qb_error *error)
{
    const struct qb_probes_options options = {
        .settings = persister->settings,
        .port = (uint16_t)persister->settings->persist_port,
        .is_alive = is_alive,
        .is_ready = is_ready,
        .measure = measure,
        .context = persister,
    };

    if (options.port == 0) return true;
    persister->probes = qb_probes_new(&options, error);
    return persister->probes != NULL;
}

/* --- */

static void close_parts(struct persister *persister)
{
    qb_trimmer_free(&persister->trimmer);
    qb_probes_free(&persister->probes);
    qb_archive_free(&persister->archive);
    qb_journal_free(&persister->journal);
    if (persister->link != NULL) persister->store->ops->close(&persister->link);
    if (persister->store != NULL) persister->store->ops->free(persister->store);
    if (persister->postgres != NULL) qb_postgres_free(&persister->postgres);
    if (persister->wake >= 0) (void)close(persister->wake);
}

/* What needs no service. */
static bool prepare(struct persister *persister, const struct qb_settings *settings,
                    struct qb_error *error)
{
    uint64_t seed = 0;

    QB_TRY(qb_shard_addresses_read(settings->redis_url, &persister->shards, error));
    persister->settings = settings;
    persister->options = qb_journal_options(settings, persister->shards.count);
    persister->options.is_reader = true;
    persister->options.has_no_writer = true;
    persister->options.barrier = met_barrier;
    persister->options.context = persister;
    qb_random_secret(&seed, sizeof seed);
    qb_random_seed(&persister->random, seed);
    persister->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    QB_ASSERT(persister->wake >= 0);
    persister->postgres = qb_postgres_new(settings->database_url, QB_POSTGRES_PRIMARY, error);
    if (persister->postgres == NULL) return false;
    persister->store = qb_store_postgres_new(persister->postgres);
    atomic_store(&persister->beat_us, qb_clock_mono_us());
    return open_probes(persister, error);
}

static void run(struct persister *persister)
{
    const uint64_t one = 1;
    int failed = pthread_create(&persister->thread, NULL, persist, persister);

    QB_ASSERT(failed == 0);
    int signal = qb_drain_wait_signal();
    qb_log(QB_LOG_INFO, "persist.ending", QB_INT("signal", signal));
    atomic_store(&persister->is_ending, true);
    (void)!write(persister->wake, &one, sizeof one);
    if (atomic_load(&persister->holds_nothing)) _exit(0); /* a connect would be waited for else */
    (void)pthread_join(persister->thread, NULL);
}

int qb_persist(const struct qb_settings *settings, const char *argument)
{
    struct persister persister = {.wake = -1};
    struct qb_error error = {""};

    (void)argument;
    qb_drain_block_signals();
    qb_metric_set(QB_METRIC_build_info, QB_VERSION, 1);
    qb_settings_log(settings);
    bool is_prepared = prepare(&persister, settings, &error);
    if (is_prepared)
        run(&persister);
    else
        qb_log(QB_LOG_ERROR, "start.failed", QB_TEXT("error", error.text));
    close_parts(&persister);
    if (!is_prepared) return 1;
    qb_log(QB_LOG_INFO, "persist.stopped",
           QB_INT("entries", qb_metric_value(QB_METRIC_archive_entries_total, NULL)));
    return 0;
}
