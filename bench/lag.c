#include "bench/lag.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "bench/swarm.h"

#define WAITING_MAX 16 /* states of an auction under way; beyond, the newest is not measured */
#define ID_BYTES    32

struct sight {
    uint64_t seq; /* 0: free */
    int64_t first_us;
    uint32_t heard; /* a bit a watcher */
};

struct lot {
    char id[ID_BYTES];
    uint64_t newest;
    struct sight sights[WAITING_MAX];
};

struct qb_lag {
    struct lot *lots; /* sorted by id */
    size_t count;
    uint32_t all;
    struct qb_samples times;
};

static int by_id(const void *left, const void *right)
{
    return strcmp(((const struct lot *)left)->id, ((const struct lot *)right)->id);
}

struct qb_lag *qb_lag_new(const char *const *auctions, size_t count, size_t watchers)
{
    struct qb_lag *lag = calloc(1, sizeof *lag);

    QB_ASSERT(lag != NULL);
    lag->lots = calloc(count, sizeof *lag->lots);
    QB_ASSERT(lag->lots != NULL);
    if (watchers > 32) qb_load_fail("no room for %zu watchers", watchers);
    lag->count = count;
    lag->all = (uint32_t)((UINT64_C(1) << watchers) - 1);
    for (size_t i = 0; i < count; i++) {
        size_t length = strlen(auctions[i]);
        if (length >= ID_BYTES) qb_load_fail("an id of %zu bytes", length);
        (void)memcpy(lag->lots[i].id, auctions[i], length);
    }
    qsort(lag->lots, count, sizeof *lag->lots, by_id);
    return lag;
}

void qb_lag_free(struct qb_lag **lag)
{
    if (*lag == NULL) return;
    qb_samples_fini(&(*lag)->times);
    free((*lag)->lots);
    free(*lag);
    *lag = NULL;
}

static struct lot *lot_of(const struct qb_lag *lag, const char *text, size_t length)
{
    static const char member[] = "\"auction\":\"";
    const char *at = memmem(text, length, member, sizeof member - 1);
    struct lot key = {.newest = 0};

    if (at == NULL) return NULL;
    at += sizeof member - 1;
    const char *end = memchr(at, '"', length - (size_t)(at - text));
    if (end == NULL || end - at >= ID_BYTES) return NULL;
    (void)memcpy(key.id, at, (size_t)(end - at));
    return bsearch(&key, lag->lots, lag->count, sizeof key, by_id);
}

void qb_lag_heard(struct qb_lag *lag, size_t who, const char *text, size_t length)
{
    struct lot *lot = lot_of(lag, text, length);
    uint64_t seq = (uint64_t)qb_measure_member(text, length, "\"seq\":");
    int64_t now_us = qb_clock_mono_us();
    struct sight *unused = NULL;

    if (lot == NULL) return;
    for (size_t i = 0; i < WAITING_MAX; i++) {
        struct sight *sight = &lot->sights[i];
        if (sight->seq == 0) {
            unused = sight;
        } else if (sight->seq <= seq) {
            sight->heard |= UINT32_C(1) << who;
            if (sight->heard != lag->all) continue;
            qb_samples_add(&lag->times, now_us - sight->first_us);
            sight->seq = 0;
        }
    }
    if (seq <= lot->newest) return;
    lot->newest = seq;
    if (unused != NULL) *unused = (struct sight){seq, now_us, UINT32_C(1) << who};
}

struct qb_samples *qb_lag_times(struct qb_lag *lag)
{
    return &lag->times;
}
