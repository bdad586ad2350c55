/*
 * SQLite behind a few calls: connections, prepared statements kept by their text, transactions of
 * one writer at a time. The only file that knows the library.
 *
 * A database belongs to the process; a connection to one thread. Writers of the process take turns
 * through one mutex, so that SQLite's own lock is never waited for and a bid's commit waits only
 * for a short transaction before it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attributes.h"
#include "base/error.h"

struct qb_database;
struct qb_sqlite;    /* a connection */
struct qb_statement; /* prepared; belongs to its connection */

/* The database file, made if it is not there. Null with `error` set. */
struct qb_database *qb_database_open(const char *path, struct qb_error *error);
/* After its last connection. */
void qb_database_free(struct qb_database **database);

/* A connection: WAL, synchronous=FULL, foreign keys. */
struct qb_sqlite *qb_sqlite_open(struct qb_database *database, struct qb_error *error);
void qb_sqlite_close(struct qb_sqlite **link);

/* Waits for this process's other writers, then begins. */
QB_MUST_USE bool qb_sqlite_begin(struct qb_sqlite *link, struct qb_error *error);
/* Ends what qb_sqlite_begin() began, also when that is a rollback. False: it was not committed. */
QB_MUST_USE bool qb_sqlite_end(struct qb_sqlite *link, bool do_commit, struct qb_error *error);

/* Runs a text of several statements (migrations, pragmas). */
QB_MUST_USE bool qb_sqlite_run(struct qb_sqlite *link, const char *sql, struct qb_error *error);

/* The statement of `sql`, a literal: prepared at its first use, reset at each. Aborts on a text
 * that SQLite does not understand: that is a bug. Any other failure, as of a disk that cannot be
 * read, is the one of its first step; the next use tries again. */
struct qb_statement *qb_sql(struct qb_sqlite *link, const char *sql);

/* Parameters from 1. Texts and blobs are borrowed until the statement is used again. */
void qb_bind_int(struct qb_statement *statement, int at, int64_t value);
void qb_bind_text(struct qb_statement *statement, int at, const char *text);
void qb_bind_blob(struct qb_statement *statement, int at, const void *bytes, size_t length);

enum qb_step {
    QB_STEP_ROW,
    QB_STEP_DONE,
    QB_STEP_TAKEN, /* a unique value is taken */
    QB_STEP_FAILED,
};

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

/* Rows changed by the last statement. */
int64_t qb_sqlite_changes(struct qb_sqlite *link);
/* The newest row id inserted by this connection. */
int64_t qb_sqlite_last_id(struct qb_sqlite *link);
/* Moves what the log holds into the database; for a thread that may wait. */
void qb_sqlite_checkpoint(struct qb_sqlite *link);
