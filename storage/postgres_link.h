/*
 * One connection to Postgres: made, lost and made again, with a limit of time for each answer.
 * Private to storage/postgres*.c; the only file that includes the library's header.
 */
#pragma once

#include <libpq-fe.h>

#include "base/clock.h"
#include "storage/postgres.h"

#define QB_POSTGRES_NO_LIMIT_US (24 * 3600 * QB_SECOND_US)

struct qb_postgres_link {
    struct qb_postgres *where;
    PGconn *connection;   /* null: lost */
    unsigned connections; /* made so far */
    bool is_writing;      /* within a transaction: a lost connection is not made again */
    int64_t retry_wait_us;
    int64_t retry_at_us;
};

/* Sets what holds for the session; again after it was changed. */
QB_MUST_USE bool qb_postgres_setup(struct qb_postgres_link *link, struct qb_error *error);

/* A commit was sent, whatever came of it. */
void qb_postgres_committed(struct qb_postgres_link *link);

/* Sets `error` to the first line of the library's `message`. Returns false. */
bool qb_postgres_fail(const char *message, struct qb_error *error);

/* There is a connection, perhaps a new one. */
QB_MUST_USE bool qb_postgres_ensure(struct qb_postgres_link *link, struct qb_error *error);

/* Gives the connection up. */
void qb_postgres_lose(struct qb_postgres_link *link);

/* The outcome of what was sent: the first error, else the last result. Null: the connection was
 * lost, and `error` is set. `limit_us` 0: that of an answer. */
PGresult *qb_postgres_collect(struct qb_postgres_link *link, int64_t limit_us,
                              struct qb_error *error);

/* What a result, taken, says: DONE, TAKEN or FAILED. Null is FAILED. */
enum qb_step qb_postgres_outcome(PGresult *result, struct qb_error *error);

/* Sends statements without parameters and waits for their end. */
QB_MUST_USE bool qb_postgres_send(struct qb_postgres_link *link, const char *sql, int64_t limit_us,
                                  struct qb_error *error);
