/*
 * Numbered SQL files, each applied once, in order, in a transaction of its own, and recorded with
 * its SHA-256. Forward only.
 */
#pragma once

#include <stddef.h>

#include "base/error.h"
#include "storage/sql.h"

struct qb_migration {
    unsigned number; /* from 1 without gaps */
    const char *name;
    const char *sql;
};

/* Those of this program, embedded at build. */
const struct qb_migration *qb_migrations_sqlite(size_t *count);
const struct qb_migration *qb_migrations_postgres(size_t *count);

/* Applies what is missing; of several programs that do so at once, one does it. False with `error`
 * set when an applied file differs from ours, or the database is newer than this program. `applied`
 * (may be null) gets how many were new. */
QB_MUST_USE bool qb_migrate(struct qb_sql_link *link, const struct qb_migration *migrations,
                            size_t count, size_t *applied, struct qb_error *error);

/* Whether there is nothing to apply and nothing newer; `error` then says what to do about it.
 * False: the database could not be asked. */
QB_MUST_USE bool qb_migrate_check(struct qb_sql_link *link, const struct qb_migration *migrations,
                                  size_t count, bool *is_current, struct qb_error *error);
