/*
 * qb_bare_rabbit QUEUE BYTES OUTSTANDING SECONDS: the bare limit of RabbitMQ (RABBITMQ_URL), beside
 * which the journal's figures stand. Publishes messages of BYTES, persistent and mandatory, to a
 * quorum queue of its own, with so many of them without a confirm at a time, and removes the queue.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "bench/measure.h"
#include "bench/swarm.h"
#include "storage/rabbit.h"

#define CONFIRM_US (10 * QB_SECOND_US)

struct publisher {
    struct qb_rabbit *rabbit;
    const char *queue;
    const uint8_t *bytes;
    size_t length;
    size_t outstanding;
    uint64_t published; /* the newest tag */
    uint64_t confirmed; /* all tags up to this one: the broker tells them in order */
    int64_t *sent_us;   /* by tag modulo `outstanding` */
    struct qb_samples times;
};

static void must(bool is_done, const struct qb_error *error)
{
    if (!is_done) qb_load_fail("RabbitMQ: %s", error->text);
}

static void publish(struct publisher *publisher)
{
    struct qb_error error = {0};
    const struct qb_rabbit_message message = {.exchange = "",
                                              .key = publisher->queue,
                                              .id = 1,
                                              .bytes = publisher->bytes,
                                              .length = publisher->length};

    while (publisher->published - publisher->confirmed < publisher->outstanding &&
           qb_rabbit_can_publish(publisher->rabbit)) {
        must(qb_rabbit_publish(publisher->rabbit, &message, &publisher->published, &error), &error);
        publisher->sent_us[publisher->published % publisher->outstanding] = qb_clock_mono_us();
    }
}

static void take_confirms(struct publisher *publisher)
{
    struct qb_rabbit_event event = {.kind = QB_RABBIT_CONFIRMED};
    struct qb_error error = {0};
    int64_t now_us = 0;

    qb_rabbit_wait(&publisher->rabbit, 1, -1, QB_SECOND_US);
    now_us = qb_clock_mono_us();
    while (event.kind != QB_RABBIT_NOTHING) {
        must(qb_rabbit_next(publisher->rabbit, &event, &error), &error);
        if (event.kind == QB_RABBIT_NACKED || event.kind == QB_RABBIT_RETURNED)
            qb_load_fail("RabbitMQ refused a message");
        if (event.kind != QB_RABBIT_CONFIRMED) continue;
        while (publisher->confirmed < event.tag) {
            int64_t sent_us = publisher->sent_us[++publisher->confirmed % publisher->outstanding];
            qb_samples_add(&publisher->times, now_us - sent_us);
        }
    }
}

static void run(struct publisher *publisher, double seconds)
{
    int64_t begin_us = qb_clock_mono_us();
    int64_t end_us = begin_us + (int64_t)(seconds * 1e6);

    while (qb_clock_mono_us() < end_us) {
        publish(publisher);
        take_confirms(publisher);
    }
    while (publisher->confirmed < publisher->published) {
        take_confirms(publisher);
        if (qb_clock_mono_us() > end_us + CONFIRM_US) qb_load_fail("RabbitMQ does not confirm");
    }
    double wall_us = (double)(qb_clock_mono_us() - begin_us);
    (void)printf("{\"messages_per_s\":%.0f,\"p50_ms\":%.3f,\"p99_ms\":%.3f}\n",
                 (double)publisher->confirmed * 1e6 / wall_us,
                 (double)qb_samples_at(&publisher->times, 0.5) / 1e3,
                 (double)qb_samples_at(&publisher->times, 0.99) / 1e3);
}

int main(int count, char **words)
{
    const char *urls = getenv("RABBITMQ_URL");
    struct qb_error error = {0};

    if (count != 5 || urls == NULL) {
        (void)fputs("usage: RABBITMQ_URL=... qb_bare_rabbit QUEUE BYTES OUTSTANDING SECONDS\n",
                    stderr);
        return 2;
    }
    const struct qb_rabbit_options options = {.urls = urls, .name = "bench", .heartbeat_s = 10};
    struct publisher publisher = {.queue = words[1],
                                  .length = strtoul(words[2], NULL, 10),
                                  .outstanding = strtoul(words[3], NULL, 10)};
    const struct qb_rabbit_queue queue = {.name = publisher.queue};
    if (publisher.length < 1 || publisher.length > 65536 || publisher.outstanding < 1 ||
        publisher.outstanding > 10000)
        qb_load_fail("BYTES from 1 to 65536, OUTSTANDING from 1 to 10000");
    publisher.bytes = calloc(1, publisher.length);
    publisher.sent_us = calloc(publisher.outstanding, sizeof *publisher.sent_us);
    if (publisher.bytes == NULL || publisher.sent_us == NULL) qb_load_fail("no memory");
    publisher.rabbit = qb_rabbit_new(&options, &error);
    must(publisher.rabbit != NULL && qb_rabbit_connect(publisher.rabbit, &error), &error);
    must(qb_rabbit_queue(publisher.rabbit, &queue, &error), &error);
    must(qb_rabbit_confirms(publisher.rabbit, &error), &error);
    run(&publisher, strtod(words[4], NULL));
    must(qb_rabbit_remove(publisher.rabbit, QB_RABBIT_QUEUE, publisher.queue, &error), &error);
    qb_rabbit_free(&publisher.rabbit);
    qb_samples_fini(&publisher.times);
    free((void *)(uintptr_t)publisher.bytes);
    free(publisher.sent_us);
    return 0;
}
