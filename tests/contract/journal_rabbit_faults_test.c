/*
 * The journal on RabbitMQ when the broker, the route or the process fails: nothing that was
 * confirmed is lost, nothing unconfirmed is said to be durable, and the breaker tells in time.
 */
#include <signal.h>

#include "base/metrics.h"
#include "tests/kit/rabbit_world.h"

QB_TEST(what_is_returned_is_not_durable_until_there_is_a_route)
{
    const struct qb_journal_rabbit_options options = qb_test_rabbit_options(1);
    int64_t returned = qb_metric_value(QB_METRIC_journal_returned_total, NULL);
    int64_t republished = qb_metric_value(QB_METRIC_journal_republished_total, NULL);
    struct qb_error error = {""};
    uint32_t retry_after_ms = 0;

    world_begin(&options);
    QB_EXPECT(qb_journal_rabbit_seal(&options, 1, &error), error.text);
    world_append_all(1);
    QB_EXPECT(!world_flush(1500 * QB_MS_US), "not durable");
    QB_EXPECT_EQ(world.durable[1], 0, "nor said to be");
    QB_EXPECT(qb_journal_rabbit_is_open(world.journal, &retry_after_ms), "nothing new");
    QB_EXPECT(retry_after_ms >= 1000 && retry_after_ms <= 3000, "for a while");
    QB_EXPECT(!qb_journal_rabbit_lacks_queue(world.journal), "the queue is there");
    QB_EXPECT_EQ(qb_test_rabbit_count(1, false), 0, "but nothing is in it");
    for (int i = 0; i < 500 && !qb_journal_rabbit_lacks_route(world.journal, 1); i++) {
        qb_clock_sleep_us(10 * QB_MS_US);
    }
    QB_EXPECT(qb_journal_rabbit_lacks_route(world.journal, 1), "its route is not");
    QB_EXPECT(!qb_journal_rabbit_lacks_route(world.journal, 2), "which says nothing of another");
    QB_EXPECT(qb_metric_value(QB_METRIC_journal_returned_total, NULL) > returned, "counted");
    QB_EXPECT(qb_journal_rabbit_prepare(&options, 1, &error), error.text);
    QB_EXPECT(world_flush(MINUTE_US), "durable now");
    QB_EXPECT(qb_metric_value(QB_METRIC_journal_republished_total, NULL) > republished, "again");
    QB_EXPECT(qb_test_rabbit_await(world.journal, false, 1000), "the breaker is closed");
    QB_EXPECT(!qb_journal_rabbit_lacks_route(world.journal, 1), "it has its route");
    QB_EXPECT_EQ(world_drain(QB_SECOND_US), AUCTIONS, "each came once");
    QB_EXPECT_EQ(world_missing(world.durable), 0, "all that was said to be durable");
    world_end();
}

QB_TEST(a_new_epoch_forgets_what_the_old_one_left)
{
    struct qb_journal_rabbit_options options = qb_test_rabbit_options(4);
    struct qb_error error = {""};

    world_begin(&options);
    QB_EXPECT(qb_journal_rabbit_seal(&options, 1, &error), error.text);
    world_append_all(3);
    QB_EXPECT(!world_flush(300 * QB_MS_US), "sealed");
    QB_EXPECT(qb_journal_rabbit_prepare(&options, 2, &error), error.text);
    qb_journal_rabbit_set_epoch(world.journal, 2);
    for (int i = 0; i < 300 && qb_metric_value(QB_METRIC_journal_unconfirmed, NULL) > 0; i++) {
        qb_clock_sleep_us(10 * QB_MS_US);
    }
    QB_EXPECT_EQ(qb_metric_value(QB_METRIC_journal_unconfirmed, NULL), 0, "nothing waits");
    QB_EXPECT(!world_append(1), "an entry of the old epoch is not taken");
    world.epoch = 2;
    (void)memset(world.appended, 0, sizeof world.appended); /* its places are free again */
    world_append_all(2);
    QB_EXPECT(world_flush(MINUTE_US), "the new epoch's are durable");
    QB_EXPECT_EQ(world.durable[3], 2, "with their own seqs");
    QB_EXPECT(qb_test_rabbit_await(world.journal, false, 3000), "the breaker closes");
    QB_EXPECT_EQ(world_drain(QB_SECOND_US), 2 * AUCTIONS, "nothing of the old one was published");
    world_end();
}

