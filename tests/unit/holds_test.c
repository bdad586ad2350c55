/*
 * Exposure over all auctions of an account: what is held, what is reserved, and what a limit lets
 * through (rules.md 10).
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>

#include "base/clock.h"
#include "storage/holds_memory.h"
#include "tests/kit/test.h"

enum { ANN = 11, BOB = 12, LOT = 7, OTHER_LOT = 8, THIRD_LOT = 9 };

static const struct qb_holds_options OPTIONS = {
    .bids_max = 3, .window_us = 60 * QB_SECOND_US, .users_max = 2};

static struct qb_holds *new_holds(int64_t limit)
{
    struct qb_holds *holds = qb_holds_new(&OPTIONS);

    if (limit >= 0) qb_holds_limit_set(holds, ANN, "USD", limit);
    return holds;
}

static const uint8_t *id_of(uint8_t number)
{
    static uint8_t ids[256][QB_BID_ID_BYTES];

    ids[number][0] = number;
    ids[number][1] = 1; /* never all zeros */
    return ids[number];
}

/* A bid of ANN's that has set out; `allowance` is what it was granted. */
static struct qb_entry reserve(struct qb_holds *holds, qb_id lot, uint8_t number, int64_t max)
{
    struct qb_entry bid = {
        .type = QB_ENTRY_BID, .auction = lot, .bidder = ANN, .max = max, .currency = "USD"};

    (void)memcpy(bid.bid_id, id_of(number), QB_BID_ID_BYTES);
    bid.allowance = qb_holds_reserve(holds, &bid);
    return bid;
}

/* What is left of ANN's limit for `lot`; reserves nothing. */
static int64_t left(struct qb_holds *holds, qb_id lot)
{
    return reserve(holds, lot, 255, INT64_MAX).allowance;
}

static void fold(struct qb_holds *holds, qb_id lot, uint64_t seq, int64_t amount)
{
    const struct qb_hold hold = {ANN, lot, "USD", seq, amount};
    qb_holds_set(holds, &hold);
}

QB_TEST(without_a_limit_everything_is_granted)
{
    struct qb_holds *holds = new_holds(-1);

    QB_EXPECT_EQ(reserve(holds, LOT, 1, 1000000).allowance, -1, "no limit");
    qb_holds_limit_set(holds, ANN, "EUR", 5);
    const struct qb_entry bid = reserve(holds, LOT, 1, 1000000);
    QB_EXPECT_EQ(bid.allowance, -1, "a limit of another currency");
    qb_holds_limit_set(holds, ANN, "USD", 1000);
    qb_holds_release(holds, &bid);
    QB_EXPECT_EQ(left(holds, OTHER_LOT), 1000, "nothing was reserved, nothing is let go");
    qb_holds_free(&holds);
    QB_EXPECT(holds == NULL, "nulled");
}

QB_TEST(what_is_at_stake_elsewhere_is_not_there_for_a_bid)
{
    struct qb_holds *holds = new_holds(1000);

    const struct qb_entry bid = reserve(holds, LOT, 1, 600);
    QB_EXPECT_EQ(bid.allowance, 1000, "all is there");
    QB_EXPECT_EQ(left(holds, OTHER_LOT), 400, "less what is on its way");
    QB_EXPECT_EQ(left(holds, LOT), 1000, "in its own auction a raise needs the difference");
    fold(holds, LOT, 2, 600);
    qb_holds_release(holds, &bid);
    QB_EXPECT_EQ(left(holds, OTHER_LOT), 400, "leads: held");
    fold(holds, LOT, 3, 0);
    QB_EXPECT_EQ(left(holds, OTHER_LOT), 1000, "outbid: released");
    qb_holds_free(&holds);
}

QB_TEST(a_bid_refused_or_never_entered_is_let_go_at_once)
{
    struct qb_holds *holds = new_holds(1000);

    const struct qb_entry refused = reserve(holds, LOT, 1, 700);
    QB_EXPECT_EQ(left(holds, OTHER_LOT), 300, "on its way");
    qb_holds_release(holds, &refused);
    QB_EXPECT_EQ(left(holds, OTHER_LOT), 1000, "decided, without an entry");
    qb_holds_free(&holds);
}

