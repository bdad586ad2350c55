/*
 * Limits on sign-ups and logins (S21, S50, S53).
 */
#include "app/auth_limits.h"
#include "tests/kit/test.h"

#define S INT64_C(1000000)

static struct qb_auth_limits *make(uint32_t addresses, uint32_t accounts)
{
    return qb_auth_limits_new(&(struct qb_auth_limits_options){.attempts_max = 100,
                                                               .failures_max = 10,
                                                               .addresses_max = addresses,
                                                               .accounts_max = accounts});
}

QB_TEST(an_address_has_a_hundred_attempts_in_a_window)
{
    struct qb_auth_limits *limits = make(10, 10);
    const uint8_t home[16] = {1};
    const uint8_t other[16] = {2};

    for (int i = 0; i < 100; i++)
        QB_EXPECT_EQ(qb_auth_limits_address(limits, home, S), 0, "within the limit");
    QB_EXPECT(qb_auth_limits_address(limits, home, S) > 0, "the 101st waits");
    QB_EXPECT_EQ(qb_auth_limits_address(limits, other, S), 0, "another address does not");
    int64_t later_us = S + QB_AUTH_WINDOW_US + QB_AUTH_WINDOW_US / 100;
    QB_EXPECT_EQ(qb_auth_limits_address(limits, home, later_us), 0, "a window later");
    qb_auth_limits_free(&limits);
}

QB_TEST(new_addresses_cannot_push_out_busy_ones)
{
    struct qb_auth_limits *limits = make(2, 10);
    const uint8_t busy[16] = {1};
    uint8_t key[16] = {2};

    for (int i = 0; i < 100; i++) (void)qb_auth_limits_address(limits, busy, S);
    for (int i = 0; i < 100; i++) {
        key[1] = (uint8_t)i;
        (void)qb_auth_limits_address(limits, key, S);
    }
    QB_EXPECT(qb_auth_limits_address(limits, busy, S) > 0, "still counted");
    key[1] = 200;
    QB_EXPECT_EQ(qb_auth_limits_address(limits, key, S), 0, "the last of the shared counter");
    QB_EXPECT(qb_auth_limits_address(limits, key, S) > 0, "the rest shares one limit");
    int64_t later_us = S + QB_AUTH_WINDOW_US * 2;
    QB_EXPECT_EQ(qb_auth_limits_address(limits, key, later_us), 0, "idle ones make room");
    qb_auth_limits_free(&limits);
}

QB_TEST(ten_failures_of_an_account_start_a_growing_delay)
{
    struct qb_auth_limits *limits = make(10, 10);
    int64_t now_us = S;

    for (int i = 0; i < 10; i++)
        QB_EXPECT_EQ(qb_auth_limits_account(limits, "a@b.example", now_us), 0, "ten are free");
    QB_EXPECT_EQ(qb_auth_limits_account(limits, "a@b.example", now_us), 30 * S, "then 30 s");
    QB_EXPECT_EQ(qb_auth_limits_account(limits, "c@d.example", now_us), 0, "others are free");
    QB_EXPECT_EQ(qb_auth_limits_account(limits, "a@b.example", now_us + 29 * S), S, "not longer");
    now_us += 30 * S;
    QB_EXPECT_EQ(qb_auth_limits_account(limits, "a@b.example", now_us), 0, "one more");
    QB_EXPECT_EQ(qb_auth_limits_account(limits, "a@b.example", now_us), 60 * S, "then 60 s");
    for (int i = 0; i < 20; i++) {
        now_us += QB_AUTH_WINDOW_US - 1;
        (void)qb_auth_limits_account(limits, "a@b.example", now_us);
    }
    QB_EXPECT(qb_auth_limits_account(limits, "a@b.example", now_us) <= QB_AUTH_WINDOW_US,
              "never a lock-out");
    qb_auth_limits_free(&limits);
}

QB_TEST(a_right_password_forgets_the_failures)
{
    struct qb_auth_limits *limits = make(10, 10);

    for (int i = 0; i < 10; i++) (void)qb_auth_limits_account(limits, "a@b.example", S);
    qb_auth_limits_success(limits, "a@b.example");
    QB_EXPECT_EQ(qb_auth_limits_account(limits, "a@b.example", S), 0, "free again");
    qb_auth_limits_free(&limits);
}

QB_TEST(an_attempt_that_was_never_judged_does_not_count)
{
    struct qb_auth_limits *limits = make(10, 10);

    for (int i = 0; i < 50; i++) {
        QB_EXPECT_EQ(qb_auth_limits_account(limits, "a@b.example", S), 0, "free");
        qb_auth_limits_undo(limits, "a@b.example");
    }
    qb_auth_limits_free(&limits);
}
