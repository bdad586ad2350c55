/*
 * The journal on RabbitMQ, held to the contract of every journal on a real broker.
 *
 * The contract settles in the middle of what was handed in and expects that to outlive the journal;
 * the broker settles whole messages, so here a message holds what one call handed in and no more.
 */
#include "base/clock.h"
#include "storage/journal_rabbit_admin.h"
#include "tests/contract/expect.h"
#include "tests/contract/journal_contract.h"
#include "tests/kit/rabbit.h"
#include "tests/kit/test.h"

static struct qb_journal_rabbit_options options_of(size_t waiting_bytes_max)
{
    struct qb_journal_rabbit_options options = qb_test_rabbit_options(1);

    options.entries_max = 1;
    options.epoch = 0;
    options.waiting_bytes_max = waiting_bytes_max;
    return options;
}

/* The contract's items are of the epochs 0 and 3. */
static const uint32_t epochs[] = {0, 3};

static struct qb_journal *open_journal(size_t waiting_bytes_max)
{
    const struct qb_journal_rabbit_options options = options_of(waiting_bytes_max);
    struct qb_error error = {""};
    struct qb_journal *journal = qb_journal_rabbit_new(&options, &error);

    qb_must(journal != NULL, error.text);
    qb_test_rabbit_await_closed(journal);
    return journal;
}

static void set_routes(bool is_open)
{
    const struct qb_journal_rabbit_options options = options_of(0);
    struct qb_error error = {""};

    for (size_t i = 0; i < QB_COUNT(epochs); i++) {
        bool is_set = is_open ? qb_journal_rabbit_prepare(&options, epochs[i], &error)
                              : qb_journal_rabbit_seal(&options, epochs[i], &error);
        qb_must(is_set, error.text);
    }
}

static struct qb_journal *make(size_t waiting_bytes_max)
{
    qb_test_rabbit_clear(1);
    set_routes(true);
    return open_journal(waiting_bytes_max);
}

static struct qb_journal *again(void)
{
    qb_test_rabbit_await_no_reader(1);
    return open_journal(1000000);
}

static void stall(bool is_stalled)
{
    set_routes(!is_stalled);
}

static void end(struct qb_journal **journal)
{
    qb_journal_free(journal);
}

QB_TEST(the_journal_on_rabbitmq_keeps_the_contract)
{
    const struct journal_subject subject = {"journal_rabbit", make, again, stall, end};

    journal_contract(&subject);
    QB_EXPECT_EQ(expect_failures(), 0, "the contract");
}
