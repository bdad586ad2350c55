/*
 * New, empty schemas in a real Postgres of this test's own, for the tests of what stands on it.
 * Whatever fails here ends the program.
 */
#pragma once

#include <stdbool.h>

#include "storage/migrate.h"
#include "storage/postgres.h"

/* Ends the program with a message unless that holds. */
void qb_must(bool is_true, const char *what);

/* A new schema; the first starts `parts` of the stack. Tables are made where it is. */
struct qb_postgres *qb_schema_new(const char *parts);

/* The newest schema on a replica; `number` from 0. */
struct qb_postgres *qb_schema_replica(unsigned number);

/* The address of that replica, for the superuser. */
void qb_schema_operator_url(unsigned number, char *url, size_t room);

struct qb_sql_link *qb_schema_connect(struct qb_postgres *schema);

/* Returns how many migrations were applied. */
size_t qb_schema_migrate(struct qb_postgres *schema);
