/*
 * Redis for a thread that may wait: recovery, trimming and the commands of operators. A loop of its
 * own turns only inside these calls.
 *
 * Thread    one at a time.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "app/shard_addresses.h"
#include "base/attributes.h"
#include "base/error.h"
#include "base/redis.h"
#include "storage/ledger_redis_scripts.h"

struct qb_redis_desk;

/* One connection a shard, by the name that CLIENT LIST shows. Null with `error` set: an address
 * cannot be read. Connects in qb_redis_desk_wait(). */
struct qb_redis_desk *qb_redis_desk_new(const struct qb_shard_addresses *addresses,
                                        const char *name, struct qb_error *error);
void qb_redis_desk_free(struct qb_redis_desk **desk);

unsigned qb_redis_desk_shards(const struct qb_redis_desk *desk);

/* Waits until every shard may be used. From then on a connection that breaks fails every call,
 * until this is called again: what was written before may be gone (reliability.md P5). */
QB_MUST_USE bool qb_redis_desk_wait(struct qb_redis_desk *desk, int64_t timeout_us,
                                    struct qb_error *error);

/* One command to a shard; false on an error reply, too. `answer` (or null) gets the reply inside
 * the call. */
QB_MUST_USE bool qb_redis_desk_ask(struct qb_redis_desk *desk, unsigned shard,
                                   struct qb_words *words, qb_redis_answer *answer, void *context,
                                   struct qb_error *error);

/* The same without waiting: several at a time, at most 1,000; qb_redis_desk_settle() waits for all
 * and says whether all were carried out. */
void qb_redis_desk_send(struct qb_redis_desk *desk, unsigned shard, struct qb_words *words);
QB_MUST_USE bool qb_redis_desk_settle(struct qb_redis_desk *desk, struct qb_error *error);
/* Who gets the replies to what is sent from now on, in order of each shard; null: nobody. */
void qb_redis_desk_listen(struct qb_redis_desk *desk, qb_redis_answer *answer, void *context);

/* Opens `epoch` on a shard (ledger_redis_open.h). */
QB_MUST_USE bool qb_redis_desk_open(struct qb_redis_desk *desk, unsigned shard, uint32_t epoch,
                                    struct qb_error *error);
