/*
 * Limits, pure: time comes in. An exact log of the last N times (the bid limit, S47), and a
 * two-bucket sliding counter (limits per address, S48, off by at most 1 %).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attributes.h"
#include "bidding/entry.h"

#define QB_LIMITER_SLOTS_MAX 200

/* One bidder's newest submissions. Memory: qb_bid_log_bytes(slots); zero-filled is empty. */
struct qb_bid_log;

size_t qb_bid_log_bytes(uint32_t slots);

/*
 * Lets a submission through iff fewer than `slots` others fell into the window before it: the
 * oldest of the last `slots` is `window_us` old or older. A bid_id inside the window that is there
 * already takes no second slot. Returns 0 when let through, else how long to wait, in us.
 */
int64_t qb_bid_log_admit(struct qb_bid_log *log, uint32_t slots, int64_t window_us,
                         const uint8_t bid_id[QB_BID_ID_BYTES], int64_t now_us);

struct qb_rate_counter {
    int64_t bucket; /* number of the current bucket; buckets are window / QB_RATE_BUCKETS */
    uint32_t counts[100];
    uint32_t sum;
};
#define QB_RATE_BUCKETS 100 /* the window is exact to 1 % of its length */

/* Counts one request if fewer than `limit` are in the window. Returns 0 when let through, else
 * the time to wait in us. Never lets more than `limit` through in any window. */
int64_t qb_rate_admit(struct qb_rate_counter *counter, uint32_t limit, int64_t window_us,
                      int64_t now_us);
