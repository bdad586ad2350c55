/*
 * From two replicas through the broker into the store's tables: what is published twice, out of
 * turn or delivered again ends as each entry once, in order.
 */
#include "base/metrics.h"
#include "base/random.h"
#include "storage/archiver.h"
#include "tests/kit/archive.h"
#include "tests/kit/rabbit.h"
#include "tests/kit/test.h"

enum { LOTS = 6, SEQS = 120 };

/* One process that publishes. */
struct replica {
    struct qb_journal *journal;
    struct qb_mailbox *mailbox;
    struct qb_journal_writer *writer;
};

static struct replica replica_new(unsigned shards)
{
    struct qb_journal_rabbit_options options = qb_test_rabbit_options(shards);
    struct replica replica = {.mailbox = qb_mailbox_new(10, qb_test_no_wake, NULL)};
    struct qb_error error = {""};

    options.is_reader = false;
    replica.journal = qb_journal_rabbit_new(&options, &error);
    qb_must(replica.journal != NULL, error.text);
    replica.writer = qb_journal_writer(replica.journal, replica.mailbox, qb_test_not_told, NULL);
    return replica;
}

static void replica_free(struct replica *replica)
{
    qb_journal_free(&replica->journal);
    while (qb_mailbox_drain(replica->mailbox) > 0) continue;
    qb_mailbox_free(&replica->mailbox);
}

static void publish(const struct replica *replica, const struct qb_entry *entry)
{
    uint8_t bytes[QB_ENTRY_BYTES_MAX];
    const struct qb_journal_item item = {.auction = entry->auction,
                                         .seq = entry->seq,
                                         .epoch = entry->epoch,
                                         .bytes = bytes,
                                         .length = qb_entry_encode(entry, bytes)};

    QB_EXPECT(qb_journal_append(replica->journal, replica->writer, &item, 1), "room");
}

static void publish_lots(const struct replica replicas[2])
{
    struct qb_random random;

    qb_random_seed(&random, 7);
    for (uint64_t seq = 1; seq <= SEQS; seq++) {
        for (qb_id lot = 1; lot <= LOTS; lot++) {
            struct qb_entry entry =
                seq == 1 ? qb_test_entry(lot, 1, QB_ENTRY_OPEN)
                         : qb_test_bid(lot, seq, QB_ANN + seq % 2, (int64_t)seq * 500);
            publish(&replicas[qb_random_below(&random, 2)], &entry);
            if (qb_random_below(&random, 10) == 0) publish(&replicas[0], &entry); /* a sweeper */
        }
        if (seq % 8 == 0) qb_clock_sleep_us(5 * QB_MS_US); /* the two get apart */
    }
}

QB_TEST(entries_of_two_replicas_become_one_log_whatever_breaks)
{
    struct qb_journal_rabbit_options options = qb_test_rabbit_options(2);
    struct replica replicas[2];
    struct qb_error error = {""};

    qb_test_rabbit_clear(2);
    qb_must(qb_journal_rabbit_prepare(&options, 1, &error), error.text);
    qb_world_new();
    for (qb_id lot = 1; lot <= LOTS; lot++) qb_world_listing(lot, 1);
    struct qb_journal *journal = qb_journal_rabbit_new(&options, &error);
    qb_must(journal != NULL, error.text);
    const struct qb_archive_options archiving = {.journal = journal,
                                                 .store = qb_world.store->ops,
                                                 .link = qb_world.link,
                                                 .items_max = 50,
                                                 .is_journal_apart = true};
    struct qb_archive *archive = qb_archive_new(&archiving);
    struct qb_archiver *archiver = qb_archiver_new(archive);
    for (size_t i = 0; i < 2; i++) replicas[i] = replica_new(2);
    publish_lots(replicas);
    qb_stack_rabbitmqctl("close_all_connections --vhost quickbid test");
    qb_stack_kill("rabbitmq");
    qb_stack_revive("rabbitmq");
    for (size_t i = 0; i < 2; i++) {
        QB_EXPECT(qb_journal_flush(replicas[i].journal, 60 * QB_SECOND_US), "durable");
        replica_free(&replicas[i]);
    }
    for (int i = 0; i < 600; i++) {
        if (qb_world_number("SELECT count(*) FROM entries") == LOTS * SEQS) break;
        qb_clock_sleep_us(100 * QB_MS_US);
    }
    qb_archiver_free(&archiver);
    qb_archive_free(&archive);
    qb_journal_free(&journal);
    QB_EXPECT(qb_metric_value(QB_METRIC_archive_staged_total, NULL) > 0, "some came too early");
    QB_EXPECT_EQ(qb_world_number("SELECT count(*) FROM entries"), LOTS * SEQS, "each, once");
    QB_EXPECT_EQ(qb_world_number("SELECT count(*) FROM conflicts"), 0, "no conflict");
    QB_EXPECT_EQ(qb_world_number("SELECT count(*) FROM staging"), 0, "nothing waits");
    QB_EXPECT_EQ(qb_world_number("SELECT min(applied_seq) FROM auctions"), SEQS, "all folded");
    qb_test_rabbit_await_no_reader(2);
    QB_EXPECT_EQ(qb_test_rabbit_count(2, false), 0, "the queues are empty");
    qb_world_end();
}

