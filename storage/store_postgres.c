#include "storage/store_postgres.h"

static struct qb_sql_link *connect(void *database, bool is_now, struct qb_error *error)
{
    return is_now ? qb_postgres_open(database, error) : qb_postgres_open_later(database);
}

struct qb_store *qb_store_postgres_new(struct qb_postgres *postgres)
{
    return qb_store_sql_new(connect, postgres);
}

bool qb_store_postgres_ahead(struct qb_sql_link *link, struct qb_error *error)
{
    struct qb_statement *make = qb_sql(link, "SELECT ledger_ahead()");
    bool is_made = qb_step(make, error) == QB_STEP_ROW;

    qb_sql_end(make);
    return is_made;
}
