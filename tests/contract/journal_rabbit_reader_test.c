/*
 * The reading side of the journal on RabbitMQ: broken connections, barriers, bytes of strangers,
 * and the test of a broker at the start.
 */
#include "storage/journal_message.h"
#include "tests/kit/rabbit_world.h"

QB_TEST(a_broken_connection_brings_back_what_was_not_settled)
{
    struct qb_journal_rabbit_options options = qb_test_rabbit_options(2);
    struct qb_error error = {""};

    options.entries_max = 1;
    world_begin(&options);
    world_append_all(5);
    QB_EXPECT(world_flush(MINUTE_US), "durable");
    QB_EXPECT_EQ(world_take(1000, 0), 5 * AUCTIONS, "all of it came");
    uint64_t position = world.position;
    qb_stack_rabbitmqctl("close_all_connections --vhost quickbid test");
    QB_EXPECT(world_take(1000, 5 * QB_SECOND_US) > 0, "it comes again");
    QB_EXPECT(world.position > position, "in new places");
    QB_EXPECT(qb_journal_settle(world.journal, position, &error), "a late settling is harmless");
    QB_EXPECT_EQ(world_drain(2 * QB_SECOND_US), 5 * AUCTIONS, "nothing was lost by it");
    QB_EXPECT_EQ(world_missing(world.appended), 0, "all there");
    world_end();
}

QB_TEST(several_entries_of_a_message_are_settled_one_by_one_here)
{
    const struct qb_journal_rabbit_options options = qb_test_rabbit_options(1);
    struct qb_error error = {""};

    world_begin(&options);
    world_append_all(20);
    QB_EXPECT(world_flush(MINUTE_US), "durable");
    QB_EXPECT(qb_test_rabbit_count(1, false) < 20 * AUCTIONS, "in fewer messages");
    for (size_t left = 20 * AUCTIONS; left > 0;) {
        /* Fewer than seven while the next message is on its way. */
        size_t taken = world_take(7, 10 * QB_SECOND_US);
        QB_EXPECT(taken > 0 && taken <= 7, "the next ones");
        if (taken == 0 || taken > left) break;
        left -= taken;
        QB_EXPECT(qb_journal_settle(world.journal, world.position, &error), error.text);
        QB_EXPECT(qb_journal_backlog(world.journal) <= left, "the rest waits");
    }
    QB_EXPECT(!world.is_out_of_order, "in order");
    QB_EXPECT_EQ(world_missing(world.appended), 0, "all there");
    world_end();
}

/* What the barrier's callback was told. */
static struct {
    size_t count;
    unsigned refusals; /* so often it says no */
    unsigned numbers[20];
    unsigned shards[20];
    size_t taken_before[20];
    size_t settled;
} barriers;

static bool note_barrier(void *context, uint32_t epoch, unsigned shard, unsigned number)
{
    (void)context;
    QB_EXPECT_EQ(epoch, 1, "of its epoch");
    if (barriers.refusals > 0) {
        barriers.refusals--;
        return false;
    }
    QB_EXPECT(barriers.count < 20, "not so many");
    barriers.numbers[barriers.count] = number;
    barriers.shards[barriers.count] = shard;
    barriers.taken_before[barriers.count++] = barriers.settled;
    return true;
}

