/*
 * Which shard of Redis and RabbitMQ an auction or an account belongs to.
 */
#pragma once

#include <stdint.h>

#include "base/assert.h"

/* 0 to shards - 1; the same in every process and release. Independent of the id modulo a small
 * number, by which home threads are chosen. */
static inline unsigned qb_shard_of(uint64_t id, unsigned shards)
{
    QB_ASSERT(shards > 0);
    return (unsigned)(((id * UINT64_C(0x9E3779B97F4A7C15)) >> 32) % shards);
}
