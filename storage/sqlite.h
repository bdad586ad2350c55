/*
 * The driver for SQLite. The only file that knows the library.
 *
 * A database belongs to the process; a connection to one thread. Writers of the process take turns
 * through one mutex, so that SQLite's own lock is never waited for and a bid's commit waits only
 * for a short transaction before it.
 */
#pragma once

#include "storage/sql.h"

struct qb_database;

/* The database file, made if it is not there. Null with `error` set. */
struct qb_database *qb_database_open(const char *path, struct qb_error *error);
/* After its last connection. */
void qb_database_free(struct qb_database **database);

/* A connection: WAL, synchronous=FULL, foreign keys. Null with `error` set. */
struct qb_sql_link *qb_sqlite_open(struct qb_database *database, struct qb_error *error);

/* For connections of this driver: */

/* The newest row id inserted by this connection. */
int64_t qb_sqlite_last_id(struct qb_sql_link *link);
/* Moves what the log holds into the database; for a thread that may wait. What readers still need
 * stays, and while writers go on the file does not shrink: see qb_sqlite_log_empty(). */
void qb_sqlite_checkpoint(struct qb_sql_link *link);
/* Bytes of the log's file. */
int64_t qb_sqlite_log_bytes(struct qb_sql_link *link);
/* Moves all of it and makes the file empty; writers wait for that, 50 ms at most for readers.
 * False: one still reads an old state; try again later. */
QB_MUST_USE bool qb_sqlite_log_empty(struct qb_sql_link *link);
