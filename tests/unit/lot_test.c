/*
 * The fold, row by row (rules.md 2 to 10): who may bid what and when, what moves the end, and what
 * each command of an operator does at its edges. lot_strike_test.c has VOID and RETRACT.
 */
#include "tests/unit/lot_world.h"

/* Every row begins with Bob leading alone at 50.00 with a maximum of 60.00. */
static const struct {
    const char *says;
    qb_id bidder;
    int64_t max;
    qb_time_us now_us;
    uint8_t code;
    uint8_t refusal;
    int64_t price;
    int64_t minimum;
    qb_time_us ends_us;
} bids[] = {
    /* clang-format off */
    {"the minimum, beaten", ANN, 5100, 150*S, QB_VERDICT_OUTBID,  0, 5200, 5300, 200*S},
    {"a cent too low",      ANN, 5099, 150*S, QB_VERDICT_REFUSED, QB_REFUSAL_TOO_LOW, 5000, 5100, 200*S},
    {"a tie loses",         ANN, 6000, 150*S, QB_VERDICT_OUTBID,  0, 6000, 6100, 200*S},
    {"beaten by a cent",    ANN, 6001, 150*S, QB_VERDICT_LEADING, 0, 6001, 6101, 200*S},
    {"far above",           ANN, 9999, 150*S, QB_VERDICT_LEADING, 0, 6100, 6200, 200*S},
    {"the largest amount",  ANN, QB_AMOUNT_MAX, 150*S, QB_VERDICT_LEADING, 0, 6100, 6200, 200*S},
    {"above the largest",   ANN, QB_AMOUNT_MAX + 1, 150*S, QB_VERDICT_REFUSED, QB_REFUSAL_BAD_AMOUNT, 5000, 5100, 200*S},
    {"absurd",              ANN, INT64_MAX, 150*S, QB_VERDICT_REFUSED, QB_REFUSAL_BAD_AMOUNT, 5000, 5100, 200*S},
    {"nothing",             ANN, 0,    150*S, QB_VERDICT_REFUSED, QB_REFUSAL_BAD_AMOUNT, 5000, 5100, 200*S},
    {"negative",            ANN, -1,   150*S, QB_VERDICT_REFUSED, QB_REFUSAL_BAD_AMOUNT, 5000, 5100, 200*S},
    {"most negative",       ANN, INT64_MIN, 150*S, QB_VERDICT_REFUSED, QB_REFUSAL_BAD_AMOUNT, 5000, 5100, 200*S},
    {"the leader by a cent", BOB, 6001, 150*S, QB_VERDICT_RAISED, 0, 5000, 5100, 200*S},
    {"the leader again",    BOB, 6000, 150*S, QB_VERDICT_REFUSED, QB_REFUSAL_NOT_ABOVE_OWN_MAX, 5000, 5100, 200*S},
    {"the leader lower",    BOB, 5500, 150*S, QB_VERDICT_REFUSED, QB_REFUSAL_NOT_ABOVE_OWN_MAX, 5000, 5100, 200*S},
    {"the seller",          SAL, 9900, 150*S, QB_VERDICT_REFUSED, QB_REFUSAL_SELLER, 5000, 5100, 200*S},
    {"before the window",   ANN, 5100, 190*S - 1, QB_VERDICT_OUTBID, 0, 5200, 5300, 200*S},
    {"at the window's edge", ANN, 5100, 190*S, QB_VERDICT_OUTBID, 0, 5200, 5300, 200*S},
    {"within the window",   ANN, 5100, 195*S, QB_VERDICT_OUTBID,  0, 5200, 5300, 205*S},
    {"the last moment",     ANN, 5100, 200*S - 1, QB_VERDICT_OUTBID, 0, 5200, 5300, 210*S - 1},
    {"the very end",        ANN, 5100, 200*S, QB_VERDICT_REFUSED, QB_REFUSAL_ENDED, 5000, 5100, 200*S},
    {"a raise near the end", BOB, 7000, 195*S, QB_VERDICT_RAISED, 0, 5000, 5100, 200*S},
    {"refused near the end", ANN, 5099, 195*S, QB_VERDICT_REFUSED, QB_REFUSAL_TOO_LOW, 5000, 5100, 200*S},
    /* clang-format on */
};