QB_TEST(a_bid_under_way_twice_is_let_go_with_the_last_of_them)
{
    struct qb_holds *holds = new_holds(1000);

    const struct qb_entry first = reserve(holds, LOT, 1, 700);
    const struct qb_entry again = reserve(holds, LOT, 1, 700);
    const struct qb_entry other = reserve(holds, LOT, 1, 5000);
    qb_holds_release(holds, &other);
    qb_holds_release(holds, &again);
    QB_EXPECT_EQ(left(holds, OTHER_LOT), 300, "a resend was busy, the first may be entered");
    qb_holds_release(holds, &first);
    QB_EXPECT_EQ(left(holds, OTHER_LOT), 1000, "decided");
    qb_holds_free(&holds);
}

QB_TEST(more_than_the_limit_reserves_nothing)
{
    struct qb_holds *holds = new_holds(1000);

    QB_EXPECT_EQ(reserve(holds, LOT, 1, 1001).allowance, 1000, "what can be granted");
    QB_EXPECT_EQ(left(holds, OTHER_LOT), 1000, "the fold will refuse it");
    qb_holds_limit_set(holds, ANN, "USD", 100);
    fold(holds, LOT, 2, 600);
    QB_EXPECT_EQ(left(holds, OTHER_LOT), 0, "a lowered limit is never negative");
    qb_holds_free(&holds);
}

QB_TEST(one_bid_decided_leaves_the_others_on_their_way_reserved)
{
    struct qb_holds *holds = new_holds(1000);

    const struct qb_entry first = reserve(holds, LOT, 1, 300);
    const struct qb_entry second = reserve(holds, LOT, 2, 800);
    QB_EXPECT_EQ(left(holds, OTHER_LOT), 200, "the largest counts");
    fold(holds, LOT, 2, 300);
    qb_holds_release(holds, &first);
    QB_EXPECT_EQ(left(holds, OTHER_LOT), 200, "the second bid is still on its way");
    fold(holds, LOT, 3, 0);
    QB_EXPECT_EQ(left(holds, OTHER_LOT), 200, "somebody else's bid decides none of ours");
    qb_holds_release(holds, &second);
    QB_EXPECT_EQ(left(holds, OTHER_LOT), 1000, "all decided");
    qb_holds_free(&holds);
}

QB_TEST(many_bids_on_their_way_are_never_counted_too_low)
{
    struct qb_holds *holds = new_holds(1000);
    struct qb_entry bids[21];

    for (uint8_t i = 0; i < 20; i++) bids[i] = reserve(holds, LOT, i, 100 + i);
    bids[20] = reserve(holds, LOT, 20, 900);
    for (uint8_t i = 0; i < 20; i++) {
        qb_holds_release(holds, &bids[i]);
        QB_EXPECT_EQ(left(holds, OTHER_LOT), 100, "the last one is on its way");
    }
    qb_holds_release(holds, &bids[20]);
    QB_EXPECT_EQ(left(holds, OTHER_LOT), 1000, "all decided");
    bids[0] = reserve(holds, LOT, 0, 400);
    QB_EXPECT_EQ(left(holds, OTHER_LOT), 600, "with a place of its own again");
    qb_holds_free(&holds);
}

QB_TEST(a_smaller_seq_overwrites_nothing)
{
    struct qb_holds *holds = new_holds(1000);

    fold(holds, LOT, 9, 500);
    fold(holds, LOT, 5, 100);
    QB_EXPECT_EQ(left(holds, OTHER_LOT), 500, "the newer one stays");
    qb_holds_free(&holds);
}

