#include "app/auth_limits.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/map.h"
#include "base/sha256.h"
#include "bidding/limiter.h"
#include "storage/tally.h"

#define KEY_BYTES_MAX QB_SHA256_BYTES

_Static_assert(QB_AUTH_ADDRESS_BYTES == QB_TALLY_KEY_BYTES, "an address is a key of a tally");

struct counter {
    uint8_t key[KEY_BYTES_MAX];
    struct counter *older;
    struct counter *newer;
    int64_t used_us;
    struct qb_rate_counter attempts; /* addresses */
    uint32_t failures;               /* accounts */
    int64_t blocked_us;              /* accounts: nothing before this time */
};

/* Counters by key and in order of use. */
struct table {
    struct qb_map map;
    uint32_t room;
    struct counter *oldest;
    struct counter *newest;
    struct counter shared; /* of all for whom there was no room */
};

struct qb_auth_limits {
    pthread_mutex_t mutex;
    struct qb_auth_limits_options options;
    struct table addresses;
    struct table accounts;
};

static void unlink_counter(struct table *table, struct counter *counter)
{
    *(counter->older != NULL ? &counter->older->newer : &table->oldest) = counter->newer;
    *(counter->newer != NULL ? &counter->newer->older : &table->newest) = counter->older;
}

static void link_newest(struct table *table, struct counter *counter)
{
    counter->older = table->newest;
    counter->newer = NULL;
    *(table->newest != NULL ? &table->newest->newer : &table->oldest) = counter;
    table->newest = counter;
}

static bool is_idle(const struct counter *counter, int64_t mono_us)
{
    return mono_us - counter->used_us >= QB_AUTH_WINDOW_US && counter->blocked_us <= mono_us;
}

static void drop(struct table *table, struct counter *counter)
{
    (void)qb_map_remove(&table->map, counter->key);
    unlink_counter(table, counter);
    free(counter);
}

static struct counter *counter_of(struct table *table, const uint8_t *key, int64_t mono_us)
{
    struct counter *counter = qb_map_get(&table->map, key);

    if (counter != NULL) {
        unlink_counter(table, counter);
    } else {
        if (table->map.count >= table->room && is_idle(table->oldest, mono_us))
            drop(table, table->oldest);
        if (table->map.count >= table->room) return &table->shared;
        counter = calloc(1, sizeof *counter);
        QB_ASSERT(counter != NULL);
        (void)memcpy(counter->key, key, table->map.key_bytes);
        (void)qb_map_set(&table->map, key, counter);
    }
    link_newest(table, counter);
    return counter;
}

static void table_init(struct table *table, size_t key_bytes, uint32_t room)
{
    QB_ASSERT(room > 0);
    qb_map_init(&table->map, key_bytes);
    table->room = room;
}

static void table_fini(struct table *table)
{
    while (table->oldest != NULL) drop(table, table->oldest);
    qb_map_fini(&table->map);
}

struct qb_auth_limits *qb_auth_limits_new(const struct qb_auth_limits_options *options)
{
    struct qb_auth_limits *limits = calloc(1, sizeof *limits);

    QB_ASSERT(limits != NULL);
    limits->options = *options;
    table_init(&limits->addresses, QB_AUTH_ADDRESS_BYTES, options->addresses_max);
    table_init(&limits->accounts, QB_SHA256_BYTES, options->accounts_max);
    QB_ASSERT(pthread_mutex_init(&limits->mutex, NULL) == 0);
    return limits;
}

void qb_auth_limits_free(struct qb_auth_limits **limits)
{
    if (*limits == NULL) return;
    table_fini(&(*limits)->addresses);
    table_fini(&(*limits)->accounts);
    (void)pthread_mutex_destroy(&(*limits)->mutex);
    free(*limits);
    *limits = NULL;
}

int64_t qb_auth_limits_address(struct qb_auth_limits *limits,
                               const uint8_t key[QB_AUTH_ADDRESS_BYTES], int64_t mono_us)
{
    if (limits->options.attempts != NULL)
        return qb_tally_admit(limits->options.attempts, key, mono_us);
    (void)pthread_mutex_lock(&limits->mutex);
    struct counter *counter = counter_of(&limits->addresses, key, mono_us);
    counter->used_us = mono_us;
    int64_t wait_us =
        qb_rate_admit(&counter->attempts, limits->options.attempts_max, QB_AUTH_WINDOW_US, mono_us);
    (void)pthread_mutex_unlock(&limits->mutex);
    return wait_us;
}

/* Refused attempts neither count nor move the time, so that nobody can keep an account shut. */
static int64_t admit_account(struct counter *counter, uint32_t failures_max, int64_t mono_us)
{
    if (is_idle(counter, mono_us)) counter->failures = 0;
    if (counter->blocked_us > mono_us) return counter->blocked_us - mono_us;
    counter->used_us = mono_us;
    counter->failures++;
    if (counter->failures < failures_max) return 0;
    uint32_t doublings = counter->failures - failures_max;
    int64_t delay_us = QB_AUTH_WINDOW_US;
    if (doublings < 5) delay_us = QB_AUTH_DELAY_FIRST_US << doublings;
    counter->blocked_us = mono_us + delay_us;
    return 0;
}

int64_t qb_auth_limits_account(struct qb_auth_limits *limits, const char *email, int64_t mono_us)
{
    uint8_t key[QB_SHA256_BYTES];

    qb_sha256_of(email, strlen(email), key);
    (void)pthread_mutex_lock(&limits->mutex);
    int64_t wait_us = admit_account(counter_of(&limits->accounts, key, mono_us),
                                    limits->options.failures_max, mono_us);
    (void)pthread_mutex_unlock(&limits->mutex);
    return wait_us;
}

void qb_auth_limits_success(struct qb_auth_limits *limits, const char *email)
{
    uint8_t key[QB_SHA256_BYTES];

    qb_sha256_of(email, strlen(email), key);
    (void)pthread_mutex_lock(&limits->mutex);
    struct counter *counter = qb_map_get(&limits->accounts.map, key);
    if (counter != NULL) drop(&limits->accounts, counter);
    (void)pthread_mutex_unlock(&limits->mutex);
}

void qb_auth_limits_undo(struct qb_auth_limits *limits, const char *email)
{
    uint8_t key[QB_SHA256_BYTES];

    qb_sha256_of(email, strlen(email), key);
    (void)pthread_mutex_lock(&limits->mutex);
    struct counter *counter = qb_map_get(&limits->accounts.map, key);
    if (counter != NULL && counter->failures > 0) {
        counter->failures--;
        counter->blocked_us = 0;
    }
    (void)pthread_mutex_unlock(&limits->mutex);
}
