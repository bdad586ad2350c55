/*
 * Does to the servers of a test's stack what a replica or a recovery would: prepares queues,
 * publishes entries, marks, moves the epoch; and counts. For persist_test.mjs.
 *
 *   cluster_hand prepare EPOCH | seal EPOCH | mark EPOCH NUMBER | move EPOCH STATE
 *   cluster_hand listings COUNT | publish EPOCH LOTS FROM TO | number SQL | queued
 *   cluster_hand close EPOCH AUCTION SEQ     a CLOSE of which no replica has heard
 *
 * DATABASE_URL and RABBITMQ_URL say where, SHARDS how many queues.
 */
#include <stdlib.h>

#include "base/text.h"
#include "storage/epochs.h"
#include "storage/journal_rabbit_admin.h"
#include "storage/rabbit.h"
#include "storage/store_postgres.h"
#include "tests/kit/archive.h"

static struct qb_error error;

static unsigned number_of(const char *text)
{
    return text != NULL ? (unsigned)strtoul(text, NULL, 10) : 0;
}

static struct qb_journal_rabbit_options options(void)
{
    return (struct qb_journal_rabbit_options){.urls = getenv("RABBITMQ_URL"),
                                              .prefix = "qb",
                                              .shards = number_of(getenv("SHARDS")),
                                              .waiting_bytes_max = 64U << 20};
}

static struct qb_postgres *postgres(void)
{
    struct qb_postgres *where =
        qb_postgres_new(getenv("DATABASE_URL"), QB_POSTGRES_PRIMARY, &error);

    qb_must(where != NULL, error.text);
    return where;
}

static void move(unsigned epoch, const char *name)
{
    struct qb_postgres *where = postgres();
    struct qb_sql_link *link = qb_postgres_open(where, &error);
    int state = 0;

    qb_must(link != NULL, error.text);
    while (strcmp(qb_epoch_state_name((enum qb_epoch_state)state), name) != 0) state++;
    bool is_leader = false;
    qb_must(qb_epochs_lead(link, &is_leader, &error) && is_leader, error.text);
    qb_must(qb_epochs_move(link, epoch, (enum qb_epoch_state)state, 1, &error), error.text);
    qb_sql_close(&link);
    qb_postgres_free(&where);
}

static void print_number(const char *sql)
{
    struct qb_postgres *where = postgres();
    struct qb_sql_link *link = qb_postgres_open(where, &error);

    qb_must(link != NULL, error.text);
    struct qb_statement *query = qb_sql(link, sql);
    qb_must(qb_step(query, &error) == QB_STEP_ROW, error.text);
    (void)printf("%lld\n", (long long)qb_column_int(query, 0));
    qb_sql_close(&link);
    qb_postgres_free(&where);
}

/* Messages that are not acknowledged yet. */
static void print_queued(void)
{
    const struct qb_rabbit_options where = {
        .urls = getenv("RABBITMQ_URL"), .name = "hand", .heartbeat_s = 10};
    struct qb_rabbit *rabbit = qb_rabbit_new(&where, &error);
    uint32_t sum = 0;

    qb_must(rabbit != NULL && qb_rabbit_connect(rabbit, &error), error.text);
    for (unsigned shard = 0; shard < options().shards; shard++) {
        struct qb_rabbit_count count;
        char name[40];
        (void)snprintf(name, sizeof name, "qb.entries.%u", shard);
        qb_must(qb_rabbit_count(rabbit, name, &count, &error), error.text);
        sum += count.messages;
    }
    qb_rabbit_free(&rabbit);
    (void)printf("%u\n", sum);
}

static void add_listings(unsigned count)
{
    static const struct qb_user seller = {
        .id = QB_SELLER, .email = "sal@example.com", .name = "Sal", .verifier = "v"};
    struct qb_postgres *where = postgres();

    qb_world.store = qb_store_postgres_new(where);
    qb_world.link = qb_world.store->ops->open(qb_world.store, &error);
    qb_must(qb_world.link != NULL, error.text);
    qb_must(qb_world.store->ops->user_add(qb_world.link, &seller, &error) == QB_STORE_OK,
            error.text);
    for (qb_id lot = 1; lot <= count; lot++) qb_world_listing(lot, 1);
    qb_world.store->ops->close(&qb_world.link);
    qb_world.store->ops->free(qb_world.store);
    qb_postgres_free(&where);
}

static void append(struct qb_journal *journal, struct qb_journal_writer *writer,
                   struct qb_entry entry, uint32_t epoch)
{
    uint8_t bytes[QB_ENTRY_BYTES_MAX];

