/*
 * What a replica reads the store by: workers with connections, and the catalogue's cache.
 */
#include "app/replica_parts.h"
#include "base/clock.h"

/* Waits for no server: when none answers, the queries say so. */
static void *begin_worker(void *context)
{
    struct qb_replica *replica = context;
    return replica->data.store->ops->open_later(replica->data.store);
}

static void end_worker(void *context, void *worker)
{
    struct qb_replica *replica = context;
    struct qb_store_link *link = worker;
    replica->data.store->ops->close(&link);
}

void qb_replica_open_store(struct qb_replica *replica)
{
    const struct qb_settings *s = &replica->settings;
    bool is_alone = replica->data.cluster == NULL;
    const struct qb_work_options pool = {
        .name = "store",
        .duration = QB_METRIC_store_query_us,
        .wait = QB_METRIC_store_wait_us,
        .threads = (unsigned)s->store_threads,
        /* What waits for a server costs nothing here; what reads a file takes its processor from
         * the bids. */
        .threads_max = is_alone ? 0 : (unsigned)s->store_threads_max,
        .idle_us = s->store_idle_ms * QB_MS_US,
        .wait_us = s->job_wait_ms * QB_MS_US,
        .jobs_max = (size_t)s->store_jobs_max,
        .worker_begin = begin_worker,
        .worker_end = end_worker,
        .context = replica,
    };
    const struct qb_catalogue_options catalogue = {
        .entries_max = (size_t)s->catalogue_entries,
        .life_us = s->catalogue_life_ms * QB_MS_US,
    };

    replica->store_pool = qb_work_pool_new(&pool);
    replica->catalogue = qb_catalogue_new(&catalogue);
}

void qb_replica_described(void *context, qb_id auction, uint64_t seq, bool is_heard)
{
    struct qb_replica *replica = context;

    if (is_heard || replica->control == NULL) /* told by another, or nobody is told any more */
        qb_catalogue_forget(replica->catalogue, auction, seq);
    else
        qb_control_described(replica->control, auction, seq);
}
