#include "storage/sqlite.h"

#include <pthread.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

#define STATEMENTS_MAX  96
#define BUSY_TIMEOUT_MS 5000 /* another process, such as a backup tool */

struct qb_database {
    pthread_mutex_t writing;
    char path[512];
};

struct qb_statement {
    sqlite3_stmt *handle;
    struct qb_sqlite *link;
    const char *sql;
};

struct qb_sqlite {
    sqlite3 *handle;
    struct qb_database *database;
    bool is_writing;
    size_t statement_count;
    struct qb_statement statements[STATEMENTS_MAX];
};

struct qb_database *qb_database_open(const char *path, struct qb_error *error)
{
    struct qb_database *database = calloc(1, sizeof *database);
    size_t length = strlen(path);

    QB_ASSERT(database != NULL);
    (void)pthread_mutex_init(&database->writing, NULL);
    if (length >= sizeof database->path) {
        (void)qb_error_set(error, "%.80s…: the path is too long", path);
        qb_database_free(&database);
        return NULL;
    }
    (void)memcpy(database->path, path, length + 1);
    return database;
}

void qb_database_free(struct qb_database **database)
{
    struct qb_database *old = *database;

    *database = NULL;
    if (old == NULL) return;
    (void)pthread_mutex_destroy(&old->writing);
    free(old);
}

static bool fail(struct qb_sqlite *link, struct qb_error *error)
{
    return qb_error_set(error, "%s: %s", link->database->path, sqlite3_errmsg(link->handle));
}

bool qb_sqlite_run(struct qb_sqlite *link, const char *sql, struct qb_error *error)
{
    return sqlite3_exec(link->handle, sql, NULL, NULL, NULL) == SQLITE_OK || fail(link, error);
}

struct qb_sqlite *qb_sqlite_open(struct qb_database *database, struct qb_error *error)
{
    static const char setup[] = "PRAGMA journal_mode = WAL;"
                                "PRAGMA synchronous = FULL;"
                                "PRAGMA foreign_keys = ON;"
                                "PRAGMA trusted_schema = OFF;"
                                "PRAGMA cache_size = -8192;"
                                "PRAGMA wal_autocheckpoint = 0;";
    struct qb_sqlite *link = calloc(1, sizeof *link);
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;

    QB_ASSERT(link != NULL);
    link->database = database;
    bool is_open = sqlite3_open_v2(database->path, &link->handle, flags, NULL) == SQLITE_OK;
    if (!is_open) (void)fail(link, error);
    if (is_open) (void)sqlite3_busy_timeout(link->handle, BUSY_TIMEOUT_MS);
    if (is_open && qb_sqlite_run(link, setup, error)) return link;
    (void)sqlite3_close(link->handle);
    free(link);
    return NULL;
}

void qb_sqlite_close(struct qb_sqlite **link)
{
    struct qb_sqlite *old = *link;

    *link = NULL;
    if (old == NULL) return;
    QB_ASSERT(!old->is_writing);
    for (size_t i = 0; i < old->statement_count; i++) {
        (void)sqlite3_finalize(old->statements[i].handle);
    }
    (void)sqlite3_close(old->handle);
    free(old);
}

bool qb_sqlite_begin(struct qb_sqlite *link, struct qb_error *error)
{
    (void)pthread_mutex_lock(&link->database->writing);
    if (sqlite3_exec(link->handle, "BEGIN IMMEDIATE", NULL, NULL, NULL) == SQLITE_OK) {
        link->is_writing = true;
        return true;
    }
    (void)fail(link, error);
    (void)pthread_mutex_unlock(&link->database->writing);
    return false;
}

bool qb_sqlite_end(struct qb_sqlite *link, bool do_commit, struct qb_error *error)
{
    QB_ASSERT(link->is_writing);
    for (size_t i = 0; i < link->statement_count; i++) { /* an open read would hold the commit */
        (void)sqlite3_reset(link->statements[i].handle);
    }
    bool is_done = sqlite3_exec(link->handle, do_commit ? "COMMIT" : "ROLLBACK", NULL, NULL,
                                NULL) == SQLITE_OK;
    if (!is_done) {
        (void)fail(link, error);
        (void)sqlite3_exec(link->handle, "ROLLBACK", NULL, NULL, NULL);
    }
    link->is_writing = false;
    (void)pthread_mutex_unlock(&link->database->writing);
    return is_done;
}

