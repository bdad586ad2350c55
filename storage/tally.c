#include "storage/tally.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/map.h"
#include "bidding/limiter.h"

#define ALONE_US      (2 * QB_SECOND_US)  /* nothing heard for so long */
#define FRESH_US      QB_SECOND_US        /* an answer is good for a full share for so long */
#define GRANT_US      (10 * QB_SECOND_US) /* a grant that nobody took is void: its place goes too */
#define AGAIN_US      (250 * QB_MS_US)    /* by then an exchange has brought more */
#define LOOKED_AT_MAX 16                  /* entries, for one that may be forgotten */

struct entry {
    uint8_t key[QB_TALLY_KEY_BYTES];
    struct entry *older;
    struct entry *newer;
    struct entry *next_dirty;
    int64_t used_us;
    struct qb_rate_counter mine; /* let through here */
    uint64_t total;              /* of all, as last told */
    int64_t told_us;
    int64_t full_until_us;
    uint32_t pending; /* let through since the last exchange */
    uint32_t sent;    /* in an exchange under way */
    uint32_t granted; /* in `total` already */
    int64_t granted_us;
    bool is_wanted;
    bool is_dirty;
    bool is_told; /* at least once */
};

struct qb_tally {
    pthread_mutex_t mutex;
    struct qb_tally_options options;
    struct qb_map map;
    struct entry *oldest;
    struct entry *newest;
    struct entry *first_dirty;
    struct entry **dirty_end;
    struct entry shared; /* of all for whom there was no room; known here only */
    unsigned replicas;
    int64_t reached_us;
    bool was_reached;
};

struct qb_tally *qb_tally_new(const struct qb_tally_options *options)
{
    struct qb_tally *tally = calloc(1, sizeof *tally);

    QB_ASSERT(tally != NULL);
    QB_ASSERT(options->limit > 0 && options->keys_max > 0);
    tally->options = *options;
    tally->replicas = 1;
    tally->dirty_end = &tally->first_dirty;
    qb_map_init(&tally->map, QB_TALLY_KEY_BYTES);
    (void)pthread_mutex_init(&tally->mutex, NULL);
    return tally;
}

static void unlink_entry(struct qb_tally *tally, struct entry *entry)
{
    *(entry->older != NULL ? &entry->older->newer : &tally->oldest) = entry->newer;
    *(entry->newer != NULL ? &entry->newer->older : &tally->newest) = entry->older;
}

static void link_newest(struct qb_tally *tally, struct entry *entry)
{
    entry->older = tally->newest;
    entry->newer = NULL;
    *(tally->newest != NULL ? &tally->newest->newer : &tally->oldest) = entry;
    tally->newest = entry;
}

static void drop(struct qb_tally *tally, struct entry *entry)
{
    (void)qb_map_remove(&tally->map, entry->key);
    unlink_entry(tally, entry);
    free(entry);
}

void qb_tally_free(struct qb_tally **tally)
{
    struct qb_tally *old = *tally;

    *tally = NULL;
    if (old == NULL) return;
    while (old->oldest != NULL) drop(old, old->oldest);
    qb_map_fini(&old->map);
    (void)pthread_mutex_destroy(&old->mutex);
    free(old);
}

uint32_t qb_tally_limit(const struct qb_tally *tally)
{
    return tally->options.limit;
}

int64_t qb_tally_window_us(const struct qb_tally *tally)
{
    return tally->options.window_us;
}

static bool is_idle(const struct qb_tally *tally, const struct entry *entry, int64_t mono_us)
{
    return mono_us - entry->used_us >= tally->options.window_us && !entry->is_dirty &&
           entry->sent == 0;
}

/* Whether it may be forgotten for a newer one. */
static bool is_light(const struct qb_tally *tally, const struct entry *entry)
{
    uint64_t used = entry->total > entry->mine.sum ? entry->total : entry->mine.sum;

    return used * 100 < tally->options.limit && !entry->is_dirty && entry->sent == 0;
}

/* Forgets one that may be. A busy one among the oldest goes to the end, so that it does not keep
 * the light ones behind it. */
