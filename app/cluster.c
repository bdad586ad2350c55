#include "app/cluster.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/journal_options.h"
#include "base/assert.h"
#include "base/redis.h"

static bool read_replicas(struct qb_cluster *cluster, struct qb_error *error)
{
    char text[QB_SETTING_TEXT_BYTES];
    char *rest = NULL;

    (void)snprintf(text, sizeof text, "%s", cluster->settings.database_replica_urls);
    for (char *url = strtok_r(text, ",", &rest); url != NULL; url = strtok_r(NULL, ",", &rest)) {
        if (cluster->replica_count == QB_DATABASE_REPLICAS_MAX) {
            return qb_error_set(error, "DATABASE_REPLICA_URLS: more than %d",
                                QB_DATABASE_REPLICAS_MAX);
        }
        struct qb_postgres *replica = qb_postgres_new(url, QB_POSTGRES_REPLICA, error);
        if (replica == NULL) return qb_error_wrap(error, "DATABASE_REPLICA_URLS");
        cluster->replicas[cluster->replica_count++] = replica;
    }
    return true;
}

/* Nobody but Sentinel promotes a replica by itself. */
static void count_replicas(struct qb_cluster *cluster)
{
    for (unsigned i = 0; i < cluster->redis.count; i++) {
        bool is_sentinel = qb_redis_address_has_sentinel(cluster->redis.list[i]);
        cluster->redis_replicas[i] = is_sentinel ? (unsigned)cluster->settings.ack_replicas : 0;
    }
}

static bool read(struct qb_cluster *cluster, struct qb_error *error)
{
    const struct qb_settings *s = &cluster->settings;
    const char *coordinator =
        s->redis_coordinator_url[0] != '\0' ? s->redis_coordinator_url : s->redis_url;

    QB_TRY(qb_shard_addresses_read(s->redis_url, &cluster->redis, error));
    QB_TRY(qb_shard_addresses_read(coordinator, &cluster->coordinator, error));
    if (cluster->redis.count != cluster->coordinator.count) {
        return qb_error_set(error, "REDIS_COORDINATOR_URL: as many shards as REDIS_URL, please");
    }
    bool is_known = qb_ack_parse(s->ack, &cluster->ack);
    QB_ASSERT(is_known); /* settings are checked */
    count_replicas(cluster);
    cluster->primary = qb_postgres_new(s->database_url, QB_POSTGRES_PRIMARY, error);
    if (cluster->primary == NULL) return qb_error_wrap(error, "DATABASE_URL");
    QB_TRY(read_replicas(cluster, error));
    cluster->journal = qb_journal_options(s, cluster->redis.count);
    cluster->journal.queue_messages_max = (uint32_t)s->queue_messages_max;
    return true;
}

struct qb_cluster *qb_cluster_new(const struct qb_settings *settings, struct qb_error *error)
{
    struct qb_cluster *cluster = calloc(1, sizeof *cluster);

    QB_ASSERT(cluster != NULL);
    cluster->settings = *settings;
    if (!read(cluster, error)) qb_cluster_free(&cluster);
    return cluster;
}

void qb_cluster_free(struct qb_cluster **cluster)
{
    struct qb_cluster *old = *cluster;

    *cluster = NULL;
    if (old == NULL) return;
    for (size_t i = 0; i < old->replica_count; i++) qb_postgres_free(&old->replicas[i]);
    qb_postgres_free(&old->primary);
    free(old);
}