static struct qb_statement *statement_of(struct qb_sqlite *link, const char *sql)
{
    for (size_t i = 0; i < link->statement_count; i++) {
        if (link->statements[i].sql == sql) return &link->statements[i];
    }
    QB_ASSERT(link->statement_count < STATEMENTS_MAX);
    struct qb_statement *statement = &link->statements[link->statement_count++];
    statement->link = link;
    statement->sql = sql;
    return statement;
}

struct qb_statement *qb_sql(struct qb_sqlite *link, const char *sql)
{
    struct qb_statement *statement = statement_of(link, sql);

    if (statement->handle != NULL) {
        (void)sqlite3_reset(statement->handle);
        (void)sqlite3_clear_bindings(statement->handle);
        return statement;
    }
    int result = sqlite3_prepare_v3(link->handle, sql, -1, SQLITE_PREPARE_PERSISTENT,
                                    &statement->handle, NULL);
    QB_ASSERT(result != SQLITE_ERROR);
    return statement;
}

void qb_bind_int(struct qb_statement *statement, int at, int64_t value)
{
    int result = sqlite3_bind_int64(statement->handle, at, value);
    QB_ASSERT(result == SQLITE_OK || statement->handle == NULL);
}

void qb_bind_text(struct qb_statement *statement, int at, const char *text)
{
    int result = sqlite3_bind_text(statement->handle, at, text, -1, SQLITE_STATIC);
    QB_ASSERT(result == SQLITE_OK || statement->handle == NULL);
}

void qb_bind_blob(struct qb_statement *statement, int at, const void *bytes, size_t length)
{
    int result = sqlite3_bind_blob64(statement->handle, at, bytes, length, SQLITE_STATIC);
    QB_ASSERT(result == SQLITE_OK || statement->handle == NULL);
}

enum qb_step qb_step(struct qb_statement *statement, struct qb_error *error)
{
    if (statement->handle == NULL) { /* it could not be prepared */
        (void)fail(statement->link, error);
        return QB_STEP_FAILED;
    }
    int result = sqlite3_step(statement->handle);

    if (result == SQLITE_ROW) return QB_STEP_ROW;
    if (result == SQLITE_DONE) {
        (void)sqlite3_reset(statement->handle);
        return QB_STEP_DONE;
    }
    int extended = sqlite3_extended_errcode(statement->link->handle);
    bool is_taken = extended == SQLITE_CONSTRAINT_UNIQUE ||
                    extended == SQLITE_CONSTRAINT_PRIMARYKEY || extended == SQLITE_CONSTRAINT_ROWID;
    if (!is_taken) (void)fail(statement->link, error);
    (void)sqlite3_reset(statement->handle);
    return is_taken ? QB_STEP_TAKEN : QB_STEP_FAILED;
}

void qb_sql_end(struct qb_statement *statement)
{
    (void)sqlite3_reset(statement->handle);
}

int64_t qb_column_int(struct qb_statement *statement, int at)
{
    return sqlite3_column_int64(statement->handle, at);
}

const char *qb_column_text(struct qb_statement *statement, int at)
{
    const unsigned char *text = sqlite3_column_text(statement->handle, at);
    return text != NULL ? (const char *)text : "";
}

const void *qb_column_blob(struct qb_statement *statement, int at, size_t *length)
{
    const void *bytes = sqlite3_column_blob(statement->handle, at);

    *length = (size_t)sqlite3_column_bytes(statement->handle, at);
    return bytes != NULL ? bytes : "";
}

void qb_column_copy(struct qb_statement *statement, int at, char *text, size_t room)
{
    const char *from = qb_column_text(statement, at);
    size_t length = strnlen(from, room - 1);

    (void)memcpy(text, from, length);
    text[length] = '\0';
}

int64_t qb_sqlite_changes(struct qb_sqlite *link)
{
    return sqlite3_changes64(link->handle);
}

int64_t qb_sqlite_last_id(struct qb_sqlite *link)
{
    return sqlite3_last_insert_rowid(link->handle);
}

void qb_sqlite_checkpoint(struct qb_sqlite *link)
{
    (void)sqlite3_wal_checkpoint_v2(link->handle, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
}
