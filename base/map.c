#include "base/map.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/random.h"

#define KEY_BYTES_MAX 32

static uint64_t rotate(uint64_t value, unsigned bits)
{
    return (value << bits) | (value >> (64 - bits));
}

static void sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[1] = rotate(v[1], 13) ^ v[0];
    v[0] = rotate(v[0], 32);
    v[2] += v[3];
    v[3] = rotate(v[3], 16) ^ v[2];
    v[0] += v[3];
    v[3] = rotate(v[3], 21) ^ v[0];
    v[2] += v[1];
    v[1] = rotate(v[1], 17) ^ v[2];
    v[2] = rotate(v[2], 32);
}

uint64_t qb_siphash(const uint64_t seed[2], const void *bytes, size_t length)
{
    const uint8_t *at = bytes;
    uint64_t v[4] = {seed[0] ^ UINT64_C(0x736f6d6570736575), seed[1] ^ UINT64_C(0x646f72616e646f6d),
                     seed[0] ^ UINT64_C(0x6c7967656e657261),
                     seed[1] ^ UINT64_C(0x7465646279746573)};
    uint64_t last = (uint64_t)length << 56;

    for (size_t i = 0; i + 8 <= length; i += 8) {
        uint64_t word = 0;
        for (size_t b = 0; b < 8; b++) word |= (uint64_t)at[i + b] << (8 * b);
        v[3] ^= word;
        sip_round(v);
        v[0] ^= word;
    }
    for (size_t b = 0; b < length % 8; b++)
        last |= (uint64_t)at[length - length % 8 + b] << (8 * b);
    v[3] ^= last;
    sip_round(v);
    v[0] ^= last;
    v[2] ^= 0xff;
    for (int i = 0; i < 3; i++) sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

void qb_map_init(struct qb_map *map, size_t key_bytes)
{
    QB_ASSERT(key_bytes > 0 && key_bytes <= KEY_BYTES_MAX);
    *map = (struct qb_map){.key_bytes = key_bytes};
    qb_random_secret(map->seed, sizeof map->seed);
}

void qb_map_fini(struct qb_map *map)
{
    free(map->keys);
    free(map->values);
    map->keys = NULL;
    map->values = NULL;
    map->room = 0;
    map->count = 0;
}

static uint8_t *key_at(const struct qb_map *map, size_t at)
{
    return &map->keys[at * map->key_bytes];
}

static size_t home_of(const struct qb_map *map, const void *key)
{
    return (size_t)qb_siphash(map->seed, key, map->key_bytes) & (map->room - 1);
}

/* The slot of `key`, or the free slot where it would go. There is always a free one. */
static size_t slot_of(const struct qb_map *map, const void *key)
{
    size_t at = home_of(map, key);

    while (map->values[at] != NULL && memcmp(key_at(map, at), key, map->key_bytes) != 0) {
        at = (at + 1) & (map->room - 1);
    }
    return at;
}

void *qb_map_get(const struct qb_map *map, const void *key)
{
    return map->room == 0 ? NULL : map->values[slot_of(map, key)];
}

static void resize(struct qb_map *map, size_t room)
{
    struct qb_map old = *map;

    map->keys = calloc(room, map->key_bytes);
    map->values = calloc(room, sizeof *map->values);
    QB_ASSERT(map->keys != NULL);
    QB_ASSERT(map->values != NULL);
    map->room = room;
    for (size_t i = 0; i < old.room; i++) {
        if (old.values[i] == NULL) continue;
        size_t at = slot_of(map, key_at(&old, i));
        (void)memcpy(key_at(map, at), key_at(&old, i), map->key_bytes);
        map->values[at] = old.values[i];
    }
    free(old.keys);
    free(old.values);
}

void *qb_map_set(struct qb_map *map, const void *key, void *value)
{
    QB_ASSERT(value != NULL);
    if ((map->count + 1) * 4 > map->room * 3) resize(map, map->room == 0 ? 16 : map->room * 2);

    size_t at = slot_of(map, key);
    void *before = map->values[at];
    if (before == NULL) {
        (void)memcpy(key_at(map, at), key, map->key_bytes);
        map->count++;
    }
    map->values[at] = value;
    return before;
}

void *qb_map_remove(struct qb_map *map, const void *key)
{
    if (map->room == 0) return NULL;
    size_t hole = slot_of(map, key);
    void *value = map->values[hole];
    if (value == NULL) return NULL;

    /* Moves back what was displaced over the hole, so that no tombstone is needed. */
    for (size_t at = (hole + 1) & (map->room - 1); map->values[at] != NULL;
         at = (at + 1) & (map->room - 1)) {
        size_t home = home_of(map, key_at(map, at));
        size_t from_home = (at - home) & (map->room - 1);
        size_t from_hole = (at - hole) & (map->room - 1);
        if (from_home < from_hole) continue;
        (void)memcpy(key_at(map, hole), key_at(map, at), map->key_bytes);
        map->values[hole] = map->values[at];
        hole = at;
    }
    map->values[hole] = NULL;
    map->count--;
    return value;
}

void *qb_map_next(const struct qb_map *map, size_t *cursor, const void **key)
{
    while (*cursor < map->room) {
        size_t at = (*cursor)++;
        if (map->values[at] == NULL) continue;
        if (key != NULL) *key = key_at(map, at);
        return map->values[at];
    }
    return NULL;
}
