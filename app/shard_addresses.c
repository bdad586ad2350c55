#include "app/shard_addresses.h"

#include <stdio.h>
#include <string.h>

#include "base/redis.h"

/* Where the next shard begins behind `text`: at ",redis", or null. */
static char *next_shard(char *text)
{
    return strstr(text, ",redis");
}

bool qb_shard_addresses_read(const char *setting, struct qb_shard_addresses *addresses,
                             struct qb_error *error)
{
    (void)snprintf(addresses->text, sizeof addresses->text, "%s", setting);
    addresses->count = 0;
    for (char *at = addresses->text; at != NULL;) {
        char *comma = next_shard(at);
        if (comma != NULL) *comma = '\0';
        if (addresses->count == QB_SHARDS_MAX)
            return qb_error_set(error, "REDIS_URL: more than %d shards", QB_SHARDS_MAX);
        addresses->list[addresses->count++] = at;
        if (!qb_redis_address_check(at, error))
            return qb_error_wrap(error, "REDIS_URL, shard %u", addresses->count - 1);
        at = comma != NULL ? comma + 1 : NULL;
    }
    return true;
}
