/*
 * The channels that a subscriber keeps over reconnects. Private to base/redis*.c.
 *
 * One thread at a time.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/attributes.h"
#include "base/map.h"

struct qb_redis_channels {
    struct qb_map names; /* by their hash */
};

void qb_redis_channels_init(struct qb_redis_channels *channels);
void qb_redis_channels_fini(struct qb_redis_channels *channels);

/* False: it was there already. The name is copied. */
QB_MUST_USE bool qb_redis_channels_add(struct qb_redis_channels *channels, const char *name);
/* False: it was not there. */
QB_MUST_USE bool qb_redis_channels_remove(struct qb_redis_channels *channels, const char *name);
/* The next name from `*cursor` on (start with 0), or null. */
const char *qb_redis_channels_next(const struct qb_redis_channels *channels, size_t *cursor);
