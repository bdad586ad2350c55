#include "tests/kit/postgres.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/kit/stack.h"

enum { URL_BYTES = 512 };

static unsigned schemas;

void qb_must(bool is_true, const char *what)
{
    if (is_true) return;
    (void)printf("cannot go on: %s\n", what);
    exit(1);
}

/* The newest schema at `length` bytes of an address. */
static struct qb_postgres *newest(const char *url, size_t length, enum qb_postgres_role role)
{
    char text[URL_BYTES];
    struct qb_error error = {""};

    (void)snprintf(text, sizeof text, "%.*s?options=-csearch_path%%3Dtest%u", (int)length, url,
                   schemas);
    struct qb_postgres *schema = qb_postgres_new(text, role, &error);
    qb_must(schema != NULL, error.text);
    return schema;
}

struct qb_sql_link *qb_schema_connect(struct qb_postgres *schema)
{
    struct qb_error error = {""};
    struct qb_sql_link *link = qb_postgres_open(schema, &error);

    qb_must(link != NULL, error.text);
    /* cppcheck-suppress returnDanglingLifetime ; the link does not keep the error */
    return link;
}

struct qb_postgres *qb_schema_new(const char *parts)
{
    char text[64];
    struct qb_error error = {""};

    if (schemas++ == 0) qb_stack_start(parts);
    const char *url = qb_stack_value("DATABASE_URL");
    struct qb_postgres *schema = newest(url, strlen(url), QB_POSTGRES_PRIMARY);
    struct qb_sql_link *link = qb_schema_connect(schema);
    (void)snprintf(text, sizeof text, "CREATE SCHEMA test%u", schemas);
    qb_must(qb_sql_run(link, text, &error), error.text);
    qb_sql_close(&link);
    return schema;
}

/* The address of a replica in the list of all. */
static const char *replica_url(unsigned number, size_t *length)
{
    const char *url = qb_stack_value("DATABASE_REPLICA_URLS");

    for (unsigned i = 0; i < number; i++) {
        url = strchr(url, ',');
        qb_must(url != NULL, "no such replica");
        url++;
    }
    *length = strcspn(url, ",");
    return url;
}

struct qb_postgres *qb_schema_replica(unsigned number)
{
    size_t length = 0;
    const char *url = replica_url(number, &length);
    return newest(url, length, QB_POSTGRES_REPLICA);
}

void qb_schema_operator_url(unsigned number, char *url, size_t room)
{
    size_t length = 0;
    const char *replica = replica_url(number, &length);
    const char *operator_url = qb_stack_value("DATABASE_OPERATOR_URL");
    const char *at = strchr(replica, '@');

    qb_must(at != NULL, "an address without a password");
    (void)snprintf(url, room, "%.*s%.*s", (int)strcspn(operator_url, "@"), operator_url,
                   (int)(replica + length - at), at);
}

size_t qb_schema_migrate(struct qb_postgres *schema)
{
    struct qb_sql_link *link = qb_schema_connect(schema);
    struct qb_error error = {""};
    size_t count = 0;
    size_t applied = 0;
    const struct qb_migration *migrations = qb_migrations_postgres(&count);

    qb_must(qb_migrate(link, migrations, count, &applied, &error), error.text);
    qb_sql_close(&link);
    return applied;
}
