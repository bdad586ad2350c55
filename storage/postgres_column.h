/*
 * One column of many rows as one parameter of a statement on Postgres: rows that are written
 * together cost one round trip, `INSERT … SELECT * FROM unnest(?, ?)`.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/text.h"
#include "storage/sql.h"

enum qb_postgres_type { QB_POSTGRES_INT8, QB_POSTGRES_BYTES };

struct qb_postgres_column {
    enum qb_postgres_type type;
    uint32_t count;
    struct qb_text bytes; /* as the server reads it */
};

/* An empty column; what it had is gone. */
void qb_postgres_column_clear(struct qb_postgres_column *column, enum qb_postgres_type type);
void qb_postgres_column_fini(struct qb_postgres_column *column);

void qb_postgres_column_int(struct qb_postgres_column *column, int64_t value);
void qb_postgres_column_bytes(struct qb_postgres_column *column, const void *bytes, size_t length);

/* Parameter `at` of a statement of a Postgres link; borrowed until the statement is used again. */
void qb_postgres_bind_column(struct qb_statement *statement, int at,
                             struct qb_postgres_column *column);
