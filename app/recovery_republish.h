/*
 * What a recovery does when a queue of the journal was lost while Redis still has the logs: they
 * are published once more, past the routes, before the markers (reliability.md P5).
 */
#pragma once

#include "app/cluster.h"
#include "app/redis_desk.h"
#include "base/attributes.h"
#include "base/error.h"
#include "storage/store.h"

struct qb_republish {
    const struct qb_cluster *cluster;
    const struct qb_store_ops *store;
    struct qb_store_link *link;
    struct qb_redis_desk *desk;
    size_t entries; /* published so far */
};

/* Publishes what Redis has of every live auction and the store has not. What is in the store or in
 * another queue, too, is no harm. */
QB_MUST_USE bool qb_republish_run(struct qb_republish *republish, struct qb_error *error);
