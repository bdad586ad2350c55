/*
 * The store on a database that speaks SQL: what is the same for all of them.
 */
#pragma once

#include "storage/sql.h"
#include "storage/store.h"

/* A new connection of the calling thread, or (not `is_now`) one that is made by its first use. Null
 * with `error` set. */
typedef struct qb_sql_link *qb_store_connect(void *database, bool is_now, struct qb_error *error);

/* `database` is handed to `connect`, is migrated, and outlives the store. */
struct qb_store *qb_store_sql_new(qb_store_connect *connect, void *database);

/* The connection of a link, for what shares the archiver's transaction. */
struct qb_sql_link *qb_store_sql_link(struct qb_store_link *link);
