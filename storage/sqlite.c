#include "storage/sqlite.h"

#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/assert.h"

#define STATEMENTS_MAX  192  /* half of them lists, by what they are of and their order */
#define BUSY_TIMEOUT_MS 5000 /* another process, such as a backup tool */
#define EMPTY_WAIT_MS   50   /* for readers, while no bid is committed */

struct qb_database {
    pthread_mutex_t writing;
    char path[512];
};

struct sqlite_statement {
    struct qb_statement statement;
    sqlite3_stmt *handle;
    struct sqlite *link;
    const char *sql;
};

struct sqlite {
    struct qb_sql_link link;
    sqlite3 *handle;
    struct qb_database *database;
    bool is_writing;
    size_t statement_count;
    struct sqlite_statement statements[STATEMENTS_MAX];
};

static struct sqlite *mine(struct qb_sql_link *link)
{
    QB_ASSERT(link->driver->dialect == QB_SQL_SQLITE);
    return (struct sqlite *)link;
}

static sqlite3_stmt *handle_of(struct qb_statement *statement)
{
    return ((struct sqlite_statement *)statement)->handle;
}

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

static bool fail(struct sqlite *link, struct qb_error *error)
{
    return qb_error_set(error, "%s: %s", link->database->path, sqlite3_errmsg(link->handle));
}

static bool run(struct qb_sql_link *link, const char *sql, struct qb_error *error)
{
    struct sqlite *sqlite = mine(link);
    return sqlite3_exec(sqlite->handle, sql, NULL, NULL, NULL) == SQLITE_OK || fail(sqlite, error);
}

static void close_link(struct qb_sql_link *link)
{
    struct sqlite *old = mine(link);

    QB_ASSERT(!old->is_writing);
    for (size_t i = 0; i < old->statement_count; i++) {
        (void)sqlite3_finalize(old->statements[i].handle);
    }
    (void)sqlite3_close(old->handle);
    free(old);
}

static bool begin(struct qb_sql_link *link, struct qb_error *error)
{
    struct sqlite *sqlite = mine(link);

    (void)pthread_mutex_lock(&sqlite->database->writing);
    if (sqlite3_exec(sqlite->handle, "BEGIN IMMEDIATE", NULL, NULL, NULL) == SQLITE_OK) {
        sqlite->is_writing = true;
        return true;
    }
    (void)fail(sqlite, error);
    (void)pthread_mutex_unlock(&sqlite->database->writing);
    return false;
}

static bool finish(struct qb_sql_link *link, bool do_commit, struct qb_error *error)
{
    struct sqlite *sqlite = mine(link);

    QB_ASSERT(sqlite->is_writing);
    for (size_t i = 0; i < sqlite->statement_count; i++) { /* an open read would hold the commit */
        (void)sqlite3_reset(sqlite->statements[i].handle);
    }
    bool is_done = sqlite3_exec(sqlite->handle, do_commit ? "COMMIT" : "ROLLBACK", NULL, NULL,
                                NULL) == SQLITE_OK;
    if (!is_done) {
        (void)fail(sqlite, error);
        (void)sqlite3_exec(sqlite->handle, "ROLLBACK", NULL, NULL, NULL);
    }
    sqlite->is_writing = false;
    (void)pthread_mutex_unlock(&sqlite->database->writing);
    return is_done;
}

/* The lock of the data folder has kept other programs off already. */
static bool lock(struct qb_sql_link *link, bool do_lock, struct qb_error *error)
{
    (void)link;
    (void)do_lock;
    (void)error;
    return true;
}

/* There is one writer at a time. */
static bool hold(struct qb_sql_link *link, int64_t id, struct qb_error *error)
{
    (void)id;
    (void)error;
    QB_ASSERT(mine(link)->is_writing);
    return true;
}

static int64_t changes(struct qb_sql_link *link)
{
    return sqlite3_changes64(mine(link)->handle);
}

static struct sqlite_statement *statement_of(struct sqlite *link, const char *sql)
{
    for (size_t i = 0; i < link->statement_count; i++) {
        if (link->statements[i].sql == sql) return &link->statements[i];
    }
    QB_ASSERT(link->statement_count < STATEMENTS_MAX);
    struct sqlite_statement *statement = &link->statements[link->statement_count++];
    statement->statement.driver = link->link.driver;
    statement->link = link;
    statement->sql = sql;
    return statement;
}

static struct qb_statement *prepare(struct qb_sql_link *link, const char *sql)
{
    struct sqlite *sqlite = mine(link);
    struct sqlite_statement *statement = statement_of(sqlite, sql);

    if (statement->handle != NULL) {
        (void)sqlite3_reset(statement->handle);
        (void)sqlite3_clear_bindings(statement->handle);
        return &statement->statement;
    }
    int result = sqlite3_prepare_v3(sqlite->handle, sql, -1, SQLITE_PREPARE_PERSISTENT,
                                    &statement->handle, NULL);
    QB_ASSERT(result != SQLITE_ERROR);
    return &statement->statement;
}

static void bind_int(struct qb_statement *statement, int at, int64_t value)
{
    int result = sqlite3_bind_int64(handle_of(statement), at, value);
    QB_ASSERT(result == SQLITE_OK || handle_of(statement) == NULL);
}

