/*
 * Striking out bids: VOID by entry and by bidder, RETRACT at the edges of its windows, what comes
 * back to life, and who is offered a second chance (rules.md 8 and 12).
 */
#include "tests/unit/lot_world.h"

static struct qb_verdict strike(qb_id bidder, uint64_t seq)
{
    struct qb_entry entry = command(QB_ENTRY_VOID, QB_ACTOR_ADMIN);

    entry.bidder = bidder;
    entry.target_seq = seq;
    return give(entry, 150 * S);
}

/* Ann 60.00 (entry 2), Bob 80.00 (3), Ann 90.00 (4), Cat 85.00 (5): Ann leads at 86.00. */
static void three_bidders(void)
{
    begin();
    start();
    (void)bid(ANN, 6000, 110 * S);
    (void)bid(BOB, 8000, 111 * S);
    (void)bid(ANN, 9000, 112 * S);
    (void)bid(CAT, 8500, 113 * S);
    QB_EXPECT_EQ(world.lot.price, 8600, "before");
}

static const struct {
    const char *says;
    qb_id bidder;
    uint64_t seq;
    uint8_t refusal;
    qb_id leader;
    int64_t price;
    uint32_t bids;
} voids[] = {
    /* clang-format off */
    {"all of the leader",      ANN,    0, 0, CAT, 8100, 2},
    {"the leader's last",      NOBODY, 4, 0, CAT, 8100, 3},
    {"named by both",          ANN,    4, 0, CAT, 8100, 3},
    {"the leader's first",     NOBODY, 2, 0, ANN, 8600, 3},
    {"the best rival",         CAT,    0, 0, ANN, 8100, 3},
    {"a lesser rival",         BOB,    0, 0, ANN, 8600, 3},
    {"of somebody else",       BOB,    4, QB_REFUSAL_NOTHING_TO_DO, ANN, 8600, 4},
    {"who never bid",          77,     0, QB_REFUSAL_NOTHING_TO_DO, ANN, 8600, 4},
    {"an entry that is none",  NOBODY, 9, QB_REFUSAL_NOTHING_TO_DO, ANN, 8600, 4},
    {"the opening",            NOBODY, 1, QB_REFUSAL_NOTHING_TO_DO, ANN, 8600, 4},
    {"nobody and nothing",     NOBODY, 0, QB_REFUSAL_NOTHING_TO_DO, ANN, 8600, 4},
    /* clang-format on */
};

QB_TEST(a_void_leaves_what_the_live_bids_make)
{
    for (size_t i = 0; i < QB_COUNT(voids); i++) {
        three_bidders();
        struct qb_verdict verdict = strike(voids[i].bidder, voids[i].seq);
        QB_EXPECT_EQ(verdict.refusal, voids[i].refusal, voids[i].says);
        QB_EXPECT_EQ(verdict.leader, voids[i].leader, voids[i].says);
        QB_EXPECT_EQ(verdict.price, voids[i].price, voids[i].says);
        QB_EXPECT_EQ(verdict.bids, voids[i].bids, voids[i].says);
        QB_EXPECT_EQ(world.lot.accepted, 4, "accepted once and for all");
        QB_EXPECT_EQ(verdict.outbid, voids[i].leader == ANN ? NOBODY : ANN, voids[i].says);
        uint8_t again = strike(voids[i].bidder, voids[i].seq).refusal;
        QB_EXPECT_EQ(again, QB_REFUSAL_NOTHING_TO_DO, "twice");
    }
}

QB_TEST(when_all_bids_are_void_the_start_price_is_back)
{
    begin();
    world.rules.buy_now = 9000;
    start();
    (void)bid(ANN, 6000, 195 * S);
    struct qb_verdict verdict = strike(ANN, 0);
    QB_EXPECT_EQ(verdict.leader, NOBODY, "nobody");
    QB_EXPECT_EQ(verdict.price, NONE, "no price");
    QB_EXPECT_EQ(verdict.minimum, 5000, "the start price");
    QB_EXPECT_EQ(verdict.ends_at_us, 205 * S, "the extension stays");
    QB_EXPECT(!qb_lot_is_buy_now_open(&world.lot), "buy-now stays gone");
}

QB_TEST(a_void_can_unmeet_the_reserve)
{
    begin();
    world.rules.reserve = 9000;
    start();
    (void)bid(ANN, 6000, 110 * S);
    (void)bid(BOB, 9500, 111 * S);
    QB_EXPECT_EQ(qb_lot_reserve_state(&world.lot), QB_RESERVE_MET, "met");
    QB_EXPECT_EQ(strike(BOB, 0).price, 5000, "competition only");
    QB_EXPECT_EQ(qb_lot_reserve_state(&world.lot), QB_RESERVE_NOT_MET, "no longer");
}

