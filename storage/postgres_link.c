#include "storage/postgres_link.h"

#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/metrics.h"

#define RETRY_FIRST_US (100 * QB_MS_US)
#define RETRY_LAST_US  (5 * QB_SECOND_US)
#define STATE_UNIQUE   "23505"
#define STATE_SYNTAX   "42601"

struct qb_postgres {
    enum qb_postgres_role role;
    _Atomic uint64_t commits;
    char url[]; /* holds the password: never in an error or a log */
};

/* The server's own limit for a statement comes before ours for the answer. */
static const struct {
    const char *name; /* in metrics */
    const char *connect_seconds;
    const char *unacknowledged_ms;
    const char *setup;
    const char *where;
    int64_t answer_us;
} limits[QB_POSTGRES_ROLES] = {
#define SETUP(statement_ms)                                                                        \
    "SET statement_timeout = " #statement_ms "; SET idle_in_transaction_session_timeout = 60000; " \
    "SET client_min_messages = warning; SET tcp_keepalives_idle = 5; "                             \
    "SET tcp_keepalives_interval = 2; SET tcp_keepalives_count = 3; SET tcp_user_timeout = 10000"
    [QB_POSTGRES_PRIMARY] = {"primary", "3", "5000", SETUP(5000), "read-write", 7 * QB_SECOND_US},
    [QB_POSTGRES_REPLICA] = {"replica", "2", "2000", SETUP(1000), "any", 2 * QB_SECOND_US},
};

struct qb_postgres *qb_postgres_new(const char *url, enum qb_postgres_role role,
                                    struct qb_error *error)
{
    char *message = NULL; /* may hold the address, and with it the password */
    PQconninfoOption *options = PQconninfoParse(url, &message);
    size_t bytes = strlen(url) + 1;

    PQfreemem(message);
    if (options == NULL) {
        (void)qb_error_set(error, "the address of Postgres cannot be read: write "
                                  "postgresql://user:password@host:port/database");
        return NULL;
    }
    PQconninfoFree(options);
    struct qb_postgres *postgres = malloc(sizeof *postgres + bytes);
    QB_ASSERT(postgres != NULL);
    postgres->role = role;
    atomic_init(&postgres->commits, 0);
    (void)memcpy(postgres->url, url, bytes);
    return postgres;
}

void qb_postgres_free(struct qb_postgres **postgres)
{
    free(*postgres);
    *postgres = NULL;
}

/* Only the first line: the others may quote a value. */
bool qb_postgres_fail(const char *message, struct qb_error *error)
{
    int length = (int)strcspn(message, "\n");
    return qb_error_set(error, "Postgres: %.*s", length, message);
}

void qb_postgres_lose(struct qb_postgres_link *link)
{
    PQfinish(link->connection);
    link->connection = NULL;
}

/* Sends what waits and reads until a result is there. False: the connection is lost. */
static bool await(struct qb_postgres_link *link, int64_t until_us, struct qb_error *error)
{
    for (;;) {
        int unsent = PQflush(link->connection);
        if (unsent == 0 && PQisBusy(link->connection) == 0) return true;
        struct pollfd wait = {.fd = PQsocket(link->connection),
                              .events = (short)(unsent > 0 ? POLLIN | POLLOUT : POLLIN)};
        int64_t left_us = until_us - qb_clock_mono_us();
        int ready = left_us > 0 ? poll(&wait, 1, (int)(left_us / QB_MS_US) + 1) : 0;
        if (ready == 0 && left_us <= 0) return qb_postgres_fail("no answer in time", error);
        if (unsent < 0 || (ready > 0 && PQconsumeInput(link->connection) == 0)) {
            return qb_postgres_fail(PQerrorMessage(link->connection), error);
        }
    }
}

PGresult *qb_postgres_collect(struct qb_postgres_link *link, int64_t limit_us,
                              struct qb_error *error)
{
    int64_t wait_us = limit_us > 0 ? limit_us : limits[link->where->role].answer_us;
    int64_t until_us = qb_clock_mono_us() + wait_us;
    PGresult *kept = NULL;

