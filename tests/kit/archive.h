/*
 * A store, its journal and its archiver on a new database, and the entries of a small auction, for
 * the tests of what is archived. Time is moved by the entries: `seq` seconds after the start.
 */
#pragma once

#include <string.h>

#include "base/clock.h"
#include "storage/archiver.h"
#include "storage/journal_sqlite.h"
#include "storage/store_sqlite.h"
#include "tests/kit/database.h"
#include "tests/kit/rules.h"

enum { QB_SELLER = 9, QB_ANN = 11, QB_BOB = 12 };

#define QB_TEST_END_US (100000 * QB_SECOND_US)

static struct qb_test_archive {
    struct qb_database *database;
    struct qb_store *store;
    struct qb_store_link *link;
    struct qb_journal *journal;
    struct qb_mailbox *mailbox;
    struct qb_journal_writer *writer;
    struct qb_archive *archive;
    struct qb_rules rules;
} qb_world;

static inline void qb_test_no_wake(void *context)
{
    (void)context;
}

static inline void qb_test_not_told(void *context, qb_id auction, uint64_t seq)
{
    (void)context;
    (void)auction;
    (void)seq;
}

static qb_id qb_world_frozen; /* the auction that was frozen last */

static inline void qb_test_frozen(void *context, qb_id auction)
{
    (void)context;
    qb_world_frozen = auction;
}

/* Whether the journal counts as one that others write, too. */
static bool qb_world_is_apart;

static inline void qb_world_open(void)
{
    const struct qb_journal_sqlite_options journal = {qb_world.database, 1000000};
    struct qb_error error = {""};

    qb_world.store = qb_store_sqlite_new(qb_world.database);
    qb_world.link = qb_world.store->ops->open(qb_world.store, &error);
    qb_must(qb_world.link != NULL, error.text);
    qb_world.journal = qb_journal_sqlite_new(&journal, &error);
    qb_must(qb_world.journal != NULL, error.text);
    qb_journal_sqlite_share(qb_world.journal, qb_store_sql_link(qb_world.link));
    const struct qb_archive_options archive = {.journal = qb_world.journal,
                                               .store = qb_world.store->ops,
                                               .link = qb_world.link,
                                               .items_max = 100,
                                               .is_journal_apart = qb_world_is_apart,
                                               .frozen = qb_test_frozen};
    qb_world.archive = qb_archive_new(&archive);
    qb_world.mailbox = qb_mailbox_new(10, qb_test_no_wake, NULL);
    qb_world.writer = qb_journal_writer(qb_world.journal, qb_world.mailbox, qb_test_not_told, NULL);
}

static inline void qb_world_close(void)
{
    qb_archive_free(&qb_world.archive);
    qb_journal_free(&qb_world.journal);
    while (qb_mailbox_drain(qb_world.mailbox) > 0) continue;
    qb_mailbox_free(&qb_world.mailbox);
    qb_world.store->ops->close(&qb_world.link);
    qb_world.store->ops->free(qb_world.store);
    qb_database_free(&qb_world.database);
}

static inline void qb_world_listing(qb_id auction, qb_time_us created_us)
{
    const struct qb_listing listing = {.id = auction,
                                       .seller = QB_SELLER,
                                       .title = "A bike",
                                       .currency = "USD",
                                       .created_us = created_us,
                                       .start_price = 100,
                                       .buy_now = QB_AMOUNT_NONE};
    struct qb_error error = {""};

    qb_must(qb_world.store->ops->listing_add(qb_world.link, &listing, NULL, &error) == QB_STORE_OK,
            error.text);
}

static inline void qb_world_new(void)
{
    static const struct qb_user seller = {
        .id = QB_SELLER, .email = "sal@example.com", .name = "Sal", .verifier = "v"};
    struct qb_error error = {""};

    (void)memset(&qb_world, 0, sizeof qb_world);
    qb_world.rules = qb_test_rules(QB_SELLER, 100, QB_SECOND_US, QB_TEST_END_US);
    qb_must(qb_increment_preset("EBAY_US", 2, &qb_world.rules.table), "no preset");
    qb_world.database = qb_test_database_new();
    qb_world_open();
    qb_must(qb_world.store->ops->user_add(qb_world.link, &seller, &error) == QB_STORE_OK,
            error.text);
}

