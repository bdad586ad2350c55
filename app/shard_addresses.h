/*
 * REDIS_URL: the addresses of the shards, separated by commas, each as base/redis.h has it. The
 * addresses of one Sentinel form have commas of their own: a shard begins with its scheme.
 */
#pragma once

#include "app/settings.h"
#include "base/attributes.h"
#include "base/error.h"

#define QB_SHARDS_MAX 16

struct qb_shard_addresses {
    char text[QB_SETTING_TEXT_BYTES];
    const char *list[QB_SHARDS_MAX]; /* point into `text`: not to be copied */
    unsigned count;
};

/* False with `error` set, which never holds a password: none, too many, or one cannot be read. */
QB_MUST_USE bool qb_shard_addresses_read(const char *setting, struct qb_shard_addresses *addresses,
                                         struct qb_error *error);
