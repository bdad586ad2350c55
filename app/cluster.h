/*
 * Where the services of a cluster are and how to speak to them, from the settings: shards of Redis,
 * Postgres and its replicas, RabbitMQ. Connects to nothing by itself.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "app/settings.h"
#include "app/shard_addresses.h"
#include "base/error.h"
#include "storage/ack.h"
#include "storage/journal_rabbit.h"
#include "storage/postgres.h"

#define QB_DATABASE_REPLICAS_MAX 8

struct qb_cluster {
    struct qb_shard_addresses redis;        /* as the application */
    struct qb_shard_addresses coordinator;  /* as who may load scripts and write the epoch */
    enum qb_ack ack;                        /* as it is set; an epoch may be otherwise */
    unsigned redis_replicas[QB_SHARDS_MAX]; /* of each shard, that might be promoted */
    struct qb_postgres *primary;
    struct qb_postgres *replicas[QB_DATABASE_REPLICAS_MAX];
    size_t replica_count;
    struct qb_journal_rabbit_options journal; /* of a publisher; its texts are the settings' */
    struct qb_settings settings;
};

/* Null with `error` set: an address cannot be read, or what a cluster needs is missing. */
struct qb_cluster *qb_cluster_new(const struct qb_settings *settings, struct qb_error *error);
void qb_cluster_free(struct qb_cluster **cluster);