static bool make_room(struct qb_tally *tally, int64_t mono_us)
{
    for (int looked = 0; looked < LOOKED_AT_MAX; looked++) {
        struct entry *entry = tally->oldest;
        if (is_idle(tally, entry, mono_us) || is_light(tally, entry)) {
            drop(tally, entry);
            return true;
        }
        unlink_entry(tally, entry);
        link_newest(tally, entry);
    }
    return false;
}

/* The entry of a key as the newest, or null: all are busy. */
static struct entry *entry_of(struct qb_tally *tally, const uint8_t *key, int64_t mono_us)
{
    struct entry *entry = qb_map_get(&tally->map, key);

    if (entry != NULL) {
        unlink_entry(tally, entry);
    } else {
        bool is_full = tally->map.count >= tally->options.keys_max;
        if (is_full && !make_room(tally, mono_us)) return NULL;
        entry = calloc(1, sizeof *entry);
        QB_ASSERT(entry != NULL);
        (void)memcpy(entry->key, key, QB_TALLY_KEY_BYTES);
        (void)qb_map_set(&tally->map, key, entry);
    }
    link_newest(tally, entry);
    entry->used_us = mono_us;
    return entry;
}

static void mark(struct qb_tally *tally, struct entry *entry)
{
    if (entry->is_dirty) return;
    entry->is_dirty = true;
    entry->next_dirty = NULL;
    *tally->dirty_end = entry;
    tally->dirty_end = &entry->next_dirty;
}

/* One more was let through. Who hardly asks is not worth telling: of all that replicas keep to
 * themselves there is at most a hundredth of the limit. */
static void add_pending(struct qb_tally *tally, struct entry *entry)
{
    entry->pending++;
    if ((uint64_t)entry->pending * tally->replicas * 100 >= tally->options.limit)
        mark(tally, entry);
}

static bool is_alone(const struct qb_tally *tally, int64_t mono_us)
{
    return !tally->was_reached || mono_us - tally->reached_us > ALONE_US;
}

/* Of what is left, how much may be let through here before the others are heard. */
static uint64_t share_of(const struct qb_tally *tally, const struct entry *entry, int64_t mono_us)
{
    const uint64_t limit = tally->options.limit;
    uint64_t left = entry->total < limit ? limit - entry->total : 0;

    if (tally->replicas == 1) return left;
    /* Of a key that nobody spoke of, less than half is used. */
    bool is_fresh = entry->is_told && mono_us - entry->told_us < FRESH_US;
    uint64_t share = left / (tally->replicas * (is_fresh ? 3U : 4U));
    return share == 0 && entry->total * 2 < limit ? 1 : share;
}

static int64_t ask_again(struct qb_tally *tally, struct entry *entry)
{
    entry->is_wanted = true;
    mark(tally, entry);
    return AGAIN_US;
}

/* Whether one more is let through, as far as the others are concerned; 0 or the time to wait. */
static int64_t decide(struct qb_tally *tally, struct entry *entry, int64_t mono_us)
{
    uint64_t unknown = (uint64_t)entry->pending + entry->sent;

    if (mono_us - entry->granted_us > GRANT_US) entry->granted = 0;
    if (entry->granted > 0) {
        entry->granted--;
        return 0;
    }
    if (entry->full_until_us > mono_us) return entry->full_until_us - mono_us;
    if (entry->total + unknown >= tally->options.limit) return ask_again(tally, entry);
    if (unknown >= share_of(tally, entry, mono_us)) return ask_again(tally, entry);
    add_pending(tally, entry);
    return 0;
}

static int64_t admit(struct qb_tally *tally, struct entry *entry, int64_t mono_us)
{
    uint32_t limit = tally->options.limit;
    bool is_local = entry == &tally->shared || is_alone(tally, mono_us);

    if (is_local && tally->replicas > 1)
        limit = limit > tally->replicas ? limit / tally->replicas : 1;
    struct qb_rate_counter before = entry->mine;
    int64_t wait_us = qb_rate_admit(&entry->mine, limit, tally->options.window_us, mono_us);
    if (wait_us > 0) return wait_us;
    if (is_local && entry != &tally->shared && !tally->options.is_alone) {
        add_pending(tally, entry); /* the others hear of it later */
    }
    if (is_local) return 0;
    wait_us = decide(tally, entry, mono_us);
    if (wait_us > 0) entry->mine = before;
    return wait_us;
}

