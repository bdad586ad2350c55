#include "tests/contract/bus_contract.h"

#include <string.h>

#include "tests/contract/expect.h"

#define HEARD_MAX 256

static const struct qb_topic LOT = {.kind = QB_TOPIC_AUCTION, .id = 7};
static const struct qb_topic OTHER_LOT = {.kind = QB_TOPIC_AUCTION, .id = 8};
static const struct qb_topic USER = {.kind = QB_TOPIC_USER, .id = 7};

struct ear {
    size_t count;
    uint64_t seqs[HEARD_MAX];
    struct qb_topic topics[HEARD_MAX];
    char last[16];
};

static void hear(void *context, struct qb_topic topic, uint64_t seq, struct qb_frame *frame)
{
    struct ear *ear = context;

    if (ear->count == HEARD_MAX) return;
    ear->topics[ear->count] = topic;
    ear->seqs[ear->count++] = seq;
    size_t length = frame->length < sizeof ear->last - 1 ? frame->length : sizeof ear->last - 1;
    (void)memcpy(ear->last, frame->bytes, length);
    ear->last[length] = '\0';
}

static void say(struct qb_bus *bus, struct qb_bus_member *member, struct qb_topic topic,
                uint64_t seq, const char *words)
{
    struct qb_frame *frame = qb_frame_new(words, strlen(words));

    qb_bus_publish(bus, member, topic, seq, frame);
    qb_frame_free(&frame);
}

static void all_who_subscribed_hear_and_nobody_else(const struct bus_subject *subject)
{
    struct qb_bus *bus = subject->make();
    struct ear ears[3] = {0};
    struct qb_bus_member *members[3];

    for (size_t i = 0; i < 3; i++) members[i] = subject->join(bus, hear, &ears[i]);
    qb_bus_subscribe(bus, members[0], LOT);
    qb_bus_subscribe(bus, members[1], LOT);
    qb_bus_subscribe(bus, members[1], LOT); /* twice is once */
    qb_bus_subscribe(bus, members[2], OTHER_LOT);
    qb_bus_subscribe(bus, members[2], USER);
    say(bus, members[0], LOT, 1, "one");
    expect(ears[0].count == 0, subject->name, "never inside the call, also the own ones");
    subject->settle();
    expect(ears[0].count == 1, subject->name, "the publisher hears itself");
    expect(ears[1].count == 1, subject->name, "subscribed twice, heard once");
    expect(ears[2].count == 0, subject->name, "other topics, also a user of the same number");
    expect(strcmp(ears[1].last, "one") == 0, subject->name, "the bytes arrive");
    subject->end(&bus);
}

static void one_publisher_is_heard_in_order(const struct bus_subject *subject)
{
    struct qb_bus *bus = subject->make();
    struct ear ear = {0};
    struct qb_bus_member *speaker = subject->join(bus, hear, &(struct ear){0});
    struct qb_bus_member *listener = subject->join(bus, hear, &ear);

    qb_bus_subscribe(bus, listener, LOT);
    for (uint64_t seq = 1; seq <= 200; seq++) say(bus, speaker, LOT, seq, "x");
    subject->settle();
    expect(ear.count == 200, subject->name, "nothing is lost while there is room");
    for (size_t i = 0; i < ear.count; i++) {
        expect(ear.seqs[i] == i + 1, subject->name, "in order");
        expect(ear.topics[i].id == LOT.id, subject->name, "of its topic");
    }
    subject->end(&bus);
}

static void who_unsubscribed_hears_no_more(const struct bus_subject *subject)
{
    struct qb_bus *bus = subject->make();
    struct ear ear = {0};
    struct qb_bus_member *member = subject->join(bus, hear, &ear);

    qb_bus_subscribe(bus, member, LOT);
    say(bus, member, LOT, 1, "x");
    subject->settle();
    qb_bus_unsubscribe(bus, member, LOT);
    qb_bus_unsubscribe(bus, member, LOT); /* again is no error */
    say(bus, member, LOT, 2, "x");
    subject->settle();
    expect(ear.count == 1, subject->name, "only what came before");
    qb_bus_subscribe(bus, member, LOT);
    say(bus, member, LOT, 3, "x");
    subject->settle();
    expect(ear.count == 2, subject->name, "and again after a new subscription");
    subject->end(&bus);
}

static void a_full_member_loses_and_the_others_do_not(const struct bus_subject *subject)
{
    struct qb_bus *bus = subject->make();
    struct ear full = {0};
    struct ear free_ear = {0};
    struct qb_bus_member *slow = subject->join_small(bus, 4, hear, &full);
    struct qb_bus_member *quick = subject->join(bus, hear, &free_ear);

    qb_bus_subscribe(bus, slow, LOT);
    qb_bus_subscribe(bus, quick, LOT);
    for (uint64_t seq = 1; seq <= 100; seq++) say(bus, quick, LOT, seq, "x");
    subject->settle();
    expect(free_ear.count == 100, subject->name, "the quick one hears all");
    expect(full.count == 4, subject->name, "the full one hears what it had room for");
    for (size_t i = 0; i < full.count; i++)
        expect(full.seqs[i] == i + 1, subject->name, "in order");
    subject->end(&bus);
}

void bus_contract(const struct bus_subject *subject)
{
    all_who_subscribed_hear_and_nobody_else(subject);
    one_publisher_is_heard_in_order(subject);
    who_unsubscribed_hears_no_more(subject);
    a_full_member_loses_and_the_others_do_not(subject);
}
