/*
 * The store on Postgres, held to the contract of every store: each store in a schema of its own.
 */
#include <pthread.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "storage/store_postgres.h"
#include "tests/contract/expect.h"
#include "tests/contract/store_contract.h"
#include "tests/kit/postgres.h"
#include "tests/kit/stack.h"
#include "tests/kit/test.h"

static struct qb_postgres *postgres;
static struct qb_store *store;

static struct qb_store_link *open_new(void)
{
    struct qb_error error = {""};

    postgres = qb_schema_new("postgres-single");
    (void)qb_schema_migrate(postgres);
    store = qb_store_postgres_new(postgres);
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
    qb_postgres_free(&postgres);
}

static const struct store_subject subject = {"store_postgres", open_new, ops, close_all};

QB_TEST(the_store_on_postgres_keeps_the_contract)
{
    store_contract(&subject);
    QB_EXPECT_EQ(expect_failures(), 0, "the contract");
}

QB_TEST(an_archived_entry_is_never_changed_or_deleted)
{
    static const char *const changes[] = {
        "UPDATE entries SET seq = 2",
        "DELETE FROM entries",
        "TRUNCATE entries",
        "UPDATE entries_first SET seq = 2",
        "DELETE FROM entries_other",
        "TRUNCATE entries_first",
        ("DO $$BEGIN EXECUTE 'DELETE FROM ' || "
         "to_char(now() + interval '1 month', '\"entries_\"YYYY_MM'); END$$"),
    };
    struct qb_store_link *link = open_new();
    struct qb_sql_link *sql = qb_store_sql_link(link);
    struct qb_error error = {""};

    QB_EXPECT(qb_sql_run(sql, "INSERT INTO entries VALUES (1, 1, '1', '2', '3', '4')", &error),
              error.text);
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        error.text[0] = '\0';
        QB_EXPECT(!qb_sql_run(sql, changes[i], &error), changes[i]);
        QB_EXPECT(strstr(error.text, "never changed") != NULL, error.text);
    }
    close_all(&link);
}

/* Where an entry of an auction that is published `when` lies, as the number of months from now; -1:
 * where all lie that have no table of their own. */
static int64_t months_of(struct qb_sql_link *sql, const char *when, int64_t seq)
{
    struct qb_error error = {""};
    struct qb_statement *insert = qb_sql(
        sql,
        "INSERT INTO entries SELECT first_id_of(now() + CAST(? AS interval)), ?, "
        "'1', '2', '3', '4' RETURNING CASE tableoid::regclass::text WHEN 'entries_first' THEN 0 "
        "WHEN to_char(now() + interval '1 month', '\"entries_\"YYYY_MM') THEN 1 "
        "WHEN to_char(now() + interval '2 months', '\"entries_\"YYYY_MM') THEN 2 ELSE -1 END");

    qb_bind_text(insert, 1, when);
    qb_bind_int(insert, 2, seq);
    qb_must(qb_step(insert, &error) == QB_STEP_ROW, error.text);
    int64_t months = qb_column_int(insert, 0);
    qb_sql_end(insert);
    return months;
}

QB_TEST(entries_lie_in_the_month_of_their_auction)
{
    struct qb_store_link *link = open_new();
    struct qb_sql_link *sql = qb_store_sql_link(link);
    struct qb_error error = {""};

    QB_EXPECT_EQ(months_of(sql, "-2 years", 1), 0, "what was before");
    QB_EXPECT_EQ(months_of(sql, "0", 1), 0, "this month");
    QB_EXPECT_EQ(months_of(sql, "1 month", 1), 1, "the next");
    QB_EXPECT_EQ(months_of(sql, "2 months", 1), 2, "the one after");
    QB_EXPECT_EQ(months_of(sql, "1 year", 1), -1, "by a clock that is far off");
    QB_EXPECT(qb_store_postgres_ahead(sql, &error), "once more");
    QB_EXPECT(qb_sql_run(sql,
                         "DO $$DECLARE part text := to_char(now() + interval '2 months', "
                         "'\"entries_\"YYYY_MM'); BEGIN EXECUTE 'ALTER TABLE entries DETACH "
                         "PARTITION ' || part; EXECUTE 'DROP TABLE ' || part; END$$",
                         &error),
              error.text);
    QB_EXPECT_EQ(months_of(sql, "2 months", 2), -1, "without its table it is not refused");
    QB_EXPECT(qb_store_postgres_ahead(sql, &error), error.text);
    QB_EXPECT_EQ(months_of(sql, "2 months", 3), -1, "and stays where it is, with its month");
    close_all(&link);
}

