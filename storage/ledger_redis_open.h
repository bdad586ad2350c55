/*
 * Opening an epoch in Redis: what recovery does last (reliability.md P5, step 7), and tests first.
 * Apart from the ledger, which must never load a script: it needs the coordinator's rights.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/redis.h"

/* `why` is null when the epoch is open: its number written and every script loaded. */
typedef void qb_ledger_redis_opened(void *context, const char *why);

/*
 * Opens `epoch` for one shard over a link that is up. Nothing else may run on that link between the
 * rebuild and this, and it may not have been lost since: who was told otherwise begins again.
 *
 * done      once, never inside the call; `why` is borrowed
 */
void qb_ledger_redis_open_shard(struct qb_redis *redis, unsigned shard, uint32_t epoch,
                                qb_ledger_redis_opened *done, void *context);
