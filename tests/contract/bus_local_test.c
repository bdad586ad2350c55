/*
 * The bus within the process, held to the contract of every bus.
 */
#include "pubsub/bus_local.h"
#include "tests/contract/bus_contract.h"
#include "tests/contract/expect.h"
#include "tests/kit/test.h"

#define BOXES_MAX 8

static struct qb_mailbox *boxes[BOXES_MAX];
static size_t box_count;

static void no_wake(void *context)
{
    (void)context;
}

static struct qb_bus_member *join_small(struct qb_bus *bus, size_t messages, qb_bus_heard *heard,
                                        void *context)
{
    boxes[box_count] = qb_mailbox_new(messages, no_wake, NULL);
    return qb_bus_join(bus, boxes[box_count++], heard, context);
}

static struct qb_bus_member *join(struct qb_bus *bus, qb_bus_heard *heard, void *context)
{
    return join_small(bus, 1000, heard, context);
}

static void settle(void)
{
    size_t made = 1;

    while (made > 0) {
        made = 0;
        for (size_t i = 0; i < box_count; i++) made += qb_mailbox_drain(boxes[i]);
    }
}

static void end(struct qb_bus **bus)
{
    settle();
    qb_bus_free(bus);
    while (box_count > 0) qb_mailbox_free(&boxes[--box_count]);
}

QB_TEST(the_local_bus_keeps_the_contract)
{
    const struct bus_subject subject = {"bus_local", qb_bus_local_new, join,
                                        settle,      join_small,       end};

    bus_contract(&subject);
    QB_EXPECT_EQ(expect_failures(), 0, "the contract");
}
