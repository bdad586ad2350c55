/*
 * The store on the embedded database, held to the contract of every store.
 */
#include <stdlib.h>
#include <unistd.h>

#include "storage/migrate.h"
#include "storage/store_sqlite.h"
#include "tests/contract/expect.h"
#include "tests/contract/store_contract.h"
#include "tests/kit/test.h"

static char folder[64];
static char path[96];
static struct qb_database *database;
static struct qb_store *store;

static void must(bool is_true, const char *what)
{
    if (is_true) return;
    (void)printf("cannot go on: %s\n", what);
    exit(1);
}

static struct qb_store_link *open_new(void)
{
    struct qb_error error = {""};
    size_t count = 0;
    const struct qb_migration *migrations = qb_migrations_sqlite(&count);

    (void)snprintf(folder, sizeof folder, "/tmp/qb-store-XXXXXX");
    must(mkdtemp(folder) != NULL, "no folder");
    (void)snprintf(path, sizeof path, "%s/quickbid.db", folder);
    database = qb_database_open(path, &error);
    must(database != NULL, error.text);
    struct qb_sqlite *sql = qb_sqlite_open(database, &error);
    must(sql != NULL, error.text);
    must(qb_migrate(sql, migrations, count, NULL, &error), error.text);
    qb_sqlite_close(&sql);
    store = qb_store_sqlite_new(database);
    struct qb_store_link *link = store->ops->open(store, &error);
    must(link != NULL, error.text);
    return link;
}

static const struct qb_store_ops *ops(void)
{
    return store->ops;
}

static void close_all(struct qb_store_link **link)
{
    store->ops->close(link);
    store->ops->free(store);
    qb_database_free(&database);
    (void)unlink(path);
    (void)rmdir(folder);
}

QB_TEST(the_store_on_sqlite_keeps_the_contract)
{
    const struct store_subject subject = {"store_sqlite", open_new, ops, close_all};

    store_contract(&subject);
    QB_EXPECT_EQ(expect_failures(), 0, "the contract");
}