int64_t qb_tally_admit(struct qb_tally *tally, const uint8_t key[QB_TALLY_KEY_BYTES],
                       int64_t mono_us)
{
    (void)pthread_mutex_lock(&tally->mutex);
    struct entry *entry = entry_of(tally, key, mono_us);
    int64_t wait_us = admit(tally, entry != NULL ? entry : &tally->shared, mono_us);
    (void)pthread_mutex_unlock(&tally->mutex);
    return wait_us;
}

size_t qb_tally_collect(struct qb_tally *tally, struct qb_tally_part *list, size_t max)
{
    size_t count = 0;

    (void)pthread_mutex_lock(&tally->mutex);
    while (count < max && tally->first_dirty != NULL) {
        struct entry *entry = tally->first_dirty;
        tally->first_dirty = entry->next_dirty;
        if (tally->first_dirty == NULL) tally->dirty_end = &tally->first_dirty;
        struct qb_tally_part *one = &list[count++];
        (void)memcpy(one->key, entry->key, QB_TALLY_KEY_BYTES);
        /* What was let through while nobody was there, but has left the window, is not told. */
        if (entry->pending > entry->mine.sum) entry->pending = entry->mine.sum;
        one->added = entry->pending;
        one->is_wanted = entry->is_wanted;
        entry->sent += entry->pending;
        entry->pending = 0;
        entry->is_wanted = false;
        entry->is_dirty = false;
    }
    (void)pthread_mutex_unlock(&tally->mutex);
    return count;
}

void qb_tally_give_back(struct qb_tally *tally, const struct qb_tally_part *count)
{
    (void)pthread_mutex_lock(&tally->mutex);
    struct entry *entry = qb_map_get(&tally->map, count->key);
    if (entry != NULL && count->added > 0) {
        QB_ASSERT(entry->sent >= count->added);
        entry->sent -= count->added;
        entry->pending += count->added;
        mark(tally, entry);
    }
    (void)pthread_mutex_unlock(&tally->mutex);
}

static void tell(struct entry *entry, uint64_t total, int64_t mono_us)
{
    entry->total = total;
    entry->told_us = mono_us;
    entry->is_told = true;
}

void qb_tally_take(struct qb_tally *tally, const struct qb_tally_part *count,
                   const struct qb_tally_sum *sum, int64_t mono_us)
{
    (void)pthread_mutex_lock(&tally->mutex);
    struct entry *entry = qb_map_get(&tally->map, count->key);
    if (entry != NULL) {
        entry->sent -= entry->sent < count->added ? entry->sent : count->added;
        entry->granted += sum->granted;
        if (sum->granted > 0) entry->granted_us = mono_us;
        entry->full_until_us = sum->wait_us > 0 ? mono_us + sum->wait_us : 0;
        tell(entry, sum->total, mono_us);
    }
    (void)pthread_mutex_unlock(&tally->mutex);
}

void qb_tally_hear(struct qb_tally *tally, const uint8_t key[QB_TALLY_KEY_BYTES], uint64_t total,
                   int64_t mono_us)
{
    (void)pthread_mutex_lock(&tally->mutex);
    struct entry *entry = entry_of(tally, key, mono_us);
    if (entry != NULL) tell(entry, total, mono_us);
    (void)pthread_mutex_unlock(&tally->mutex);
}

void qb_tally_reached(struct qb_tally *tally, unsigned replicas, int64_t mono_us)
{
    (void)pthread_mutex_lock(&tally->mutex);
    tally->replicas = replicas > 0 ? replicas : 1;
    tally->reached_us = mono_us;
    tally->was_reached = true;
    (void)pthread_mutex_unlock(&tally->mutex);
}
