/*
 * A connection to a database that speaks SQL, whichever it is: prepared statements kept by their
 * text, typed parameters, rows, transactions.
 *
 * Drivers: sqlite.h, postgres.h. Statements use what both understand: parameters are ? or ?1, and a
 * unique value that may be taken is met with ON CONFLICT, because in Postgres an error ends the
 * transaction.
 *
 * A connection belongs to one thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attributes.h"
#include "base/error.h"

enum qb_sql_dialect { QB_SQL_SQLITE, QB_SQL_POSTGRES, QB_SQL_DIALECTS };

enum qb_step {
    QB_STEP_ROW,
    QB_STEP_DONE,
    QB_STEP_TAKEN, /* a unique value is taken */
    QB_STEP_FAILED,
};

struct qb_sql_link;  /* a connection */
struct qb_statement; /* prepared; belongs to its connection */

/* What a driver does; the functions below say what each means. */
struct qb_sql_driver {
    enum qb_sql_dialect dialect;
    void (*close)(struct qb_sql_link *link);
    bool (*begin)(struct qb_sql_link *link, struct qb_error *error);
    bool (*finish)(struct qb_sql_link *link, bool do_commit, struct qb_error *error);
    bool (*run)(struct qb_sql_link *link, const char *sql, struct qb_error *error);
    bool (*lock)(struct qb_sql_link *link, bool do_lock, struct qb_error *error);
    bool (*hold)(struct qb_sql_link *link, int64_t id, struct qb_error *error);
    int64_t (*changes)(struct qb_sql_link *link);
    struct qb_statement *(*statement)(struct qb_sql_link *link, const char *sql);
    void (*bind_int)(struct qb_statement *statement, int at, int64_t value);
    void (*bind_text)(struct qb_statement *statement, int at, const char *text);
    void (*bind_blob)(struct qb_statement *statement, int at, const void *bytes, size_t length);
    enum qb_step (*step)(struct qb_statement *statement, struct qb_error *error);
    void (*end)(struct qb_statement *statement);
    int64_t (*column_int)(struct qb_statement *statement, int at);
    const char *(*column_text)(struct qb_statement *statement, int at);
    const void *(*column_blob)(struct qb_statement *statement, int at, size_t *length);
};

/* First members of a driver's own. */
struct qb_sql_link {
    const struct qb_sql_driver *driver;
};
struct qb_statement {
    const struct qb_sql_driver *driver;
};

/* Ends a connection outside of any transaction, nulls the pointer; accepts null. */
void qb_sql_close(struct qb_sql_link **link);

/* Begins a transaction that writes. */
QB_MUST_USE bool qb_sql_begin(struct qb_sql_link *link, struct qb_error *error);
/* Ends what qb_sql_begin() began, also when that is a rollback. False: it was not committed, or
 * nobody knows. */
QB_MUST_USE bool qb_sql_finish(struct qb_sql_link *link, bool do_commit, struct qb_error *error);

/* Runs a text of several statements (migrations, pragmas), without a limit of time. */
QB_MUST_USE bool qb_sql_run(struct qb_sql_link *link, const char *sql, struct qb_error *error);

/* Holds other programs that take this lock off this database, until it is given back. */
QB_MUST_USE bool qb_sql_lock(struct qb_sql_link *link, bool do_lock, struct qb_error *error);

/* Within a transaction: others that hold the same `id` wait for its end. For what is counted before
 * it is added to. */
QB_MUST_USE bool qb_sql_hold(struct qb_sql_link *link, int64_t id, struct qb_error *error);

/* Rows changed by the last statement. */
int64_t qb_sql_changes(struct qb_sql_link *link);

/* The statement of `sql`, a literal: prepared at its first use, reset at each. A text that the
 * database does not understand is a bug and aborts, here or at the first step. Any other failure,
 * as of a disk that cannot be read, is the one of its first step; the next use tries again. */
struct qb_statement *qb_sql(struct qb_sql_link *link, const char *sql);

/* Parameters, in order from 1. Texts and blobs are borrowed until the statement is used again; a
 * null pointer is the database's null. */
void qb_bind_int(struct qb_statement *statement, int at, int64_t value);
void qb_bind_text(struct qb_statement *statement, int at, const char *text);
void qb_bind_blob(struct qb_statement *statement, int at, const void *bytes, size_t length);

/* The next row, or the end. FAILED sets `error`. */
enum qb_step qb_step(struct qb_statement *statement, struct qb_error *error);

/* Lets go of a query before its end, so that it no longer holds the database's state. */
void qb_sql_end(struct qb_statement *statement);

/* Columns from 0; valid until the next step. A null is 0 or empty. */
int64_t qb_column_int(struct qb_statement *statement, int at);
const char *qb_column_text(struct qb_statement *statement, int at);
const void *qb_column_blob(struct qb_statement *statement, int at, size_t *length);
/* Copies a text that fits; cut otherwise. */
void qb_column_copy(struct qb_statement *statement, int at, char *text, size_t room);
