/*
 * The fold of what is no bid: reserve, buy-now, pause, extension, cancellation, blocks (rules.md 3,
 * 4, 5.6, 8 and 9), each at its edges.
 */
#include "tests/unit/lot_world.h"

static struct qb_verdict lower(int64_t reserve, qb_time_us now_us)
{
    struct qb_entry entry = command(QB_ENTRY_RESERVE, QB_ACTOR_SELLER);

    entry.max = reserve;
    return give(entry, now_us);
}

/* Reserve 90.00 in an auction of 24 hours; Ann leads alone at 50.00 with `max`. */
static const struct {
    const char *says;
    int64_t max;
    int64_t reserve; /* asked for */
    qb_time_us left_us;
    uint8_t refusal;
    int64_t m1;
} lowerings[] = {
    /* clang-format off */
    {"12 hours left",          6000, 8000, 12 * HOUR,     0, 6000},
    {"a moment less",          6000, 8000, 12 * HOUR - 1, QB_REFUSAL_RESERVE_WINDOW, 6000},
    {"raised",                 6000, 9100, 13 * HOUR, QB_REFUSAL_RESERVE_AMOUNT, 6000},
    {"the same",               6000, 9000, 13 * HOUR, QB_REFUSAL_RESERVE_AMOUNT, 6000},
    {"the next minimum",       6000, 5100, 13 * HOUR, 0, 5099},
    {"below the next minimum", 6000, 5099, 13 * HOUR, QB_REFUSAL_RESERVE_AMOUNT, 6000},
    {"to nothing",             6000, 0,    13 * HOUR, QB_REFUSAL_RESERVE_AMOUNT, 6000},
    {"the maximum is cut",     8500, 8500, 13 * HOUR, 0, 8499},
    {"a cent above it",        8500, 8501, 13 * HOUR, 0, 8500},
    {"met already",            9000, 8000, 13 * HOUR, QB_REFUSAL_RESERVE_MET, 9000},
    /* clang-format on */
};

QB_TEST(a_reserve_is_lowered_without_disclosing_a_maximum)
{
    for (size_t i = 0; i < QB_COUNT(lowerings); i++) {
        begin();
        world.rules.ends_at_us = 100 * S + 24 * HOUR;
        world.rules.reserve = 9000;
        start();
        (void)bid(ANN, lowerings[i].max, 110 * S);
        int64_t price = world.lot.price;
        struct qb_verdict verdict =
            lower(lowerings[i].reserve, world.rules.ends_at_us - lowerings[i].left_us);
        QB_EXPECT_EQ(verdict.refusal, lowerings[i].refusal, lowerings[i].says);
        QB_EXPECT_EQ(world.lot.m1, lowerings[i].m1, lowerings[i].says);
        QB_EXPECT_EQ(verdict.is_maximum_cut, lowerings[i].m1 != lowerings[i].max,
                     lowerings[i].says);
        QB_EXPECT_EQ(verdict.price, price, lowerings[i].says);
        QB_EXPECT(!verdict.is_public_change, "a probe shows nothing");
    }
}

QB_TEST(without_a_reserve_there_is_none_to_lower)
{
    begin();
    world.rules.ends_at_us = 100 * S + 24 * HOUR;
    start();
    QB_EXPECT_EQ(lower(6000, 110 * S).refusal, QB_REFUSAL_NOTHING_TO_DO, "no reserve");
}

QB_TEST(a_reserve_is_hidden_until_it_is_met)
{
    begin();
    world.rules.reserve = 9000;
    start();
    QB_EXPECT_EQ(bid(ANN, 8999, 110 * S).price, 5000, "competition only");
    QB_EXPECT_EQ(qb_lot_reserve_state(&world.lot), QB_RESERVE_NOT_MET, "a cent short");
    QB_EXPECT_EQ(bid(ANN, 9000, 111 * S).price, 9000, "lifted to it");
    QB_EXPECT_EQ(qb_lot_reserve_state(&world.lot), QB_RESERVE_MET, "met");
}

QB_TEST(show_max_shows_an_unmet_maximum)
{
    begin();
    world.rules.reserve = 9000;
    world.rules.reserve_style = QB_RESERVE_SHOW_MAX;
    start();
    QB_EXPECT_EQ(bid(ANN, 6000, 110 * S).price, 6000, "all of it");
    QB_EXPECT_EQ(bid(BOB, 9900, 111 * S).price, 9000, "no more than the reserve");
}