QB_TEST(what_was_confirmed_outlives_the_broker_and_the_rest_is_published_again)
{
    const struct qb_journal_rabbit_options options = qb_test_rabbit_options(4);
    uint64_t durable[AUCTIONS + 1];

    world_begin(&options);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 50; i++) {
            world_append_all(1);
            qb_clock_sleep_us(QB_MS_US);
        }
        world_listen();
        (void)memcpy(durable, world.durable, sizeof durable);
        qb_stack_freeze("rabbitmq"); /* so that what follows is under way when it dies */
        world_append_all(5);
        qb_clock_sleep_us(50 * QB_MS_US);
        qb_stack_kill("rabbitmq");
        world_append_all(5);
        QB_EXPECT(qb_test_rabbit_await(world.journal, true, 1200), "the breaker opens");
        QB_EXPECT(!world_flush(500 * QB_MS_US), "nobody confirms");
        qb_stack_revive("rabbitmq");
        QB_EXPECT(world_flush(MINUTE_US), "in the end all is durable");
        QB_EXPECT(qb_test_rabbit_await(world.journal, false, 3000), "the breaker closes");
        (void)world_drain(2 * QB_SECOND_US);
        QB_EXPECT_EQ(world_missing(durable), 0, "what was confirmed before is there");
        QB_EXPECT_EQ(world_missing(world.appended), 0, "and what was not");
        QB_EXPECT(memcmp(world.durable, world.appended, sizeof durable) == 0, "and it was told");
        QB_EXPECT(!world.is_out_of_order, "in order, but for repetitions");
    }
    world_end();
}

QB_TEST(a_full_queue_opens_the_breaker_until_somebody_reads)
{
    struct qb_journal_rabbit_options options = qb_test_rabbit_options(1);

    options.queue_messages_max = 5;
    options.entries_max = 1;
    world_begin(&options);
    bool is_durable = true;
    for (int i = 0; i < 40 && is_durable; i++) {
        QB_EXPECT(world_append(1), "taken in");
        is_durable = world_flush(500 * QB_MS_US);
    }
    QB_EXPECT(!is_durable, "refused");
    QB_EXPECT(qb_journal_rabbit_is_open(world.journal, NULL), "and it is told at once");
    QB_EXPECT(!world_flush(1500 * QB_MS_US), "and not durable");
    QB_EXPECT(world.durable[1] < world.appended[1], "nor said to be");
    for (int i = 0; i < 10 && !world_flush(0); i++) (void)world_drain(QB_SECOND_US);
    QB_EXPECT(world_flush(MINUTE_US), "until there is room");
    QB_EXPECT(qb_test_rabbit_await(world.journal, false, 3000), "the breaker closes");
    (void)world_drain(QB_SECOND_US);
    QB_EXPECT_EQ(world_missing(world.appended), 0, "nothing was dropped");
    QB_EXPECT(!world.is_out_of_order, "nor reordered");
    world_end();
}

QB_TEST(a_blocking_broker_opens_the_breaker_within_a_second)
{
    const struct qb_journal_rabbit_options options = qb_test_rabbit_options(2);

    world_begin(&options);
    world_append_all(10);
    QB_EXPECT(world_flush(MINUTE_US), "durable");
    qb_stack_rabbitmqctl("set_vm_memory_high_watermark absolute 1");
    world_append_all(1);
    QB_EXPECT(qb_test_rabbit_await(world.journal, true, 500), "the breaker opens at once");
    QB_EXPECT(!world_flush(4 * QB_SECOND_US), "nothing is confirmed");
    QB_EXPECT(qb_journal_rabbit_is_open(world.journal, NULL), "all that time");
    qb_stack_rabbitmqctl("set_vm_memory_high_watermark absolute 512MB");
    QB_EXPECT(world_flush(MINUTE_US), "then it is");
    QB_EXPECT(qb_test_rabbit_await(world.journal, false, 3000), "the breaker closes");
    (void)world_drain(QB_SECOND_US);
    QB_EXPECT_EQ(world_missing(world.appended), 0, "all of it is there");
    world_end();
}