    entry.epoch = epoch;
    entry.bid_id[3] = (uint8_t)epoch;
    const struct qb_journal_item item = {.auction = entry.auction,
                                         .seq = entry.seq,
                                         .epoch = epoch,
                                         .bytes = bytes,
                                         .length = qb_entry_encode(&entry, bytes)};
    while (!qb_journal_append(journal, writer, &item, 1)) qb_clock_sleep_us(QB_MS_US);
}

static struct qb_journal *journal_of(uint32_t epoch)
{
    const struct qb_journal_rabbit_options where = options();
    struct qb_journal *journal = qb_journal_rabbit_new(&where, &error);

    qb_must(journal != NULL, error.text);
    qb_journal_rabbit_set_epoch(journal, epoch);
    return journal;
}

static void finish(struct qb_journal *journal, struct qb_mailbox *mailbox)
{
    qb_must(qb_journal_flush(journal, 60 * QB_SECOND_US), "not durable");
    qb_journal_free(&journal);
    while (qb_mailbox_drain(mailbox) > 0) continue;
    qb_mailbox_free(&mailbox);
}

/* What a replica has appended and published that died, with Redis, before it told anybody. */
static void end_auction(uint32_t epoch, const char *auction, uint64_t seq)
{
    struct qb_journal *journal = journal_of(epoch);
    struct qb_mailbox *mailbox = qb_mailbox_new(10, qb_test_no_wake, NULL);
    struct qb_entry entry = {.seq = seq,
                             .type = QB_ENTRY_CLOSE,
                             .max = QB_AMOUNT_NONE,
                             .allowance = -1,
                             .now_us = qb_clock_wall_us() + 86400 * QB_SECOND_US};

    qb_must(qb_id_parse(auction, strlen(auction), &entry.auction), "no id");
    append(journal, qb_journal_writer(journal, mailbox, qb_test_not_told, NULL), entry, epoch);
    finish(journal, mailbox);
}

static void publish(uint32_t epoch, qb_id lots, uint64_t from, uint64_t upto)
{
    struct qb_journal *journal = journal_of(epoch);
    struct qb_mailbox *mailbox = qb_mailbox_new(10, qb_test_no_wake, NULL);

    qb_world.rules = qb_test_rules(QB_SELLER, 100, QB_SECOND_US, QB_TEST_END_US);
    qb_must(qb_increment_preset("EBAY_US", 2, &qb_world.rules.table), "no preset");
    struct qb_journal_writer *writer = qb_journal_writer(journal, mailbox, qb_test_not_told, NULL);
    for (uint64_t seq = from; seq <= upto; seq++) {
        for (qb_id lot = 1; lot <= lots; lot++) {
            append(journal, writer,
                   seq == 1 ? qb_test_entry(lot, 1, QB_ENTRY_OPEN)
                            : qb_test_bid(lot, seq, QB_ANN + seq % 2, (int64_t)seq * 500),
                   epoch);
        }
        while (qb_mailbox_drain(mailbox) > 0) continue;
    }
    finish(journal, mailbox);
}

int main(int count, char **words)
{
    const struct qb_journal_rabbit_options where = options();
    const char *first = count > 2 ? words[2] : NULL;
    const char *second = count > 3 ? words[3] : NULL;
    const char *command = count > 1 ? words[1] : "";

    if (strcmp(command, "prepare") == 0)
        qb_must(qb_journal_rabbit_prepare(&where, number_of(first), &error), error.text);
    else if (strcmp(command, "seal") == 0)
        qb_must(qb_journal_rabbit_seal(&where, number_of(first), &error), error.text);
    else if (strcmp(command, "mark") == 0)
        qb_must(qb_journal_rabbit_mark(&where, number_of(first), number_of(second), &error),
                error.text);
    else if (strcmp(command, "move") == 0 && second != NULL)
        move(number_of(first), second);
    else if (strcmp(command, "listings") == 0)
        add_listings(number_of(first));
    else if (strcmp(command, "publish") == 0 && count == 6)
        publish(number_of(first), number_of(second), number_of(words[4]), number_of(words[5]));
    else if (strcmp(command, "close") == 0 && count == 5)
        end_auction(number_of(first), second, number_of(words[4]));
    else if (strcmp(command, "number") == 0 && first != NULL)
        print_number(first);
    else if (strcmp(command, "queued") == 0)
        print_queued();
    else
        qb_must(false, "an unknown command");
    return 0;
}
