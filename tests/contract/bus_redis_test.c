/*
 * The bus on Redis: held to the contract of every bus, and as two of it on the same servers, which
 * is what two processes are.
 */
#include <signal.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/metrics.h"
#include "base/shard.h"
#include "pubsub/bus_redis.h"
#include "tests/contract/bus_contract.h"
#include "tests/contract/expect.h"
#include "tests/kit/stack.h"
#include "tests/kit/test.h"

#define SHARDS    2
#define BOXES_MAX 8
#define NOTICES   500
#define FOLLOWED  2000

struct ear {
    int count;
    int gaps;
    int returns;
    int begun;
    bool is_disordered;
    struct qb_topic topic; /* of the last frame */
    bool was_protected;
    size_t length;
    char last[64];
    uint64_t watchers[2]; /* of one auction of each shard */
    struct qb_bus *bus;
    struct qb_bus_member *member;
};

static struct qb_mailbox *boxes[BOXES_MAX];
static size_t box_count;
static char addresses[SHARDS][512];
static bool has_stack;

static void need_stack(void)
{
    if (has_stack) return;
    has_stack = true;
    (void)signal(SIGPIPE, SIG_IGN);
    qb_stack_start("redis");
    const char *from = qb_stack_value("REDIS_URL");
    for (int i = 0; i < SHARDS; i++) {
        (void)snprintf(addresses[i], sizeof addresses[i], "%.*s", (int)strcspn(from, ","), from);
        from = strchr(from, ',') + 1;
    }
}

static void no_wake(void *context)
{
    (void)context;
}

static struct qb_bus *make(void)
{
    const char *const each[SHARDS] = {addresses[0], addresses[1]};
    const struct qb_bus_redis_options options = {
        .addresses = each, .shards = SHARDS, .name = "bus-test"};
    struct qb_error error = {{0}};
    struct qb_bus *bus = qb_bus_redis_new(&options, &error);

    QB_EXPECT_TEXT(error.text, "", "the addresses are good");
    return bus;
}

static struct qb_bus_member *join_small(struct qb_bus *bus, size_t messages, qb_bus_heard *heard,
                                        void *context)
{
    boxes[box_count] = qb_mailbox_new(messages, no_wake, NULL);
    return qb_bus_join(bus, boxes[box_count++], heard, context);
}