static void bind_text(struct qb_statement *statement, int at, const char *text)
{
    int result = sqlite3_bind_text(handle_of(statement), at, text, -1, SQLITE_STATIC);
    QB_ASSERT(result == SQLITE_OK || handle_of(statement) == NULL);
}

static void bind_blob(struct qb_statement *statement, int at, const void *bytes, size_t length)
{
    int result = sqlite3_bind_blob64(handle_of(statement), at, bytes, length, SQLITE_STATIC);
    QB_ASSERT(result == SQLITE_OK || handle_of(statement) == NULL);
}

static enum qb_step step(struct qb_statement *statement, struct qb_error *error)
{
    struct sqlite_statement *mine_too = (struct sqlite_statement *)statement;

    if (mine_too->handle == NULL) { /* it could not be prepared */
        (void)fail(mine_too->link, error);
        return QB_STEP_FAILED;
    }
    int result = sqlite3_step(mine_too->handle);

    if (result == SQLITE_ROW) return QB_STEP_ROW;
    if (result == SQLITE_DONE) {
        (void)sqlite3_reset(mine_too->handle);
        return QB_STEP_DONE;
    }
    int extended = sqlite3_extended_errcode(mine_too->link->handle);
    bool is_taken = extended == SQLITE_CONSTRAINT_UNIQUE ||
                    extended == SQLITE_CONSTRAINT_PRIMARYKEY || extended == SQLITE_CONSTRAINT_ROWID;
    if (!is_taken) (void)fail(mine_too->link, error);
    (void)sqlite3_reset(mine_too->handle);
    return is_taken ? QB_STEP_TAKEN : QB_STEP_FAILED;
}

static void end(struct qb_statement *statement)
{
    (void)sqlite3_reset(handle_of(statement));
}

static int64_t column_int(struct qb_statement *statement, int at)
{
    return sqlite3_column_int64(handle_of(statement), at);
}

static const char *column_text(struct qb_statement *statement, int at)
{
    const unsigned char *text = sqlite3_column_text(handle_of(statement), at);
    return text != NULL ? (const char *)text : "";
}

static const void *column_blob(struct qb_statement *statement, int at, size_t *length)
{
    const void *bytes = sqlite3_column_blob(handle_of(statement), at);

    *length = (size_t)sqlite3_column_bytes(handle_of(statement), at);
    return bytes != NULL ? bytes : "";
}

static const struct qb_sql_driver driver = {
    .dialect = QB_SQL_SQLITE,
    .close = close_link,
    .begin = begin,
    .finish = finish,
    .run = run,
    .lock = lock,
    .hold = hold,
    .changes = changes,
    .statement = prepare,
    .bind_int = bind_int,
    .bind_text = bind_text,
    .bind_blob = bind_blob,
    .step = step,
    .end = end,
    .column_int = column_int,
    .column_text = column_text,
    .column_blob = column_blob,
};

struct qb_sql_link *qb_sqlite_open(struct qb_database *database, struct qb_error *error)
{
    static const char setup[] = "PRAGMA journal_mode = WAL;"
                                "PRAGMA synchronous = FULL;"
                                "PRAGMA foreign_keys = ON;"
                                "PRAGMA trusted_schema = OFF;"
                                "PRAGMA cache_size = -8192;"
                                "PRAGMA wal_autocheckpoint = 0;";
    struct sqlite *link = calloc(1, sizeof *link);
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;

    QB_ASSERT(link != NULL);
    link->link.driver = &driver;
    link->database = database;
    bool is_open = sqlite3_open_v2(database->path, &link->handle, flags, NULL) == SQLITE_OK;
    if (!is_open) (void)fail(link, error);
    if (is_open) (void)sqlite3_busy_timeout(link->handle, BUSY_TIMEOUT_MS);
    if (is_open && run(&link->link, setup, error)) return &link->link;
    (void)sqlite3_close(link->handle);
    free(link);
    return NULL;
}

int64_t qb_sqlite_last_id(struct qb_sql_link *link)
{
    return sqlite3_last_insert_rowid(mine(link)->handle);
}

void qb_sqlite_checkpoint(struct qb_sql_link *link)
{
    (void)sqlite3_wal_checkpoint_v2(mine(link)->handle, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL,
                                    NULL);
}

int64_t qb_sqlite_log_bytes(struct qb_sql_link *link)
{
    const struct qb_database *database = mine(link)->database;
    char path[sizeof database->path + 4];
    struct stat file;

    (void)snprintf(path, sizeof path, "%s-wal", database->path);
    return stat(path, &file) == 0 ? (int64_t)file.st_size : 0;
}

bool qb_sqlite_log_empty(struct qb_sql_link *link)
{
    struct sqlite *sqlite = mine(link);

    qb_sqlite_checkpoint(link); /* most of the work, while writers go on */
    (void)pthread_mutex_lock(&sqlite->database->writing);
    (void)sqlite3_busy_timeout(sqlite->handle, EMPTY_WAIT_MS);
    int result =
        sqlite3_wal_checkpoint_v2(sqlite->handle, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
    (void)sqlite3_busy_timeout(sqlite->handle, BUSY_TIMEOUT_MS);
    (void)pthread_mutex_unlock(&sqlite->database->writing);
    return result == SQLITE_OK;
}
