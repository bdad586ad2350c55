/*
 * The connection to RabbitMQ on a real broker: what the journal builds on.
 */
#include "base/clock.h"
#include "storage/rabbit.h"
#include "tests/kit/must.h"
#include "tests/kit/stack.h"
#include "tests/kit/test.h"

#define QUEUE "test.entries"
#define DEAD  "test.dead"

static bool is_up;

static struct qb_rabbit *connected(void)
{
    if (!is_up) qb_stack_start("rabbitmq");
    is_up = true;
    const struct qb_rabbit_options options = {
        .urls = qb_stack_value("RABBITMQ_URL"), .name = "test", .heartbeat_s = 10};
    struct qb_error error = {""};
    struct qb_rabbit *rabbit = qb_rabbit_new(&options, &error);

    qb_must(rabbit != NULL && qb_rabbit_connect(rabbit, &error), error.text);
    return rabbit;
}

/* With an empty queue of at most `messages_max`. */
static struct qb_rabbit *with_queue(uint32_t messages_max)
{
    const struct qb_rabbit_queue dead = {.name = DEAD};
    const struct qb_rabbit_queue queue = {
        .name = QUEUE, .dead_letters_to = DEAD, .messages_max = messages_max};
    struct qb_error error = {""};
    struct qb_rabbit *rabbit = connected();

    qb_must(qb_rabbit_remove(rabbit, QB_RABBIT_QUEUE, QUEUE, &error) &&
                qb_rabbit_queue(rabbit, &dead, &error) && qb_rabbit_queue(rabbit, &queue, &error) &&
                qb_rabbit_confirms(rabbit, &error),
            error.text);
    return rabbit;
}

/* The next event within a few seconds. */
static struct qb_rabbit_event next(struct qb_rabbit *rabbit)
{
    struct qb_rabbit_event event = {.kind = QB_RABBIT_NOTHING};
    struct qb_error error = {""};
    int64_t until_us = qb_clock_mono_us() + 10 * QB_SECOND_US;

    while (event.kind == QB_RABBIT_NOTHING && qb_clock_mono_us() < until_us) {
        qb_rabbit_wait(&rabbit, 1, -1, QB_SECOND_US);
        if (!qb_rabbit_next(rabbit, &event, &error)) break;
    }
    QB_EXPECT(event.kind != QB_RABBIT_NOTHING, error.text);
    return event;
}

static uint64_t publish(struct qb_rabbit *rabbit, const char *key, uint64_t id)
{
    const struct qb_rabbit_message message = {"", key, id, (const uint8_t *)&id, sizeof id};
    struct qb_error error = {""};
    uint64_t tag = 0;

    QB_EXPECT(qb_rabbit_can_publish(rabbit), "there is room");
    QB_EXPECT(qb_rabbit_publish(rabbit, &message, &tag, &error), error.text);
    return tag;
}

QB_TEST(an_address_that_cannot_be_used_says_so_without_the_secret)
{
    const struct qb_rabbit_options closed = {
        .urls = "amqp://u:hunter2@127.0.0.1:1", .name = "test", .heartbeat_s = 10};
    const struct qb_rabbit_options tls = {.urls = "amqps://u:hunter2@127.0.0.1", .name = "test"};
    struct qb_error error = {""};
    struct qb_rabbit *rabbit = qb_rabbit_new(&tls, &error);

    QB_EXPECT(rabbit == NULL, "TLS without somebody to trust");
    QB_EXPECT(strstr(error.text, "certificate authority") != NULL, error.text);
    rabbit = qb_rabbit_new(&closed, &error);
    QB_EXPECT(rabbit != NULL && !qb_rabbit_connect(rabbit, &error), "nobody listens");
    QB_EXPECT(strstr(error.text, "127.0.0.1:1") != NULL, error.text);
    QB_EXPECT(strstr(error.text, "hunter2") == NULL, error.text);
    QB_EXPECT(!qb_rabbit_is_connected(rabbit), "not connected");
    qb_rabbit_free(&rabbit);
}

