#include "storage/migrate.h"

#include <string.h>

#include "base/clock.h"
#include "base/sha256.h"
#include "base/text.h"

static void digest_of(const struct qb_migration *migration, char hex[QB_SHA256_BYTES * 2 + 1])
{
    uint8_t digest[QB_SHA256_BYTES];

    qb_sha256_of(migration->sql, strlen(migration->sql), digest);
    qb_hex(digest, sizeof digest, hex);
}

/* Those applied already must be ours, unchanged; how many there are. */
static bool check_applied(struct qb_sql_link *link, const struct qb_migration *migrations,
                          size_t count, size_t *applied, bool *is_read, struct qb_error *error)
{
    struct qb_statement *query =
        qb_sql(link, "SELECT number, digest FROM migrations ORDER BY number");
    enum qb_step step = QB_STEP_DONE;
    char hex[QB_SHA256_BYTES * 2 + 1];

    *applied = 0;
    *is_read = true;
    while ((step = qb_step(query, error)) == QB_STEP_ROW) {
        int64_t number = qb_column_int(query, 0);
        if (number > (int64_t)count) {
            return qb_error_set(error,
                                "the database has migration %lld, this program knows %zu: use the "
                                "newer program that wrote it",
                                (long long)number, count);
        }
        if (number != (int64_t)*applied + 1) {
            return qb_error_set(error,
                                "migration %zu was never applied but %lld was: restore the "
                                "database from a backup",
                                *applied + 1, (long long)number);
        }
        digest_of(&migrations[*applied], hex);
        if (strcmp(hex, qb_column_text(query, 1)) != 0) {
            return qb_error_set(error,
                                "migration %s was changed after it was applied: restore the file, "
                                "and put the change into a new one",
                                migrations[*applied].name);
        }
        (*applied)++;
    }
    *is_read = step == QB_STEP_DONE;
    return *is_read;
}

static bool apply(struct qb_sql_link *link, const struct qb_migration *migration,
                  struct qb_error *error)
{
    char hex[QB_SHA256_BYTES * 2 + 1];
    struct qb_error ignored;

    digest_of(migration, hex);
    QB_TRY(qb_sql_begin(link, error));
    bool is_done = qb_sql_run(link, migration->sql, error);
    if (is_done) {
        struct qb_statement *note = qb_sql(link, "INSERT INTO migrations VALUES (?, ?, ?, ?)");
        qb_bind_int(note, 1, migration->number);
        qb_bind_text(note, 2, migration->name);
        qb_bind_text(note, 3, hex);
        qb_bind_int(note, 4, qb_clock_wall_us());
        is_done = qb_step(note, error) == QB_STEP_DONE;
    }
    if (!qb_sql_finish(link, is_done, is_done ? error : &ignored)) is_done = false;
    return is_done || qb_error_wrap(error, "migration %s", migration->name);
}

static bool apply_missing(struct qb_sql_link *link, const struct qb_migration *migrations,
                          size_t count, size_t *applied, struct qb_error *error)
{
    size_t done = 0;
    bool is_read = false;

    QB_TRY(qb_sql_run(link,
                      "CREATE TABLE IF NOT EXISTS migrations (number INTEGER PRIMARY KEY, "
                      "name TEXT NOT NULL, digest TEXT NOT NULL, applied_us BIGINT NOT NULL)",
                      error));
    QB_TRY(check_applied(link, migrations, count, &done, &is_read, error));
    if (applied != NULL) *applied = count - done;
    for (size_t i = done; i < count; i++) QB_TRY(apply(link, &migrations[i], error));
    return true;
}

bool qb_migrate(struct qb_sql_link *link, const struct qb_migration *migrations, size_t count,
                size_t *applied, struct qb_error *error)
{
    struct qb_error ignored;

    QB_TRY(qb_sql_lock(link, true, error));
    bool is_done = apply_missing(link, migrations, count, applied, error);
    if (!qb_sql_lock(link, false, is_done ? error : &ignored)) is_done = false;
    return is_done;
}

/* Whether anything was ever applied. */
static bool has_table(struct qb_sql_link *link, bool *is_there, struct qb_error *error)
{
    static const char *const texts[QB_SQL_DIALECTS] = {
        [QB_SQL_SQLITE] = "SELECT count(*) FROM sqlite_schema WHERE name = 'migrations'",
        [QB_SQL_POSTGRES] = "SELECT CAST(to_regclass('migrations') IS NOT NULL AS integer)"};
    struct qb_statement *query = qb_sql(link, texts[link->driver->dialect]);

    if (qb_step(query, error) != QB_STEP_ROW) return false;
    *is_there = qb_column_int(query, 0) != 0;
    qb_sql_end(query);
    return true;
}

bool qb_migrate_check(struct qb_sql_link *link, const struct qb_migration *migrations, size_t count,
                      bool *is_current, struct qb_error *error)
{
    size_t done = 0;
    bool is_there = false;
    bool is_read = true;

    *is_current = false;
    QB_TRY(has_table(link, &is_there, error));
    if (is_there && !check_applied(link, migrations, count, &done, &is_read, error)) return is_read;
    *is_current = done == count;
    if (*is_current) return true;
    (void)qb_error_set(error, "the database has %zu of %zu migrations: run quickbid migrate", done,
                       count);
    return true;
}