QB_TEST(a_void_goes_through_the_raises_that_held)
{
    begin();
    world.rules.self_raise = QB_SELF_RAISE_HOLD;
    start();
    (void)bid(ANN, 6000, 110 * S);
    (void)bid(BOB, 6000, 111 * S);
    (void)bid(ANN, 9000, 112 * S); /* held at 60.00 */
    (void)bid(CAT, 7000, 113 * S);
    QB_EXPECT_EQ(world.lot.price, 7100, "before");
    QB_EXPECT_EQ(strike(CAT, 0).price, 6000, "held again");
}

/* Ann's maximum was cut by a lowered reserve; striking somebody else must not give it back. */
QB_TEST(a_void_keeps_a_maximum_cut)
{
    begin();
    world.rules.ends_at_us = 100 * S + 24 * HOUR;
    world.rules.reserve = 9000;
    start();
    (void)bid(BOB, 6000, 110 * S);
    (void)bid(ANN, 8500, 111 * S);
    struct qb_entry reserve = command(QB_ENTRY_RESERVE, QB_ACTOR_SELLER);
    reserve.max = 8000;
    QB_EXPECT_EQ(give(reserve, 120 * S).code, QB_VERDICT_DONE, "lowered");
    QB_EXPECT_EQ(world.lot.m1, 7999, "cut");
    struct qb_verdict verdict = strike(BOB, 0);
    QB_EXPECT_EQ(world.lot.m1, 7999, "still cut");
    QB_EXPECT_EQ(verdict.price, 5000, "alone");
    QB_EXPECT_EQ(qb_lot_reserve_state(&world.lot), QB_RESERVE_NOT_MET, "not met by it");
    QB_EXPECT_EQ(bid(ANN, 8000, 151 * S).price, 8000, "a raise of a tick meets it");
}

/* An auction of 24 hours; Ann bids 60.00 and, an hour before the retraction at most, 70.00. */
static const struct {
    const char *says;
    enum qb_actor by;
    int64_t left_us; /* at the retraction */
    int64_t age_us;  /* of the last bid then */
    uint8_t refusal;
    uint32_t bids; /* live ones of three, Bob's among them */
} retractions[] = {
    /* clang-format off */
    {"early: all",               QB_ACTOR_BIDDER, 12 * HOUR + 1, 2 * HOUR, 0, 1},
    {"12 hours: the last only",  QB_ACTOR_BIDDER, 12 * HOUR,     HOUR,     0, 2},
    {"12 hours: too old",        QB_ACTOR_BIDDER, 12 * HOUR,     HOUR + 1, QB_REFUSAL_RETRACT_WINDOW, 3},
    {"late, within the hour",    QB_ACTOR_BIDDER, HOUR,          HOUR,     0, 2},
    {"late, a moment over",      QB_ACTOR_BIDDER, HOUR,          HOUR + 1, QB_REFUSAL_RETRACT_WINDOW, 3},
    {"at the last moment",       QB_ACTOR_BIDDER, 1,             HOUR,     0, 2},
    {"at the end",               QB_ACTOR_BIDDER, 0,             HOUR,     QB_REFUSAL_ENDED, 3},
    {"late, by the seller: all", QB_ACTOR_SELLER, HOUR,          5 * HOUR, 0, 1},
    {"late, by an admin: all",   QB_ACTOR_ADMIN,  HOUR,          5 * HOUR, 0, 1},
    /* clang-format on */
};

static struct qb_verdict retract(qb_id bidder, enum qb_actor by, qb_time_us now_us)
{
    struct qb_entry entry = command(QB_ENTRY_RETRACT, by);

    entry.bidder = bidder;
    entry.reason = QB_RETRACT_WRONG_AMOUNT;
    return give(entry, now_us);
}

QB_TEST(a_bidder_retracts_within_the_windows)
{
    for (size_t i = 0; i < QB_COUNT(retractions); i++) {
        begin();
        world.rules.ends_at_us = 100 * S + 24 * HOUR;
        start();
        qb_time_us now_us = world.rules.ends_at_us - retractions[i].left_us;
        (void)bid(BOB, 5500, 100 * S);
        (void)bid(ANN, 6000, 101 * S);
        (void)bid(ANN, 7000, now_us - retractions[i].age_us);
        struct qb_verdict verdict = retract(ANN, retractions[i].by, now_us);
        QB_EXPECT_EQ(verdict.refusal, retractions[i].refusal, retractions[i].says);
        QB_EXPECT_EQ(verdict.bids, retractions[i].bids, retractions[i].says);
        QB_EXPECT_EQ(verdict.leader, retractions[i].bids == 1 ? BOB : ANN, retractions[i].says);
    }
}

