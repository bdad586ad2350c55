/*
 * Connections, transactions and statements: what is a failure, and what is a bug.
 */
#include <string.h>

#include "storage/sqlite.h"
#include "tests/kit/database.h"
#include "tests/kit/test.h"

static struct qb_database *database;
static struct qb_sql_link *link_to;

static void open_new(void)
{
    struct qb_error error = {""};

    database = qb_test_database_new();
    link_to = qb_sqlite_open(database, &error);
    qb_must(link_to != NULL, error.text);
}

static void end(void)
{
    qb_sql_close(&link_to);
    qb_database_free(&database);
    qb_test_folder_remove();
}

QB_TEST(a_database_that_cannot_be_read_is_a_failure)
{
    static const char *const queries[] = {"SELECT id FROM users WHERE id = ?",
                                          "SELECT id FROM auctions WHERE id = ?"};
    struct qb_error error = {""};

    open_new();
    struct qb_sql_link *other = qb_sqlite_open(database, &error);
    QB_EXPECT(qb_sql_run(other,
                         "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = 'broken' "
                         "WHERE name = 'images'; PRAGMA schema_version = 9999",
                         &error),
              error.text);
    for (size_t i = 0; i < 4; i++) { /* the first finds it out, the others cannot be prepared */
        struct qb_statement *query = qb_sql(link_to, queries[i % 2]);
        error.text[0] = '\0';
        qb_bind_int(query, 1, 5);
        QB_EXPECT_EQ(qb_step(query, &error), QB_STEP_FAILED, "its step says so");
        QB_EXPECT(strstr(error.text, "malformed") != NULL, error.text);
        qb_sql_end(query);
    }
    qb_sql_close(&other);
    end();
}

QB_TEST(a_statement_that_is_not_understood_is_a_bug)
{
    open_new();
    QB_EXPECT_DEATH((void)qb_sql(link_to, "SELEKT 1"), "aborts");
    end();
}

QB_TEST(what_is_rolled_back_never_was)
{
    struct qb_error error = {""};

    open_new();
    QB_EXPECT(qb_sql_begin(link_to, &error), error.text);
    QB_EXPECT(qb_sql_run(link_to, "UPDATE epochs SET epoch = 7", &error), error.text);
    QB_EXPECT(qb_sql_finish(link_to, false, &error), error.text);
    struct qb_statement *query = qb_sql(link_to, "SELECT epoch FROM epochs");
    QB_EXPECT_EQ(qb_step(query, &error), QB_STEP_ROW, "there");
    QB_EXPECT_EQ(qb_column_int(query, 0), 0, "as it was");
    QB_EXPECT_EQ(qb_step(query, &error), QB_STEP_DONE, "one row");
    end();
}

static void write_much(struct qb_error *error)
{
    for (int i = 0; i < 50; i++) {
        qb_must(qb_sql_begin(link_to, error), error->text);
        qb_must(qb_sql_run(link_to,
                           "INSERT INTO journal (auction, seq, epoch, bytes) "
                           "VALUES (1, 1, 1, zeroblob(20000))",
                           error),
                error->text);
        qb_must(qb_sql_finish(link_to, true, error), error->text);
    }
}

QB_TEST(the_log_is_emptied_as_soon_as_nobody_reads_an_old_state)
{
    struct qb_error error = {""};

    open_new();
    struct qb_sql_link *reader = qb_sqlite_open(database, &error);
    write_much(&error);
    struct qb_statement *query = qb_sql(reader, "SELECT position FROM journal");
    QB_EXPECT_EQ(qb_step(query, &error), QB_STEP_ROW, "a reader begins");
    write_much(&error);
    int64_t bytes = qb_sqlite_log_bytes(link_to);
    QB_EXPECT(bytes > 1000000, "the log has grown");
    QB_EXPECT(!qb_sqlite_log_empty(link_to), "the reader needs it");
    write_much(&error);
    QB_EXPECT(qb_sqlite_log_bytes(link_to) >= bytes, "and writers go on");
    qb_sql_end(query);
    QB_EXPECT(qb_sqlite_log_empty(link_to), "now it can be emptied");
    QB_EXPECT_EQ(qb_sqlite_log_bytes(link_to), 0, "and is");
    query = qb_sql(link_to, "SELECT count(*) FROM journal");
    QB_EXPECT_EQ(qb_step(query, &error), QB_STEP_ROW, "read");
    QB_EXPECT_EQ(qb_column_int(query, 0), 150, "all is in the database");
    qb_sql_close(&reader);
    end();
}

QB_TEST(a_taken_value_is_told_apart_from_a_failure)
{
    struct qb_error error = {""};

    open_new();
    struct qb_statement *insert = qb_sql(link_to, "INSERT INTO limits VALUES (?, 'USD', 1)");
    qb_bind_int(insert, 1, 5);
    QB_EXPECT_EQ(qb_step(insert, &error), QB_STEP_FAILED, "no such user");
    QB_EXPECT(error.text[0] != '\0', "in words");
    QB_EXPECT(qb_sql_run(link_to, "INSERT INTO users VALUES (5, 'e', 'n', 'v', 1, 0, 0)", &error),
              error.text);
    insert = qb_sql(link_to, "INSERT INTO limits VALUES (5, 'USD', 1)");
    QB_EXPECT_EQ(qb_step(insert, &error), QB_STEP_DONE, "now there is");
    insert = qb_sql(link_to, "INSERT INTO limits VALUES (5, 'USD', 1)");
    QB_EXPECT_EQ(qb_step(insert, &error), QB_STEP_TAKEN, "once");
    end();
}

QB_TEST(texts_are_cut_and_nulls_are_empty)
{
    struct qb_error error = {""};
    char text[4];
    size_t length = 9;

    open_new();
    struct qb_statement *query = qb_sql(link_to, "SELECT 'abcdef', NULL, ?, ?");
    qb_bind_text(query, 1, "ä");
    qb_bind_blob(query, 2, "\0\1", 2);
    QB_EXPECT_EQ(qb_step(query, &error), QB_STEP_ROW, "a row");
    qb_column_copy(query, 0, text, sizeof text);
    QB_EXPECT_TEXT(text, "abc", "cut");
    QB_EXPECT_TEXT(qb_column_text(query, 1), "", "a null");
    QB_EXPECT(qb_column_blob(query, 1, &length) != NULL && length == 0, "a null");
    QB_EXPECT_TEXT(qb_column_text(query, 2), "ä", "as it was bound");
    QB_EXPECT(memcmp(qb_column_blob(query, 3, &length), "\0\1", 2) == 0 && length == 2, "bytes");
    end();
}

QB_TEST(a_path_that_is_too_long_is_refused)
{
    struct qb_error error = {""};
    char path[600];

    (void)memset(path, 'x', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    QB_EXPECT(qb_database_open(path, &error) == NULL, "no database");
    QB_EXPECT(strstr(error.text, "too long") != NULL, error.text);
}
