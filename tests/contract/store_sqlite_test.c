/*
 * The store on the embedded database, held to the contract of every store.
 */
#include "storage/store_sqlite.h"
#include "tests/contract/expect.h"
#include "tests/contract/store_contract.h"
#include "tests/kit/database.h"
#include "tests/kit/test.h"

static struct qb_database *database;
static struct qb_store *store;

static struct qb_store_link *open_new(void)
{
    struct qb_error error = {""};

    database = qb_test_database_new();
    store = qb_store_sqlite_new(database);
    struct qb_store_link *link = store->ops->open(store, &error);
    qb_must(link != NULL, error.text);
    /* cppcheck-suppress returnDanglingLifetime ; the link does not keep the error */
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
    qb_test_folder_remove();
}

QB_TEST(the_store_on_sqlite_keeps_the_contract)
{
    const struct store_subject subject = {"store_sqlite", open_new, ops, close_all};

    store_contract(&subject);
    QB_EXPECT_EQ(expect_failures(), 0, "the contract");
}