QB_TEST(a_pause_stops_the_clock_of_a_retraction)
{
    begin();
    world.rules.ends_at_us = 100 * S + 24 * HOUR;
    start();
    (void)bid(ANN, 6000, 101 * S);
    (void)order(QB_ENTRY_PAUSE, 100 * S + 2 * HOUR);
    QB_EXPECT_EQ(retract(ANN, QB_ACTOR_BIDDER, 100 * S + 20 * HOUR).code, QB_VERDICT_DONE,
                 "22 hours are left");
}

QB_TEST(who_has_no_live_bid_retracts_nothing)
{
    three_bidders();
    QB_EXPECT_EQ(retract(77, QB_ACTOR_BIDDER, 150 * S).refusal, QB_REFUSAL_NOTHING_TO_DO, "never");
    (void)strike(BOB, 0);
    QB_EXPECT_EQ(retract(BOB, QB_ACTOR_BIDDER, 150 * S).refusal, QB_REFUSAL_NOTHING_TO_DO, "void");
}

QB_TEST(without_revival_all_earlier_bids_fall_away)
{
    begin();
    world.rules.retraction = QB_RETRACTION_NO_REVIVE;
    start();
    (void)bid(ANN, 6000, 110 * S);
    (void)bid(BOB, 8000, 111 * S);
    struct qb_verdict verdict = retract(BOB, QB_ACTOR_BIDDER, 112 * S);
    QB_EXPECT_EQ(verdict.leader, NOBODY, "Ann's is not revived");
    QB_EXPECT_EQ(verdict.bids, 0, "none");
    QB_EXPECT_EQ(verdict.minimum, 5000, "from the start price on");
    QB_EXPECT_EQ(bid(ANN, 5000, 113 * S).code, QB_VERDICT_LEADING, "but she may bid again");
}

QB_TEST(without_revival_a_later_bid_stays)
{
    three_bidders();
    world.lot.rules.retraction = QB_RETRACTION_NO_REVIVE;
    struct qb_verdict verdict = retract(BOB, QB_ACTOR_BIDDER, 150 * S);
    QB_EXPECT_EQ(verdict.bids, 2, "Ann's second and Cat's");
    QB_EXPECT_EQ(verdict.leader, ANN, "who leads");
    QB_EXPECT_EQ(verdict.price, 8600, "over Cat");
}

static struct qb_verdict block(qb_id bidder)
{
    struct qb_entry entry = command(QB_ENTRY_BLOCK, QB_ACTOR_ADMIN);

    entry.bidder = bidder;
    return give(entry, 150 * S);
}

QB_TEST(a_second_chance_goes_to_the_best_who_may_have_it)
{
    static const struct {
        const char *says;
        qb_id blocked;
        qb_id struck;
        qb_id offered;
        int64_t price;
    } rows[] = {
        /* clang-format off */
        {"the runner-up",            NOBODY, NOBODY, CAT,    8500},
        {"who is blocked is not",    CAT,    NOBODY, BOB,    8000},
        {"whose bids are void, neither", NOBODY, CAT, BOB,   8000},
        {"nobody is left",           CAT,    BOB,    NOBODY, NONE},
        /* clang-format on */
    };

    for (size_t i = 0; i < QB_COUNT(rows); i++) {
        int64_t offer = 0;
        three_bidders();
        if (rows[i].blocked != NOBODY) (void)block(rows[i].blocked);
        if (rows[i].struck != NOBODY) (void)strike(rows[i].struck, 0);
        (void)order(QB_ENTRY_CLOSE, 201 * S);
        QB_EXPECT_EQ(world.lot.winner, ANN, "Ann has won");
        QB_EXPECT_EQ(qb_lot_second_chance(&world.lot, world.records, world.record_count, &offer),
                     rows[i].offered, rows[i].says);
        QB_EXPECT_EQ(offer, rows[i].price, rows[i].says);
    }
}

QB_TEST(of_equal_maxima_the_earlier_has_the_second_chance)
{
    int64_t offer = 0;

    begin();
    start();
    (void)bid(BOB, 8000, 110 * S);
    (void)bid(CAT, 8000, 111 * S);
    (void)bid(ANN, 9000, 112 * S);
    (void)order(QB_ENTRY_CLOSE, 201 * S);
    QB_EXPECT_EQ(qb_lot_second_chance(&world.lot, world.records, world.record_count, &offer), BOB,
                 "the earlier");
    QB_EXPECT_EQ(offer, 8000, "the own maximum");
}
