/*
 * An auction decided again from its archived log: the same result, or a refusal that names the
 * entry when the database was changed behind the program's back.
 */
#include "storage/load.h"
#include "tests/kit/archive.h"
#include "tests/kit/test.h"

enum { LOT = 7, OTHER_LOT = 8 };

static struct qb_loaded loaded;

static void count_entry(void *context, const struct qb_entry *entry,
                        const struct qb_verdict *verdict, const struct qb_lot *lot)
{
    uint64_t *count = context;

    (void)verdict;
    (*count)++;
    QB_EXPECT_EQ(entry->seq, *count, "in order");
    QB_EXPECT_EQ(lot->seq, *count, "after it was folded");
}

static bool load(struct qb_error *error, uint64_t *count)
{
    *count = 0;
    return qb_load_auction(qb_world.store->ops, qb_world.link, LOT, count_entry, count, &loaded,
                           error);
}

static void new_lot(uint64_t entries)
{
    struct qb_error error = {""};

    qb_world_new();
    qb_world_listing(LOT, 1);
    qb_world_append(qb_test_entry(LOT, 1, QB_ENTRY_OPEN));
    for (uint64_t seq = 2; seq <= entries; seq++)
        qb_world_append(
            qb_test_bid(LOT, seq, seq % 2 == 0 ? QB_ANN : QB_BOB, (int64_t)seq * 20000));
    QB_EXPECT(qb_world_archive(&error), error.text);
}

QB_TEST(a_log_is_decided_again_with_the_same_result)
{
    struct qb_lot archived;
    struct qb_error error = {""};
    uint64_t count = 0;

    new_lot(1500); /* more than a page */
    qb_world_append(qb_test_void(LOT, 1501, QB_ANN, 1500));
    QB_EXPECT(qb_world_archive(&error), error.text);
    QB_EXPECT(load(&error, &count), error.text);
    QB_EXPECT_EQ(count, 1501, "each entry was shown");
    QB_EXPECT(qb_world.store->ops->state(qb_world.link, LOT, &archived, &error) == QB_STORE_OK,
              error.text);
    QB_EXPECT_EQ(loaded.lot.seq, archived.seq, "to the same end");
    QB_EXPECT_EQ(loaded.lot.leader, archived.leader, "the same leader");
    QB_EXPECT_EQ(loaded.lot.price, archived.price, "the same price");
    QB_EXPECT(memcmp(loaded.lot.chain, archived.chain, sizeof archived.chain) == 0, "one chain");
    QB_EXPECT_EQ(loaded.record_count, 1499, "the records of all bids");
    QB_EXPECT(!loaded.records[1498].is_live, "the struck one too");
    QB_EXPECT(loaded.records[1497].is_live, "and only that one");
    qb_loaded_fini(&loaded);
    QB_EXPECT(loaded.records == NULL, "freed");
    qb_world_end();
}

QB_TEST(an_auction_without_entries_is_empty)
{
    struct qb_error error = {""};
    uint64_t count = 0;

    qb_world_new();
    QB_EXPECT(load(&error, &count), error.text);
    QB_EXPECT_EQ(loaded.lot.seq, 0, "nothing");
    qb_world_listing(LOT, 1);
    QB_EXPECT(load(&error, &count), error.text);
    QB_EXPECT_EQ(loaded.lot.seq, 0, "nothing with texts either");
    qb_loaded_fini(&loaded);
    qb_world_end();
}

QB_TEST(a_changed_database_is_refused_by_auction_and_entry)
{
    static const struct {
        const char *sql;
        const char *says;
    } rows[] = {
        {"UPDATE entries SET chain = zeroblob(32) WHERE seq = 3", "entry 3: its chain differs"},
        {"UPDATE entries SET bytes = x'00' WHERE seq = 2", "entry 2: it cannot be read"},
        {"UPDATE entries SET bytes = (SELECT bytes FROM entries WHERE seq = 2) WHERE seq = 4",
         "entry 4: it is missing"},
        {"UPDATE entries SET verdict = (SELECT verdict FROM entries WHERE seq = 2) WHERE seq = 4",
         "entry 4: its verdict differs"},
        {"UPDATE entries SET verdict = x'00' WHERE seq = 4", "cannot be read"},
        {"DELETE FROM entries WHERE seq = 1", "entry 1: it is missing"},
        {"DELETE FROM entries WHERE seq = 3", "entry 3: it is missing"},
        {"DELETE FROM entries WHERE seq = 5", "entry 5: it is missing"},
        {"DELETE FROM entries", "entry 1: it is missing"},
        {"UPDATE auctions SET applied_seq = 4", "entry 5: its auction does not know it"},
        {"UPDATE entries SET auction = 8 WHERE seq = 5", "entry 5: it is missing"},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct qb_error error = {""};
        uint64_t count = 0;
        new_lot(5);
        qb_world_tamper("DROP TRIGGER entries_stay; DROP TRIGGER entries_remain;");
        qb_world_tamper(rows[i].sql);
        QB_EXPECT(!load(&error, &count), rows[i].sql);
        QB_EXPECT(strstr(error.text, rows[i].says) != NULL, rows[i].says);
        QB_EXPECT(i == 4 || strstr(error.text, "0000000000007") != NULL, error.text);
        QB_EXPECT(loaded.records == NULL, "nothing is left to free");
        QB_EXPECT(loaded.is_broken, "it is this auction's fault");
        qb_world_end();
    }
}

QB_TEST(entries_cannot_be_changed_by_a_statement)
{
    struct qb_error error = {""};

    new_lot(3);
    struct qb_sql_link *link = qb_store_sql_link(qb_world.link);
    QB_EXPECT(!qb_sql_run(link, "UPDATE entries SET seq = 9 WHERE seq = 3", &error), "update");
    QB_EXPECT(!qb_sql_run(link, "DELETE FROM entries WHERE seq = 3", &error), "delete");
    QB_EXPECT_EQ(qb_world_number("SELECT max(seq) FROM entries"), 3, "nothing happened");
    qb_world_end();
}