static int64_t entries_of_all(struct qb_sql_link *sql)
{
    struct qb_error error = {""};
    struct qb_statement *query = qb_sql(sql, "SELECT count(*) FROM entries");

    qb_must(qb_step(query, &error) == QB_STEP_ROW, error.text);
    int64_t count = qb_column_int(query, 0);
    qb_sql_end(query);
    return count;
}

/* As docs/operations.md says. */
QB_TEST(a_month_is_taken_out_and_brought_back)
{
    static const char take_out[] =
        "DO $$BEGIN EXECUTE 'ALTER TABLE entries DETACH PARTITION ' || to_char(now() + interval "
        "'1 month', '\"entries_\"YYYY_MM'); END$$";
    static const char bring_back[] =
        "DO $$DECLARE month timestamptz := date_trunc('month', now() + interval '1 month', 'UTC'); "
        "BEGIN EXECUTE format('ALTER TABLE entries ATTACH PARTITION %s FOR VALUES FROM "
        "(first_id_of(%L)) TO (first_id_of(%L))', to_char(month, '\"entries_\"YYYY_MM'), month, "
        "month + interval '1 month'); END$$";
    struct qb_store_link *link = open_new();
    struct qb_sql_link *sql = qb_store_sql_link(link);
    struct qb_error error = {""};

    (void)months_of(sql, "0", 1);
    (void)months_of(sql, "1 month", 1);
    QB_EXPECT(qb_sql_run(sql, take_out, &error), error.text);
    QB_EXPECT_EQ(entries_of_all(sql), 1, "that of the other month");
    QB_EXPECT(qb_sql_run(sql, bring_back, &error), error.text);
    QB_EXPECT_EQ(entries_of_all(sql), 2, "both");
    close_all(&link);
}

QB_TEST(what_was_migrated_is_not_migrated_again_and_must_not_differ)
{
    size_t count = 0;
    const struct qb_migration *migrations = qb_migrations_postgres(&count);
    struct qb_migration *ours = calloc(count, sizeof *ours);
    struct qb_error error = {""};

    qb_must(ours != NULL && count >= 3, "there are some");
    (void)memcpy(ours, migrations, count * sizeof *ours);
    ours[1].sql = "SELECT 1";
    postgres = qb_schema_new("postgres-single");
    QB_EXPECT_EQ(qb_schema_migrate(postgres), count, "all are new");
    QB_EXPECT_EQ(qb_schema_migrate(postgres), 0, "none is");
    struct qb_sql_link *link = qb_schema_connect(postgres);
    QB_EXPECT(!qb_migrate(link, ours, count, NULL, &error), "refused");
    QB_EXPECT(strstr(error.text, "0002_auctions.sql was changed") != NULL, error.text);
    qb_sql_close(&link);
    free(ours);
    qb_postgres_free(&postgres);
}

/* The child process says by its exit how many migrations it applied. */
QB_TEST(of_several_programs_that_migrate_at_once_one_does_it)
{
    enum { PROGRAMS = 4 };
    pid_t children[PROGRAMS];
    size_t count = 0;
    size_t sum = 0;

    (void)qb_migrations_postgres(&count);
    postgres = qb_schema_new("postgres-single");
    for (int i = 0; i < PROGRAMS; i++) {
        children[i] = fork();
        if (children[i] == 0) _exit((int)qb_schema_migrate(postgres));
    }
    for (int i = 0; i < PROGRAMS; i++) {
        int status = 0;
        (void)waitpid(children[i], &status, 0);
        QB_EXPECT(WIFEXITED(status), "none fails");
        sum += (size_t)WEXITSTATUS(status);
    }
    QB_EXPECT_EQ(sum, count, "each was applied once");
    qb_postgres_free(&postgres);
}

static enum qb_store_result find_sal(struct qb_store_link *link, struct qb_error *error)
{
    struct qb_user user;
    return store->ops->user_by_id(link, SAL, &user, error);
}

/* The next attempts come only every so often: some may say so. */
static enum qb_store_result find_sal_again(struct qb_store_link *link, struct qb_error *error)
{
    enum qb_store_result result = QB_STORE_FAILED;

    for (int i = 0; i < 500 && result == QB_STORE_FAILED; i++) {
        result = find_sal(link, error);
        if (result == QB_STORE_FAILED) (void)usleep(20000);
    }
    return result;
}

