#include "storage/postgres.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/log.h"
#include "storage/postgres_link.h"

#define STATEMENTS_MAX   160
#define PARAMETERS_MAX   16
#define NAME_BYTES       16
#define LOGGED_BYTES     120
#define SLOW_US          QB_SECOND_US
#define MIGRATION_LOCK   "7094165810273" /* any number that nobody else takes */
#define FORMAT_BINARY    1
#define RESULT_IN_BINARY 1

/* Type numbers of the server's catalogue; fixed. */
enum { TYPE_BYTES = 17, TYPE_INT8 = 20, TYPE_TEXT = 25 };

struct parameter {
    Oid type;
    int length;
    const char *value;
    uint8_t number[8]; /* of an integer, in network order */
};

struct postgres_statement {
    struct qb_statement statement;
    struct postgres *link;
    const char *sql;
    PGresult *result; /* null: not run yet */
    int row;          /* the current one */
    int parameter_count;
    unsigned prepared; /* on which connection, counted from 1; 0: on none */
    struct parameter parameters[PARAMETERS_MAX];
};

struct postgres {
    struct qb_sql_link link;
    struct qb_postgres_link server;
    int64_t changes;
    size_t statement_count;
    struct postgres_statement statements[STATEMENTS_MAX];
};

static struct postgres *mine(struct qb_sql_link *link)
{
    QB_ASSERT(link->driver->dialect == QB_SQL_POSTGRES);
    return (struct postgres *)link;
}

static bool run(struct qb_sql_link *link, const char *sql, struct qb_error *error)
{
    struct postgres *postgres = mine(link);
    return qb_postgres_ensure(&postgres->server, error) &&
           qb_postgres_send(&postgres->server, sql, QB_POSTGRES_NO_LIMIT_US, error);
}

static void close_link(struct qb_sql_link *link)
{
    struct postgres *old = mine(link);

    QB_ASSERT(!old->server.is_writing);
    for (size_t i = 0; i < old->statement_count; i++) PQclear(old->statements[i].result);
    qb_postgres_lose(&old->server);
    free(old);
}

static bool begin(struct qb_sql_link *link, struct qb_error *error)
{
    struct postgres *postgres = mine(link);

    QB_ASSERT(!postgres->server.is_writing);
    QB_TRY(qb_postgres_ensure(&postgres->server, error));
    QB_TRY(qb_postgres_send(&postgres->server, "BEGIN", 0, error));
    postgres->server.is_writing = true;
    return true;
}

static bool finish(struct qb_sql_link *link, bool do_commit, struct qb_error *error)
{
    struct postgres *postgres = mine(link);

    QB_ASSERT(postgres->server.is_writing);
    bool is_connected = qb_postgres_ensure(&postgres->server, error);
    postgres->server.is_writing = false;
    if (!is_connected) return false;
    /* After an error within, the server would answer a commit by rolling back. */
    bool is_spoilt = PQtransactionStatus(postgres->server.connection) == PQTRANS_INERROR;
    const char *sql = do_commit && !is_spoilt ? "COMMIT" : "ROLLBACK";
    bool is_done = qb_postgres_send(&postgres->server, sql, 0, error);
    qb_postgres_committed(&postgres->server);
    if (!do_commit || !is_spoilt || !is_done) return is_done;
    return qb_postgres_fail("an error had ended the transaction", error);
}

static bool lock(struct qb_sql_link *link, bool do_lock, struct qb_error *error)
{
    if (do_lock) {
        return run(link, "SET statement_timeout = 0; SELECT pg_advisory_lock(" MIGRATION_LOCK ")",
                   error);
    }
    return run(link, "SELECT pg_advisory_unlock(" MIGRATION_LOCK ")", error) &&
           qb_postgres_setup(&mine(link)->server, error);
}

static int64_t changes(struct qb_sql_link *link)
{
    return mine(link)->changes;
}

static void end(struct qb_statement *statement)
{
    struct postgres_statement *old = (struct postgres_statement *)statement;

    PQclear(old->result);
    old->result = NULL;
}

static struct qb_statement *statement_of(struct qb_sql_link *link, const char *sql)
{
    struct postgres *postgres = mine(link);
    struct postgres_statement *statement = postgres->statements;
    size_t i = 0;

    while (i < postgres->statement_count && postgres->statements[i].sql != sql) i++;
    QB_ASSERT(i < STATEMENTS_MAX);
    statement += i;
    if (i == postgres->statement_count) {
        postgres->statement_count++;
        statement->statement.driver = link->driver;
        statement->link = postgres;
        statement->sql = sql;
    }
    end(&statement->statement);
    statement->parameter_count = 0;
    return &statement->statement;
}