QB_TEST(a_limit_set_while_the_account_leads_knows_the_lead)
{
    struct qb_holds *holds = new_holds(-1);
    const struct qb_hold euros = {ANN, THIRD_LOT, "EUR", 2, 5000};

    fold(holds, LOT, 2, 600);
    qb_holds_set(holds, &euros);
    qb_holds_limit_set(holds, ANN, "USD", 1000);
    QB_EXPECT_EQ(left(holds, OTHER_LOT), 400, "what is led already counts, in its currency");
    qb_holds_limit_set(holds, ANN, "USD", -1);
    QB_EXPECT_EQ(left(holds, OTHER_LOT), -1, "the limit is gone");
    qb_holds_limit_set(holds, ANN, "USD", 1000);
    QB_EXPECT_EQ(left(holds, OTHER_LOT), 400, "and its leads were not forgotten");
    qb_holds_free(&holds);
}

QB_TEST(an_account_may_have_a_limit_in_every_currency)
{
    struct qb_holds *holds = new_holds(-1);

    for (int i = 0; i < 60; i++) {
        const char currency[QB_CURRENCY_BYTES] = {'A', (char)('A' + i / 26), (char)('A' + i % 26)};
        qb_holds_limit_set(holds, ANN, currency, i);
    }
    const struct qb_entry bid = {.bidder = ANN, .auction = LOT, .max = 1, .currency = "ACH"};
    QB_EXPECT_EQ(qb_holds_reserve(holds, &bid), 59, "the last of them");
    qb_holds_free(&holds);
}

QB_TEST(a_banned_account_is_known)
{
    struct qb_holds *holds = new_holds(-1);

    QB_EXPECT(!qb_holds_is_banned(holds, BOB), "not before");
    qb_holds_ban(holds, BOB, true);
    qb_holds_ban(holds, BOB, true);
    QB_EXPECT(qb_holds_is_banned(holds, BOB), "banned");
    qb_holds_ban(holds, BOB, false);
    QB_EXPECT(!qb_holds_is_banned(holds, BOB), "and let in again");
    qb_holds_free(&holds);
}

static atomic_bool is_ban_answered;

static void *ban_bob(void *holds)
{
    qb_holds_ban(holds, BOB, true);
    atomic_store(&is_ban_answered, true);
    return NULL;
}

QB_TEST(a_ban_is_not_answered_while_a_bid_is_being_entered)
{
    struct qb_holds *holds = new_holds(-1);
    pthread_t admin;

    qb_holds_keep_bans(holds);
    QB_EXPECT(!qb_holds_kept_ban(holds, BOB), "not banned");
    QB_EXPECT_EQ(pthread_create(&admin, NULL, ban_bob, holds), 0, "an admin bans");
    for (int i = 0; i < 2000; i++) (void)sched_yield();
    QB_EXPECT(!atomic_load(&is_ban_answered), "waits for the bid that was let through");
    QB_EXPECT(!qb_holds_kept_ban(holds, BOB), "which may be entered");
    qb_holds_release_bans(holds);
    QB_EXPECT_EQ(pthread_join(admin, NULL), 0, "answered");
    QB_EXPECT(qb_holds_is_banned(holds, BOB), "no later one may");
    qb_holds_free(&holds);
}

QB_TEST(an_account_has_so_many_bids_in_a_window)
{
    struct qb_holds *holds = new_holds(-1);

    for (uint8_t i = 1; i <= 3; i++)
        QB_EXPECT_EQ(qb_holds_admit(holds, ANN, id_of(i), i), 0, "within the limit");
    QB_EXPECT(qb_holds_admit(holds, ANN, id_of(4), 4) > 0, "one too many waits");
    QB_EXPECT_EQ(qb_holds_admit(holds, ANN, id_of(3), 5), 0, "a resend takes no place");
    QB_EXPECT_EQ(qb_holds_admit(holds, BOB, id_of(1), 5), 0, "another account has its own");
    QB_EXPECT(qb_holds_admit(holds, 13, id_of(1), 6) > 0, "the table is full of busy ones");
    QB_EXPECT_EQ(qb_holds_admit(holds, 13, id_of(1), 200 * QB_SECOND_US), 0,
                 "idle ones are forgotten");
    qb_holds_free(&holds);
}
