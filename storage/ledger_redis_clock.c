/*
 * The ledger's clock as estimated here: a server's time against the middle of a round trip. The
 * best of the newest samples counts, and each grows worse with its age. Shards have servers and
 * clocks of their own: the estimate is the middle of what they may show.
 */
#include "base/clock.h"
#include "storage/ledger_redis_state.h"

/* How far two clocks may drift apart: 100 millionths, several times what crystals do. */
#define DRIFT_PER_US 10000

void qb_clock_take(struct qb_clock *clock, int64_t sent_us, int64_t answered_us, qb_time_us now_us)
{
    struct qb_clock_sample *sample = &clock->samples[clock->count++ % QB_CLOCK_SAMPLES];

    sample->half_us = (answered_us - sent_us + 1) / 2;
    sample->mono_us = sent_us + sample->half_us;
    sample->offset_us = now_us - sample->mono_us;
}

/* The best of a shard's samples; false without any. */
static bool best_of(const struct qb_clock *clock, int64_t mono_us, int64_t *offset_us,
                    int64_t *off_us)
{
    size_t count = clock->count < QB_CLOCK_SAMPLES ? clock->count : QB_CLOCK_SAMPLES;

    *off_us = INT64_MAX;
    for (size_t i = 0; i < count; i++) {
        const struct qb_clock_sample *sample = &clock->samples[i];
        int64_t sample_off_us = sample->half_us + (mono_us - sample->mono_us) / DRIFT_PER_US;
        if (sample_off_us >= *off_us) continue;
        *off_us = sample_off_us;
        *offset_us = sample->offset_us;
    }
    return count > 0;
}

qb_time_us qb_clock_tell(struct qb_redis_ledger *ledger, int64_t *uncertainty_us)
{
    int64_t mono_us = qb_clock_mono_us();
    int64_t lowest_us = INT64_MAX;
    int64_t highest_us = INT64_MIN;

    *uncertainty_us = INT64_MAX;
    for (unsigned i = 0; i < ledger->options.shards; i++) {
        int64_t offset_us = 0;
        int64_t off_us = 0;
        if (!best_of(&ledger->shards[i].clock, mono_us, &offset_us, &off_us)) {
            return ledger->told_us;
        }
        if (offset_us - off_us < lowest_us) lowest_us = offset_us - off_us;
        if (offset_us + off_us > highest_us) highest_us = offset_us + off_us;
    }
    *uncertainty_us = (highest_us - lowest_us + 1) / 2;
    qb_time_us now_us = mono_us + lowest_us + *uncertainty_us;
    if (now_us > ledger->told_us) ledger->told_us = now_us;
    return ledger->told_us;
}