QB_TEST(a_broker_that_hangs_is_noticed_and_what_it_confirms_too_late_does_not_count)
{
    const struct qb_journal_rabbit_options options = qb_test_rabbit_options(2);
    int64_t republished = qb_metric_value(QB_METRIC_journal_republished_total, NULL);

    world_begin(&options);
    world_append_all(10);
    QB_EXPECT(world_flush(MINUTE_US), "durable");
    qb_stack_freeze("rabbitmq");
    world_append_all(1);
    QB_EXPECT(qb_test_rabbit_await(world.journal, true, 1300), "the breaker opens in time");
    QB_EXPECT(!world_flush(2 * QB_SECOND_US), "nothing is confirmed");
    qb_stack_thaw("rabbitmq");
    QB_EXPECT(world_flush(MINUTE_US), "then it is");
    QB_EXPECT(qb_metric_value(QB_METRIC_journal_republished_total, NULL) > republished,
              "published again, whatever the broker made of the first ones");
    QB_EXPECT(qb_test_rabbit_await(world.journal, false, 3000), "the breaker closes");
    (void)world_drain(QB_SECOND_US);
    QB_EXPECT_EQ(world_missing(world.appended), 0, "all of it is there");
    QB_EXPECT(!world.is_out_of_order, "in order");
    world_end();
}

QB_TEST(a_lost_queue_is_told_and_not_made_anew)
{
    const struct qb_journal_rabbit_options options = qb_test_rabbit_options(2);
    struct qb_error error = {""};
    bool is_missing = false;

    world_begin(&options);
    world_append_all(1);
    QB_EXPECT(world_flush(MINUTE_US), "durable");
    struct qb_rabbit *rabbit = qb_test_rabbit_connect();
    QB_EXPECT(qb_rabbit_remove(rabbit, QB_RABBIT_QUEUE, "test.entries.1", &error), error.text);
    world_append_all(1);
    QB_EXPECT(!world_flush(500 * QB_MS_US), "not durable");
    QB_EXPECT(qb_journal_rabbit_is_open(world.journal, NULL), "nothing new");
    QB_EXPECT(qb_journal_rabbit_lacks_queue(world.journal), "it is told why");
    QB_EXPECT(qb_journal_rabbit_find(&options, &is_missing, &error) && is_missing, error.text);
    QB_EXPECT(qb_journal_rabbit_prepare(&options, 1, &error), error.text);
    QB_EXPECT(world_flush(MINUTE_US), "once recovery has made it");
    QB_EXPECT(qb_test_rabbit_await(world.journal, false, 3000), "the breaker closes");
    QB_EXPECT(!qb_journal_rabbit_lacks_queue(world.journal), "it is there");
    qb_rabbit_free(&rabbit);
    world_end();
}

/* Takes a full prefetch and dies without settling, again and again. */
static void read_and_die(const struct qb_journal_rabbit_options *options)
{
    struct qb_error error = {""};
    struct qb_journal *journal = qb_journal_rabbit_new(options, &error);

    for (size_t count = 0; journal != NULL && count < options->prefetch;) {
        world.count = 0;
        if (!qb_journal_take(journal, 1000, QB_SECOND_US, world_keep, NULL, &error)) break;
        count = world.count;
    }
    (void)kill(getpid(), SIGKILL);
}

QB_TEST(a_reader_that_is_killed_again_and_again_loses_nothing)
{
    struct qb_journal_rabbit_options options = qb_test_rabbit_options(1);

    options.entries_max = 1;
    options.prefetch = 50;
    world_begin(&options);
    world_append_all(25);
    QB_EXPECT(world_flush(MINUTE_US), "durable");
    qb_journal_free(&world.journal); /* no thread of ours while we fork */
    qb_mailbox_free(&world.mailbox);
    for (int i = 0; i < 25; i++) {
        (void)fflush(NULL);
        pid_t child = fork();
        if (child == 0) read_and_die(&options);
        (void)waitpid(child, NULL, 0);
    }
    world_open(&options);
    QB_EXPECT_EQ(world_drain(QB_SECOND_US), 25 * AUCTIONS, "each once, at last");
    QB_EXPECT_EQ(world_missing(world.appended), 0, "all of them");
    QB_EXPECT(!world.is_out_of_order, "in their old places");
    world_end();
}
