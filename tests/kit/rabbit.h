/*
 * A broker for the tests of the journal on it: one a program, started when it is first asked for.
 */
#pragma once

#include <stdio.h>

#include "base/clock.h"
#include "storage/journal_rabbit_admin.h"
#include "storage/rabbit.h"
#include "tests/kit/must.h"
#include "tests/kit/stack.h"

/* The part of k8s/stack; a test that needs another one defines it first. */
#ifndef QB_TEST_RABBIT_PART
#define QB_TEST_RABBIT_PART "rabbitmq"
#endif

static inline const char *qb_test_rabbit_url(void)
{
    static bool is_up;

    if (!is_up) qb_stack_start(QB_TEST_RABBIT_PART);
    is_up = true;
    return qb_stack_value("RABBITMQ_URL");
}

/* Of a reader and writer of epoch 1. */
static inline struct qb_journal_rabbit_options qb_test_rabbit_options(unsigned shards)
{
    return (struct qb_journal_rabbit_options){.urls = qb_test_rabbit_url(),
                                              .prefix = "test",
                                              .shards = shards,
                                              .epoch = 1,
                                              .waiting_bytes_max = 1000000,
                                              .is_reader = true};
}

/* Removes what was there. */
static inline void qb_test_rabbit_clear(unsigned shards)
{
    const struct qb_journal_rabbit_options options = qb_test_rabbit_options(shards);
    struct qb_error error = {""};

    qb_must(qb_journal_rabbit_remove(&options, &error), error.text);
}

/* A connection to look at the broker with. */
static inline struct qb_rabbit *qb_test_rabbit_connect(void)
{
    const struct qb_rabbit_options options = {
        .urls = qb_test_rabbit_url(), .name = "test", .heartbeat_s = 10};
    struct qb_error error = {""};
    struct qb_rabbit *rabbit = qb_rabbit_new(&options, &error);

    qb_must(rabbit != NULL && qb_rabbit_connect(rabbit, &error), error.text);
    return rabbit;
}

/* Messages in all queues; consumers when `are_consumers`. */
static inline uint32_t qb_test_rabbit_count(unsigned shards, bool are_consumers)
{
    struct qb_rabbit *rabbit = qb_test_rabbit_connect();
    uint32_t sum = 0;

    for (unsigned shard = 0; shard < shards; shard++) {
        struct qb_rabbit_count count;
        struct qb_error error = {""};
        char name[40];
        (void)snprintf(name, sizeof name, "test.entries.%u", shard);
        qb_must(qb_rabbit_count(rabbit, name, &count, &error), error.text);
        sum += are_consumers ? count.consumers : count.messages;
    }
    qb_rabbit_free(&rabbit);
    return sum;
}

/* Until the broker has noticed that the readers are gone. */
static inline void qb_test_rabbit_await_no_reader(unsigned shards)
{
    for (int i = 0; i < 100 && qb_test_rabbit_count(shards, true) > 0; i++) {
        qb_clock_sleep_us(50 * QB_MS_US);
    }
}

/* Until the breaker is as wanted; false: it did not become so within `ms`. */
static inline bool qb_test_rabbit_await(struct qb_journal *journal, bool is_open, int64_t ms)
{
    int64_t until_us = qb_clock_mono_us() + ms * QB_MS_US;

    while (qb_journal_rabbit_is_open(journal, NULL) != is_open) {
        if (qb_clock_mono_us() > until_us) return false;
        qb_clock_sleep_us(QB_MS_US);
    }
    return true;
}

static inline void qb_test_rabbit_await_closed(struct qb_journal *journal)
{
    qb_must(qb_test_rabbit_await(journal, false, 10000), "the breaker does not close");
}
