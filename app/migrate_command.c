#include "app/migrate_command.h"

#include <stdio.h>

#include "app/data.h"
#include "storage/migrate.h"
#include "storage/store_postgres.h"

/* The data folder's database; opening it migrates it. */
static bool migrate_alone(const struct qb_settings *settings, size_t *applied,
                          struct qb_error *error)
{
    struct qb_data data;

    QB_TRY(qb_data_open(&data, settings, error));
    *applied = data.migrated;
    qb_data_close(&data);
    return true;
}

static bool migrate_link(struct qb_postgres *postgres, size_t *applied, struct qb_error *error)
{
    size_t count = 0;
    const struct qb_migration *migrations = qb_migrations_postgres(&count);
    struct qb_sql_link *link = qb_postgres_open(postgres, error);

    if (link == NULL) return false;
    bool is_done =
        qb_migrate(link, migrations, count, applied, error) && qb_store_postgres_ahead(link, error);
    qb_sql_close(&link);
    return is_done;
}

static bool migrate_cluster(const struct qb_settings *settings, size_t *applied,
                            struct qb_error *error)
{
    struct qb_postgres *postgres =
        qb_postgres_new(settings->database_url, QB_POSTGRES_PRIMARY, error);

    if (postgres == NULL) return false;
    bool is_done = migrate_link(postgres, applied, error);
    qb_postgres_free(&postgres);
    return is_done;
}

int qb_migrate_command(const struct qb_settings *settings, const char *argument)
{
    struct qb_error error = {""};
    size_t applied = 0;
    bool is_cluster = qb_settings_have_services(settings);

    (void)argument;
    if (!(is_cluster ? migrate_cluster : migrate_alone)(settings, &applied, &error)) {
        (void)fprintf(stderr, "quickbid migrate: %s\n", error.text);
        return 1;
    }
    (void)printf("%zu migrations applied\n", applied);
    return 0;
}
