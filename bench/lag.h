/*
 * How far the replicas are apart: from the moment when the first of several watchers, each at
 * another replica, sees a state of an auction until the last one sees it or a newer one.
 *
 * One thread.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "bench/measure.h"

struct qb_lag;

/* `auctions`: ids, borrowed; at most 32 watchers. */
struct qb_lag *qb_lag_new(const char *const *auctions, size_t count, size_t watchers);
/* Accepts null. */
void qb_lag_free(struct qb_lag **lag);

/* Watcher `who` got an update frame now. */
void qb_lag_heard(struct qb_lag *lag, size_t who, const char *text, size_t length);

/* One for each state that all have seen; of the lag. */
struct qb_samples *qb_lag_times(struct qb_lag *lag);
