#include "app/data.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "app/cluster.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "storage/epochs.h"
#include "storage/folder_lock.h"
#include "storage/journal_sqlite.h"
#include "storage/migrate.h"
#include "storage/store_postgres.h"
#include "storage/store_replicas.h"
#include "storage/store_sqlite.h"

/* The database's log is kept small by checkpoints, which readers and a steady load can hold up; at
 * its limit it is emptied, which bids wait for. */
static void tend_log(void *context, bool is_due)
{
    struct qb_data *data = context;
    struct qb_sql_link *sql = qb_store_sql_link(data->link);
    int64_t bytes = qb_sqlite_log_bytes(sql);
    int64_t now_us = qb_clock_mono_us();

    if (bytes > data->log_bytes_max && now_us >= data->log_retry_us) {
        /* Held up by a long reader, such as a backup, it is not tried with every batch. */
        if (!qb_sqlite_log_empty(sql)) data->log_retry_us = now_us + QB_SECOND_US;
        bytes = qb_sqlite_log_bytes(sql);
    } else if (is_due) {
        qb_sqlite_checkpoint(sql);
    }
    qb_metric_set(QB_METRIC_wal_bytes, NULL, bytes);
}

static void tell_frozen(void *context, qb_id auction)
{
    struct qb_data *data = context;

    if (data->frozen != NULL) data->frozen(data->frozen_context, auction);
}

static bool migrate(struct qb_data *data, struct qb_error *error)
{
    size_t count = 0;
    const struct qb_migration *migrations = qb_migrations_sqlite(&count);
    struct qb_sql_link *sql = qb_sqlite_open(data->database, error);

    if (sql == NULL) return false;
    bool is_done = qb_migrate(sql, migrations, count, &data->migrated, error);
    qb_sql_close(&sql);
    return is_done;
}

/* What a crash left between journal and tables. */
static bool archive_rest(struct qb_data *data, struct qb_error *error)
{
    size_t count = 1;
    size_t sum = 0;

    while (count > 0) {
        QB_TRY(qb_archive_batch(data->archive, 0, &count, error));
        sum += count;
    }
    if (sum > 0) qb_log(QB_LOG_INFO, "journal.recovered", QB_INT("entries", sum));
    return true;
}

/* Listings whose auction never began: the process ended between the two. Younger ones stay: whoever
 * made them may still ask. */
static bool forget_unopened(struct qb_data *data, struct qb_error *error)
{
    qb_time_us before_us = qb_clock_wall_us() - 3600 * QB_SECOND_US;
    size_t count = 0;

    QB_TRY(data->store->ops->listings_forget(data->link, before_us, &count, error) == QB_STORE_OK);
    if (count > 0) qb_log(QB_LOG_INFO, "listings.forgotten", QB_INT("count", count));
    return true;
}

static bool open_parts(struct qb_data *data, const struct qb_settings *settings,
                       struct qb_error *error)
{
    char path[512];

    (void)snprintf(path, sizeof path, "%.480s/quickbid.db", settings->data_dir);
    data->database = qb_database_open(path, error);
    if (data->database == NULL) return false;
    QB_TRY(migrate(data, error));
    data->store = qb_store_sqlite_new(data->database);
    data->link = data->store->ops->open(data->store, error);
    if (data->link == NULL) return false;
    const struct qb_journal_sqlite_options journal = {
        .database = data->database,
        .waiting_bytes_max = (size_t)settings->journal_waiting_bytes,
    };
    data->journal = qb_journal_sqlite_new(&journal, error);
    if (data->journal == NULL) return false;
    /* Batch and settling in one transaction: a crash between the two cannot be. */
    qb_journal_sqlite_share(data->journal, qb_store_sql_link(data->link));
    const struct qb_archive_options archive = {
        .journal = data->journal,
        .store = data->store->ops,
        .link = data->link,
        .items_max = (size_t)settings->archive_batch,
        .between = tend_log,
        .frozen = tell_frozen,
        .context = data,
    };
    data->log_bytes_max = settings->wal_bytes_max;
    data->archive = qb_archive_new(&archive);
    return archive_rest(data, error) && forget_unopened(data, error);
}

bool qb_data_open(struct qb_data *data, const struct qb_settings *settings, struct qb_error *error)
{
    (void)memset(data, 0, sizeof *data);
    (void)umask(0077); /* what is written here is nobody else's to read */
    data->lock = qb_folder_lock(settings->data_dir, error);
    if (data->lock < 0) return false;
    if (open_parts(data, settings, error)) return true;
    qb_data_close(data);
    return false;
}

void qb_data_close(struct qb_data *data)
{
    struct qb_error error = {""};
    size_t count = 1;

    if (data->journal != NULL && data->archive != NULL) {
        bool is_flushed = qb_journal_flush(data->journal, 5 * INT64_C(1000000));
        if (!is_flushed)
            qb_log(QB_LOG_WARNING, "journal.not_flushed",
                   QB_INT("backlog", qb_journal_backlog(data->journal)));
        while (count > 0 && qb_archive_batch(data->archive, 0, &count, &error)) continue;
    }
    qb_archive_free(&data->archive);
    qb_journal_free(&data->journal);
    if (data->link != NULL) data->store->ops->close(&data->link);
    if (data->store != NULL) data->store->ops->free(data->store);
    data->store = NULL;
    qb_database_free(&data->database);
    qb_cluster_free(&data->cluster);
    if (data->lock >= 0) qb_folder_unlock(data->lock);
}

/* A database that `quickbid migrate` has not seen cannot be served. */
static bool check_migrated(struct qb_cluster *cluster, struct qb_error *error)
{
    struct qb_epoch epoch;
    struct qb_sql_link *sql = qb_postgres_open(cluster->primary, error);

    if (sql == NULL) return false;
    bool is_there = qb_epochs_read(sql, &epoch, error);
    qb_sql_close(&sql);
    return is_there || qb_error_wrap(error, "DATABASE_URL: run `quickbid migrate` first");
}

bool qb_data_open_cluster(struct qb_data *data, const struct qb_settings *settings,
                          struct qb_error *error)
{
    (void)memset(data, 0, sizeof *data);
    data->lock = -1;
    data->cluster = qb_cluster_new(settings, error);
    if (data->cluster == NULL) return false;
    struct qb_cluster *cluster = data->cluster;
    bool is_open = check_migrated(cluster, error);
    if (is_open) {
        data->store =
            cluster->replica_count > 0
                ? qb_store_replicas_new(cluster->primary, cluster->replicas, cluster->replica_count)
                : qb_store_postgres_new(cluster->primary);
        data->link = data->store->ops->open(data->store, error);
        is_open = data->link != NULL;
    }
    if (is_open) {
        data->journal = qb_journal_rabbit_new(&cluster->journal, error);
        is_open = data->journal != NULL;
    }
    if (!is_open) qb_data_close(data);
    return is_open;
}