    for (;;) {
        if (!await(link, until_us, error)) break;
        PGresult *next = PQgetResult(link->connection);
        if (next == NULL && PQstatus(link->connection) == CONNECTION_OK) return kept;
        if (next == NULL) {
            (void)qb_postgres_fail(PQerrorMessage(link->connection), error);
            break;
        }
        bool is_bad = kept != NULL && PQresultStatus(kept) == PGRES_FATAL_ERROR;
        PQclear(is_bad ? next : kept);
        if (!is_bad) kept = next;
    }
    if (kept != NULL && PQresultStatus(kept) == PGRES_FATAL_ERROR) { /* why it hung up */
        (void)qb_postgres_fail(PQresultErrorField(kept, PG_DIAG_MESSAGE_PRIMARY), error);
    }
    PQclear(kept);
    qb_postgres_lose(link);
    return NULL;
}

enum qb_step qb_postgres_outcome(PGresult *result, struct qb_error *error)
{
    if (result == NULL) return QB_STEP_FAILED;
    ExecStatusType status = PQresultStatus(result);
    if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK) {
        PQclear(result);
        return QB_STEP_DONE;
    }
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    bool is_taken = state != NULL && strcmp(state, STATE_UNIQUE) == 0;
    QB_ASSERT(state == NULL || strcmp(state, STATE_SYNTAX) != 0);
    if (!is_taken)
        (void)qb_postgres_fail(message != NULL ? message : "an error without a text", error);
    PQclear(result);
    return is_taken ? QB_STEP_TAKEN : QB_STEP_FAILED;
}

bool qb_postgres_send(struct qb_postgres_link *link, const char *sql, int64_t limit_us,
                      struct qb_error *error)
{
    if (PQsendQuery(link->connection, sql) == 0) {
        (void)qb_postgres_fail(PQerrorMessage(link->connection), error);
        qb_postgres_lose(link);
        return false;
    }
    return qb_postgres_outcome(qb_postgres_collect(link, limit_us, error), error) == QB_STEP_DONE;
}

static void ignore_notice(void *context, const PGresult *result)
{
    (void)context;
    (void)result;
}

bool qb_postgres_setup(struct qb_postgres_link *link, struct qb_error *error)
{
    return qb_postgres_send(link, limits[link->where->role].setup, 0, error);
}

void qb_postgres_committed(struct qb_postgres_link *link)
{
    atomic_fetch_add(&link->where->commits, 1);
}

uint64_t qb_postgres_commits(const struct qb_postgres *postgres)
{
    return atomic_load(&postgres->commits);
}

static bool connect_now(struct qb_postgres_link *link, struct qb_error *error)
{
    enum qb_postgres_role role = link->where->role;
    const char *const names[] = {"dbname",
                                 "connect_timeout",
                                 "target_session_attrs",
                                 "fallback_application_name",
                                 "tcp_user_timeout",
                                 "keepalives_idle",
                                 NULL};
    const char *const values[] = {link->where->url,
                                  limits[role].connect_seconds,
                                  limits[role].where,
                                  "quickbid",
                                  limits[role].unacknowledged_ms,
                                  "10",
                                  NULL};

    link->connection = PQconnectdbParams(names, values, 1);
    QB_ASSERT(link->connection != NULL);
    if (PQstatus(link->connection) != CONNECTION_OK || PQsetnonblocking(link->connection, 1) != 0) {
        (void)qb_postgres_fail(PQerrorMessage(link->connection), error);
        qb_postgres_lose(link);
        return false;
    }
    link->connections++;
    qb_metric_add(QB_METRIC_store_connects_total, limits[role].name, 1);
    (void)PQsetNoticeReceiver(link->connection, ignore_notice, NULL); /* else: standard error */
    return qb_postgres_setup(link, error);
}

bool qb_postgres_ensure(struct qb_postgres_link *link, struct qb_error *error)
{
    if (link->connection != NULL) return true;
    if (link->is_writing)
        return qb_postgres_fail("the connection was lost within the transaction", error);
    int64_t now_us = qb_clock_mono_us();
    if (now_us < link->retry_at_us) {
        return qb_error_set(error, "Postgres: not connected; the next attempt is in %lld ms",
                            (long long)((link->retry_at_us - now_us) / QB_MS_US));
    }
    bool is_connected = connect_now(link, error);
    int64_t doubled_us = link->retry_wait_us * 2;
    if (doubled_us < RETRY_FIRST_US) doubled_us = RETRY_FIRST_US;
    if (doubled_us > RETRY_LAST_US) doubled_us = RETRY_LAST_US;
    link->retry_wait_us = is_connected ? 0 : doubled_us;
    link->retry_at_us = qb_clock_mono_us() + link->retry_wait_us;
    return is_connected;
}
