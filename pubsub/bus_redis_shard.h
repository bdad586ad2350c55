/*
 * One shard of the bus on Redis: the connection that hears and the one that publishes. Private to
 * pubsub/bus_redis*.c.
 *
 * Thread    the bus's, except where said.
 */
#pragma once

#include <stdatomic.h>

#include "base/error.h"
#include "base/redis.h"
#include "base/text.h"
#include "pubsub/bus.h"

#define RUN_ID_BYTES 64

struct shard_options {
    unsigned number;
    unsigned shards;
    void *loop;      /* uv_loop_t */
    uint64_t origin; /* of this process's notices */
    const char *address;
    const char *name;
    int64_t connect_ms;
    int64_t answer_ms;
    /* From another process. */
    void (*heard)(void *context, struct qb_topic topic, struct qb_frame *frame);
    void (*gap)(void *context, unsigned shard, bool is_deaf);
    /* A subscription made while the shard heard is in effect. */
    void (*begun)(void *context, struct qb_topic topic);
    /* Counts of watchers, also this process's own. */
    void (*counts)(void *context, unsigned shard, const void *bytes, size_t length);
    void *context;
};

struct shard {
    struct shard_options options;
    struct qb_redis *ear;
    struct qb_redis *mouth;
    char ear_run_id[RUN_ID_BYTES]; /* empty: it is not up */
    char mouth_run_id[RUN_ID_BYTES];
    _Atomic int64_t deaf_since_us; /* any thread */
    struct qb_text notice;         /* the one that is being published */
};

/* Begins to connect; false with `error` set. */
QB_MUST_USE bool shard_open(struct shard *shard, const struct shard_options *options,
                            struct qb_error *error);
/* Its handles close at later turns of the loop. Accepts one that is all zero. */
void shard_close(struct shard *shard);

bool shard_hears(const struct shard *shard);
void shard_subscribe(struct shard *shard, struct qb_topic topic);
void shard_unsubscribe(struct shard *shard, struct qb_topic topic);
void shard_publish(struct shard *shard, struct qb_topic topic, const struct qb_frame *frame);

/* From now on `counts` is called. */
void shard_subscribe_counts(struct shard *shard);
/* False: it cannot leave now. */
bool shard_publish_counts(struct shard *shard, const void *bytes, size_t length);