static struct qb_bus_member *join(struct qb_bus *bus, qb_bus_heard *heard, void *context)
{
    return join_small(bus, 10000, heard, context);
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

/* Takes the mail until the condition holds, at most `ms`. */
#define UNTIL(condition, ms)                                                                       \
    for (int64_t until_us = qb_clock_mono_us() + (ms)*QB_MS_US;                                    \
         settle(), !(condition) && qb_clock_mono_us() < until_us;)                                 \
    qb_clock_sleep_us(500)

static void hear(void *context, struct qb_topic topic, uint64_t seq, struct qb_frame *frame)
{
    struct ear *ear = context;
    int number = 0;

    (void)seq;
    ear->count++;
    ear->topic = topic;
    ear->was_protected = frame->is_protected;
    ear->length = frame->length;
    (void)snprintf(ear->last, sizeof ear->last, "%.*s", (int)frame->length,
                   (const char *)frame->bytes);
    if (sscanf(ear->last, "number %d", &number) == 1 && number != ear->count)
        ear->is_disordered = true;
}

static void on_gap(void *context, unsigned shard, bool is_deaf)
{
    struct ear *ear = context;

    if (shard != 1) return; /* the one that the tests kill */
    if (is_deaf)
        ear->gaps++;
    else
        ear->returns++;
}

static void on_begun(void *context, struct qb_topic topic)
{
    struct ear *ear = context;

    (void)topic;
    ear->begun++;
}

static void on_watchers(void *context, qb_id auction, uint64_t total)
{
    struct ear *ear = context;

    ear->watchers[qb_shard_of(auction, SHARDS)] = total;
}

/* A member that listens, on a bus that hears. */
static void open_ear(struct ear *ear, struct qb_bus *bus)
{
    const struct qb_bus_listener listener = {on_gap, on_begun, on_watchers, ear};

    *ear = (struct ear){.bus = bus};
    ear->member = join(bus, hear, ear);
    qb_bus_listen(bus, ear->member, &listener);
    for (unsigned i = 0; i < SHARDS; i++) UNTIL(qb_bus_deaf_since_us(bus, i) == 0, 10000);
    UNTIL(ear->gaps == ear->returns, 5000);
}

static void follow(struct ear *ear, struct qb_topic topic)
{
    int begun = ear->begun;

    qb_bus_subscribe(ear->bus, ear->member, topic);
    UNTIL(ear->begun > begun, 5000);
    QB_EXPECT_EQ(ear->begun, begun + 1, "the subscription is in effect");
}

static void say(struct ear *mouth, struct qb_topic topic, const char *words, bool is_protected)
{
    struct qb_frame *frame = qb_frame_new(words, strlen(words));

    frame->is_protected = is_protected;
    qb_bus_publish(mouth->bus, mouth->member, topic, 0, frame);
    qb_frame_free(&frame);
}

/* The `nth` id of a shard. */
static qb_id id_of(unsigned shard, int nth)
{
    qb_id id = 1;

    for (;; id++) {
        if (qb_shard_of(id, SHARDS) == shard && nth-- == 0) return id;
    }
}

static struct qb_topic user_of(unsigned shard)
{
    return (struct qb_topic){.kind = QB_TOPIC_USER, .id = id_of(shard, 0)};
}

/* What the ledger's script does. */
static void publish_raw(unsigned shard, const char *kind, qb_id id, const char *bytes)
{
    char line[800];

    (void)snprintf(line, sizeof line,
                   "printf '%s' | redis-cli --no-auth-warning -u '%s' -x publish "
                   "'qb:{q%u}:%s:%016" PRIx64 "' >/dev/null",
                   bytes, addresses[shard], shard, kind, id);
    QB_EXPECT_EQ(system(line), 0, "published");
}

QB_TEST(the_bus_on_redis_keeps_the_contract)
{
    const struct bus_subject subject = {"bus_redis", make, join, settle, join_small, end};

    need_stack();
    bus_contract(&subject);
    QB_EXPECT_EQ(expect_failures(), 0, "the contract");
}

QB_TEST(a_bad_address_is_an_error)
{
    const char *const each[SHARDS] = {"redis://localhost", "redis://:hush@"};
    const struct qb_bus_redis_options options = {
        .addresses = each, .shards = SHARDS, .name = "bus-test"};
    struct qb_error error = {{0}};

    QB_EXPECT(qb_bus_redis_new(&options, &error) == NULL, "no bus");
    QB_EXPECT(strstr(error.text, "shard 1") != NULL, error.text);
    QB_EXPECT(strstr(error.text, "hush") == NULL, error.text);
}

QB_TEST(a_notice_crosses_exactly_once)
{
    struct ear here;
    struct ear beside;
    struct ear there;

    need_stack();
    struct qb_bus *one = make();
    struct qb_bus *two = make();
    open_ear(&here, one);
    open_ear(&beside, one);
    open_ear(&there, two);
    for (unsigned shard = 0; shard < SHARDS; shard++) {
        struct qb_topic user = user_of(shard);
        int count = here.count;
        follow(&here, user);
        follow(&beside, user); /* second on a bus that has the subscription */
        follow(&there, user);
        say(&here, user, "hello", shard == 0);
        UNTIL(there.count > count && here.count > count, 5000);
        QB_EXPECT_TEXT(there.last, "hello", "the bytes arrive");
        QB_EXPECT_EQ(there.was_protected, shard == 0, "and whether they may be conflated");
        QB_EXPECT_EQ(there.topic.id, user.id, "of its topic");
        say(&there, user, "back", false);
        UNTIL(here.count > count + 1 && beside.count > count + 1, 5000);
        UNTIL(false, 100);
        QB_EXPECT_EQ(here.count, count + 2, "each once, the own one too");
        QB_EXPECT_EQ(beside.count, count + 2, "each once beside the publisher");
        QB_EXPECT_EQ(there.count, count + 2, "each once in the other process");
    }
    say(&here, (struct qb_topic){QB_TOPIC_USER, id_of(0, 1)}, "else", false);
    say(&here, (struct qb_topic){QB_TOPIC_AUCTION, user_of(0).id}, "else", false);
    qb_bus_unsubscribe(two, there.member, user_of(0));
    qb_bus_unsubscribe(one, beside.member, user_of(0));
    UNTIL(false, 200);
    int64_t received = qb_metric_value(QB_METRIC_bus_received_total, "user");
    say(&here, user_of(0), "late", false);
    UNTIL(here.count == 5, 5000);
    UNTIL(false, 200);
    QB_EXPECT_EQ(qb_metric_value(QB_METRIC_bus_received_total, "user"), received,
                 "nor asked for there");
    QB_EXPECT_EQ(here.count, 5, "still subscribed, and to nothing else");
    QB_EXPECT_EQ(beside.count, 4, "no more beside");
    QB_EXPECT_EQ(there.count, 4, "no more in the other process");
    settle();
    qb_bus_free(&one);
    end(&two);
}

QB_TEST(notices_of_one_publisher_come_in_order)
{
    struct ear here;
    struct ear there;
    char words[32];

    need_stack();
    struct qb_bus *one = make();
    struct qb_bus *two = make();
    open_ear(&here, one);
    open_ear(&there, two);
    follow(&there, user_of(1));
    for (int i = 1; i <= NOTICES; i++) {
        (void)snprintf(words, sizeof words, "number %d", i);
        say(&here, user_of(1), words, false);
    }
    UNTIL(there.count == NOTICES, 10000);
    QB_EXPECT_EQ(there.count, NOTICES, "nothing is lost while all is well");
    QB_EXPECT(!there.is_disordered, "in order");
    qb_bus_free(&one);
    end(&two);
}

QB_TEST(a_log_comes_byte_for_byte)
{
    struct ear here;
    struct ear there;
    const struct qb_topic log = {.kind = QB_TOPIC_LOG, .id = id_of(1, 3)};

    need_stack();
    struct qb_bus *one = make();
    struct qb_bus *two = make();
    open_ear(&here, one);
    open_ear(&there, two);
    follow(&here, log);
    follow(&there, log);
    publish_raw(1, "log", log.id, "\\001x\\000y");
    UNTIL(here.count > 0 && there.count > 0, 5000);
    QB_EXPECT_EQ(here.length, 4, "all of it");
    QB_EXPECT_EQ(there.length, 4, "in each process");
    QB_EXPECT_EQ(there.topic.kind, QB_TOPIC_LOG, "as a log");
    QB_EXPECT(memcmp(there.last, "\001x", 3) == 0, "as it was");
    /* What is no notice of ours is left out: too short, another version. */
    const struct qb_topic user = {.kind = QB_TOPIC_USER, .id = log.id};
    follow(&here, user);
    publish_raw(1, "user", user.id, "x");
    publish_raw(1, "user", user.id, "\\377----------");
    UNTIL(false, 100);
    QB_EXPECT_EQ(here.count, 1, "nothing else came");
    qb_bus_free(&one);
    end(&two);
}

QB_TEST(watchers_of_all_processes_are_counted)
{
    struct ear here;
    struct ear beside;
    struct ear there;

    need_stack();
    struct qb_bus *one = make();
    struct qb_bus *two = make();
    open_ear(&here, one);
    open_ear(&beside, one);
    open_ear(&there, two);
    for (unsigned shard = 0; shard < SHARDS; shard++) {
        const struct qb_topic log = {.kind = QB_TOPIC_LOG, .id = id_of(shard, 0)};
        follow(&here, log);
        follow(&beside, log);
        follow(&there, log);
        qb_bus_watching(one, here.member, id_of(shard, 0), 1);
        qb_bus_watching(one, beside.member, id_of(shard, 0), 20);
        qb_bus_watching(two, there.member, id_of(shard, 0), 300);
    }
    for (unsigned shard = 0; shard < SHARDS; shard++) {
        UNTIL(here.watchers[shard] == 321 && beside.watchers[shard] == 321 &&
                  there.watchers[shard] == 321,
              10000);
        QB_EXPECT_EQ(here.watchers[shard], 321, "all of them");
        QB_EXPECT_EQ(beside.watchers[shard], 321, "told to each member");
        QB_EXPECT_EQ(there.watchers[shard], 321, "in each process");
    }
    struct ear late = {0};
    struct qb_bus *three = make();
    open_ear(&late, three);
    const struct qb_topic log = {.kind = QB_TOPIC_LOG, .id = id_of(1, 0)};
    follow(&late, log);
    UNTIL(late.watchers[1] == 321, 10000); /* it has asked, and each answers in its own second */
    QB_EXPECT_EQ(late.watchers[1], 321, "told without any watcher of its own");
    late.watchers[1] = 0;
    qb_bus_subscribe(three, late.member, log);
    UNTIL(late.watchers[1] > 0, 10000);
    QB_EXPECT_EQ(late.watchers[1], 321, "and again with each subscription");
    QB_EXPECT_EQ(late.watchers[0], 0, "nothing of what it has not subscribed to");
    qb_bus_watching(one, beside.member, id_of(1, 0), 0);
    UNTIL(there.watchers[1] == 301, 10000);
    QB_EXPECT_EQ(there.watchers[1], 301, "twenty have left");
    UNTIL(late.watchers[1] == 301, 10000);
    QB_EXPECT_EQ(late.watchers[1], 301, "told when it changes");
    qb_bus_free(&one);
    qb_bus_free(&three);
    end(&two);
}

QB_TEST(a_restart_of_redis_is_told_and_heals)
{
    struct ear here;
    struct ear beside;
    struct ear there;

    need_stack();
    struct qb_bus *one = make();
    struct qb_bus *two = make();
    open_ear(&here, one);
    open_ear(&beside, one);
    open_ear(&there, two);
    int gaps = here.gaps;
    int returns = here.returns;
    follow(&here, user_of(1));
    for (int i = 0; i < FOLLOWED; i++)
        qb_bus_subscribe(one, here.member, (struct qb_topic){QB_TOPIC_LOG, (qb_id)(1000 + i)});
    UNTIL(here.begun > FOLLOWED, 5000);
    QB_EXPECT_EQ(here.begun, FOLLOWED + 1, "each begins");
    qb_stack_kill("redis-1");
    UNTIL(here.gaps > gaps, 5000);
    QB_EXPECT_EQ(here.gaps, gaps + 1, "told once");
    QB_EXPECT(qb_bus_deaf_since_us(one, 1) > 0, "deaf");
    QB_EXPECT_EQ(qb_bus_deaf_since_us(one, 0), 0, "the other shard hears");
    /* What is said meanwhile reaches this process only; what is subscribed to is not forgotten. */
    say(&here, user_of(1), "alone", false);
    const struct qb_topic late = {.kind = QB_TOPIC_USER, .id = id_of(1, 5)};
    qb_bus_subscribe(one, here.member, late);
    UNTIL(here.count > 0, 5000);
    QB_EXPECT_TEXT(here.last, "alone", "at once");
    qb_stack_revive("redis-1");
    UNTIL(here.returns > returns && there.returns > 0 && qb_bus_deaf_since_us(two, 1) == 0, 10000);
    QB_EXPECT_EQ(here.returns, returns + 1, "back, told once");
    QB_EXPECT_EQ(here.begun, FOLLOWED + 1, "which says it for all");
    QB_EXPECT_EQ(qb_bus_deaf_since_us(one, 1), 0, "hears");
    follow(&beside, late); /* second to what was subscribed to in the gap */
    /* The other process's connection that publishes may need a moment more. */
    for (int i = 0; i < 50 && here.count < 2; i++) {
        say(&there, late, "again", false);
        UNTIL(here.count > 1, 100);
    }
    QB_EXPECT(here.count > 1, "heard again");
    QB_EXPECT_TEXT(here.last, "again", "heard again");
    UNTIL(false, 200);
    qb_bus_free(&one);
    end(&two);
    qb_stack_stop();
}
