#include "base/redis_channels.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/sha256.h"

void qb_redis_channels_init(struct qb_redis_channels *channels)
{
    qb_map_init(&channels->names, QB_SHA256_BYTES);
}

void qb_redis_channels_fini(struct qb_redis_channels *channels)
{
    size_t cursor = 0;

    for (char *name = NULL; (name = qb_map_next(&channels->names, &cursor, NULL)) != NULL;)
        free(name);
    qb_map_fini(&channels->names);
}

bool qb_redis_channels_add(struct qb_redis_channels *channels, const char *name)
{
    uint8_t key[QB_SHA256_BYTES];

    qb_sha256_of(name, strlen(name), key);
    if (qb_map_get(&channels->names, key) != NULL) return false;
    char *copy = strdup(name);
    QB_ASSERT(copy != NULL);
    (void)qb_map_set(&channels->names, key, copy);
    return true;
}

bool qb_redis_channels_remove(struct qb_redis_channels *channels, const char *name)
{
    uint8_t key[QB_SHA256_BYTES];

    qb_sha256_of(name, strlen(name), key);
    char *known = qb_map_remove(&channels->names, key);
    free(known);
    return known != NULL;
}

const char *qb_redis_channels_next(const struct qb_redis_channels *channels, size_t *cursor)
{
    return qb_map_next(&channels->names, cursor, NULL);
}