QB_TEST(a_barrier_is_told_when_all_before_it_is_settled)
{
    struct qb_journal_rabbit_options options = qb_test_rabbit_options(2);
    struct qb_error error = {""};
    unsigned seen[2] = {0, 0};

    (void)memset(&barriers, 0, sizeof barriers);
    barriers.refusals = 2;
    options.barrier = note_barrier;
    world_begin(&options);
    world_append_all(10);
    QB_EXPECT(world_flush(MINUTE_US), "durable");
    QB_EXPECT(qb_journal_rabbit_seal(&options, 1, &error), error.text);
    QB_EXPECT(qb_journal_rabbit_mark(&options, 1, 1, &error), error.text);
    QB_EXPECT(qb_journal_rabbit_mark(&options, 1, 2, &error), error.text);
    for (int i = 0; i < 50 && barriers.count < 4; i++) {
        size_t count = world_take(33, 200 * QB_MS_US);
        if (count == 0) continue;
        QB_EXPECT_EQ(barriers.count > 0 && barriers.settled < 10, 0, "not before");
        QB_EXPECT(qb_journal_settle(world.journal, world.position, &error), error.text);
        barriers.settled += count;
    }
    QB_EXPECT_EQ(barriers.count, 4, "two a shard");
    QB_EXPECT_EQ(barriers.settled, 10 * AUCTIONS, "and all entries");
    for (size_t i = 0; i < barriers.count; i++) {
        QB_EXPECT_EQ(barriers.numbers[i], ++seen[barriers.shards[i] % 2], "in order");
    }
    QB_EXPECT_EQ(barriers.refusals, 0, "a refused one came again");
    QB_EXPECT_EQ(world_take(10, 0), 0, "nothing is left");
    QB_EXPECT_EQ(qb_test_rabbit_count(2, false), 0, "nor at the broker");
    world_end();
    qb_test_rabbit_await_no_reader(2);
    QB_EXPECT_EQ(qb_test_rabbit_count(2, false), 0, "they are settled, too");
}

static void publish_raw(const uint8_t *bytes, size_t length)
{
    const struct qb_rabbit_message message = {"", "test.entries.0", 1, bytes, length};
    struct qb_rabbit *rabbit = qb_test_rabbit_connect();
    struct qb_rabbit_event event = {.kind = QB_RABBIT_NOTHING};
    struct qb_error error = {""};
    uint64_t tag = 0;

    qb_must(qb_rabbit_confirms(rabbit, &error) && qb_rabbit_publish(rabbit, &message, &tag, &error),
            error.text);
    while (event.kind == QB_RABBIT_NOTHING) {
        qb_rabbit_wait(&rabbit, 1, -1, QB_SECOND_US);
        qb_must(qb_rabbit_next(rabbit, &event, &error), error.text);
    }
    qb_rabbit_free(&rabbit);
}

struct pieces {
    size_t count;
    size_t bytes;
    size_t longest;
    uint64_t position;
};

static bool keep_piece(void *context, const struct qb_journal_item *item)
{
    struct pieces *pieces = context;

    QB_EXPECT_EQ(item->auction, 0, "nobody's");
    QB_EXPECT_EQ(item->seq, pieces->count + 1, "numbered");
    pieces->count++;
    pieces->bytes += item->length;
    if (item->length > pieces->longest) pieces->longest = item->length;
    pieces->position = item->position;
    return true;
}

QB_TEST(bytes_that_nobody_can_read_are_given_to_be_kept)
{
    const struct qb_journal_rabbit_options options = qb_test_rabbit_options(1);
    static uint8_t junk[5000];
    struct qb_error error = {""};

    world_begin(&options);
    publish_raw(junk, sizeof junk);
    publish_raw(junk, 0);
    struct pieces pieces = {0};
    QB_EXPECT(qb_journal_take(world.journal, 3, QB_SECOND_US, keep_piece, &pieces, &error),
              error.text);
    QB_EXPECT_EQ(pieces.count, 3, "in pieces");
    QB_EXPECT_EQ(pieces.bytes, sizeof junk, "all of it");
    QB_EXPECT_EQ(pieces.longest, 2048, "of an entry's size");
    QB_EXPECT(qb_journal_settle(world.journal, pieces.position, &error), error.text);
    pieces = (struct pieces){0};
    QB_EXPECT(qb_journal_take(world.journal, 3, QB_SECOND_US, keep_piece, &pieces, &error),
              error.text);
    QB_EXPECT(pieces.count == 1 && pieces.bytes == 0, "an empty one, too");
    QB_EXPECT(qb_journal_settle(world.journal, pieces.position, &error), error.text);
    world_append_all(1);
    QB_EXPECT(world_flush(MINUTE_US), "durable");
    QB_EXPECT_EQ(world_drain(QB_SECOND_US), AUCTIONS, "what follows is read");
    world_end();
}

