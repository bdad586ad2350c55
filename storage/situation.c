#include "storage/situation.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIVE "status IN (1, 2)"

/* The one row of a query of counts; false when it fails. */
static bool row(struct qb_statement *query, struct qb_error *error)
{
    enum qb_step step = qb_step(query, error);

    if (step == QB_STEP_ROW) return true;
    qb_sql_end(query);
    return step != QB_STEP_FAILED ? qb_error_set(error, "Postgres: no answer to a count") : false;
}

/* "quickbid recovery <second> <step> <process>@<host>", see qb_epochs_tell_step(). */
static void take_words(struct qb_situation_leader *leader, const char *words, int64_t now_s)
{
    const char *said = words + strlen(QB_EPOCHS_STEP_WORDS);
    char *end = NULL;

    if (strncmp(words, QB_EPOCHS_STEP_WORDS, strlen(QB_EPOCHS_STEP_WORDS)) != 0) return;
    int64_t second = strtoll(said, &end, 10);
    if (end == said || *end != ' ') return;
    size_t length = strcspn(end + 1, " ");
    (void)snprintf(leader->step, sizeof leader->step, "%.*s", (int)length, end + 1);
    const char *name = end + 1 + length;
    (void)snprintf(leader->name, sizeof leader->name, "%s", *name == ' ' ? name + 1 : "");
    leader->step_s = now_s > second ? now_s - second : 0;
}

static bool read_leader(struct qb_sql_link *link, struct qb_situation_leader *leader,
                        struct qb_error *error)
{
    struct qb_statement *query = qb_sql(
        link, "SELECT a.pid, coalesce(host(a.client_addr), 'the machine of Postgres'), "
              "a.application_name, CAST(EXTRACT(EPOCH FROM clock_timestamp()) AS bigint) "
              "FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid WHERE l.locktype = "
              "'advisory' AND l.objid = " QB_EPOCHS_LEADER_LOCK " AND l.granted AND l.database = "
              "(SELECT oid FROM pg_database WHERE datname = current_database())");
    enum qb_step step = qb_step(query, error);

    *leader = (struct qb_situation_leader){.is_there = step == QB_STEP_ROW};
    if (step == QB_STEP_ROW) {
        leader->backend = qb_column_int(query, 0);
        qb_column_copy(query, 1, leader->address, sizeof leader->address);
        take_words(leader, qb_column_text(query, 2), qb_column_int(query, 3));
    }
    qb_sql_end(query);
    return step != QB_STEP_FAILED;
}

static bool read_counts(struct qb_sql_link *link, struct qb_situation *situation,
                        struct qb_error *error)
{
    struct qb_statement *query =
        qb_sql(link, "SELECT (SELECT count(*) FROM auctions WHERE " LIVE "), (SELECT count(*) FROM "
                     "staging), (SELECT count(*) FROM conflicts), (SELECT count(DISTINCT auction) "
                     "FROM conflicts)");

    QB_TRY(row(query, error));
    situation->auctions = qb_column_int(query, 0);
    situation->staged = qb_column_int(query, 1);
    situation->quarantined = qb_column_int(query, 2);
    situation->halted = qb_column_int(query, 3);
    qb_sql_end(query);
    return true;
}

bool qb_situation_read(struct qb_sql_link *link, struct qb_situation *situation,
                       struct qb_error *error)
{
    *situation = (struct qb_situation){0};
    QB_TRY(qb_epochs_read(link, &situation->epoch, error));
    QB_TRY(read_leader(link, &situation->leader, error));
    for (unsigned i = 0; i < 2; i++) {
        QB_TRY(qb_epochs_drained_count(link, situation->epoch.epoch, i + 1, &situation->drained[i],
                                       error));
    }
    return read_counts(link, situation, error);
}

bool qb_situation_applied(struct qb_sql_link *link, qb_situation_each *each, void *context,
                          struct qb_error *error)
{
    struct qb_statement *query =
        qb_sql(link, "SELECT id, applied_seq FROM auctions WHERE " LIVE " ORDER BY id");
    enum qb_step step = qb_step(query, error);

    for (; step == QB_STEP_ROW; step = qb_step(query, error)) {
        each(context, (qb_id)qb_column_int(query, 0), (uint64_t)qb_column_int(query, 1));
    }
    qb_sql_end(query);
    return step != QB_STEP_FAILED;
}
