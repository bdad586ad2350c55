/*
 * When bids were turned away because a store was away: RabbitMQ for all auctions, a shard of Redis
 * for its own. No auction ends in such a time (reliability.md P9); the auctioneer asks here before
 * it proposes an end.
 */
#include <stdlib.h>

#include "app/runner_state.h"
#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/shard.h"

/* Who was turned away is told to come back in up to so long (QB_JOURNAL_RABBIT's breaker). */
#define COME_BACK_US (3 * QB_SECOND_US)
/* A close that nobody could propose for so long fell into an outage of which nobody here knows: of
 * before this replica began, or of all replicas. */
#define LATE_US      (5 * QB_SECOND_US)
#define WORTH_LOG_US QB_SECOND_US

/* Of one shard; monotonic times. */
struct qb_away {
    bool is_on;
    bool is_first;    /* until this replica takes bids at all: no outage that it could tell of */
    int64_t on_us;    /* since when it is on without a pause */
    int64_t since_us; /* since when, with such pauses in which nobody could come back */
    int64_t until_us;
};

static bool is_away(struct qb_runner *runner, unsigned shard, int64_t *since_us)
{
    const struct qb_runners_options *options = &runner->all->options;

    *since_us = qb_clock_mono_us();
    if (options->is_away(runner->ledger, shard, since_us)) return true;
    return runner->is_suspended || options->is_stuck(options->cluster, runner->ledger, shard, NULL);
}

static void begin(struct qb_away *away, int64_t since_us)
{
    away->is_on = true;
    away->on_us = since_us;
    if (since_us > away->until_us) away->since_us = since_us;
}

/* Whoever was told to come back is given as long as it lasted, and no longer than they were told:
 * a breaker that opens for a moment must not put ends off for seconds. */
static void end(struct qb_away *away, unsigned shard)
{
    int64_t now_us = qb_clock_mono_us();
    int64_t lasted_us = now_us - away->on_us;
    int64_t until_us = now_us + (lasted_us < COME_BACK_US ? lasted_us : COME_BACK_US);

    away->is_on = false;
    if (until_us > away->until_us) away->until_us = until_us;
    if (away->is_first) {
        *away = (struct qb_away){0};
    } else if (lasted_us >= WORTH_LOG_US) {
        qb_log(QB_LOG_WARNING, "bidding.was_away", QB_INT("shard", shard),
               QB_INT("ms", lasted_us / QB_MS_US));
    }
}

static void look(struct qb_runner *runner, unsigned shard)
{
    struct qb_away *away = &runner->aways[shard];
    int64_t since_us = 0;
    bool is_on = is_away(runner, shard, &since_us);

    if (is_on && !away->is_on) begin(away, since_us);
    if (!is_on && away->is_on) end(away, shard);
}

static struct qb_outage newest(void *context, uint32_t lot)
{
    struct qb_runner *runner = context;
    unsigned shard = qb_shard_of(runner->lots[lot]->auction, runner->all->options.shards);
    const struct qb_away *away = &runner->aways[shard];

    look(runner, shard);
    if (!away->is_on && away->until_us == 0) return (struct qb_outage){0};
    qb_time_us ahead_us = qb_runner_now_us(runner) - qb_clock_mono_us();
    return (struct qb_outage){
        .is_on = away->is_on,
        .since_us = away->since_us + ahead_us,
        .until_us = away->until_us + ahead_us,
    };
}

void qb_runner_outages_look(struct qb_runner *runner)
{
    for (unsigned i = 0; i < runner->all->options.shards; i++) look(runner, i);
}

struct qb_auctioneer_outages qb_runner_outages(struct qb_runner *runner)
{
    unsigned shards = runner->all->options.shards;

    if (shards == 0) return (struct qb_auctioneer_outages){0};
    runner->aways = calloc(shards, sizeof *runner->aways);
    QB_ASSERT(runner->aways != NULL);
    for (unsigned i = 0; i < shards; i++)
        runner->aways[i] = (struct qb_away){.is_on = true, .is_first = true};
    return (struct qb_auctioneer_outages){
        .newest = newest,
        .context = runner,
        .extend_us = DOWN_EXTENSION_US,
        .late_us = LATE_US,
    };
}
