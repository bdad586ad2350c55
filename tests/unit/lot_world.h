/*
 * One auction for the tests of the fold: open from 100 s to 200 s in euros from 50.00 on, rising
 * by 1.00, with a soft close of 10 s and a drain of 250 ms. A test changes `rules` between begin()
 * and start() where it wants another one. Included by test programs, each with a world of its own.
 */
#pragma once

#include "base/attributes.h"
#include "bidding/lot.h"
#include "tests/kit/rules.h"
#include "tests/kit/test.h"

#define S    INT64_C(1000000)
#define HOUR (3600 * S)
#define NONE QB_AMOUNT_NONE

enum { NOBODY, SAL = 9, ANN = 11, BOB = 12, CAT = 13, AUCTION = 7 }; /* Sal sells */

#define RECORDS_MAX 256

static struct world {
    struct qb_rules rules;
    struct qb_lot lot;
    struct qb_bid_record records[RECORDS_MAX];
    size_t record_count;
} world;

static inline void begin(void)
{
    (void)memset(&world, 0, sizeof world);
    world.rules = qb_test_rules(SAL, 5000, 100 * S, 200 * S);
    (void)memcpy(world.rules.currency, "EUR", sizeof world.rules.currency);
    world.rules.soft_window_us = 10 * S;
    world.rules.soft_extend_us = 10 * S;
    for (size_t i = 0; i < sizeof world.rules.secret; i++) world.rules.secret[i] = (uint8_t)i;
}

/* Gives `entry` its place and time, folds it and keeps the records as the runner does. */
static inline struct qb_verdict give(struct qb_entry entry, qb_time_us now_us)
{
    entry.auction = AUCTION;
    entry.epoch = 1;
    entry.seq = world.lot.seq + 1;
    entry.now_us = now_us;
    struct qb_verdict verdict = qb_lot_fold(&world.lot, &entry, world.records, world.record_count);
    struct qb_bid_record record;
    if (!qb_bid_record_of(&entry, &verdict, &record)) return verdict;
    if (world.record_count == RECORDS_MAX) abort();
    world.records[world.record_count++] = record;
    return verdict;
}

static inline void start(void)
{
    const struct qb_entry open = {
        .type = QB_ENTRY_OPEN, .max = NONE, .allowance = -1, .rules = &world.rules};
    const char *field = NULL;

    QB_EXPECT(qb_rules_problem(&world.rules, &field) == NULL, "the rules of a test may open");
    (void)give(open, 50 * S);
}

static inline struct qb_entry bid_of(qb_id bidder, int64_t max)
{
    return (struct qb_entry){.type = QB_ENTRY_BID,
                             .by = QB_ACTOR_BIDDER,
                             .bidder = bidder,
                             .actor = bidder,
                             .max = max,
                             .currency = "EUR",
                             .allowance = -1};
}

static inline struct qb_verdict bid(qb_id bidder, int64_t max, qb_time_us now_us)
{
    return give(bid_of(bidder, max), now_us);
}

/* A command of an operator, or of the system: `by` says whose authority. */
static inline struct qb_entry command(enum qb_entry_type type, enum qb_actor by)
{
    return (struct qb_entry){
        .type = (uint8_t)type, .by = (uint8_t)by, .max = NONE, .allowance = -1};
}

static inline struct qb_verdict order(enum qb_entry_type type, qb_time_us now_us)
{
    return give(command(type, QB_ACTOR_ADMIN), now_us);
}
