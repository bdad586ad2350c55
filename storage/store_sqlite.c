#include "storage/store_sqlite.h"

static struct qb_sql_link *connect(void *database, bool is_now, struct qb_error *error)
{
    (void)is_now; /* a file is there or not */
    return qb_sqlite_open(database, error);
}

struct qb_store *qb_store_sqlite_new(struct qb_database *database)
{
    return qb_store_sql_new(connect, database);
}