QB_TEST(who_holds_raises_without_moving_the_price)
{
    for (int style = QB_SELF_RAISE_COMPLETE; style <= QB_SELF_RAISE_HOLD; style++) {
        begin();
        world.rules.self_raise = (uint8_t)style;
        start();
        (void)bid(ANN, 6000, 110 * S);
        (void)bid(BOB, 6000, 111 * S); /* a tie: Ann leads at 60.00 */
        int64_t expected = style == QB_SELF_RAISE_HOLD ? 6000 : 6100;
        QB_EXPECT_EQ(qb_lot_preview_raise(&world.lot, ANN, 9000), expected, "told before");
        QB_EXPECT_EQ(bid(ANN, 9000, 112 * S).price, expected, "as told");
        QB_EXPECT_EQ(qb_lot_preview_raise(&world.lot, BOB, 9500), NONE, "only for the leader");
    }
}

QB_TEST(a_preview_tells_that_below_the_reserve_the_maximum_is_shown)
{
    for (int style = QB_SELF_RAISE_COMPLETE; style <= QB_SELF_RAISE_HOLD; style++) {
        begin();
        world.rules.self_raise = (uint8_t)style;
        world.rules.reserve = 9000;
        world.rules.reserve_style = QB_RESERVE_SHOW_MAX;
        start();
        (void)bid(ANN, 6000, 110 * S);
        QB_EXPECT_EQ(qb_lot_preview_raise(&world.lot, ANN, 7000), 7000, "told before");
        QB_EXPECT_EQ(bid(ANN, 7000, 111 * S).price, 7000, "as told");
        QB_EXPECT_EQ(qb_lot_preview_raise(&world.lot, ANN, 9500), 9500, "not where the reserve is");
        QB_EXPECT_EQ(bid(ANN, 9500, 112 * S).price, 9000, "never more than told");
        QB_EXPECT_EQ(qb_lot_preview_raise(&world.lot, ANN, 9900), 9000, "met: by competition");
    }
}

QB_TEST(a_preview_does_not_tell_the_reserve)
{
    for (int style = QB_SELF_RAISE_COMPLETE; style <= QB_SELF_RAISE_HOLD; style++) {
        begin();
        world.rules.self_raise = (uint8_t)style;
        world.rules.reserve = 9000;
        start();
        (void)bid(ANN, 6000, 110 * S);
        QB_EXPECT_EQ(qb_lot_preview_raise(&world.lot, ANN, 9500), 5000, "by competition alone");
        QB_EXPECT_EQ(bid(ANN, 9500, 111 * S).price, 9000, "the raise meets it all the same");
    }
}

static struct qb_verdict buy(qb_id bidder, int64_t price, qb_time_us now_us)
{
    struct qb_entry entry = bid_of(bidder, price);

    entry.type = QB_ENTRY_BUY_NOW;
    return give(entry, now_us);
}

QB_TEST(buying_ends_the_auction_at_once)
{
    begin();
    world.rules.buy_now = 8000;
    start();
    QB_EXPECT_EQ(buy(SAL, 8000, 110 * S).refusal, QB_REFUSAL_SELLER, "the seller");
    QB_EXPECT_EQ(buy(ANN, 7999, 110 * S).refusal, QB_REFUSAL_BUY_NOW_PRICE, "another price");
    struct qb_verdict verdict = buy(ANN, 8000, 110 * S);
    QB_EXPECT_EQ(verdict.code, QB_VERDICT_BOUGHT, "bought");
    QB_EXPECT_EQ(verdict.price, NONE, "no bid, no price");
    QB_EXPECT_EQ(world.lot.status, QB_STATUS_SOLD, "over");
    QB_EXPECT_EQ(world.lot.winner, ANN, "to Ann");
    QB_EXPECT_EQ(world.lot.final_price, 8000, "for the price");
    QB_EXPECT_EQ(bid(BOB, 9000, 110 * S).refusal, QB_REFUSAL_ENDED, "a bid behind it");
}

static const struct {
    const char *says;
    int64_t reserve;
    int64_t max;
    bool is_open; /* after the bid */
} purchases[] = {
    /* clang-format off */
    {"the first bid takes it away",    NONE, 5000, false},
    {"a refused bid does not",         NONE, 4000, true},
    {"an unmet reserve keeps it",      7000, 6999, true},
    {"a met reserve takes it away",    7000, 7000, false},
    {"a maximum above it is a bid",    NONE, 9000, false},
    /* clang-format on */
};

