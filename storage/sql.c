#include "storage/sql.h"

#include <string.h>

void qb_sql_close(struct qb_sql_link **link)
{
    struct qb_sql_link *old = *link;

    *link = NULL;
    if (old != NULL) old->driver->close(old);
}

bool qb_sql_begin(struct qb_sql_link *link, struct qb_error *error)
{
    return link->driver->begin(link, error);
}

bool qb_sql_finish(struct qb_sql_link *link, bool do_commit, struct qb_error *error)
{
    return link->driver->finish(link, do_commit, error);
}

bool qb_sql_run(struct qb_sql_link *link, const char *sql, struct qb_error *error)
{
    return link->driver->run(link, sql, error);
}

bool qb_sql_lock(struct qb_sql_link *link, bool do_lock, struct qb_error *error)
{
    return link->driver->lock(link, do_lock, error);
}

bool qb_sql_hold(struct qb_sql_link *link, int64_t id, struct qb_error *error)
{
    return link->driver->hold(link, id, error);
}

int64_t qb_sql_changes(struct qb_sql_link *link)
{
    return link->driver->changes(link);
}

struct qb_statement *qb_sql(struct qb_sql_link *link, const char *sql)
{
    return link->driver->statement(link, sql);
}

void qb_bind_int(struct qb_statement *statement, int at, int64_t value)
{
    statement->driver->bind_int(statement, at, value);
}

void qb_bind_text(struct qb_statement *statement, int at, const char *text)
{
    statement->driver->bind_text(statement, at, text);
}

void qb_bind_blob(struct qb_statement *statement, int at, const void *bytes, size_t length)
{
    statement->driver->bind_blob(statement, at, bytes, length);
}

enum qb_step qb_step(struct qb_statement *statement, struct qb_error *error)
{
    return statement->driver->step(statement, error);
}

void qb_sql_end(struct qb_statement *statement)
{
    statement->driver->end(statement);
}

int64_t qb_column_int(struct qb_statement *statement, int at)
{
    return statement->driver->column_int(statement, at);
}

const char *qb_column_text(struct qb_statement *statement, int at)
{
    return statement->driver->column_text(statement, at);
}

const void *qb_column_blob(struct qb_statement *statement, int at, size_t *length)
{
    return statement->driver->column_blob(statement, at, length);
}

void qb_column_copy(struct qb_statement *statement, int at, char *text, size_t room)
{
    const char *from = qb_column_text(statement, at);
    size_t length = strnlen(from, room - 1);

    (void)memcpy(text, from, length);
    text[length] = '\0';
}
