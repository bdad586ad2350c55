/*
 * What replicas know of each other through Postgres: who leads a recovery and how far it is, and
 * who hears the bus.
 */
#include <string.h>

#include "base/clock.h"
#include "storage/epochs.h"
#include "storage/hearers.h"
#include "storage/store_postgres.h"
#include "tests/kit/postgres.h"
#include "tests/kit/stack.h"
#include "tests/kit/test.h"

static struct qb_postgres *schema_new(void)
{
    struct qb_postgres *postgres = qb_schema_new("postgres-single");

    (void)qb_schema_migrate(postgres);
    return postgres;
}

QB_TEST(an_epoch_ends_for_the_archiver_when_it_is_drained)
{
    static const struct {
        uint32_t epoch;
        enum qb_epoch_state state;
        uint32_t least;
    } rows[] = {{0, QB_EPOCH_SEALING, 0}, {0, QB_EPOCH_REBUILDING, 1}, {1, QB_EPOCH_OPENING, 1},
                {1, QB_EPOCH_OPEN, 1},    {1, QB_EPOCH_SEALING, 1},    {1, QB_EPOCH_REBUILDING, 2},
                {2, QB_EPOCH_OPENING, 2}};
    struct qb_postgres *postgres = schema_new();
    struct qb_store *store = qb_store_postgres_new(postgres);
    struct qb_sql_link *leader = qb_schema_connect(postgres);
    struct qb_error error = {""};
    struct qb_store_link *link = store->ops->open(store, &error);
    uint32_t least = 9;
    bool is_leader = false;

    qb_must(link != NULL, error.text);
    QB_EXPECT(!qb_epochs_move(leader, 0, QB_EPOCH_SEALING, 1, &error), "only by who leads");
    QB_EXPECT(qb_epochs_lead(leader, &is_leader, &error) && is_leader, error.text);
    for (size_t i = 0; i < QB_COUNT(rows); i++) {
        QB_EXPECT(qb_epochs_move(leader, rows[i].epoch, rows[i].state, 1, &error), error.text);
        QB_EXPECT_EQ(store->ops->archive_begin(link, &least, &error), QB_STORE_OK, error.text);
        QB_EXPECT_EQ(least, rows[i].least, qb_epoch_state_name(rows[i].state));
        QB_EXPECT_EQ(store->ops->archive_end(link, true, &error), QB_STORE_OK, error.text);
    }
    QB_EXPECT(qb_sql_run(leader, "SET lock_timeout = 200", &error), error.text);
    QB_EXPECT_EQ(store->ops->archive_begin(link, &least, &error), QB_STORE_OK, error.text);
    QB_EXPECT(!qb_epochs_move(leader, 2, QB_EPOCH_OPEN, 1, &error), "not while a batch is written");
    QB_EXPECT_EQ(store->ops->archive_end(link, true, &error), QB_STORE_OK, error.text);
    QB_EXPECT(qb_epochs_move(leader, 2, QB_EPOCH_OPEN, 1, &error), error.text);
    qb_sql_close(&leader);
    store->ops->close(&link);
    store->ops->free(store);
    qb_postgres_free(&postgres);
}

QB_TEST(who_hears_the_bus_is_known_to_the_others)
{
    struct qb_postgres *postgres = schema_new();
    struct qb_sql_link *one = qb_schema_connect(postgres);
    struct qb_sql_link *two = qb_schema_connect(postgres);
    struct qb_error error = {""};
    bool is_there = true;

    QB_EXPECT(qb_hearers_others(two, &is_there, &error) && !is_there, "nobody has said so");
    for (int i = 0; i < 2; i++) QB_EXPECT(qb_hearers_say(one, true, &error), error.text);
    QB_EXPECT(qb_hearers_others(two, &is_there, &error) && is_there, "one hears");
    QB_EXPECT(qb_hearers_others(one, &is_there, &error) && !is_there, "which is no other for it");
    QB_EXPECT(qb_hearers_say(two, true, &error), "two may");
    QB_EXPECT(qb_hearers_others(one, &is_there, &error) && is_there, "two hear");
    for (int i = 0; i < 2; i++) QB_EXPECT(qb_hearers_say(one, false, &error), error.text);
    QB_EXPECT(qb_hearers_others(two, &is_there, &error) && !is_there, "said twice, ended at once");
    qb_sql_close(&two);
    while (qb_hearers_others(one, &is_there, &error) && is_there) qb_clock_sleep_us(10 * QB_MS_US);
    QB_EXPECT(!is_there, "who has ended hears no more");
    two = qb_schema_connect(postgres);
    QB_EXPECT(qb_hearers_say(one, true, &error), error.text);
    QB_EXPECT(qb_sql_run(two,
                         "SELECT pg_terminate_backend(pid, 10000) FROM pg_locks WHERE locktype = "
                         "'advisory' AND mode = 'ShareLock'",
                         &error),
              error.text);
    QB_EXPECT(qb_hearers_others(two, &is_there, &error) && !is_there, "its session is gone");
    while (!qb_hearers_say(one, true, &error)) qb_clock_sleep_us(10 * QB_MS_US);
    QB_EXPECT(qb_hearers_others(two, &is_there, &error) && is_there, "said again after a break");
    qb_sql_close(&one);
    qb_sql_close(&two);
    qb_postgres_free(&postgres);
}

QB_TEST(each_attempt_to_drain_an_epoch_has_markers_of_its_own)
{
    struct qb_postgres *postgres = schema_new();
    struct qb_sql_link *leader = qb_schema_connect(postgres);
    struct qb_error error = {""};
    unsigned first = 0;
    unsigned second = 0;
    unsigned count = 9;
    bool is_leader = false;

    QB_EXPECT(!qb_epochs_attempt(leader, 0, &first, &error), "only by who leads");
    QB_EXPECT(qb_epochs_lead(leader, &is_leader, &error) && is_leader, error.text);
    QB_EXPECT(qb_epochs_attempt(leader, 0, &first, &error), error.text);
    QB_EXPECT(qb_epochs_drained(leader, 0, 0, first, &error), error.text);
    QB_EXPECT(qb_epochs_drained(leader, 0, 0, first + 1, &error), error.text);
    QB_EXPECT(qb_epochs_attempt(leader, 0, &second, &error), error.text);
    QB_EXPECT(second > first + 1, "behind both of the first");
    QB_EXPECT(qb_epochs_drained_count(leader, 0, second, &count, &error), error.text);
    QB_EXPECT_EQ(count, 0, "nobody has met it");
    QB_EXPECT_EQ(qb_sql_run(leader, "UPDATE recovery SET attempt = 16383", &error), true, "late");
    QB_EXPECT(!qb_epochs_attempt(leader, 0, &second, &error), "no number is left");
    QB_EXPECT(strstr(error.text, "recovery.attempt") != NULL, error.text);
    QB_EXPECT(qb_epochs_move(leader, 0, QB_EPOCH_REBUILDING, 0, &error), error.text);
    QB_EXPECT(!qb_epochs_attempt(leader, 0, &second, &error), "it is drained");
    QB_EXPECT(qb_epochs_move(leader, 1, QB_EPOCH_OPENING, 0, &error), error.text);
    QB_EXPECT(qb_epochs_move(leader, 1, QB_EPOCH_SEALING, 0, &error), error.text);
    QB_EXPECT(qb_epochs_attempt(leader, 1, &second, &error), error.text);
    QB_EXPECT_EQ(second, first, "an epoch begins anew");
    qb_sql_close(&leader);
    qb_postgres_free(&postgres);
}