static struct parameter *bind(struct qb_statement *statement, int at, Oid type)
{
    struct postgres_statement *mine_too = (struct postgres_statement *)statement;

    QB_ASSERT(at >= 1 && at <= PARAMETERS_MAX);
    QB_ASSERT(at == mine_too->parameter_count + 1); /* in order, so that none is left out */
    mine_too->parameter_count = at;
    struct parameter *parameter = &mine_too->parameters[at - 1];
    QB_ASSERT(mine_too->prepared == 0 || parameter->type == type);
    parameter->type = type;
    return parameter;
}

static void bind_int(struct qb_statement *statement, int at, int64_t value)
{
    struct parameter *parameter = bind(statement, at, TYPE_INT8);

    for (int i = 0; i < 8; i++) {
        parameter->number[i] = (uint8_t)((uint64_t)value >> (56 - 8 * i));
    }
    parameter->value = (const char *)parameter->number;
    parameter->length = 8;
}

static void bind_text(struct qb_statement *statement, int at, const char *text)
{
    struct parameter *parameter = bind(statement, at, TYPE_TEXT);

    parameter->value = text;
    parameter->length = text != NULL ? (int)strlen(text) : 0;
}

static void bind_blob(struct qb_statement *statement, int at, const void *bytes, size_t length)
{
    struct parameter *parameter = bind(statement, at, TYPE_BYTES);

    QB_ASSERT(length <= INT32_MAX);
    parameter->value = bytes;
    parameter->length = (int)length;
}

void qb_postgres_bind(struct qb_statement *statement, int at, unsigned type, const void *bytes,
                      size_t length)
{
    struct parameter *parameter = bind(statement, at, type);

    QB_ASSERT(statement->driver->dialect == QB_SQL_POSTGRES && length <= INT32_MAX);
    parameter->value = bytes;
    parameter->length = (int)length;
}

/* ? and ?1 as $1. The text is the caller's to free. */
static char *translate(const char *sql)
{
    size_t room = strlen(sql) + 3 * PARAMETERS_MAX + 1;
    char *text = malloc(room);
    char *to = text;
    unsigned number = 0;

    QB_ASSERT(text != NULL);
    for (const char *from = sql; *from != '\0'; from++) {
        *to++ = *from == '?' ? '$' : *from;
        bool has_number = from[1] >= '0' && from[1] <= '9';
        if (*from == '?' && !has_number) {
            QB_ASSERT(number < PARAMETERS_MAX);
            to += snprintf(to, room - (size_t)(to - text), "%u", ++number);
        }
    }
    *to = '\0';
    return text;
}

static void name_of(const struct postgres_statement *statement, char name[NAME_BYTES])
{
    (void)snprintf(name, NAME_BYTES, "q%u", (unsigned)(statement - statement->link->statements));
}

static enum qb_step prepare(struct postgres_statement *statement, struct qb_error *error)
{
    struct qb_postgres_link *link = &statement->link->server;
    Oid types[PARAMETERS_MAX];
    char name[NAME_BYTES];

    if (statement->prepared == link->connections) return QB_STEP_DONE;
    for (int i = 0; i < statement->parameter_count; i++) types[i] = statement->parameters[i].type;
    name_of(statement, name);
    char *text = translate(statement->sql);
    int sent = PQsendPrepare(link->connection, name, text, statement->parameter_count, types);
    free(text);
    if (sent == 0) {
        (void)qb_postgres_fail(PQerrorMessage(link->connection), error);
        qb_postgres_lose(link);
        return QB_STEP_FAILED;
    }
    enum qb_step step = qb_postgres_outcome(qb_postgres_collect(link, 0, error), error);
    if (step == QB_STEP_DONE) statement->prepared = link->connections;
    return step;
}

/* Named by its text, which holds no data: every value is a parameter. */
static void tell_if_slow(const struct postgres_statement *statement, int64_t took_us)
{
    char text[LOGGED_BYTES];

    if (took_us < SLOW_US) return;
    (void)snprintf(text, sizeof text, "%s", statement->sql);
    qb_log(QB_LOG_WARNING, "store.slow", QB_TEXT("statement", text),
           QB_INT("ms", took_us / QB_MS_US));
}

