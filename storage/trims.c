#include "storage/trims.h"

#include <string.h>

/* The lock's number says whose it is to who looks at pg_locks. */
#define TRIM_LOCK "1364344401"

bool qb_trims_turn(struct qb_sql_link *link, bool *is_mine, struct qb_error *error)
{
    /* A session that has the lock does not take it once more: it would have to give it back twice.
     */
    struct qb_statement *query = qb_sql(
        link, "SELECT CAST(CASE WHEN EXISTS (SELECT 1 FROM pg_locks WHERE locktype = 'advisory' "
              "AND objid = " TRIM_LOCK " AND pid = pg_backend_pid() AND granted) THEN true ELSE "
              "pg_try_advisory_lock(" TRIM_LOCK ") END AS integer), coalesce((SELECT min(name) "
              "FROM pg_settings WHERE name IN ('fsync', 'full_page_writes', 'synchronous_commit') "
              "AND setting = 'off'), '')");

    if (qb_step(query, error) != QB_STEP_ROW) return false;
    *is_mine = qb_column_int(query, 0) != 0;
    const char *unsafe = qb_column_text(query, 1);
    if (unsafe[0] != '\0') {
        (void)qb_error_set(error,
                           "Postgres may lose what it has committed, so everything stays in "
                           "Redis: set %s to on",
                           unsafe);
    }
    bool is_safe = unsafe[0] == '\0';
    qb_sql_end(query);
    return is_safe;
}