QB_TEST(a_bid_is_judged_by_the_rule_book)
{
    for (size_t i = 0; i < QB_COUNT(bids); i++) {
        begin();
        start();
        (void)bid(BOB, 6000, 110 * S);
        struct qb_verdict verdict = bid(bids[i].bidder, bids[i].max, bids[i].now_us);
        QB_EXPECT_EQ(verdict.code, bids[i].code, bids[i].says);
        QB_EXPECT_EQ(verdict.refusal, bids[i].refusal, bids[i].says);
        QB_EXPECT_EQ(verdict.price, bids[i].price, bids[i].says);
        QB_EXPECT_EQ(verdict.minimum, bids[i].minimum, bids[i].says);
        QB_EXPECT_EQ(verdict.ends_at_us, bids[i].ends_us, bids[i].says);
        QB_EXPECT_EQ(verdict.outbid, bids[i].code == QB_VERDICT_LEADING ? BOB : NOBODY,
                     bids[i].says);
    }
}

/* Each row fails all tests from its own on; the first of them answers (rules.md 6). */
static const struct {
    const char *says;
    uint8_t refusal;
    qb_id bidder;
    const char *currency;
    int64_t max;
} ranks[] = {
    /* clang-format off */
    {"seller before currency",       QB_REFUSAL_SELLER,     SAL, "USD", -1},
    {"blocked before currency",      QB_REFUSAL_BLOCKED,    CAT, "USD", -1},
    {"currency before amount",       QB_REFUSAL_CURRENCY,   ANN, "USD", -1},
    {"amount before minimum",        QB_REFUSAL_BAD_AMOUNT, ANN, "EUR", -1},
    {"minimum before allowance",     QB_REFUSAL_TOO_LOW,    ANN, "EUR", 4000},
    {"own maximum before allowance", QB_REFUSAL_NOT_ABOVE_OWN_MAX, BOB, "EUR", 6000},
    {"allowance",                    QB_REFUSAL_LIMIT,      ANN, "EUR", 7000},
    /* clang-format on */
};

static uint8_t refusal_of(size_t row, qb_time_us now_us)
{
    struct qb_entry entry = bid_of(ranks[row].bidder, ranks[row].max);

    (void)memcpy(entry.currency, ranks[row].currency, sizeof entry.currency);
    entry.allowance = 10;
    return give(entry, now_us).refusal;
}

QB_TEST(the_first_failing_test_is_the_answer)
{
    begin();
    start();
    (void)bid(BOB, 6000, 110 * S);
    struct qb_entry block = command(QB_ENTRY_BLOCK, QB_ACTOR_ADMIN);
    block.bidder = CAT;
    (void)give(block, 111 * S);
    for (size_t i = 0; i < QB_COUNT(ranks); i++) {
        QB_EXPECT_EQ(refusal_of(i, 120 * S), ranks[i].refusal, ranks[i].says);
        QB_EXPECT_EQ(refusal_of(i, 200 * S), QB_REFUSAL_ENDED, "time before all");
    }
    (void)order(QB_ENTRY_PAUSE, 130 * S);
    for (size_t i = 0; i < QB_COUNT(ranks); i++) {
        QB_EXPECT_EQ(refusal_of(i, 200 * S), QB_REFUSAL_PAUSED, "the pause before the end");
    }
    (void)order(QB_ENTRY_CANCEL, 140 * S);
    for (size_t i = 0; i < QB_COUNT(ranks); i++) {
        QB_EXPECT_EQ(refusal_of(i, 150 * S), QB_REFUSAL_CANCELLED, "over before all");
    }
}

