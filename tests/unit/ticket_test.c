/*
 * One-time tickets (S28): each works once, for 30 s, for who asked; tables have an end.
 */
#include "app/ticket.h"
#include "tests/kit/test.h"

#define LENGTH (QB_TICKET_BYTES - 1)

static const struct qb_identity ann = {.user = 7, .roles = 3, .login = 9};

QB_TEST(a_ticket_works_once)
{
    struct qb_tickets *tickets = qb_tickets_new(4);
    struct qb_identity who = {0};
    char ticket[QB_TICKET_BYTES];

    QB_EXPECT(qb_tickets_issue(tickets, &ann, 0, ticket), "issued");
    QB_EXPECT_EQ(strlen(ticket), LENGTH, "192 bits");
    QB_EXPECT(!qb_tickets_take(tickets, ticket, LENGTH - 1, 1, &who), "cut");
    QB_EXPECT(qb_tickets_take(tickets, ticket, LENGTH, 1, &who), "taken");
    QB_EXPECT_EQ(who.user, 7, "who asked");
    QB_EXPECT_EQ(who.login, 9, "from which login");
    QB_EXPECT(!qb_tickets_take(tickets, ticket, LENGTH, 1, &who), "a replay");
    qb_tickets_free(&tickets);
    QB_EXPECT(tickets == NULL, "freed");
}

QB_TEST(a_ticket_ends_after_its_life)
{
    struct qb_tickets *tickets = qb_tickets_new(4);
    struct qb_identity who = {0};
    char ticket[QB_TICKET_BYTES];

    QB_EXPECT(qb_tickets_issue(tickets, &ann, 0, ticket), "issued");
    QB_EXPECT(!qb_tickets_take(tickets, ticket, LENGTH, QB_TICKET_LIFE_US, &who), "too late");
    QB_EXPECT_EQ(who.user, 0, "nobody");
    QB_EXPECT(qb_tickets_issue(tickets, &ann, 0, ticket), "issued");
    QB_EXPECT(qb_tickets_take(tickets, ticket, LENGTH, QB_TICKET_LIFE_US - 1, &who), "just so");
    qb_tickets_free(&tickets);
}

QB_TEST(a_full_table_takes_no_more_until_some_are_used_or_old)
{
    struct qb_tickets *tickets = qb_tickets_new(2);
    struct qb_identity who = {0};
    char first[QB_TICKET_BYTES];
    char next[QB_TICKET_BYTES];

    QB_EXPECT(qb_tickets_issue(tickets, &ann, 0, first), "one");
    QB_EXPECT(qb_tickets_issue(tickets, &ann, 1, next), "two");
    QB_EXPECT(!qb_tickets_issue(tickets, &ann, 2, next), "full");
    QB_EXPECT(qb_tickets_take(tickets, first, LENGTH, 3, &who), "used");
    QB_EXPECT(qb_tickets_issue(tickets, &ann, 4, next), "room again");
    QB_EXPECT(qb_tickets_issue(tickets, &ann, QB_TICKET_LIFE_US + 5, next), "old ones went");
    qb_tickets_free(&tickets);
}

QB_TEST(one_user_cannot_fill_the_table)
{
    struct qb_tickets *tickets = qb_tickets_new(1000);
    const struct qb_identity bob = {.user = 8};
    char ticket[QB_TICKET_BYTES];

    for (int i = 0; i < QB_TICKETS_OF_USER_MAX; i++)
        QB_EXPECT(qb_tickets_issue(tickets, &ann, 0, ticket), "below the limit");
    QB_EXPECT(!qb_tickets_issue(tickets, &ann, 0, ticket), "above it");
    QB_EXPECT(qb_tickets_issue(tickets, &bob, 0, ticket), "another user");
    qb_tickets_free(&tickets);
}
