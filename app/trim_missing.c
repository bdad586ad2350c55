#include "app/trim_missing.h"

#include <stdlib.h>

#include "app/recovery_republish.h"
#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "storage/journal_rabbit_admin.h"

/* Longer than a batch takes, and than the broker needs to notice that a reader died. */
#define BEHIND_US     (10 * QB_SECOND_US)
#define QUEUE_LIFE_US QB_SECOND_US /* of the answer whether a queue is empty */
#define TRIES_MAX     3

/* An auction whose commits are behind what is durable. */
struct lag {
    uint64_t committed;
    int64_t since_us; /* that they stand there, or that it was published again */
    unsigned tries;
};

void qb_missing_init(struct qb_missing *missing, const struct qb_journal_rabbit_options *journal,
                     const struct qb_store_ops *store)
{
    *missing = (struct qb_missing){.journal = journal, .store = store};
    qb_map_init(&missing->lags, sizeof(qb_id));
}

void qb_missing_fini(struct qb_missing *missing)
{
    size_t cursor = 0;
    struct lag *lag = NULL;

    while ((lag = qb_map_next(&missing->lags, &cursor, NULL)) != NULL) free(lag);
    qb_map_fini(&missing->lags);
}

void qb_missing_forget(struct qb_missing *missing)
{
    qb_missing_fini(missing);
    qb_missing_init(missing, missing->journal, missing->store);
}

static struct lag *lag_of(struct qb_missing *missing, const struct qb_trim_item *item,
                          int64_t now_us)
{
    struct lag *lag = qb_map_get(&missing->lags, &item->auction);

    if (lag == NULL) {
        lag = calloc(1, sizeof *lag);
        QB_ASSERT(lag != NULL);
        (void)qb_map_set(&missing->lags, &item->auction, lag);
        *lag = (struct lag){.committed = item->committed, .since_us = now_us};
    }
    if (lag->committed != item->committed)
        *lag = (struct lag){.committed = item->committed, .since_us = now_us};
    if (item->said > item->committed) lag->since_us = now_us - BEHIND_US;
    return lag;
}

/* Nothing waits for a reader there; what a reader holds is not counted. */
static bool ask_queue(struct qb_missing *missing, unsigned shard, int64_t now_us,
                      struct qb_error *error)
{
    if (now_us - missing->queues[shard].asked_us < QUEUE_LIFE_US) return true;
    missing->queues[shard].asked_us = now_us; /* also when there is no answer: not at once again */
    missing->queues[shard].is_empty = false;
    QB_TRY(qb_journal_rabbit_is_empty(missing->journal, shard, &missing->queues[shard].is_empty,
                                      error));
    return true;
}

/* After some tries only a person can tell why they do not arrive. */
static void say(const struct qb_trim_item *item, const struct lag *lag)
{
    char auction[QB_ID_TEXT_BYTES];
    bool is_last = lag->tries == TRIES_MAX;

    qb_id_text(item->auction, auction);
    qb_log(QB_LOG_ERROR, is_last ? "trim.stuck" : "trim.missing", QB_TEXT("auction", auction),
           QB_INT("committed", item->committed), QB_INT("durable", item->durable),
           QB_INT("tries", lag->tries));
}

bool qb_missing_look(struct qb_missing *missing, struct qb_store_link *link,
                     struct qb_redis_desk *desk, unsigned shard, const struct qb_trim_item *item,
                     struct qb_error *error)
{
    struct qb_applied found = {.auction = item->auction};
    struct qb_republish republish = {.journal = missing->journal,
                                     .desk = desk,
                                     .upto = item->durable,
                                     .is_ending = missing->is_ending};
    int64_t now_us = qb_clock_mono_us();

    if (item->durable <= item->committed) {
        free(qb_map_remove(&missing->lags, &item->auction));
        return true;
    }
    struct lag *lag = lag_of(missing, item, now_us);
    if (now_us - lag->since_us < BEHIND_US || lag->tries > TRIES_MAX) return true;
    QB_TRY(ask_queue(missing, shard, now_us, error));
    if (!missing->queues[shard].is_empty) return true;
    /* Behind that look: what was taken from the queue meanwhile may be committed by now. */
    QB_TRY(missing->store->applied(link, &found, 1, error) == QB_STORE_OK);
    if (found.seq != item->committed) return true;
    say(item, lag);
    lag->since_us = now_us;
    if (++lag->tries > TRIES_MAX) return true;
    QB_TRY(qb_republish_auction(&republish, shard, item->auction, item->committed, error));
    qb_metric_add(QB_METRIC_missing_entries_total, NULL,
                  (int64_t)(item->durable - item->committed));
    return true;
}
