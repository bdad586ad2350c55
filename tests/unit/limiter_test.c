/*
 * Limits: the exact log of a bidder's submissions at the edges of its window, and the counter of
 * an address, which never lets more than its limit through in any window (security.md 4.7).
 */
#include "base/attributes.h"
#include "base/random.h"
#include "bidding/limiter.h"
#include "tests/kit/test.h"

#define S      INT64_C(1000000)
#define MINUTE (60 * S)
#define SLOTS  3
#define PASSES 2000

static uint8_t memory[16 + QB_LIMITER_SLOTS_MAX * 32] __attribute__((aligned(16)));

static struct qb_bid_log *empty_log(uint32_t slots)
{
    QB_EXPECT(qb_bid_log_bytes(slots) <= sizeof memory, "the memory is enough");
    (void)memset(memory, 0, sizeof memory);
    return (struct qb_bid_log *)(void *)memory;
}

static int64_t admit(struct qb_bid_log *log, uint8_t id, int64_t now_us)
{
    const uint8_t bid_id[QB_BID_ID_BYTES] = {id};

    return qb_bid_log_admit(log, SLOTS, MINUTE, bid_id, now_us);
}

static const struct {
    const char *says;
    uint8_t id;
    int64_t now_us;
    int64_t wait_us;
} rows[] = {
    /* clang-format off: one log of three slots and a minute, from top to bottom */
    {"first", 1, 0, 0},
    {"second", 2, 10 * S, 0},
    {"third", 3, 20 * S, 0},
    {"fourth waits for the first", 4, 30 * S, 30 * S},
    {"a refused one takes no slot", 4, 31 * S, 29 * S},
    {"a resend is free", 1, 32 * S, 0},
    {"an instant early", 4, 60 * S - 1, 1},
    {"the first is a window old", 4, 60 * S, 0},
    {"the second still counts", 5, 60 * S, 10 * S},
    {"the first is not a resend now", 1, 61 * S, 9 * S},
    {"much later", 1, 1000 * S, 0},
    /* clang-format on */
};

QB_TEST(a_window_never_holds_more_than_its_slots)
{
    struct qb_bid_log *log = empty_log(SLOTS);

    for (size_t i = 0; i < QB_COUNT(rows); i++) {
        QB_EXPECT_EQ(admit(log, rows[i].id, rows[i].now_us), rows[i].wait_us, rows[i].says);
    }
}

QB_TEST(a_resend_after_the_window_counts)
{
    struct qb_bid_log *log = empty_log(SLOTS);

    QB_EXPECT_EQ(admit(log, 1, 0), 0, "at first");
    QB_EXPECT_EQ(admit(log, 1, MINUTE), 0, "a window later");
    QB_EXPECT_EQ(admit(log, 2, MINUTE), 0, "another");
    QB_EXPECT_EQ(admit(log, 3, MINUTE), 0, "in the place of the first");
    QB_EXPECT_EQ(admit(log, 4, MINUTE), MINUTE, "three are in the window");
}

QB_TEST(who_waits_as_told_is_let_through)
{
    struct qb_bid_log *log = empty_log(SLOTS);
    struct qb_random random;
    int64_t now_us = 0;

    qb_random_seed(&random, 7);
    for (uint32_t i = 1; i < PASSES; i++) {
        const uint8_t bid_id[QB_BID_ID_BYTES] = {(uint8_t)i, (uint8_t)(i >> 8)};
        int64_t wait_us = qb_bid_log_admit(log, SLOTS, MINUTE, bid_id, now_us);
        QB_EXPECT(wait_us >= 0 && wait_us <= MINUTE, "a wait within the window");
        if (wait_us > 0) {
            now_us += wait_us;
            QB_EXPECT_EQ(qb_bid_log_admit(log, SLOTS, MINUTE, bid_id, now_us), 0, "waited");
        }
        now_us += (int64_t)qb_random_below(&random, (uint64_t)(30 * S));
    }
}

QB_TEST(the_largest_log_holds_as_many_as_it_says)
{
    struct qb_bid_log *log = empty_log(QB_LIMITER_SLOTS_MAX);

    for (uint32_t i = 0; i <= QB_LIMITER_SLOTS_MAX; i++) {
        const uint8_t bid_id[QB_BID_ID_BYTES] = {(uint8_t)i, (uint8_t)(i >> 8)};
        int64_t wait_us = qb_bid_log_admit(log, QB_LIMITER_SLOTS_MAX, MINUTE, bid_id, S);
        QB_EXPECT_EQ(wait_us, i < QB_LIMITER_SLOTS_MAX ? 0 : MINUTE, "all at one instant");
    }
}

QB_TEST(a_log_out_of_range_is_a_bug)
{
    struct qb_bid_log *log = empty_log(SLOTS);
    const uint8_t bid_id[QB_BID_ID_BYTES] = {1};

    QB_EXPECT_DEATH((void)qb_bid_log_admit(log, 0, MINUTE, bid_id, 0), "no slots");
    QB_EXPECT_DEATH((void)qb_bid_log_admit(log, QB_LIMITER_SLOTS_MAX + 1, MINUTE, bid_id, 0),
                    "too many slots");
}

#define LIMIT 50

QB_TEST(a_counter_lets_its_limit_through_at_once)
{
    struct qb_rate_counter counter = {0};

    for (uint32_t i = 0; i < LIMIT; i++) {
        QB_EXPECT_EQ(qb_rate_admit(&counter, LIMIT, MINUTE, 5 * S), 0, "within the limit");
    }
    int64_t wait_us = qb_rate_admit(&counter, LIMIT, MINUTE, 5 * S);
    QB_EXPECT(wait_us > 0 && wait_us <= MINUTE + MINUTE / 99, "one more waits a window");
    QB_EXPECT(qb_rate_admit(&counter, LIMIT, MINUTE, 5 * S + wait_us - 1) > 0, "an instant early");
    QB_EXPECT_EQ(qb_rate_admit(&counter, LIMIT, MINUTE, 5 * S + wait_us), 0, "as told");
}

QB_TEST(no_window_of_any_place_holds_more_than_the_limit)
{
    static int64_t passed_us[PASSES * 4];
    struct qb_rate_counter counter = {0};
    struct qb_random random;
    size_t count = 0;
    int64_t now_us = 1;

    qb_random_seed(&random, 11);
    for (int i = 0; i < PASSES * 4; i++) {
        if (qb_rate_admit(&counter, LIMIT, MINUTE, now_us) == 0) passed_us[count++] = now_us;
        now_us += (int64_t)qb_random_below(&random, (uint64_t)S);
    }
    QB_EXPECT(count > LIMIT * 10, "many pass");
    for (size_t i = LIMIT; i < count; i++) {
        QB_EXPECT(passed_us[i] - passed_us[i - LIMIT] >= MINUTE, "the one a limit ago is outside");
    }
}

QB_TEST(a_clock_that_steps_back_opens_nothing)
{
    struct qb_rate_counter counter = {0};

    for (uint32_t i = 0; i < LIMIT; i++) (void)qb_rate_admit(&counter, LIMIT, MINUTE, MINUTE);
    QB_EXPECT(qb_rate_admit(&counter, LIMIT, MINUTE, MINUTE - S) > 0, "still full");
    QB_EXPECT(qb_rate_admit(&counter, LIMIT, MINUTE, 0) > 0, "still full at the very beginning");
}
