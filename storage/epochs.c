#include "storage/epochs.h"

#include <string.h>

#include "base/assert.h"
#include "base/attributes.h"

/* What a marker's message and the table have room for. */
#define MARKER_MAX INT16_MAX

/* The session leads: one that broke and came back holds no lock. */
#define IS_LEADER                                                                                  \
    "EXISTS (SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND objid "                        \
    "= " QB_EPOCHS_LEADER_LOCK " AND pid = pg_backend_pid() AND granted)"

/* Each state's name, and from which one it is reached. */
static const struct {
    const char *name;
    const char *before;
    const char *or_before; /* a leader died there */
} states[QB_EPOCH_STATES] = {
    [QB_EPOCH_SEALING] = {"SEALING", "OPEN", "OPENING"},
    [QB_EPOCH_REBUILDING] = {"REBUILDING", "SEALING", "SEALING"},
    [QB_EPOCH_OPENING] = {"OPENING", "REBUILDING", "REBUILDING"},
    [QB_EPOCH_OPEN] = {"OPEN", "OPENING", "OPENING"},
};

const char *qb_epoch_state_name(enum qb_epoch_state state)
{
    QB_ASSERT(state < QB_EPOCH_STATES);
    return states[state].name;
}

static bool state_of(const char *name, uint8_t *state)
{
    for (size_t i = 0; i < QB_COUNT(states); i++) {
        if (strcmp(states[i].name, name) != 0) continue;
        *state = (uint8_t)i;
        return true;
    }
    return false;
}

/* The one row of a query, else `error`. */
static bool one_row(struct qb_statement *query, const char *missing, struct qb_error *error)
{
    enum qb_step step = qb_step(query, error);

    if (step == QB_STEP_ROW) return true;
    qb_sql_end(query);
    return step != QB_STEP_FAILED ? qb_error_set(error, "%s", missing) : false;
}

static bool read_row(struct qb_statement *query, struct qb_epoch *epoch, struct qb_error *error)
{
    QB_TRY(one_row(query, "the table recovery has no row: run quickbid migrate", error));
    epoch->epoch = (uint32_t)qb_column_int(query, 0);
    bool is_known = state_of(qb_column_text(query, 1), &epoch->state);
    epoch->opened_us = qb_column_int(query, 2);
    is_known = qb_ack_parse(qb_column_text(query, 3), &epoch->ack) && is_known;
    qb_sql_end(query);
    return is_known || qb_error_set(error, "the table recovery has a state that is unknown here");
}

bool qb_epochs_read(struct qb_sql_link *link, struct qb_epoch *epoch, struct qb_error *error)
{
    return read_row(qb_sql(link, "SELECT epoch, state, opened_us, ack FROM recovery"), epoch,
                    error);
}

bool qb_epochs_share(struct qb_sql_link *link, uint32_t *epoch_least, struct qb_error *error)
{
    struct qb_epoch epoch;

    QB_TRY(read_row(qb_sql(link, "SELECT epoch, state, opened_us, ack FROM recovery FOR SHARE"),
                    &epoch, error));
    *epoch_least = epoch.epoch + (epoch.state == QB_EPOCH_REBUILDING);
    return true;
}

static bool ask_lock(struct qb_sql_link *link, const char *sql, bool *answer,
                     struct qb_error *error)
{
    struct qb_statement *query = qb_sql(link, sql);

    QB_TRY(one_row(query, "no answer about the lock of recovery", error));
    *answer = qb_column_int(query, 0) != 0;
    qb_sql_end(query);
    return true;
}

bool qb_epochs_lead(struct qb_sql_link *link, bool *is_leader, struct qb_error *error)
{
    return ask_lock(link, "SELECT CAST(pg_try_advisory_lock(" QB_EPOCHS_LEADER_LOCK ") AS integer)",
                    is_leader, error);
}

bool qb_epochs_resign(struct qb_sql_link *link, struct qb_error *error)
{
    bool was_leader = false;
    return ask_lock(link, "SELECT CAST(pg_advisory_unlock(" QB_EPOCHS_LEADER_LOCK ") AS integer)",
                    &was_leader, error);
}

void qb_epochs_tell_step(struct qb_sql_link *link, const char *step, const char *who)
{
    /* 63 bytes are what Postgres keeps of it. */
    static const char tell[] =
        "SELECT set_config('application_name', left('" QB_EPOCHS_STEP_WORDS "' || "
        "CAST(CAST(EXTRACT(EPOCH FROM clock_timestamp()) AS bigint) AS text) || ' ' || ?1 || ' ' "
        "|| ?2, 63), false)";
    static const char end[] = "SELECT set_config('application_name', 'quickbid', false)";
    struct qb_statement *query = qb_sql(link, step != NULL ? tell : end);
    struct qb_error ignored;

    if (step != NULL) {
        qb_bind_text(query, 1, step);
        qb_bind_text(query, 2, who);
    }
    (void)qb_step(query, &ignored);
    qb_sql_end(query);
}

