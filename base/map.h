/*
 * A hash map from a key of fixed size to a pointer, with a random SipHash-1-3 seed, so that
 * clients who choose keys cannot make it slow. Iterates in no promised order.
 *
 * One thread at a time; keys are copied, values kept.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attributes.h"

struct qb_map {
    uint64_t seed[2];
    size_t key_bytes; /* at most 32 */
    size_t count;
    size_t room; /* 0 or a power of two */
    uint8_t *keys;
    void **values; /* null: free */
};

/* An empty map for keys of `key_bytes`. */
void qb_map_init(struct qb_map *map, size_t key_bytes);
/* Frees the map, not the values. */
void qb_map_fini(struct qb_map *map);

/* The value of `key`, or null. */
void *qb_map_get(const struct qb_map *map, const void *key);
/* Sets or replaces; `value` is not null. Returns what was there before, or null. */
void *qb_map_set(struct qb_map *map, const void *key, void *value);
/* Removes and returns the value, or null. */
void *qb_map_remove(struct qb_map *map, const void *key);

/* The next value from `*cursor` on (start with 0), or null at the end. The map must not be
 * changed meanwhile. `key` may be null. */
void *qb_map_next(const struct qb_map *map, size_t *cursor, const void **key);

uint64_t qb_siphash(const uint64_t seed[2], const void *bytes, size_t length);
