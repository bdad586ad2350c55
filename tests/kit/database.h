/*
 * A new, migrated database in a folder of its own, for the tests of what stands on it.
 */
#pragma once

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "storage/migrate.h"
#include "storage/sqlite.h"
#include "tests/kit/must.h"

static char qb_test_folder[64];
static char qb_test_path[96];

/* The database at qb_test_path, migrated if it is new. */
static inline struct qb_database *qb_test_database_again(void)
{
    struct qb_error error = {""};
    size_t count = 0;
    const struct qb_migration *migrations = qb_migrations_sqlite(&count);
    struct qb_database *database = qb_database_open(qb_test_path, &error);

    qb_must(database != NULL, error.text);
    struct qb_sql_link *sql = qb_sqlite_open(database, &error);
    qb_must(sql != NULL, error.text);
    qb_must(qb_migrate(sql, migrations, count, NULL, &error), error.text);
    qb_sql_close(&sql);
    return database;
}

static inline void qb_test_folder_new(void)
{
    (void)snprintf(qb_test_folder, sizeof qb_test_folder, "/tmp/qb-test-XXXXXX");
    qb_must(mkdtemp(qb_test_folder) != NULL, "no folder");
    (void)snprintf(qb_test_path, sizeof qb_test_path, "%s/quickbid.db", qb_test_folder);
}

static inline struct qb_database *qb_test_database_new(void)
{
    qb_test_folder_new();
    return qb_test_database_again();
}

/* Removes the folder and the files in it. */
static inline void qb_test_folder_remove(void)
{
    DIR *folder = opendir(qb_test_folder);
    const struct dirent *file = NULL;

    qb_must(folder != NULL, "no folder");
    while ((file = readdir(folder)) != NULL) (void)unlinkat(dirfd(folder), file->d_name, 0);
    (void)closedir(folder);
    (void)rmdir(qb_test_folder);
}
