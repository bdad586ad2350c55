/*
 * The ledger in memory, held to the contract of every ledger.
 */
#include "storage/ledger_memory.h"
#include "tests/contract/expect.h"
#include "tests/contract/ledger_contract.h"
#include "tests/kit/test.h"

static struct qb_mailbox *mailbox;
static qb_time_us clock_us = 1000000;

static void no_wake(void *context)
{
    (void)context;
}

static qb_time_us read_clock(void *context)
{
    (void)context;
    return clock_us;
}

static void set_clock(qb_time_us now_us)
{
    clock_us = now_us;
}

static struct qb_ledger *make(uint32_t marks_max, uint64_t unconfirmed_max)
{
    const struct qb_ledger_memory_options options = {
        .epoch = 3,
        .mailbox = mailbox,
        .marks_max = marks_max,
        .unconfirmed_max = unconfirmed_max,
        .clock = read_clock,
    };
    return qb_ledger_memory_new(&options);
}

static void settle(struct qb_ledger *ledger)
{
    (void)ledger;
    (void)qb_mailbox_drain(mailbox);
}

QB_TEST(the_ledger_in_memory_keeps_the_contract)
{
    const struct ledger_subject subject = {"ledger_memory", make, settle, set_clock};

    mailbox = qb_mailbox_new(100, no_wake, NULL);
    ledger_contract(&subject);
    qb_mailbox_free(&mailbox);
    QB_EXPECT_EQ(expect_failures(), 0, "the contract");
}

static struct qb_ledger_result answered;

static void keep(void *context, const struct qb_ledger_result *results, size_t count)
{
    (void)context;
    QB_EXPECT_EQ(count, 1, "one result for a command");
    answered = results[0];
}

static struct qb_ledger_result bid_with_key(struct qb_ledger *ledger, const char *key)
{
    struct qb_entry bid = {
        .auction = 5, .type = QB_ENTRY_BID, .bidder = 6, .max = 100, .currency = "USD"};
    const struct qb_ledger_command command = {.entry = &bid, .expires_us = INT64_MAX};

    qb_bid_id(5, 6, key, strlen(key), bid.bid_id);
    qb_ledger_call(ledger, &command, 1, keep, NULL);
    settle(ledger);
    return answered;
}

QB_TEST(a_restored_auction_goes_on_where_it_stood)
{
    uint8_t bid_id[QB_BID_ID_BYTES];

    mailbox = qb_mailbox_new(100, no_wake, NULL);
    clock_us = 1000000;
    struct qb_ledger *ledger = make(10, 100);
    qb_bid_id(5, 6, "k", 1, bid_id);
    qb_ledger_memory_restore(ledger, 5, 3, 99000000);
    qb_ledger_memory_restore_id(ledger, 5, bid_id, 2, 77);

    struct qb_ledger_result known = bid_with_key(ledger, "k");
    QB_EXPECT_EQ(known.outcome, QB_APPEND_DUPLICATE, "an id from before the start");
    QB_EXPECT_EQ(known.seq, 2, "its place");
    QB_EXPECT_EQ(known.asked, 77, "what was asked");
    struct qb_ledger_result next = bid_with_key(ledger, "l");
    QB_EXPECT_EQ(next.outcome, QB_APPEND_DONE, "a new id");
    QB_EXPECT_EQ(next.seq, 4, "behind the restored log");
    QB_EXPECT(next.now_us >= 99000000, "time does not go back over a start");
    qb_ledger_free(&ledger);
    qb_mailbox_free(&mailbox);
}
