#include "app/persist.h"

#include <string.h>

#include "app/cluster.h"
#include "app/drain.h"
#include "base/log.h"
#include "storage/archiver.h"
#include "storage/epochs.h"
#include "storage/store_postgres.h"

struct persister {
    struct qb_cluster *cluster;
    struct qb_sql_link *sql; /* for markers; the archiver's thread's */
    struct qb_store *store;
    struct qb_store_link *link;
    struct qb_journal *journal;
    struct qb_archive *archive;
};

static bool record_barrier(void *context, uint32_t epoch, unsigned shard, unsigned number)
{
    struct persister *persister = context;
    struct qb_error error = {""};

    bool is_recorded = qb_epochs_drained(persister->sql, epoch, shard, number, &error);
    qb_log(is_recorded ? QB_LOG_INFO : QB_LOG_ERROR, "persist.marker", QB_INT("epoch", epoch),
           QB_INT("shard", shard), QB_INT("number", number), QB_TEXT("error", error.text));
    return is_recorded;
}

static bool open_all(struct persister *persister, const struct qb_settings *settings,
                     struct qb_error *error)
{
    persister->cluster = qb_cluster_new(settings, error);
    if (persister->cluster == NULL) return false;
    persister->sql = qb_postgres_open(persister->cluster->primary, error);
    if (persister->sql == NULL) return false;
    persister->store = qb_store_postgres_new(persister->cluster->primary);
    persister->link = persister->store->ops->open(persister->store, error);
    if (persister->link == NULL) return false;
    struct qb_journal_rabbit_options journal = persister->cluster->journal;
    journal.is_reader = true;
    journal.barrier = record_barrier;
    journal.context = persister;
    persister->journal = qb_journal_rabbit_new(&journal, error);
    if (persister->journal == NULL) return false;
    const struct qb_archive_options archive = {
        .journal = persister->journal,
        .store = persister->store->ops,
        .link = persister->link,
        .items_max = (size_t)settings->archive_batch,
        .is_journal_apart = true,
    };
    persister->archive = qb_archive_new(&archive);
    return true;
}

int qb_persist(const struct qb_settings *settings, const char *argument)
{
    struct persister persister;
    struct qb_error error = {""};

    (void)argument;
    (void)memset(&persister, 0, sizeof persister);
    qb_drain_block_signals();
    if (!open_all(&persister, settings, &error)) {
        qb_log(QB_LOG_ERROR, "start.failed", QB_TEXT("error", error.text));
        return 1;
    }
    struct qb_archiver *archiver = qb_archiver_new(persister.archive);
    qb_log(QB_LOG_INFO, "persist.ready", QB_INT("shards", persister.cluster->redis.count));
    (void)qb_drain_wait_signal();
    qb_archiver_free(&archiver);
    qb_archive_free(&persister.archive);
    qb_journal_free(&persister.journal);
    persister.store->ops->close(&persister.link);
    persister.store->ops->free(persister.store);
    qb_sql_close(&persister.sql);
    qb_cluster_free(&persister.cluster);
    qb_log(QB_LOG_INFO, "persist.stopped", QB_INT("clean", true));
    return 0;
}
