#include "app/migrate_command.h"

#include <stdio.h>

#include "app/data.h"

int qb_migrate_command(const struct qb_settings *settings, const char *argument)
{
    struct qb_data data;
    struct qb_error error = {""};

    (void)argument;
    if (!qb_data_open(&data, settings, &error)) {
        (void)fprintf(stderr, "quickbid migrate: %s\n", error.text);
        return 1;
    }
    (void)printf("%zu migrations applied\n", data.migrated);
    qb_data_close(&data);
    return 0;
}