QB_TEST(addresses_are_tried_in_turn_and_a_wrong_password_is_refused)
{
    struct qb_rabbit *rabbit = connected();
    const char *good = qb_stack_value("RABBITMQ_URL");
    const char *host = strrchr(good, '@');
    struct qb_error error = {""};
    char urls[1000];

    qb_rabbit_free(&rabbit);
    (void)snprintf(urls, sizeof urls, "amqp://quickbid:hunter2%s,%s", host, good);
    const struct qb_rabbit_options options = {.urls = urls, .name = "test", .heartbeat_s = 10};
    rabbit = qb_rabbit_new(&options, &error);
    qb_must(rabbit != NULL, error.text);
    QB_EXPECT(!qb_rabbit_connect(rabbit, &error), "the first");
    QB_EXPECT(strstr(error.text, "ACCESS_REFUSED") != NULL, error.text);
    QB_EXPECT(strstr(error.text, "hunter2") == NULL, error.text);
    QB_EXPECT(qb_rabbit_connect(rabbit, &error), error.text);
    qb_rabbit_free(&rabbit);
}

QB_TEST(what_cannot_be_routed_is_returned_and_then_confirmed)
{
    struct qb_rabbit *rabbit = with_queue(0);

    uint64_t tag = publish(rabbit, "test.nowhere", 77);
    struct qb_rabbit_event event = next(rabbit);
    QB_EXPECT_EQ(event.kind, QB_RABBIT_RETURNED, "the return comes first");
    QB_EXPECT_EQ(event.id, 77, "and says which");
    event = next(rabbit);
    QB_EXPECT_EQ(event.kind, QB_RABBIT_CONFIRMED, "although it is confirmed");
    QB_EXPECT_EQ(event.tag, tag, "it");
    tag = publish(rabbit, QUEUE, 78);
    event = next(rabbit);
    QB_EXPECT_EQ(event.kind, QB_RABBIT_CONFIRMED, "one that is routed is only confirmed");
    QB_EXPECT_EQ(event.tag, tag, "it");
    qb_rabbit_free(&rabbit);
}

QB_TEST(a_full_queue_takes_no_more_and_drops_nothing)
{
    struct qb_rabbit *rabbit = with_queue(3);
    struct qb_rabbit_count count;
    struct qb_error error = {""};
    enum qb_rabbit_event_kind last = QB_RABBIT_NOTHING;
    uint32_t confirmed = 0;

    for (uint64_t id = 1; id <= 20 && last != QB_RABBIT_NACKED; id++) {
        (void)publish(rabbit, QUEUE, id);
        last = next(rabbit).kind;
        if (last == QB_RABBIT_CONFIRMED) confirmed++;
    }
    QB_EXPECT_EQ(last, QB_RABBIT_NACKED, "refused at last");
    QB_EXPECT(qb_rabbit_count(rabbit, QUEUE, &count, &error), error.text);
    QB_EXPECT(count.messages >= confirmed, "what was confirmed is there");
    qb_rabbit_free(&rabbit);
}

QB_TEST(what_was_not_acknowledged_comes_again_in_its_place)
{
    struct qb_rabbit *rabbit = with_queue(0);
    struct qb_rabbit *other = connected();
    struct qb_error error = {""};

    for (uint64_t id = 1; id <= 5; id++) {
        (void)publish(rabbit, QUEUE, id);
        QB_EXPECT_EQ(next(rabbit).kind, QB_RABBIT_CONFIRMED, "taken");
    }
    qb_must(qb_rabbit_consume(other, QUEUE, 3, &error), error.text);
    qb_must(qb_rabbit_consume(rabbit, QUEUE, 10, &error), error.text);
    for (uint64_t id = 1; id <= 3; id++) {
        struct qb_rabbit_event event = next(other);
        QB_EXPECT_EQ(event.kind, QB_RABBIT_DELIVERED, "to the first consumer alone");
        QB_EXPECT(event.length == 8 && memcmp(event.bytes, &id, 8) == 0, "in order");
        if (id == 1) QB_EXPECT(qb_rabbit_ack(other, event.tag, &error), error.text);
    }
    qb_rabbit_cut(other);
    for (uint64_t id = 2; id <= 5; id++) {
        struct qb_rabbit_event event = next(rabbit);
        QB_EXPECT_EQ(event.kind, QB_RABBIT_DELIVERED, "then to the next one");
        QB_EXPECT(event.length == 8 && memcmp(event.bytes, &id, 8) == 0, "from where it stood");
    }
    qb_rabbit_free(&other);
    qb_rabbit_free(&rabbit);
}

