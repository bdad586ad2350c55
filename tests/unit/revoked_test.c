/*
 * Tokens that are refused before they end (S27): by login, by account and time, and what a full
 * list does.
 */
#include "app/revoked.h"
#include "base/clock.h"
#include "tests/kit/test.h"

#define S QB_SECOND_US

static struct qb_identity token(uint64_t login, qb_id user, qb_time_us issued_us)
{
    return (struct qb_identity){.user = user, .login = login, .checked_us = issued_us};
}

static bool is_refused(struct qb_revoked *revoked, uint64_t login, qb_id user, qb_time_us issued_us)
{
    const struct qb_identity identity = token(login, user, issued_us);

    return qb_revoked_has(revoked, &identity);
}

static void log_out(struct qb_revoked *revoked, uint64_t login, qb_time_us now_us)
{
    const struct qb_revocation revocation = {
        .login = login, .user = 1, .since_us = now_us, .until_us = now_us + 900 * S};

    qb_revoked_add(revoked, &revocation, now_us);
}

static void change_roles(struct qb_revoked *revoked, qb_id user, qb_time_us now_us)
{
    const struct qb_revocation revocation = {
        .user = user, .since_us = now_us, .until_us = now_us + 900 * S};

    qb_revoked_add(revoked, &revocation, now_us);
}

QB_TEST(a_login_that_is_out_has_no_tokens_and_others_keep_theirs)
{
    struct qb_revoked *revoked = qb_revoked_new(10);

    QB_EXPECT(!is_refused(revoked, 7, 1, 90 * S), "before");
    log_out(revoked, 7, 100 * S);
    QB_EXPECT(is_refused(revoked, 7, 1, 90 * S), "an older token");
    QB_EXPECT(is_refused(revoked, 7, 1, 200 * S), "one that a renewal under way made after it");
    QB_EXPECT(!is_refused(revoked, 8, 1, 90 * S), "another login of the account");
    QB_EXPECT(!is_refused(revoked, 0, 0, 0), "a visitor has none to lose");
    qb_revoked_free(&revoked);
    QB_EXPECT(revoked == NULL, "freed");
}

QB_TEST(what_is_learned_twice_is_new_once)
{
    struct qb_revoked *revoked = qb_revoked_new(2);
    struct qb_revocation row = {.user = 1, .since_us = 100 * S, .until_us = 1000 * S};

    QB_EXPECT(qb_revoked_learn(revoked, &row, 100 * S), "new");
    QB_EXPECT(is_refused(revoked, 7, 1, 100 * S), "and holds");
    QB_EXPECT(!qb_revoked_learn(revoked, &row, 101 * S), "known");
    row.since_us = 90 * S;
    QB_EXPECT(!qb_revoked_learn(revoked, &row, 101 * S), "an older one");
    QB_EXPECT(is_refused(revoked, 7, 1, 95 * S), "which takes nothing back");
    row.since_us = 110 * S;
    QB_EXPECT(qb_revoked_learn(revoked, &row, 111 * S), "a newer one");
    QB_EXPECT(is_refused(revoked, 7, 1, 105 * S), "which counts");
    row.user = 2;
    QB_EXPECT(!qb_revoked_learn(revoked, &row, 1000 * S), "one that has ended");
    qb_revoked_free(&revoked);
}

QB_TEST(a_full_list_learns_nothing_again)
{
    struct qb_revoked *revoked = qb_revoked_new(2);

    for (qb_id user = 1; user <= 3; user++) {
        const struct qb_revocation row = {
            .user = user, .since_us = (int64_t)user * S, .until_us = 1000 * S};
        QB_EXPECT(qb_revoked_learn(revoked, &row, 10 * S), "new");
    }
    const struct qb_revocation first = {.user = 1, .since_us = S, .until_us = 1000 * S};
    QB_EXPECT(!qb_revoked_learn(revoked, &first, 10 * S), "its row went, what it said stays");
    QB_EXPECT(is_refused(revoked, 7, 1, S), "as does everybody's");
    qb_revoked_free(&revoked);
}

QB_TEST(new_roles_end_the_tokens_from_before_them)
{
    struct qb_revoked *revoked = qb_revoked_new(10);

    change_roles(revoked, 1, 100 * S + 5);
    QB_EXPECT(is_refused(revoked, 7, 1, 100 * S), "of the same second");
    QB_EXPECT(is_refused(revoked, 8, 1, 100 * S + 5), "of the same moment, by any login");
    QB_EXPECT(!is_refused(revoked, 7, 1, 101 * S), "renewed");
    QB_EXPECT(!is_refused(revoked, 7, 2, 100 * S), "another account");
    change_roles(revoked, 1, 200 * S);
    QB_EXPECT(is_refused(revoked, 7, 1, 101 * S), "changed again");
    qb_revoked_free(&revoked);
}

QB_TEST(a_token_made_in_the_second_of_a_change_is_of_the_next_one)
{
    struct qb_revoked *revoked = qb_revoked_new(10);
    struct qb_identity before = token(7, 1, 100 * S + 4);
    struct qb_identity after = token(7, 1, 100 * S + 6);

    QB_EXPECT_EQ(qb_revoked_issue_us(revoked, &after), 100 * S, "nothing is revoked");
    change_roles(revoked, 1, 100 * S + 5);
    QB_EXPECT_EQ(qb_revoked_issue_us(revoked, &after), 101 * S, "known after it: good");
    QB_EXPECT_EQ(qb_revoked_issue_us(revoked, &before), 100 * S, "known before it: refused");
    after.user = 2;
    QB_EXPECT_EQ(qb_revoked_issue_us(revoked, &after), 100 * S, "another account");
    qb_revoked_free(&revoked);
}

QB_TEST(a_full_list_refuses_what_it_can_no_longer_tell_apart)
{
    struct qb_revoked *revoked = qb_revoked_new(2);

    log_out(revoked, 7, 100 * S);
    log_out(revoked, 8, 200 * S);
    QB_EXPECT(!is_refused(revoked, 1, 5, 100 * S), "others, while there is room");
    log_out(revoked, 9, 300 * S);
    QB_EXPECT(is_refused(revoked, 7, 1, 90 * S), "its row went, its tokens did not come back");
    QB_EXPECT(is_refused(revoked, 1, 5, 100 * S), "nor did anybody's who is as old");
    QB_EXPECT(!is_refused(revoked, 1, 5, 101 * S), "younger ones are told apart");
    QB_EXPECT(is_refused(revoked, 8, 1, 250 * S) && is_refused(revoked, 9, 1, 250 * S), "kept");
    qb_revoked_free(&revoked);
}

QB_TEST(what_has_ended_makes_room)
{
    struct qb_revoked *revoked = qb_revoked_new(2);

    log_out(revoked, 7, 100 * S);
    log_out(revoked, 8, 200 * S);
    log_out(revoked, 9, 1000 * S);
    QB_EXPECT(!is_refused(revoked, 1, 5, 100 * S), "the first was about nothing any more");
    QB_EXPECT(is_refused(revoked, 8, 1, 150 * S), "the second still is");
    qb_revoked_free(&revoked);
}
