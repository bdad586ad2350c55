/*
 * The store on Postgres with read replicas: the contract of every store, and who is asked.
 */
#include <string.h>

#include "base/clock.h"
#include "base/metrics.h"
#include "storage/store_replicas.h"
#include "tests/contract/expect.h"
#include "tests/contract/store_contract.h"
#include "tests/kit/postgres.h"
#include "tests/kit/stack.h"
#include "tests/kit/test.h"

enum { BIKE = 5, LAMP = 6, REPLICAS = 2 };

static struct qb_postgres *primary;
static struct qb_postgres *replicas[REPLICAS];
static struct qb_store *store;

static struct qb_store_link *open_new(void)
{
    struct qb_error error = {""};

    primary = qb_schema_new("postgres");
    (void)qb_schema_migrate(primary);
    for (unsigned i = 0; i < REPLICAS; i++) replicas[i] = qb_schema_replica(i);
    store = qb_store_replicas_new(primary, replicas, REPLICAS);
    struct qb_store_link *link = store->ops->open(store, &error);
    qb_must(link != NULL, error.text);
    /* cppcheck-suppress returnDanglingLifetime ; the link does not keep the error */
    return link;
}

static const struct qb_store_ops *ops(void)
{
    return store->ops;
}

static void close_all(struct qb_store_link **link)
{
    store->ops->close(link);
    store->ops->free(store);
    for (unsigned i = 0; i < REPLICAS; i++) qb_postgres_free(&replicas[i]);
    qb_postgres_free(&primary);
}

static const struct store_subject subject = {"store_replicas", open_new, ops, close_all};

QB_TEST(the_store_with_replicas_keeps_the_contract)
{
    store_contract(&subject);
    QB_EXPECT_EQ(expect_failures(), 0, "the contract");
}

static int64_t replica_reads(void)
{
    return qb_metric_value(QB_METRIC_store_public_reads_total, "replica");
}

static enum qb_store_result find(struct qb_store_link *link, qb_id id)
{
    struct qb_error error = {""};
    struct qb_listing found;
    return store->ops->listing(link, id, &found, &error);
}

/* Asks until a replica has answered: it may be a moment behind. */
static bool replica_finds(struct qb_store_link *link, qb_id id)
{
    int64_t before = replica_reads();

    for (int i = 0; i < 1000 && replica_reads() == before; i++) {
        if (find(link, id) != QB_STORE_OK) return false;
        (void)usleep(10000);
    }
    return replica_reads() > before;
}

static struct qb_store_link *open_with(qb_id id)
{
    struct qb_store_link *link = open_new();
    const struct qb_listing listing = store_listing(id, "A thing");

    store_add_users(&subject, link);
    store_add_listing(&subject, link, &listing);
    return link;
}

QB_TEST(public_reads_go_to_a_replica_also_when_the_primary_is_gone)
{
    struct qb_store_link *link = open_with(BIKE);
    struct qb_error error = {""};
    struct qb_user user;

    QB_EXPECT(replica_finds(link, BIKE), "from a replica");
    qb_stack_kill("postgres");
    QB_EXPECT_EQ(find(link, BIKE), QB_STORE_OK, "still");
    QB_EXPECT_EQ(store->ops->user_by_id(link, SAL, &user, &error), QB_STORE_FAILED,
                 "accounts are only asked for where they are decided");
    qb_stack_revive("postgres");
    close_all(&link);
}

QB_TEST(a_replica_that_is_gone_or_hangs_is_left_alone)
{
    struct qb_store_link *link = open_with(BIKE);

    QB_EXPECT(replica_finds(link, BIKE), "from one of the two");
    qb_stack_kill("postgres-replica-1");
    QB_EXPECT(replica_finds(link, BIKE), "from the other, if it was that");
    qb_stack_freeze("postgres-replica-2");
    int64_t began_us = qb_clock_mono_us();
    for (int i = 0; i < 20; i++) QB_EXPECT_EQ(find(link, BIKE), QB_STORE_OK, "from the primary");
    QB_EXPECT(qb_clock_mono_us() - began_us < 10 * QB_SECOND_US, "one of them waited, not each");
    qb_stack_thaw("postgres-replica-2");
    qb_stack_revive("postgres-replica-1");
    close_all(&link);
}

/* Stops or goes on with the replay on all replicas. */
static void replay(const char *call)
{
    for (unsigned i = 0; i < REPLICAS; i++) {
        char url[512];
        struct qb_error error = {""};
        qb_schema_operator_url(i, url, sizeof url);
        struct qb_postgres *server = qb_postgres_new(url, QB_POSTGRES_REPLICA, &error);
        qb_must(server != NULL, error.text);
        struct qb_sql_link *link = qb_schema_connect(server);
        qb_must(qb_sql_run(link, call, &error), error.text);
        qb_sql_close(&link);
        qb_postgres_free(&server);
    }
}

static bool see_any(void *context, const struct qb_listing *listing, int64_t key)
{
    size_t *count = context;

    (void)listing;
    (void)key;
    (*count)++;
    return true;
}

QB_TEST(what_was_written_here_is_read_here_however_far_the_replicas_are)
{
    struct qb_store_link *link = open_with(BIKE);
    const struct qb_listing_query query = {.rows_max = 10};
    const struct qb_lot lot = store_lot(LAMP);
    const struct qb_listing lamp = store_listing(LAMP, "A lamp");
    struct qb_error error = {""};
    size_t count = 0;

    QB_EXPECT(replica_finds(link, BIKE), "they follow");
    replay("SELECT pg_wal_replay_pause()");
    store_add_listing(&subject, link, &lamp);
    store_archive_state(&subject, link, &lot);
    int64_t before = replica_reads();
    QB_EXPECT_EQ(store->ops->listings(link, &query, see_any, &count, &error), QB_STORE_OK,
                 error.text);
    QB_EXPECT_EQ(count, 1, "the lamp, which no replica has");
    QB_EXPECT_EQ(replica_reads(), before, "from the primary");
    replay("SELECT pg_wal_replay_resume()");
    QB_EXPECT(replica_finds(link, LAMP), "then from a replica");
    close_all(&link);
}
