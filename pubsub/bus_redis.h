/*
 * The bus of a cluster: within the process as bus_local.h, and through Redis to every other.
 *
 * AUCTION   stays in the process: every replica folds the log itself.
 * USER      reaches the members of this process at once, and those of others through the channel
 *           qb:{q<shard>}:user:<id, 16 hex digits>.
 * LOG       brings what the ledger's scripts publish in qb:{q<shard>}:log:<id, 16 hex digits>,
 *           byte for byte.
 *
 * Thread    one of its own, with one connection per shard that hears and one that publishes; it
 *           subscribes only to what some member of this process has subscribed to.
 * Lossy     a notice is lost to other processes while Redis is away, or when they lag behind; a
 *           gap is told (qb_bus_listener), and qb_bus_deaf_since_us() says how long it lasts.
 */
#pragma once

#include "base/error.h"
#include "pubsub/bus.h"

struct qb_bus_redis_options {
    const char *const *addresses; /* one a shard (base/redis.h); borrowed for the call */
    unsigned shards;
    const char *name;    /* what CLIENT LIST shows, without spaces; borrowed for the call */
    int64_t connect_ms;  /* 0: as base/redis.h says, as is the next */
    int64_t answer_ms;   /* how long a server may be silent before it is left */
    size_t messages_max; /* notices that wait for the bus's thread; more are lost; 0: 10,000 */
};

/* Null with `error` set: an address that cannot be read. Deaf until Redis has answered. */
struct qb_bus *qb_bus_redis_new(const struct qb_bus_redis_options *options, struct qb_error *error);
