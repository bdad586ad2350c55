/*
 * The store on Postgres.
 */
#pragma once

#include "storage/postgres.h"
#include "storage/store_sql.h"

/* `postgres` is kept, is migrated, and outlives the store. */
struct qb_store *qb_store_postgres_new(struct qb_postgres *postgres);