QB_TEST(the_allowance_is_held_against_the_maximum)
{
    static const struct {
        int64_t allowance;
        uint8_t refusal;
    } rows[] = {{-1, 0}, {7000, 0}, {6999, QB_REFUSAL_LIMIT}, {0, QB_REFUSAL_LIMIT}};

    for (size_t i = 0; i < QB_COUNT(rows); i++) {
        begin();
        start();
        struct qb_entry entry = bid_of(ANN, 7000);
        entry.allowance = rows[i].allowance;
        QB_EXPECT_EQ(give(entry, 110 * S).refusal, rows[i].refusal, "the price would be 50.00");
    }
}

QB_TEST(an_amount_is_a_multiple_of_the_tick_up_to_the_cap)
{
    begin();
    world.rules.tick = 100;
    world.rules.cap = 8000;
    start();
    QB_EXPECT_EQ(bid(ANN, 5050, 110 * S).refusal, QB_REFUSAL_BAD_AMOUNT, "half a tick");
    QB_EXPECT_EQ(bid(ANN, 8100, 110 * S).refusal, QB_REFUSAL_BAD_AMOUNT, "above the cap");
    QB_EXPECT_EQ(bid(ANN, 8000, 110 * S).code, QB_VERDICT_LEADING, "the cap");
}

/* clamp(recv, auth - drain, auth), then not before the last accepted entry (at 150 s here). */
static const struct {
    const char *says;
    qb_time_us recv_us;
    qb_time_us now_us;
    qb_time_us t_us;
} stamps[] = {
    /* clang-format off */
    {"no stamp",                0,               160*S, 160*S},
    {"a stamp just before",     160*S - 1000,    160*S, 160*S - 1000},
    {"a stamp as old as may be", 160*S - 250000, 160*S, 160*S - 250000},
    {"a stamp older than that", 160*S - 250001,  160*S, 160*S - 250000},
    {"an absurd stamp",         1,               160*S, 160*S - 250000},
    {"a stamp in the future",   170*S,           160*S, 160*S},
    {"before the last bid",     150*S - 1000,    150*S + 1000, 150*S},
    /* clang-format on */
};

QB_TEST(the_effective_time_is_bounded_by_the_ledgers_clock)
{
    for (size_t i = 0; i < QB_COUNT(stamps); i++) {
        begin();
        start();
        (void)bid(BOB, 6000, 150 * S);
        struct qb_entry entry = bid_of(ANN, 7000);
        entry.recv_us = stamps[i].recv_us;
        QB_EXPECT_EQ(give(entry, stamps[i].now_us).t_us, stamps[i].t_us, stamps[i].says);
    }
}

QB_TEST(a_refused_bid_does_not_advance_the_clock)
{
    begin();
    start();
    (void)bid(BOB, 6000, 150 * S);
    (void)bid(ANN, 1, 180 * S);
    struct qb_entry entry = bid_of(ANN, 7000);
    entry.recv_us = 180 * S - 200000;
    QB_EXPECT_EQ(give(entry, 180 * S).t_us, 180 * S - 200000, "as if nothing had been refused");
}

static const struct {
    const char *says;
    int64_t extend_us;
    uint32_t max_extensions;
    qb_time_us hard_end_us;
    qb_time_us t_us[3]; /* a bid each, always of another bidder; 0: none */
    qb_time_us ends_us;
    uint32_t extensions;
} soft[] = {
    /* clang-format off */
    {"twice",                10*S, 0, 0,     {195*S, 204*S},        214*S,     2},
    {"counted from the bid", 60*S, 0, 0,     {190*S},               250*S,     1},
    {"never shorter",         1*S, 0, 0,     {195*S},               200*S,     0},
    {"at most once",         10*S, 1, 0,     {195*S, 204*S},        205*S,     1},
    {"no move, no count",     5*S, 1, 0,     {191*S, 199*S},        204*S,     1},
    {"cut at the hard end",  10*S, 0, 207*S, {195*S, 204*S},        207*S,     2},
    {"at the hard end",      10*S, 0, 205*S, {195*S, 204*S},        205*S,     1},
    {"hard end is the end",  10*S, 0, 200*S, {195*S},               200*S,     0},
    {"then out of reach",    10*S, 0, 0,     {194*S, 193*S, 195*S}, 205*S,     2},
    /* clang-format on */
};

