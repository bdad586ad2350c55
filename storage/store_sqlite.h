/*
 * The store on the embedded database.
 */
#pragma once

#include "storage/sqlite.h"
#include "storage/store.h"

/* `database` is kept, is migrated, and outlives the store. */
struct qb_store *qb_store_sqlite_new(struct qb_database *database);

/* The connection of a link, for the journal to settle in the archiver's transaction. */
struct qb_sqlite *qb_store_sqlite_link(struct qb_store_link *link);