QB_TEST(a_lost_connection_is_a_failure_and_then_made_again)
{
    struct qb_store_link *link = open_new();
    struct qb_error error = {""};

    store_add_users(&subject, link);
    QB_EXPECT_EQ(find_sal(link, &error), QB_STORE_OK, error.text);
    qb_stack_kill("postgres");
    QB_EXPECT_EQ(find_sal(link, &error), QB_STORE_FAILED, "nobody answers");
    QB_EXPECT(strstr(error.text, "Postgres: ") != NULL, error.text);
    QB_EXPECT_EQ(find_sal(link, &error), QB_STORE_FAILED, "still");
    QB_EXPECT(strstr(error.text, "refused") != NULL || strstr(error.text, "attempt") != NULL,
              error.text);
    qb_stack_revive("postgres");
    QB_EXPECT_EQ(find_sal_again(link, &error), QB_STORE_OK, error.text);
    close_all(&link);
}

QB_TEST(a_transaction_whose_connection_was_lost_is_not_committed_by_another)
{
    const struct qb_listing lamp = store_listing(6, "A lamp");
    struct qb_store_link *link = open_new();
    struct qb_archive_head head = {.auction = 6};
    struct qb_lot lot = store_lot(6);
    uint32_t epoch_least = 0;
    struct qb_error error = {""};
    struct qb_listing found;

    store_add_users(&subject, link);
    store_add_listing(&subject, link, &lamp);
    QB_EXPECT_EQ(store->ops->archive_begin(link, &epoch_least, &error), QB_STORE_OK, error.text);
    QB_EXPECT_EQ(store->ops->archive_state(link, &lot, &error), QB_STORE_OK, error.text);
    qb_stack_kill("postgres");
    qb_stack_revive("postgres");
    QB_EXPECT_EQ(store->ops->archive_heads(link, &head, 1, &error), QB_STORE_FAILED, "it is lost");
    QB_EXPECT_EQ(store->ops->archive_heads(link, &head, 1, &error), QB_STORE_FAILED, "to its end");
    QB_EXPECT_EQ(store->ops->archive_end(link, true, &error), QB_STORE_FAILED, "with its end");
    QB_EXPECT_EQ(find_sal_again(link, &error), QB_STORE_OK, error.text);
    QB_EXPECT_EQ(store->ops->listing(link, 6, &found, &error), QB_STORE_OK, error.text);
    QB_EXPECT_EQ(found.applied_seq, 0, "nothing of it stays");
    close_all(&link);
}

/* What one of two archivers waits for. */
static void *look_at_head(void *context)
{
    struct qb_archive_head *head = context;
    struct qb_error error = {""};
    struct qb_store_link *link = store->ops->open(store, &error);
    uint32_t least = 0;

    qb_must(link != NULL, error.text);
    QB_EXPECT_EQ(store->ops->archive_begin(link, &least, &error), QB_STORE_OK, error.text);
    QB_EXPECT_EQ(store->ops->archive_heads(link, head, 1, &error), QB_STORE_OK, error.text);
    QB_EXPECT_EQ(store->ops->archive_end(link, true, &error), QB_STORE_OK, error.text);
    store->ops->close(&link);
    return NULL;
}

QB_TEST(of_two_archivers_of_an_auction_the_later_sees_what_the_first_wrote)
{
    const struct qb_listing lamp = store_listing(6, "A lamp");
    struct qb_store_link *link = open_new();
    struct qb_lot lot = store_lot(6);
    struct qb_archive_head first = {.auction = 6};
    struct qb_archive_head second = {.auction = 6};
    struct qb_error error = {""};
    uint32_t least = 0;
    pthread_t other;

    store_add_users(&subject, link);
    store_add_listing(&subject, link, &lamp);
    QB_EXPECT_EQ(store->ops->archive_begin(link, &least, &error), QB_STORE_OK, error.text);
    QB_EXPECT_EQ(store->ops->archive_heads(link, &first, 1, &error), QB_STORE_OK, error.text);
    qb_must(pthread_create(&other, NULL, look_at_head, &second) == 0, "no thread");
    qb_clock_sleep_us(200 * QB_MS_US);
    QB_EXPECT_EQ(store->ops->archive_state(link, &lot, &error), QB_STORE_OK, error.text);
    QB_EXPECT_EQ(store->ops->archive_end(link, true, &error), QB_STORE_OK, error.text);
    (void)pthread_join(other, NULL);
    QB_EXPECT_EQ(first.applied_seq, 0, "nothing yet");
    QB_EXPECT_EQ(second.applied_seq, 1, "it waited");
    close_all(&link);
}

