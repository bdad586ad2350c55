/*
 * The driver for Postgres. The only file that knows its library.
 *
 * A connection that broke fails the call that finds out, and all until the end of that transaction;
 * the next call connects again, and after failures only every so often. Every call ends within its
 * limit of time, also when the server hangs. No pooler that shares one session among several
 * clients may stand between: statements are prepared.
 */
#pragma once

#include "storage/sql.h"

struct qb_postgres; /* where the server is */

/* A primary is connected to only where may be written. A replica has shorter limits of time, since
 * what it does not answer the primary can. */
enum qb_postgres_role { QB_POSTGRES_PRIMARY, QB_POSTGRES_REPLICA, QB_POSTGRES_ROLES };

/* `url` as in DATABASE_URL, copied. Null with `error` set when it cannot be read; nothing is
 * connected yet. */
struct qb_postgres *qb_postgres_new(const char *url, enum qb_postgres_role role,
                                    struct qb_error *error);
/* After its last connection. */
void qb_postgres_free(struct qb_postgres **postgres);

/* A connection. Null with `error` set. */
struct qb_sql_link *qb_postgres_open(struct qb_postgres *postgres, struct qb_error *error);
/* The same, made by its first use, which fails if it cannot be. */
struct qb_sql_link *qb_postgres_open_later(struct qb_postgres *postgres);

/* How many commits this process has sent there, over all connections. Any thread. */
uint64_t qb_postgres_commits(const struct qb_postgres *postgres);

/* A parameter of any type of the server's catalogue, in its binary form; borrowed as all are. */
void qb_postgres_bind(struct qb_statement *statement, int at, unsigned type, const void *bytes,
                      size_t length);
