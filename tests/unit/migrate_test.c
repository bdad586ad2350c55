/*
 * Migrations: each once, in order, unchanged; and what a database says that is not ours.
 */
#include <string.h>

#include "storage/migrate.h"
#include "tests/kit/database.h"
#include "tests/kit/test.h"

static const struct qb_migration migrations[] = {
    {1, "0001_a.sql", "CREATE TABLE a (x INTEGER);"},
    {2, "0002_b.sql", "CREATE TABLE b (x INTEGER); INSERT INTO a VALUES (2);"},
    {3, "0003_c.sql", "CREATE TABLE c (x INTEGER); INSERT INTO a VALUES (3);"},
};

static struct qb_database *database;
static struct qb_sql_link *link_to;

static void open_new(void)
{
    struct qb_error error = {""};

    qb_test_folder_new();
    database = qb_database_open(qb_test_path, &error);
    qb_must(database != NULL, error.text);
    link_to = qb_sqlite_open(database, &error);
    qb_must(link_to != NULL, error.text);
}

static void end(void)
{
    qb_sql_close(&link_to);
    qb_database_free(&database);
    qb_test_folder_remove();
}

static int64_t number(const char *sql)
{
    struct qb_error error = {""};
    struct qb_statement *query = qb_sql(link_to, sql);
    int64_t value = qb_step(query, &error) == QB_STEP_ROW ? qb_column_int(query, 0) : -1;

    qb_sql_end(query);
    return value;
}

static void expect_refused(const struct qb_migration *ours, size_t count, const char *says)
{
    struct qb_error error = {""};

    QB_EXPECT(!qb_migrate(link_to, ours, count, NULL, &error), "refused");
    QB_EXPECT(strstr(error.text, says) != NULL, error.text);
}

QB_TEST(each_migration_is_applied_once)
{
    struct qb_error error = {""};
    size_t applied = 9;

    open_new();
    QB_EXPECT(qb_migrate(link_to, migrations, 2, &applied, &error), error.text);
    QB_EXPECT_EQ(applied, 2, "both are new");
    QB_EXPECT(qb_migrate(link_to, migrations, 2, &applied, &error), error.text);
    QB_EXPECT_EQ(applied, 0, "neither is");
    QB_EXPECT(qb_migrate(link_to, migrations, 3, &applied, &error), error.text);
    QB_EXPECT_EQ(applied, 1, "the third");
    QB_EXPECT_EQ(number("SELECT count(*) FROM a"), 2, "each once");
    end();
}

QB_TEST(a_changed_migration_is_refused)
{
    struct qb_migration changed[3];
    struct qb_error error = {""};

    (void)memcpy(changed, migrations, sizeof changed);
    changed[0].sql = "CREATE TABLE a (x INTEGER) ;";
    open_new();
    QB_EXPECT(qb_migrate(link_to, migrations, 2, NULL, &error), error.text);
    expect_refused(changed, 3, "0001_a.sql was changed after it was applied");
    QB_EXPECT_EQ(number("SELECT count(*) FROM migrations"), 2, "and nothing was applied");
    end();
}

QB_TEST(a_migration_left_out_is_refused)
{
    struct qb_error error = {""};

    open_new();
    QB_EXPECT(qb_migrate(link_to, migrations, 3, NULL, &error), error.text);
    QB_EXPECT(qb_sql_run(link_to, "DELETE FROM migrations WHERE number = 2", &error), error.text);
    expect_refused(migrations, 3, "migration 2 was never applied but 3 was");
    end();
}

QB_TEST(a_newer_database_is_refused)
{
    struct qb_error error = {""};

    open_new();
    QB_EXPECT(qb_migrate(link_to, migrations, 3, NULL, &error), error.text);
    expect_refused(migrations, 2, "use the newer program");
    end();
}

QB_TEST(a_migration_that_fails_leaves_nothing)
{
    struct qb_migration broken[3];
    struct qb_error error = {""};

    (void)memcpy(broken, migrations, sizeof broken);
    broken[1].sql = "CREATE TABLE b (x INTEGER); INSERT INTO nowhere VALUES (1);";
    open_new();
    expect_refused(broken, 3, "migration 0002_b.sql: ");
    QB_EXPECT_EQ(number("SELECT count(*) FROM migrations"), 1, "the one before it stays");
    QB_EXPECT_EQ(number("SELECT count(*) FROM sqlite_schema WHERE name = 'b'"), 0, "none of it");
    QB_EXPECT(qb_migrate(link_to, migrations, 3, NULL, &error), "mended, it goes on");
    end();
}

QB_TEST(a_migration_whose_commit_fails_leaves_nothing)
{
    struct qb_migration broken[3];
    struct qb_error error = {""};

    (void)memcpy(broken, migrations, sizeof broken);
    broken[1].sql = "CREATE TABLE b (x INTEGER REFERENCES b (y) DEFERRABLE INITIALLY DEFERRED, "
                    "y INTEGER UNIQUE); INSERT INTO b VALUES (1, 2); INSERT INTO a VALUES (2);";
    open_new();
    expect_refused(broken, 3, "migration 0002_b.sql: ");
    expect_refused(broken, 3, "FOREIGN KEY constraint failed");
    QB_EXPECT_EQ(number("SELECT count(*) FROM migrations"), 1, "the one before it stays");
    QB_EXPECT_EQ(number("SELECT count(*) FROM a"), 0, "none of its rows");
    QB_EXPECT_EQ(number("SELECT count(*) FROM sqlite_schema WHERE name = 'b'"), 0, "nor its table");
    QB_EXPECT(qb_migrate(link_to, migrations, 3, NULL, &error), "mended, it goes on");
    end();
}

QB_TEST(those_of_the_program_are_numbered_without_gaps)
{
    size_t count = 0;
    const struct qb_migration *ours = qb_migrations_sqlite(&count);

    QB_EXPECT(count >= 4, "there are some");
    for (size_t i = 0; i < count; i++) {
        char prefix[8];
        (void)snprintf(prefix, sizeof prefix, "%04u_", (unsigned)(i + 1) % 10000);
        QB_EXPECT_EQ(ours[i].number, i + 1, ours[i].name);
        QB_EXPECT(strncmp(ours[i].name, prefix, strlen(prefix)) == 0, ours[i].name);
    }
}

static void expect_not_current(size_t count, const char *says)
{
    struct qb_error error = {""};
    bool is_current = true;

    QB_EXPECT(qb_migrate_check(link_to, migrations, count, &is_current, &error), error.text);
    QB_EXPECT(!is_current, says);
    QB_EXPECT(strstr(error.text, says) != NULL, error.text);
}

QB_TEST(a_database_is_current_when_all_is_applied_and_nothing_newer)
{
    struct qb_error error = {""};
    bool is_current = false;

    open_new();
    expect_not_current(3, "has 0 of 3 migrations: run quickbid migrate");
    QB_EXPECT(qb_migrate(link_to, migrations, 2, NULL, &error), error.text);
    expect_not_current(3, "has 2 of 3 migrations: run quickbid migrate");
    expect_not_current(1, "use the newer program");
    QB_EXPECT(qb_migrate(link_to, migrations, 3, NULL, &error), error.text);
    QB_EXPECT(qb_migrate_check(link_to, migrations, 3, &is_current, &error), error.text);
    QB_EXPECT(is_current, error.text);
    end();
}