QB_TEST(after_an_error_within_a_transaction_its_commit_is_a_failure)
{
    struct qb_store_link *link = open_new();
    struct qb_sql_link *sql = qb_store_sql_link(link);
    struct qb_error error = {""};

    QB_EXPECT(qb_sql_begin(sql, &error), error.text);
    QB_EXPECT(qb_sql_run(sql, "UPDATE epochs SET epoch = 7", &error), error.text);
    QB_EXPECT(!qb_sql_run(sql, "INSERT INTO epochs VALUES (2, 0)", &error), "a broken rule");
    QB_EXPECT(!qb_sql_finish(sql, true, &error), "not committed");
    uint32_t epoch = 0;
    QB_EXPECT_EQ(store->ops->epoch_next(link, &epoch, &error), QB_STORE_OK, error.text);
    QB_EXPECT_EQ(epoch, 1, "as it was");
    close_all(&link);
}

QB_TEST(a_statement_that_takes_too_long_is_ended)
{
    struct qb_store_link *link = open_new();
    struct qb_error error = {""};
    struct qb_statement *query =
        qb_sql(qb_store_sql_link(link), "SELECT pg_sleep(60) FROM epochs WHERE epoch = ?");

    qb_bind_int(query, 1, 0);
    QB_EXPECT_EQ(qb_step(query, &error), QB_STEP_FAILED, "after five seconds");
    QB_EXPECT(strstr(error.text, "statement timeout") != NULL, error.text);
    QB_EXPECT_EQ(find_sal(link, &error), QB_STORE_NOT_FOUND, "and the connection is good");
    close_all(&link);
}

QB_TEST(a_server_that_hangs_holds_nobody_for_long)
{
    struct qb_store_link *link = open_new();
    struct qb_error error = {""};

    qb_stack_freeze("postgres");
    QB_EXPECT_EQ(find_sal(link, &error), QB_STORE_FAILED, "given up");
    QB_EXPECT(strstr(error.text, "no answer in time") != NULL, error.text);
    QB_EXPECT_EQ(find_sal(link, &error), QB_STORE_FAILED, "nor is it reached");
    QB_EXPECT(strstr(error.text, "timeout") != NULL, error.text);
    qb_stack_thaw("postgres");
    QB_EXPECT_EQ(find_sal_again(link, &error), QB_STORE_NOT_FOUND, error.text);
    close_all(&link);
}

enum { SELLERS_THREADS = 4, LISTINGS_EACH = 20, LIVE_MAX = 10 };

struct seller {
    pthread_t thread;
    qb_id first;
    size_t added;
    size_t full;
};

static void *list_things(void *context)
{
    struct seller *seller = context;
    struct qb_error error = {""};
    struct qb_store_link *link = store->ops->open(store, &error);

    qb_must(link != NULL, error.text);
    for (qb_id id = seller->first; id < seller->first + LISTINGS_EACH; id++) {
        struct qb_listing_terms terms = {.live_max = LIVE_MAX};
        const struct qb_listing listing = store_listing(id, "A thing");
        enum qb_store_result result = store->ops->listing_add(link, &listing, &terms, &error);
        if (result == QB_STORE_OK) seller->added++;
        if (result == QB_STORE_FULL) seller->full++;
    }
    store->ops->close(&link);
    return NULL;
}

QB_TEST(a_limit_holds_when_several_add_at_once)
{
    struct seller sellers[SELLERS_THREADS] = {0};
    struct qb_store_link *link = open_new();
    size_t added = 0;
    size_t full = 0;

    store_add_users(&subject, link);
    for (size_t i = 0; i < SELLERS_THREADS; i++) {
        sellers[i].first = 1000 * (i + 1);
        qb_must(pthread_create(&sellers[i].thread, NULL, list_things, &sellers[i]) == 0,
                "a thread");
    }
    for (size_t i = 0; i < SELLERS_THREADS; i++) {
        (void)pthread_join(sellers[i].thread, NULL);
        added += sellers[i].added;
        full += sellers[i].full;
    }
    QB_EXPECT_EQ(added, LIVE_MAX, "as many as may be");
    QB_EXPECT_EQ(full, SELLERS_THREADS * LISTINGS_EACH - LIVE_MAX, "and the rest was refused");
    close_all(&link);
}

QB_TEST(an_address_that_cannot_be_read_is_not_repeated)
{
    struct qb_error error = {""};

    QB_EXPECT(qb_postgres_new("postgresql://a:secret@[host/db", QB_POSTGRES_PRIMARY, &error) ==
                  NULL,
              "bad");
    QB_EXPECT(strstr(error.text, "secret") == NULL && error.text[0] != '\0', error.text);
}
