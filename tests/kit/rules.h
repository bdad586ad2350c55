/*
 * Rules that may open an auction, for tests to change in what they are about.
 */
#pragma once

#include "base/clock.h"
#include "bidding/rules.h"

/* In USD, with one increment of 100; without reserve price, buy-now and soft close. */
static inline struct qb_rules qb_test_rules(qb_id seller, int64_t start_price,
                                            qb_time_us starts_at_us, qb_time_us ends_at_us)
{
    return (struct qb_rules){
        .version = QB_RULES_VERSION,
        .kind = QB_AUCTION_ENGLISH,
        .currency = "USD",
        .seller = seller,
        .tick = 1,
        .cap = QB_AMOUNT_MAX,
        .start_price = start_price,
        .reserve = QB_AMOUNT_NONE,
        .buy_now = QB_AMOUNT_NONE,
        .starts_at_us = starts_at_us,
        .ends_at_us = ends_at_us,
        .drain_us = 250000,
        .min_resume_us = 120 * QB_SECOND_US,
        .table = {.row_count = 1, .rows = {{0, 100}}},
    };
}