QB_TEST(buy_now_is_open_until_bidding_is_in_earnest)
{
    for (size_t i = 0; i < QB_COUNT(purchases); i++) {
        begin();
        world.rules.buy_now = 8000;
        world.rules.reserve = purchases[i].reserve;
        start();
        (void)bid(ANN, purchases[i].max, 110 * S);
        QB_EXPECT_EQ(qb_lot_is_buy_now_open(&world.lot), purchases[i].is_open, purchases[i].says);
        struct qb_verdict verdict = buy(BOB, 8000, 111 * S);
        QB_EXPECT_EQ(verdict.refusal, purchases[i].is_open ? 0 : QB_REFUSAL_BUY_NOW_GONE,
                     purchases[i].says);
        bool is_bought_away = purchases[i].is_open && purchases[i].reserve != NONE;
        QB_EXPECT_EQ(verdict.outbid, is_bought_away ? ANN : NOBODY, purchases[i].says);
    }
}

static const struct {
    const char *says;
    qb_time_us pause_us;
    qb_time_us resume_us;
    qb_time_us ends_us;
} pauses[] = {
    /* clang-format off */
    {"much is left",          105*S - 50*S, 300*S, 300*S + 145*S},
    {"just enough is left",    80*S,        300*S, 420*S},
    {"the least is given",    150*S,        300*S, 420*S},
    {"at the last moment",    200*S - 1,    300*S, 420*S},
    {"no time at all",         70*S,         70*S, 200*S},
    /* clang-format on */
};

QB_TEST(a_pause_keeps_what_is_left_or_gives_the_least)
{
    for (size_t i = 0; i < QB_COUNT(pauses); i++) {
        begin();
        world.rules.hard_end_us = 230 * S;
        start();
        QB_EXPECT_EQ(order(QB_ENTRY_PAUSE, pauses[i].pause_us).code, QB_VERDICT_DONE,
                     pauses[i].says);
        QB_EXPECT_EQ(bid(ANN, 6000, pauses[i].pause_us).refusal, QB_REFUSAL_PAUSED, "meanwhile");
        QB_EXPECT_EQ(order(QB_ENTRY_PAUSE, pauses[i].pause_us).refusal, QB_REFUSAL_PAUSED, "twice");
        QB_EXPECT_EQ(order(QB_ENTRY_CLOSE, 299 * S).refusal, QB_REFUSAL_PAUSED, "no end meanwhile");
        world.lot.now_us = 0;
        struct qb_verdict verdict = order(QB_ENTRY_RESUME, pauses[i].resume_us);
        QB_EXPECT_EQ(verdict.ends_at_us, pauses[i].ends_us, pauses[i].says);
        QB_EXPECT_EQ(world.lot.rules.hard_end_us, pauses[i].ends_us + 30 * S, "the hard end too");
        QB_EXPECT_EQ(world.lot.extensions, 0, "not an extension");
        QB_EXPECT_EQ(order(QB_ENTRY_RESUME, 300 * S).refusal, QB_REFUSAL_NOT_PAUSED, "twice");
    }
}

QB_TEST(what_has_ended_is_not_paused)
{
    begin();
    start();
    QB_EXPECT_EQ(order(QB_ENTRY_PAUSE, 200 * S).refusal, QB_REFUSAL_ENDED, "the very end");
}

static struct qb_verdict extend(qb_time_us end_us, qb_time_us now_us)
{
    struct qb_entry entry = command(QB_ENTRY_EXTEND, QB_ACTOR_ADMIN);

    entry.end_us = end_us;
    return give(entry, now_us);
}

QB_TEST(an_extension_moves_the_hard_end_along)
{
    begin();
    world.rules.hard_end_us = 230 * S;
    world.rules.max_extensions = 1;
    start();
    QB_EXPECT_EQ(extend(200 * S, 110 * S).refusal, QB_REFUSAL_NOTHING_TO_DO, "the same end");
    QB_EXPECT_EQ(extend(199 * S, 110 * S).refusal, QB_REFUSAL_NOTHING_TO_DO, "an earlier end");
    struct qb_verdict verdict = extend(260 * S, 200 * S + 100);
    QB_EXPECT(verdict.is_extended && verdict.is_public_change, "told");
    QB_EXPECT_EQ(world.lot.ends_at_us, 260 * S, "the end");
    QB_EXPECT_EQ(world.lot.rules.hard_end_us, 290 * S, "the hard end");
    QB_EXPECT_EQ(world.lot.extensions, 0, "not counted");
    QB_EXPECT_EQ(bid(ANN, 6000, 255 * S).ends_at_us, 265 * S, "a soft close is still to have");
}

