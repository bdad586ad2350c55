#include "bidding/limiter.h"

#include <string.h>

#include "base/assert.h"

struct slot {
    int64_t time_us;
    uint8_t bid_id[QB_BID_ID_BYTES];
};

struct qb_bid_log {
    uint32_t next; /* where the next submission goes: over the oldest */
    uint32_t count;
    struct slot slots[];
};

size_t qb_bid_log_bytes(uint32_t slots)
{
    return sizeof(struct qb_bid_log) + slots * sizeof(struct slot);
}

int64_t qb_bid_log_admit(struct qb_bid_log *log, uint32_t slots, int64_t window_us,
                         const uint8_t bid_id[QB_BID_ID_BYTES], int64_t now_us)
{
    QB_ASSERT(slots >= 1);
    QB_ASSERT(slots <= QB_LIMITER_SLOTS_MAX);
    for (uint32_t i = 0; i < log->count; i++) {
        const struct slot *slot = &log->slots[i];
        bool is_inside = now_us - slot->time_us < window_us;
        if (is_inside && memcmp(slot->bid_id, bid_id, QB_BID_ID_BYTES) == 0) return 0;
    }
    if (log->count == slots) { /* full: the next one is the oldest */
        int64_t age_us = now_us - log->slots[log->next].time_us;
        if (age_us < window_us) return window_us - age_us;
    }
    struct slot *slot = &log->slots[log->next];
    slot->time_us = now_us;
    (void)memcpy(slot->bid_id, bid_id, QB_BID_ID_BYTES);
    log->next = (log->next + 1) % slots;
    if (log->count < slots) log->count++;
    return 0;
}

/* Empties the buckets that have left the window by `bucket`. */
static void advance(struct qb_rate_counter *counter, int64_t bucket)
{
    int64_t steps = bucket - counter->bucket;

    if (steps <= 0) return;
    if (steps >= QB_RATE_BUCKETS) {
        (void)memset(counter->counts, 0, sizeof counter->counts);
        counter->sum = 0;
    }
    for (int64_t i = 1; steps < QB_RATE_BUCKETS && i <= steps; i++) {
        uint32_t *count = &counter->counts[(counter->bucket + i) % QB_RATE_BUCKETS];
        counter->sum -= *count;
        *count = 0;
    }
    counter->bucket = bucket;
}

/* Buckets until enough of the oldest ones have left for one more request. */
static int64_t buckets_to_wait(const struct qb_rate_counter *counter, uint32_t limit)
{
    uint32_t left = counter->sum;

    for (int64_t i = 1; i < QB_RATE_BUCKETS; i++) {
        left -= counter->counts[(counter->bucket + i) % QB_RATE_BUCKETS];
        if (left < limit) return i;
    }
    return QB_RATE_BUCKETS;
}

int64_t qb_rate_admit(struct qb_rate_counter *counter, uint32_t limit, int64_t window_us,
                      int64_t now_us)
{
    /* One bucket is always partly outside the window: 99 whole ones make it up, so that no window
     * ever holds more than the limit; it is at most 1 % too strict. */
    int64_t bucket_us = window_us / (QB_RATE_BUCKETS - 1);

    QB_ASSERT(limit >= 1);
    QB_ASSERT(bucket_us >= 1);
    QB_ASSERT(now_us >= 0);
    advance(counter, now_us / bucket_us);
    if (counter->sum >= limit) {
        return buckets_to_wait(counter, limit) * bucket_us - now_us % bucket_us;
    }
    counter->counts[counter->bucket % QB_RATE_BUCKETS]++;
    counter->sum++;
    return 0;
}