QB_TEST(a_refused_question_leaves_the_connection)
{
    const struct qb_rabbit_queue other = {
        .name = QUEUE, .dead_letters_to = DEAD, .messages_max = 7};
    const struct qb_rabbit_route route = {QUEUE, "test.exchange", "e.1.0"};
    struct qb_rabbit *rabbit = with_queue(0);
    struct qb_rabbit_count count;
    struct qb_error error = {""};

    QB_EXPECT(qb_rabbit_count(rabbit, "test.nowhere", &count, &error), error.text);
    QB_EXPECT(count.is_missing, "no such queue");
    QB_EXPECT(!qb_rabbit_queue(rabbit, &other, &error), "it is there with other arguments");
    QB_EXPECT(strstr(error.text, "x-max-length") != NULL, error.text);
    QB_EXPECT(qb_rabbit_exchange(rabbit, route.exchange, &error), error.text);
    QB_EXPECT(qb_rabbit_route(rabbit, &route, true, &error), error.text);
    QB_EXPECT(qb_rabbit_route(rabbit, &route, false, &error), error.text);
    QB_EXPECT(qb_rabbit_route(rabbit, &route, false, &error), "again changes nothing");
    QB_EXPECT(qb_rabbit_count(rabbit, QUEUE, &count, &error) && !count.is_missing, error.text);
    QB_EXPECT(qb_rabbit_remove(rabbit, QB_RABBIT_EXCHANGE, route.exchange, &error), error.text);
    (void)publish(rabbit, QUEUE, 1);
    QB_EXPECT_EQ(next(rabbit).kind, QB_RABBIT_CONFIRMED, "and it publishes");
    qb_rabbit_free(&rabbit);
}

QB_TEST(a_broker_short_of_memory_says_so)
{
    struct qb_rabbit *rabbit = with_queue(0);

    qb_stack_rabbitmqctl("set_vm_memory_high_watermark absolute 1");
    (void)publish(rabbit, QUEUE, 1);
    QB_EXPECT_EQ(next(rabbit).kind, QB_RABBIT_BLOCKED, "blocked");
    qb_stack_rabbitmqctl("set_vm_memory_high_watermark absolute 512MB");
    QB_EXPECT_EQ(next(rabbit).kind, QB_RABBIT_UNBLOCKED, "and no longer");
    QB_EXPECT_EQ(next(rabbit).kind, QB_RABBIT_CONFIRMED, "what waited is taken");
    qb_rabbit_free(&rabbit);
}

QB_TEST(a_broker_that_died_is_noticed)
{
    struct qb_rabbit *rabbit = with_queue(0);
    struct qb_rabbit_event event;
    struct qb_error error = {""};
    bool is_good = true;

    qb_stack_kill("rabbitmq");
    for (int i = 0; i < 50 && is_good; i++) {
        is_good = qb_rabbit_next(rabbit, &event, &error);
        if (is_good) qb_clock_sleep_us(100 * QB_MS_US);
    }
    QB_EXPECT(!is_good && !qb_rabbit_is_connected(rabbit), "gone");
    QB_EXPECT(!qb_rabbit_connect(rabbit, &error), "nobody listens");
    qb_stack_revive("rabbitmq");
    QB_EXPECT(qb_rabbit_connect(rabbit, &error), error.text);
    qb_rabbit_free(&rabbit);
}