static const struct {
    const char *says;
    bool is_without_reserve;
    bool has_bid;
    enum qb_actor by;
    uint8_t refusal;
} cancels[] = {
    /* clang-format off */
    {"the seller, with bids",              false, true,  QB_ACTOR_SELLER, 0},
    {"the seller, promised, without bids", true,  false, QB_ACTOR_SELLER, 0},
    {"the seller, promised, with bids",    true,  true,  QB_ACTOR_SELLER, QB_REFUSAL_WITHOUT_RESERVE},
    {"an admin, promised, with bids",      true,  true,  QB_ACTOR_ADMIN,  0},
    /* clang-format on */
};

QB_TEST(what_is_sold_without_reserve_is_not_withdrawn)
{
    for (size_t i = 0; i < QB_COUNT(cancels); i++) {
        begin();
        world.rules.is_without_reserve = cancels[i].is_without_reserve;
        start();
        if (cancels[i].has_bid) (void)bid(ANN, 6000, 110 * S);
        struct qb_verdict verdict = give(command(QB_ENTRY_CANCEL, cancels[i].by), 120 * S);
        QB_EXPECT_EQ(verdict.refusal, cancels[i].refusal, cancels[i].says);
        bool is_cancelled = world.lot.status == QB_STATUS_CANCELLED;
        QB_EXPECT_EQ(is_cancelled, cancels[i].refusal == 0, cancels[i].says);
    }
}

static struct qb_verdict block(enum qb_entry_type type, qb_id bidder)
{
    struct qb_entry entry = command(type, QB_ACTOR_ADMIN);

    entry.bidder = bidder;
    return give(entry, 120 * S);
}

QB_TEST(a_block_stops_new_bids_and_leaves_the_old)
{
    begin();
    world.rules.reserve = 7000;
    world.rules.buy_now = 8000;
    start();
    (void)bid(ANN, 6000, 110 * S);
    QB_EXPECT_EQ(block(QB_ENTRY_BLOCK, ANN).code, QB_VERDICT_DONE, "blocked");
    QB_EXPECT_EQ(world.lot.leader, ANN, "still leads");
    QB_EXPECT_EQ(bid(ANN, 7000, 121 * S).refusal, QB_REFUSAL_BLOCKED, "bids no more");
    QB_EXPECT_EQ(buy(ANN, 8000, 121 * S).refusal, QB_REFUSAL_BLOCKED, "buys no more");
    QB_EXPECT_EQ(block(QB_ENTRY_BLOCK, ANN).refusal, QB_REFUSAL_NOTHING_TO_DO, "twice");
    QB_EXPECT_EQ(block(QB_ENTRY_UNBLOCK, ANN).code, QB_VERDICT_DONE, "unblocked");
    QB_EXPECT_EQ(block(QB_ENTRY_UNBLOCK, ANN).refusal, QB_REFUSAL_NOTHING_TO_DO, "twice");
    QB_EXPECT_EQ(bid(ANN, 6500, 122 * S).code, QB_VERDICT_RAISED, "bids again");
}

QB_TEST(blocks_have_a_limit_and_keep_their_order)
{
    begin();
    start();
    for (qb_id id = 0; id < QB_BLOCKED_MAX; id++) {
        QB_EXPECT_EQ(block(QB_ENTRY_BLOCK, 100 + id).code, QB_VERDICT_DONE, "room");
    }
    QB_EXPECT_EQ(block(QB_ENTRY_BLOCK, 500).refusal, QB_REFUSAL_FULL, "full");
    QB_EXPECT_EQ(block(QB_ENTRY_BLOCK, 100).refusal, QB_REFUSAL_NOTHING_TO_DO, "there already");
    QB_EXPECT_EQ(block(QB_ENTRY_UNBLOCK, 100).code, QB_VERDICT_DONE, "the first goes");
    QB_EXPECT_EQ(block(QB_ENTRY_BLOCK, 500).code, QB_VERDICT_DONE, "room again");
    for (qb_id id = 1; id < QB_BLOCKED_MAX; id++) {
        QB_EXPECT_EQ(bid(100 + id, 6000, 130 * S).refusal, QB_REFUSAL_BLOCKED, "the others stay");
    }
    QB_EXPECT_EQ(bid(500, 6000, 130 * S).refusal, QB_REFUSAL_BLOCKED, "and the last");
}