static bool run(struct qb_sql_link *link, struct qb_statement *statement, const char *unchanged,
                struct qb_error *error)
{
    enum qb_step step = qb_step(statement, error);

    qb_sql_end(statement);
    if (step == QB_STEP_FAILED) return false;
    if (unchanged == NULL || qb_sql_changes(link) == 1) return true;
    return qb_error_set(error, "%s", unchanged);
}

bool qb_epochs_move(struct qb_sql_link *link, uint32_t epoch, enum qb_epoch_state to,
                    qb_time_us opened_us, struct qb_error *error)
{
    struct qb_statement *move = qb_sql(
        link, "UPDATE recovery SET epoch = ?1, state = ?2, opened_us = ?3, attempt = CASE WHEN "
              "epoch = ?1 THEN attempt ELSE 0 END WHERE epoch = ?4 AND state IN (?5, ?6, ?2) "
              "AND " IS_LEADER);

    QB_ASSERT(to < QB_EPOCH_STATES);
    qb_bind_int(move, 1, epoch);
    qb_bind_text(move, 2, states[to].name);
    qb_bind_int(move, 3, opened_us);
    qb_bind_int(move, 4, to == QB_EPOCH_OPENING ? (int64_t)epoch - 1 : epoch);
    qb_bind_text(move, 5, states[to].before);
    qb_bind_text(move, 6, states[to].or_before);
    return run(link, move, "another leader has moved the epoch, or leads by now", error);
}

bool qb_epochs_attempt(struct qb_sql_link *link, uint32_t epoch, unsigned *marker,
                       struct qb_error *error)
{
    struct qb_statement *begin =
        qb_sql(link, "UPDATE recovery SET attempt = attempt + 1 WHERE epoch = ?1 AND state = ?2 "
                     "AND " IS_LEADER " RETURNING attempt");

    qb_bind_int(begin, 1, epoch);
    qb_bind_text(begin, 2, states[QB_EPOCH_SEALING].name);
    QB_TRY(one_row(begin, "another leader has moved the epoch, or leads by now", error));
    int64_t attempt = qb_column_int(begin, 0);
    qb_sql_end(begin);
    if (attempt > MARKER_MAX / 2)
        return qb_error_set(error,
                            "epoch %u was begun to be drained %lld times: see why that fails; "
                            "then, with the queues of the journal empty, empty the table drained "
                            "and set recovery.attempt to 0",
                            epoch, (long long)attempt - 1);
    *marker = (unsigned)attempt * 2 - 1;
    return true;
}

bool qb_epochs_choose_ack(struct qb_sql_link *link, uint32_t epoch, enum qb_ack ack,
                          struct qb_error *error)
{
    struct qb_statement *choose = qb_sql(link, "UPDATE recovery SET ack = ?1 WHERE epoch = ?2 AND "
                                               "state = 'REBUILDING' AND " IS_LEADER);

    qb_bind_text(choose, 1, qb_ack_name(ack));
    qb_bind_int(choose, 2, epoch);
    return run(link, choose, "another leader has moved the epoch, or leads by now", error);
}

bool qb_epochs_drained(struct qb_sql_link *link, uint32_t epoch, unsigned shard, unsigned number,
                       struct qb_error *error)
{
    struct qb_statement *add =
        qb_sql(link, "INSERT INTO drained (epoch, shard, number) VALUES (?1, ?2, ?3) ON CONFLICT "
                     "DO NOTHING");

    qb_bind_int(add, 1, epoch);
    qb_bind_int(add, 2, shard);
    qb_bind_int(add, 3, number);
    return run(link, add, NULL, error);
}

bool qb_epochs_drained_count(struct qb_sql_link *link, uint32_t epoch, unsigned number,
                             unsigned *count, struct qb_error *error)
{
    struct qb_statement *query =
        qb_sql(link, "SELECT count(*) FROM drained WHERE epoch = ?1 AND number = ?2");

    qb_bind_int(query, 1, epoch);
    qb_bind_int(query, 2, number);
    QB_TRY(one_row(query, "no answer about drained shards", error));
    *count = (unsigned)qb_column_int(query, 0);
    qb_sql_end(query);
    return true;
}
