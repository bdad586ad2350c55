/*
 * The store on the embedded database.
 */
#pragma once

#include "storage/sqlite.h"
#include "storage/store_sql.h"

/* `database` is kept, is migrated, and outlives the store. */
struct qb_store *qb_store_sqlite_new(struct qb_database *database);
