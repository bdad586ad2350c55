#include "storage/hearers.h"

/* The lock's number says whose it is to who looks at pg_locks: "QHER". */
#define LOCK "1363690834"

/* Sessions of this database that hold it; other databases of the server have locks of their own. */
#define HOLDERS                                                                                    \
    "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND classid = 0 AND objid = " LOCK         \
    " AND objsubid = 1 AND granted AND database = (SELECT oid FROM pg_database WHERE datname = "   \
    "current_database()) AND pid "

static bool ask(struct qb_sql_link *link, const char *sql, bool *answer, struct qb_error *error)
{
    struct qb_statement *query = qb_sql(link, sql);
    enum qb_step step = qb_step(query, error);

    if (step == QB_STEP_ROW) *answer = qb_column_int(query, 0) != 0;
    qb_sql_end(query);
    if (step == QB_STEP_DONE) return qb_error_set(error, "no answer about who hears the bus");
    return step == QB_STEP_ROW;
}

bool qb_hearers_say(struct qb_sql_link *link, bool hears, struct qb_error *error)
{
    bool is_held = false;

    /* A session counts how often it took a lock: once is enough. */
    if (!hears) {
        return ask(link,
                   "SELECT CASE WHEN EXISTS (" HOLDERS "= pg_backend_pid()) THEN "
                   "CAST(pg_advisory_unlock_shared(" LOCK ") AS integer) ELSE 0 END",
                   &is_held, error);
    }
    QB_TRY(ask(link,
               "SELECT CASE WHEN EXISTS (" HOLDERS "= pg_backend_pid()) THEN 1 ELSE "
               "CAST(pg_try_advisory_lock_shared(" LOCK ") AS integer) END",
               &is_held, error));
    return is_held || qb_error_set(error, "somebody else holds the lock of who hears the bus");
}

bool qb_hearers_others(struct qb_sql_link *link, bool *is_there, struct qb_error *error)
{
    return ask(link, "SELECT CAST(EXISTS (" HOLDERS "<> pg_backend_pid()) AS integer)", is_there,
               error);
}