/* The bytes of strangers, and what a store that fails leaves. */
QB_TEST(what_cannot_be_archived_now_stays_and_what_never_can_goes_beside)
{
    struct qb_journal_rabbit_options options = qb_test_rabbit_options(1);
    static const uint8_t junk[] = "no message of ours";
    const struct qb_rabbit_message message = {"", "test.entries.0", 1, junk, sizeof junk};
    struct qb_error error = {""};
    uint64_t tag = 0;
    size_t count = 0;

    qb_test_rabbit_clear(1);
    qb_must(qb_journal_rabbit_prepare(&options, 1, &error), error.text);
    qb_world_new();
    qb_world_listing(1, 1);
    struct qb_journal *journal = qb_journal_rabbit_new(&options, &error);
    qb_must(journal != NULL, error.text);
    qb_test_rabbit_await_closed(journal);
    const struct qb_archive_options archiving = {.journal = journal,
                                                 .store = qb_world.store->ops,
                                                 .link = qb_world.link,
                                                 .items_max = 50,
                                                 .is_journal_apart = true};
    struct qb_archive *archive = qb_archive_new(&archiving);
    struct replica replica = replica_new(1);
    struct qb_entry open = qb_test_entry(1, 1, QB_ENTRY_OPEN);
    struct qb_rabbit *rabbit = qb_test_rabbit_connect();
    qb_must(qb_rabbit_publish(rabbit, &message, &tag, &error), error.text);
    qb_clock_sleep_us(200 * QB_MS_US);
    publish(&replica, &open);
    QB_EXPECT(qb_journal_flush(replica.journal, 60 * QB_SECOND_US), "durable");
    /* All is written, and then the commit fails. */
    qb_world_tamper("CREATE TABLE broken (user INTEGER REFERENCES users (id) DEFERRABLE INITIALLY "
                    "DEFERRED); CREATE TRIGGER broken AFTER INSERT ON entries BEGIN INSERT INTO "
                    "broken VALUES (999); END");
    bool has_failed = false;
    for (int i = 0; i < 20 && !has_failed; i++) {
        has_failed = !qb_archive_batch(archive, QB_SECOND_US, &count, &error);
    }
    QB_EXPECT(has_failed, "the store fails");
    qb_archive_free(&archive);
    qb_journal_free(&journal); /* as a crash */
    qb_world_tamper("DROP TRIGGER broken");
    qb_test_rabbit_await_no_reader(1);
    QB_EXPECT(qb_test_rabbit_count(1, false) > 0, "the broker has it still");
    journal = qb_journal_rabbit_new(&options, &error);
    qb_must(journal != NULL, error.text);
    struct qb_archive_options again = archiving;
    again.journal = journal;
    archive = qb_archive_new(&again);
    for (int i = 0; i < 20 && qb_world_number("SELECT count(*) FROM entries") == 0; i++) {
        QB_EXPECT(qb_archive_batch(archive, QB_SECOND_US, &count, &error), error.text);
    }
    QB_EXPECT_EQ(qb_world_number("SELECT count(*) FROM entries"), 1, "archived");
    QB_EXPECT(qb_world_number("SELECT count(*) FROM conflicts WHERE auction = 0") > 0, "kept");
    QB_EXPECT_EQ(qb_world_number("SELECT count(*) FROM conflicts WHERE auction = 1"), 0, "beside");
    qb_rabbit_free(&rabbit);
    replica_free(&replica);
    qb_archive_free(&archive);
    qb_journal_free(&journal);
    qb_world_end();
}
