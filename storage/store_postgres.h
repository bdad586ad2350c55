/*
 * The store on Postgres.
 */
#pragma once

#include "storage/postgres.h"
#include "storage/store_sql.h"

/* `postgres` is kept, is migrated, and outlives the store. */
struct qb_store *qb_store_postgres_new(struct qb_postgres *postgres);

/* Makes the tables in which entries and bids of the coming months will lie, once a day or so. False
 * with `error` set: later, then; months are made ahead, and what has no table of its own lies in a
 * common one. */
QB_MUST_USE bool qb_store_postgres_ahead(struct qb_sql_link *link, struct qb_error *error);