static enum qb_step execute(struct postgres_statement *statement, struct qb_error *error)
{
    struct qb_postgres_link *link = &statement->link->server;
    const char *values[PARAMETERS_MAX];
    int lengths[PARAMETERS_MAX];
    int formats[PARAMETERS_MAX];
    char name[NAME_BYTES];
    int64_t began_us = qb_clock_mono_us();

    statement->link->changes = 0;
    if (!qb_postgres_ensure(link, error)) return QB_STEP_FAILED;
    enum qb_step prepared = prepare(statement, error);
    if (prepared != QB_STEP_DONE) return prepared;
    for (int i = 0; i < statement->parameter_count; i++) {
        values[i] = statement->parameters[i].value;
        lengths[i] = statement->parameters[i].length;
        formats[i] = FORMAT_BINARY;
    }
    name_of(statement, name);
    if (PQsendQueryPrepared(link->connection, name, statement->parameter_count, values, lengths,
                            formats, RESULT_IN_BINARY) == 0) {
        (void)qb_postgres_fail(PQerrorMessage(link->connection), error);
        qb_postgres_lose(link);
        return QB_STEP_FAILED;
    }
    PGresult *result = qb_postgres_collect(link, 0, error);
    tell_if_slow(statement, qb_clock_mono_us() - began_us);
    ExecStatusType status = PQresultStatus(result);
    if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK)
        return qb_postgres_outcome(result, error);
    statement->link->changes = strtoll(PQcmdTuples(result), NULL, 10);
    statement->result = result;
    statement->row = -1;
    return QB_STEP_DONE;
}

static enum qb_step step(struct qb_statement *statement, struct qb_error *error)
{
    struct postgres_statement *mine_too = (struct postgres_statement *)statement;

    if (mine_too->result == NULL) {
        enum qb_step executed = execute(mine_too, error);
        if (executed != QB_STEP_DONE) return executed;
    }
    if (++mine_too->row < PQntuples(mine_too->result)) return QB_STEP_ROW;
    end(statement);
    return QB_STEP_DONE;
}

static bool hold(struct qb_sql_link *link, int64_t id, struct qb_error *error)
{
    struct qb_statement *query = statement_of(link, "SELECT pg_advisory_xact_lock(?)");

    QB_ASSERT(mine(link)->server.is_writing);
    bind_int(query, 1, id);
    bool is_held = step(query, error) == QB_STEP_ROW;
    end(query);
    return is_held;
}

static const char *value_of(struct qb_statement *statement, int at, size_t *length)
{
    struct postgres_statement *mine_too = (struct postgres_statement *)statement;

    QB_ASSERT(mine_too->result != NULL && at < PQnfields(mine_too->result));
    *length = (size_t)PQgetlength(mine_too->result, mine_too->row, at);
    return PQgetvalue(mine_too->result, mine_too->row, at); /* "" for a null; ends in a zero */
}

/* Integers of any width, and truth values. */
static int64_t column_int(struct qb_statement *statement, int at)
{
    size_t length = 0;
    const char *bytes = value_of(statement, at, &length);
    uint64_t value = length > 0 && (bytes[0] & 0x80) != 0 ? UINT64_MAX : 0;

    QB_ASSERT(length <= sizeof value);
    for (size_t i = 0; i < length; i++) value = value << 8 | (uint8_t)bytes[i];
    return (int64_t)value;
}

static const char *column_text(struct qb_statement *statement, int at)
{
    size_t length = 0;
    return value_of(statement, at, &length);
}

static const void *column_blob(struct qb_statement *statement, int at, size_t *length)
{
    return value_of(statement, at, length);
}

static const struct qb_sql_driver driver = {
    .dialect = QB_SQL_POSTGRES,
    .close = close_link,
    .begin = begin,
    .finish = finish,
    .run = run,
    .lock = lock,
    .hold = hold,
    .changes = changes,
    .statement = statement_of,
    .bind_int = bind_int,
    .bind_text = bind_text,
    .bind_blob = bind_blob,
    .step = step,
    .end = end,
    .column_int = column_int,
    .column_text = column_text,
    .column_blob = column_blob,
};

struct qb_sql_link *qb_postgres_open_later(struct qb_postgres *postgres)
{
    struct postgres *link = calloc(1, sizeof *link);

    QB_ASSERT(link != NULL);
    link->link.driver = &driver;
    link->server.where = postgres;
    return &link->link;
}

struct qb_sql_link *qb_postgres_open(struct qb_postgres *postgres, struct qb_error *error)
{
    struct qb_sql_link *link = qb_postgres_open_later(postgres);

    if (!qb_postgres_ensure(&mine(link)->server, error)) qb_sql_close(&link);
    return link;
}