QB_TEST(a_message_of_a_newer_program_is_left_for_it)
{
    static const uint8_t newer[] = {2, 9, 9};
    const struct qb_journal_rabbit_options options = qb_test_rabbit_options(1);
    struct qb_error error = {""};

    world_begin(&options);
    world_append_all(1);
    QB_EXPECT(world_flush(MINUTE_US), "durable");
    publish_raw(newer, sizeof newer);
    qb_clock_sleep_us(100 * QB_MS_US);
    QB_EXPECT_EQ(world_drain(100 * QB_MS_US), AUCTIONS, "what is before it is read");
    QB_EXPECT(!qb_journal_take(world.journal, 10, QB_SECOND_US, world_keep, NULL, &error),
              "it is not");
    QB_EXPECT(strstr(error.text, "version 2") != NULL, error.text);
    world_end();
    qb_test_rabbit_await_no_reader(1);
    QB_EXPECT_EQ(qb_test_rabbit_count(1, false), 1, "it is still there");
}

QB_TEST(a_good_broker_passes_the_test_and_leaves_nothing_of_it)
{
    const struct qb_journal_rabbit_options options = qb_test_rabbit_options(1);
    struct qb_error error = {""};
    bool is_unfit = true;

    QB_EXPECT(qb_journal_rabbit_self_test(&options, &is_unfit, &error), error.text);
    QB_EXPECT(!is_unfit, "fit");
    QB_EXPECT(qb_journal_rabbit_self_test(&options, &is_unfit, &error), "again");
    qb_stack_rabbitmqctl("list_queues -q -p quickbid name | (! grep entries.test)");
}

/* Policies that overrule the queue's own arguments, and what is said of each. */
QB_TEST(a_broker_that_loses_messages_is_found_and_what_to_change_is_said)
{
    static const struct {
        const char *policy;
        const char *said;
    } rows[] = {
        {"{\"delivery-limit\":0}", "delivery-limit"},
        {"{\"delivery-limit\":20}", "delivery-limit"}, /* what RabbitMQ 4 does by default */
        {"{\"overflow\":\"drop-head\"}", "overflow"},
    };
    const struct qb_journal_rabbit_options options = qb_test_rabbit_options(1);

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct qb_error error = {""};
        bool is_unfit = false;
        char words[200];
        (void)snprintf(words, sizeof words,
                       "set_policy -p quickbid --apply-to queues bad '^test\\.entries' '%s'",
                       rows[i].policy);
        qb_stack_rabbitmqctl(words);
        bool is_good = qb_journal_rabbit_self_test(&options, &is_unfit, &error);
        QB_EXPECT(!is_good && is_unfit, rows[i].policy);
        QB_EXPECT(strstr(error.text, rows[i].said) != NULL, error.text);
        QB_EXPECT(strstr(error.text, "amqp://") == NULL, "without an address and its password");
    }
    qb_stack_rabbitmqctl("clear_policy -p quickbid bad");
}

QB_TEST(a_broker_that_is_away_is_not_called_unfit)
{
    struct qb_journal_rabbit_options options = qb_test_rabbit_options(1);
    struct qb_error error = {""};
    bool is_unfit = true;

    options.urls = "amqp://u:hunter2@127.0.0.1:1";
    QB_EXPECT(!qb_journal_rabbit_self_test(&options, &is_unfit, &error), "nobody listens");
    QB_EXPECT(!is_unfit, "which says nothing of it");
    QB_EXPECT(strstr(error.text, "hunter2") == NULL, error.text);
}

QB_TEST(queues_of_other_settings_are_not_taken_for_ours)
{
    struct qb_journal_rabbit_options options = qb_test_rabbit_options(1);
    struct qb_error error = {""};

    qb_test_rabbit_clear(1);
    QB_EXPECT(qb_journal_rabbit_prepare(&options, 1, &error), error.text);
    QB_EXPECT(qb_journal_rabbit_prepare(&options, 1, &error), "again changes nothing");
    options.queue_messages_max = 77;
    QB_EXPECT(!qb_journal_rabbit_prepare(&options, 1, &error), "another limit");
    QB_EXPECT(strstr(error.text, "test.entries.0") != NULL, error.text);
    QB_EXPECT(strstr(error.text, "remove it") != NULL, error.text);
}
