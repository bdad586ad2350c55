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

struct crowd {
    int tellings;
    uint64_t total;
};

static void note_total(void *context, qb_id auction, uint64_t total)
{
    struct crowd *crowd = context;

    if (auction != 7) return;
    crowd->tellings++;
    crowd->total = total;
}

static void hear_nothing(void *context, struct qb_topic topic, uint64_t seq, struct qb_frame *frame)
{
    (void)context;
    (void)topic;
    (void)seq;
    (void)frame;
}

QB_TEST(watchers_of_all_members_are_counted)
{
    const struct qb_topic log = {.kind = QB_TOPIC_LOG, .id = 7};
    struct crowd crowds[2] = {{0}};
    struct qb_bus_member *members[2];
    struct qb_bus *bus = qb_bus_local_new();

    for (size_t i = 0; i < 2; i++) {
        const struct qb_bus_listener listener = {.watchers = note_total, .context = &crowds[i]};
        members[i] = join(bus, hear_nothing, NULL);
        qb_bus_listen(bus, members[i], &listener);
    }
    qb_bus_subscribe(bus, members[0], log);
    settle();
    QB_EXPECT_EQ(crowds[0].tellings, 0, "nobody yet, nothing said");
    qb_bus_watching(bus, members[0], 7, 3);
    qb_bus_watching(bus, members[1], 7, 4);
    qb_bus_watching(bus, members[1], 8, 100);
    QB_EXPECT_EQ(crowds[0].tellings, 0, "never inside the call");
    settle();
    QB_EXPECT_EQ(crowds[0].total, 7, "the sum");
    QB_EXPECT_EQ(crowds[1].tellings, 0, "who has not subscribed is not told");
    qb_bus_watching(bus, members[1], 7, 4);
    settle();
    QB_EXPECT_EQ(crowds[0].tellings, 2, "only what is new");
    qb_bus_subscribe(bus, members[1], log);
    settle();
    QB_EXPECT_EQ(crowds[1].total, 7, "told with the subscription");
    qb_bus_watching(bus, members[0], 7, 0);
    qb_bus_watching(bus, members[1], 7, 0);
    settle();
    QB_EXPECT_EQ(crowds[0].total, 0, "the last has left");
    QB_EXPECT_EQ(crowds[1].total, 0, "told to each");
    qb_bus_unsubscribe(bus, members[1], log);
    qb_bus_watching(bus, members[0], 7, 1);
    settle();
    QB_EXPECT_EQ(crowds[0].total, 1, "again");
    QB_EXPECT_EQ(crowds[1].total, 0, "not to who has left");
    end(&bus);
}