QB_TEST(a_late_bid_moves_the_end)
{
    for (size_t i = 0; i < QB_COUNT(soft); i++) {
        begin();
        world.rules.soft_extend_us = soft[i].extend_us;
        world.rules.max_extensions = soft[i].max_extensions;
        world.rules.hard_end_us = soft[i].hard_end_us;
        start();
        (void)bid(CAT, 5000, 110 * S);
        for (size_t k = 0; k < QB_COUNT(soft[i].t_us) && soft[i].t_us[k] != 0; k++) {
            (void)bid(k % 2 == 0 ? ANN : BOB, 6000 + 1000 * (int64_t)k, soft[i].t_us[k]);
        }
        QB_EXPECT_EQ(world.lot.ends_at_us, soft[i].ends_us, soft[i].says);
        QB_EXPECT_EQ(world.lot.extensions, soft[i].extensions, soft[i].says);
    }
}

QB_TEST(a_raise_moves_no_end_even_when_it_moves_the_price)
{
    begin();
    start();
    (void)bid(ANN, 6000, 110 * S);
    (void)bid(BOB, 6000, 111 * S); /* a tie: Ann leads at 60.00 */
    struct qb_verdict verdict = bid(ANN, 9000, 195 * S);
    QB_EXPECT_EQ(verdict.price, 6100, "the price moves");
    QB_EXPECT_EQ(verdict.ends_at_us, 200 * S, "the end does not");
}

QB_TEST(sudden_death_moves_no_end)
{
    begin();
    world.rules.soft_window_us = 0;
    start();
    QB_EXPECT_EQ(bid(ANN, 6000, 200 * S - 1).ends_at_us, 200 * S, "the end stays");
}

QB_TEST(an_auction_starts_by_time_alone)
{
    begin();
    start();
    QB_EXPECT_TEXT(qb_lot_status_name(&world.lot, 100 * S - 1), "scheduled", "before");
    QB_EXPECT_EQ(bid(ANN, 6000, 100 * S - 1).refusal, QB_REFUSAL_NOT_STARTED, "a moment early");
    QB_EXPECT_TEXT(qb_lot_status_name(&world.lot, 100 * S), "open", "from the start on");
    QB_EXPECT_EQ(bid(ANN, 6000, 100 * S).code, QB_VERDICT_LEADING, "the first moment");
    QB_EXPECT_TEXT(qb_lot_status_name(&world.lot, 200 * S), "closing", "from the end on");
}

static const struct {
    const char *says;
    int64_t reserve;
    int64_t max; /* of the one bid; 0: none */
    uint8_t status;
    uint8_t outcome;
    qb_id winner;
    int64_t final_price;
} closes[] = {
    /* clang-format off */
    {"no bids",              NONE,    0, QB_STATUS_UNSOLD, QB_OUTCOME_NO_BIDS,         NOBODY, NONE},
    {"sold",                 NONE, 6000, QB_STATUS_SOLD,   QB_OUTCOME_HIGH_BID,        ANN,    5000},
    {"a cent short",         7000, 6999, QB_STATUS_UNSOLD, QB_OUTCOME_RESERVE_NOT_MET, NOBODY, NONE},
    {"the reserve met",      7000, 7000, QB_STATUS_SOLD,   QB_OUTCOME_HIGH_BID,        ANN,    7000},
    {"no bids for reserve",  7000,    0, QB_STATUS_UNSOLD, QB_OUTCOME_NO_BIDS,         NOBODY, NONE},
    /* clang-format on */
};

