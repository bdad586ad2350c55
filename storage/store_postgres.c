#include "storage/store_postgres.h"

static struct qb_sql_link *connect(void *database, struct qb_error *error)
{
    return qb_postgres_open(database, error);
}

struct qb_store *qb_store_postgres_new(struct qb_postgres *postgres)
{
    return qb_store_sql_new(connect, postgres);
}
