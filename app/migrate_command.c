#include "app/migrate_command.h"

#include <stdio.h>

#include "app/cluster.h"
#include "app/data.h"
#include "storage/migrate.h"

static int migrate_cluster(const struct qb_settings *settings)
{
    size_t count = 0;
    size_t applied = 0;
    struct qb_error error = {""};
    const struct qb_migration *migrations = qb_migrations_postgres(&count);
    struct qb_cluster *cluster = qb_cluster_new(settings, &error);
    struct qb_sql_link *sql = NULL;

    if (cluster != NULL) sql = qb_postgres_open(cluster->primary, &error);
    bool is_done = sql != NULL && qb_migrate(sql, migrations, count, &applied, &error);
    qb_sql_close(&sql);
    qb_cluster_free(&cluster);
    if (is_done)
        (void)printf("%zu migrations applied\n", applied);
    else
        (void)fprintf(stderr, "quickbid migrate: %s\n", error.text);
    return is_done ? 0 : 1;
}

int qb_migrate_command(const struct qb_settings *settings, const char *argument)
{
    struct qb_data data;
    struct qb_error error = {""};

    (void)argument;
    if (qb_settings_are_cluster(settings)) return migrate_cluster(settings);
    if (!qb_data_open(&data, settings, &error)) {
        (void)fprintf(stderr, "quickbid migrate: %s\n", error.text);
        return 1;
    }
    (void)printf("%zu migrations applied\n", data.migrated);
    qb_data_close(&data);
    return 0;
}