QB_TEST(an_auction_closes_once_its_drain_is_over)
{
    for (size_t i = 0; i < QB_COUNT(closes); i++) {
        begin();
        world.rules.reserve = closes[i].reserve;
        start();
        if (closes[i].max > 0) (void)bid(ANN, closes[i].max, 110 * S);
        QB_EXPECT_EQ(order(QB_ENTRY_CLOSE, 200 * S + 249999).refusal, QB_REFUSAL_NOT_DUE, "early");
        QB_EXPECT_EQ(order(QB_ENTRY_CLOSE, 200 * S + 250000).code, QB_VERDICT_DONE, "due");
        QB_EXPECT_EQ(world.lot.status, closes[i].status, closes[i].says);
        QB_EXPECT_EQ(world.lot.outcome, closes[i].outcome, closes[i].says);
        QB_EXPECT_EQ(world.lot.winner, closes[i].winner, closes[i].says);
        QB_EXPECT_EQ(world.lot.final_price, closes[i].final_price, closes[i].says);
        QB_EXPECT_EQ(qb_lot_minimum(&world.lot), NONE, "nothing more to bid");
        QB_EXPECT_EQ(order(QB_ENTRY_CLOSE, 300 * S).refusal, QB_REFUSAL_ENDED, "only once");
    }
}

QB_TEST(nothing_acts_on_an_auction_that_is_over)
{
    for (int type = QB_ENTRY_OPEN; type < QB_ENTRY_TYPE_COUNT; type++) {
        begin();
        start();
        (void)bid(ANN, 6000, 110 * S);
        (void)order(QB_ENTRY_CLOSE, 201 * S);
        struct qb_entry entry = bid_of(BOB, 7000);
        entry.type = (uint8_t)type;
        entry.rules = type == QB_ENTRY_OPEN ? &world.rules : NULL;
        struct qb_verdict verdict = give(entry, 202 * S);
        bool is_discard = type == QB_ENTRY_DISCARD;
        QB_EXPECT_EQ(verdict.refusal, is_discard ? 0 : QB_REFUSAL_ENDED,
                     qb_entry_type_name((enum qb_entry_type)type));
        QB_EXPECT(!verdict.is_public_change, "nobody sees a difference");
        QB_EXPECT_EQ(world.lot.winner, ANN, "the winner stays");
    }
}

/* The state with the members set to nothing that every entry, even a refused one, changes. */
static struct qb_lot state_without_place(void)
{
    struct qb_lot lot = world.lot;

    lot.seq = 0;
    lot.epoch = 0;
    lot.now_us = 0;
    (void)memset(lot.chain, 0, sizeof lot.chain);
    return lot;
}

QB_TEST(a_refused_command_changes_nothing)
{
    for (int type = QB_ENTRY_OPEN; type < QB_ENTRY_TYPE_COUNT; type++) {
        begin();
        start();
        (void)bid(ANN, 6000, 110 * S);
        (void)order(QB_ENTRY_PAUSE, 150 * S);
        if (type == QB_ENTRY_RESUME || type == QB_ENTRY_CANCEL)
            (void)order(QB_ENTRY_CANCEL, 151 * S);
        const struct qb_lot before = state_without_place();
        struct qb_entry entry = command((enum qb_entry_type)type, QB_ACTOR_BIDDER);
        entry.rules = type == QB_ENTRY_OPEN ? &world.rules : NULL;
        struct qb_verdict verdict = give(entry, 160 * S);
        const struct qb_lot after = state_without_place();
        const char *says = qb_entry_type_name((enum qb_entry_type)type);
        bool is_refused = verdict.code == QB_VERDICT_REFUSED || type == QB_ENTRY_DISCARD;
        QB_EXPECT(is_refused, says);
        QB_EXPECT(memcmp(&before, &after, sizeof before) == 0, says);
        QB_EXPECT(!verdict.is_public_change, says);
    }
}

QB_TEST(a_log_has_no_gap_and_begins_with_an_opening)
{
    struct qb_entry entry = bid_of(ANN, 6000);

    begin();
    entry.seq = 1;
    QB_EXPECT_DEATH((void)qb_lot_fold(&world.lot, &entry, NULL, 0), "a bid first");
    start();
    entry.seq = 3;
    QB_EXPECT_DEATH((void)qb_lot_fold(&world.lot, &entry, NULL, 0), "a gap");
    entry.seq = 1;
    QB_EXPECT_DEATH((void)qb_lot_fold(&world.lot, &entry, NULL, 0), "an entry again");
}