/* As a restart of the server. */
static inline void qb_world_again(void)
{
    qb_world_close();
    qb_world.database = qb_test_database_again();
    qb_world_open();
}

static inline void qb_world_end(void)
{
    qb_world_close();
    qb_test_folder_remove();
}

static inline struct qb_entry qb_test_entry(qb_id auction, uint64_t seq, enum qb_entry_type type)
{
    struct qb_entry entry = {.auction = auction,
                             .epoch = 1,
                             .seq = seq,
                             .type = (uint8_t)type,
                             .max = QB_AMOUNT_NONE,
                             .allowance = -1,
                             .now_us = (int64_t)seq * QB_SECOND_US};

    entry.bid_id[0] = (uint8_t)seq;
    entry.bid_id[1] = (uint8_t)(seq >> 8);
    entry.bid_id[2] = (uint8_t)type;
    if (type == QB_ENTRY_OPEN) entry.rules = &qb_world.rules;
    if (type == QB_ENTRY_CLOSE) entry.now_us = QB_TEST_END_US + QB_SECOND_US;
    return entry;
}

static inline struct qb_entry qb_test_bid(qb_id auction, uint64_t seq, qb_id bidder, int64_t max)
{
    struct qb_entry entry = qb_test_entry(auction, seq, QB_ENTRY_BID);

    entry.by = QB_ACTOR_BIDDER;
    entry.bidder = bidder;
    entry.actor = bidder;
    entry.max = max;
    (void)memcpy(entry.currency, "USD", QB_CURRENCY_BYTES);
    return entry;
}

/* Strikes the bid at `target`. */
static inline struct qb_entry qb_test_void(qb_id auction, uint64_t seq, qb_id bidder,
                                           uint64_t target)
{
    struct qb_entry entry = qb_test_entry(auction, seq, QB_ENTRY_VOID);

    entry.by = QB_ACTOR_ADMIN;
    entry.bidder = bidder;
    entry.target_seq = target;
    return entry;
}

static inline void qb_world_bytes(qb_id auction, uint64_t seq, const uint8_t *bytes, size_t length)
{
    const struct qb_journal_item item = {
        .auction = auction, .seq = seq, .epoch = 1, .bytes = bytes, .length = length};

    qb_must(qb_journal_append(qb_world.journal, qb_world.writer, &item, 1), "not taken");
}

static inline void qb_world_append(struct qb_entry entry)
{
    uint8_t bytes[QB_ENTRY_BYTES_MAX];

    qb_world_bytes(entry.auction, entry.seq, bytes, qb_entry_encode(&entry, bytes));
}

/* Archives all that was appended; false: it could not. */
static inline bool qb_world_archive(struct qb_error *error)
{
    size_t count = 1;

    if (!qb_journal_flush(qb_world.journal, 60 * QB_SECOND_US)) return false;
    while (count > 0) {
        if (!qb_archive_batch(qb_world.archive, 0, &count, error)) return false;
    }
    return qb_journal_backlog(qb_world.journal) == 0;
}

/* The first column of the first row, by a connection of its own; -1: no row. */
static inline int64_t qb_world_number(const char *sql)
{
    struct qb_error error = {""};
    struct qb_sql_link *link = qb_sqlite_open(qb_world.database, &error);

    qb_must(link != NULL, error.text);
    struct qb_statement *query = qb_sql(link, sql);
    int64_t number = qb_step(query, &error) == QB_STEP_ROW ? qb_column_int(query, 0) : -1;
    qb_sql_close(&link);
    return number;
}

/* Changes the database behind the program's back. */
static inline void qb_world_tamper(const char *sql)
{
    struct qb_error error = {""};
    struct qb_sql_link *link = qb_sqlite_open(qb_world.database, &error);

    qb_must(link != NULL && qb_sql_run(link, sql, &error), error.text);
    qb_sql_close(&link);
}
