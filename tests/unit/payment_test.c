/*
 * The life of a payment: every pair of status and event (rules.md 12). What the table below does
 * not name must change nothing.
 */
#include "base/attributes.h"
#include "bidding/payment.h"
#include "tests/kit/test.h"

/* The events, in the order of their numbers, are the columns; a letter is the status after it. */
static const struct {
    const char *name;
    enum qb_payment_status status;
    /* S sold, K ok, D declined, R retry, T deadline, C cancel, B refund (money back), then the
     * second chance: N next, A accepted, X declined, E expired. */
    const char *after; /* "." not allowed */
} rows[] = {
    /* clang-format off */
    /*                                     SKDRTCBNAXE */
    {"none",      QB_PAYMENT_NONE,        "P.........."},
    {"pending",   QB_PAYMENT_PENDING,     ".KF.EC....."},
    {"paid",      QB_PAYMENT_PAID,        ".K....B...."},
    {"failed",    QB_PAYMENT_FAILED,      ".KFPEC....."},
    {"expired",   QB_PAYMENT_EXPIRED,     ".E.....O..."},
    {"cancelled", QB_PAYMENT_CANCELLED,   ".C.....O..."},
    {"refunded",  QB_PAYMENT_REFUNDED,    ".B....BO..."},
    {"offered",   QB_PAYMENT_OFFERED,     ".O..E..OPEE"},
    /* clang-format on */
};

static enum qb_payment_status status_of(char letter)
{
    static const struct {
        char letter;
        enum qb_payment_status status;
    } letters[] = {
        {'P', QB_PAYMENT_PENDING}, {'K', QB_PAYMENT_PAID},      {'F', QB_PAYMENT_FAILED},
        {'E', QB_PAYMENT_EXPIRED}, {'C', QB_PAYMENT_CANCELLED}, {'B', QB_PAYMENT_REFUNDED},
        {'O', QB_PAYMENT_OFFERED},
    };

    for (size_t i = 0; i < QB_COUNT(letters); i++) {
        if (letters[i].letter == letter) return letters[i].status;
    }
    return QB_PAYMENT_NONE;
}

QB_TEST(every_event_does_to_every_status_what_the_table_says)
{
    QB_EXPECT_EQ(QB_COUNT(rows), QB_PAYMENT_STATUS_COUNT, "a row for each status");
    for (size_t i = 0; i < QB_COUNT(rows); i++) {
        QB_EXPECT_EQ(rows[i].status, i, "rows in order");
        QB_EXPECT_EQ(strnlen(rows[i].after, 40), QB_PAYMENT_EVENT_COUNT, "a column for each event");
        for (int event = 0; event < QB_PAYMENT_EVENT_COUNT; event++) {
            char says[80];
            char letter = rows[i].after[event];
            struct qb_payment_step step =
                qb_payment_next(rows[i].status, (enum qb_payment_event)event);
            (void)snprintf(says, sizeof says, "%s, then %s", rows[i].name,
                           qb_payment_event_name((enum qb_payment_event)event));
            QB_EXPECT_EQ(step.is_allowed, letter != '.', says);
            QB_EXPECT_EQ(step.status, letter != '.' ? status_of(letter) : rows[i].status, says);
        }
    }
}

QB_TEST(only_money_for_a_sale_that_is_over_goes_back)
{
    for (int status = 0; status < QB_PAYMENT_STATUS_COUNT; status++) {
        bool is_over = status == QB_PAYMENT_EXPIRED || status == QB_PAYMENT_CANCELLED ||
                       status == QB_PAYMENT_OFFERED;
        for (int event = 0; event < QB_PAYMENT_EVENT_COUNT; event++) {
            struct qb_payment_step step =
                qb_payment_next((enum qb_payment_status)status, (enum qb_payment_event)event);
            QB_EXPECT_EQ(step.must_refund, is_over && event == QB_PAYMENT_OK,
                         qb_payment_event_name((enum qb_payment_event)event));
        }
    }
}

QB_TEST(no_late_capture_revives_a_sale)
{
    enum qb_payment_status status = QB_PAYMENT_PENDING;

    status = qb_payment_next(status, QB_PAYMENT_DEADLINE).status;
    status = qb_payment_next(status, QB_PAYMENT_OK).status;
    QB_EXPECT_EQ(status, QB_PAYMENT_EXPIRED, "the money came too late");
    status = qb_payment_next(status, QB_PAYMENT_RETRY).status;
    QB_EXPECT_EQ(status, QB_PAYMENT_EXPIRED, "no second try after the deadline");
}

QB_TEST(every_status_and_event_has_a_name_of_its_own)
{
    QB_EXPECT(qb_payment_status_name(QB_PAYMENT_NONE) == NULL, "none has no name");
    for (int i = QB_PAYMENT_NONE + 1; i < QB_PAYMENT_STATUS_COUNT; i++) {
        const char *name = qb_payment_status_name((enum qb_payment_status)i);
        QB_EXPECT(name != NULL, "a status has a name");
        for (int k = QB_PAYMENT_NONE + 1; name != NULL && k < i; k++) {
            const char *other = qb_payment_status_name((enum qb_payment_status)k);
            QB_EXPECT(other == NULL || strcmp(name, other) != 0, name);
        }
    }
    for (int i = 0; i < QB_PAYMENT_EVENT_COUNT; i++) {
        const char *name = qb_payment_event_name((enum qb_payment_event)i);
        QB_EXPECT(name != NULL, "an event has a name");
        for (int k = 0; name != NULL && k < i; k++) {
            const char *other = qb_payment_event_name((enum qb_payment_event)k);
            QB_EXPECT(other == NULL || strcmp(name, other) != 0, name);
        }
    }
}

QB_TEST(a_sale_is_paid_within_four_days)
{
    QB_EXPECT_EQ(QB_PAYMENT_DEADLINE_US, INT64_C(345600000000), "four days in microseconds");
}
