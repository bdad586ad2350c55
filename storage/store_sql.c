#include "storage/store_sql.h"

#include <stdlib.h>

#include "base/assert.h"
#include "base/log.h"
#include "storage/store_rows.h"
#include "storage/store_sql_parts.h"

struct sql_store {
    struct qb_store store;
    qb_store_connect *connect;
    void *database;
};

enum qb_store_result qb_store_step(struct qb_store_link *link, struct qb_statement *statement,
                                   enum qb_store_result if_none, struct qb_error *error)
{
    enum qb_step step = qb_step(statement, error);

    if (step == QB_STEP_TAKEN) return QB_STORE_TAKEN;
    if (step != QB_STEP_DONE) return QB_STORE_FAILED;
    return qb_sql_changes(link->sql) > 0 ? QB_STORE_OK : if_none;
}

enum qb_store_result qb_store_settle(struct qb_store_link *link, enum qb_store_result result,
                                     bool do_keep, struct qb_error *error)
{
    struct qb_error ignored; /* of a rollback: why it came to that is said already */
    bool is_ended = qb_sql_finish(link->sql, do_keep, do_keep ? error : &ignored);

    return do_keep && !is_ended ? QB_STORE_FAILED : result;
}

enum qb_store_result qb_store_write(struct qb_store_link *link, struct qb_statement *statement,
                                    enum qb_store_result if_none, struct qb_error *error)
{
    if (!qb_sql_begin(link->sql, error)) return QB_STORE_FAILED;
    enum qb_store_result result = qb_store_step(link, statement, if_none, error);
    return qb_store_settle(link, result, result == QB_STORE_OK || result == if_none, error);
}

static struct qb_store_link *link_of(struct qb_sql_link *sql)
{
    if (sql == NULL) return NULL;
    struct qb_store_link *link = calloc(1, sizeof *link);
    QB_ASSERT(link != NULL);
    link->sql = sql;
    return link;
}

static struct qb_store_link *open_link(struct qb_store *store, struct qb_error *error)
{
    struct sql_store *mine = (struct sql_store *)store;
    return link_of(mine->connect(mine->database, true, error));
}

static struct qb_store_link *open_later(struct qb_store *store)
{
    struct sql_store *mine = (struct sql_store *)store;
    struct qb_error error = {""};
    struct qb_sql_link *sql = mine->connect(mine->database, false, &error);

    if (sql == NULL) qb_log(QB_LOG_ERROR, "store.failed", QB_TEXT("error", error.text));
    QB_ASSERT(sql != NULL); /* a file that opened for this process a moment ago */
    /* cppcheck-suppress returnDanglingLifetime ; the link does not keep the error */
    return link_of(sql);
}

static void close_link(struct qb_store_link **link)
{
    struct qb_store_link *old = *link;

    *link = NULL;
    if (old == NULL) return;
    qb_sql_close(&old->sql);
    qb_store_rows_free(&old->rows);
    free(old);
}

static void store_free(struct qb_store *store)
{
    free(store);
}

struct qb_sql_link *qb_store_sql_link(struct qb_store_link *link)
{
    return link->sql;
}

const struct qb_store_ops qb_store_sql_ops = {
    .open = open_link,
    .open_later = open_later,
    .close = close_link,
    .free = store_free,
    .user_add = qb_store_user_add,
    .user_by_email = qb_store_user_by_email,
    .user_by_id = qb_store_user_by_id,
    .user_update = qb_store_user_update,
    .login_add = qb_store_login_add,
    .login_find = qb_store_login_find,
    .login_remove = qb_store_login_remove,
    .revoke = qb_store_revoke,
    .revocations = qb_store_revocations,
    .limit_set = qb_store_limit_set,
    .limits = qb_store_limits,
    .banned = qb_store_banned,
    .listing_add = qb_store_listing_add,
    .listing_by_key = qb_store_listing_by_key,
    .listing = qb_store_listing_get,
    .listings = qb_store_listings,
    .listings_forget = qb_store_listings_forget,
    .live = qb_store_live,
    .state = qb_store_state,
    .applied = qb_store_applied,
    .watch_set = qb_store_watch_set,
    .image_add = qb_store_image_add,
    .image_is_there = qb_store_image_is_there,
    .image = qb_store_image,
    .entries = qb_store_entries,
    .entry_by_bid_id = qb_store_entry_by_bid_id,
    .bids = qb_store_bids,
    .bids_of = qb_store_bids_of,
    .payments_of = qb_store_payments_of,
    .payment_of_auction = qb_store_payment_of_auction,
    .archive_begin = qb_store_archive_begin,
    .archive_heads = qb_store_archive_heads,
    .archive_records = qb_store_archive_records,
    .archive_entry = qb_store_archive_entry,
    .archive_struck = qb_store_archive_struck,
    .archive_state = qb_store_archive_state,
    .archive_payment = qb_store_archive_payment,
    .archive_conflict = qb_store_archive_conflict,
    .archive_is_frozen = qb_store_archive_is_frozen,
    .archive_stage = qb_store_archive_stage,
    .archive_staged = qb_store_archive_staged,
    .archive_unstage = qb_store_archive_unstage,
    .archive_void = qb_store_archive_void,
    .archive_void_staged = qb_store_archive_void_staged,
    .archive_end = qb_store_archive_end,
    .epoch_next = qb_store_epoch_next,
};

struct qb_store *qb_store_sql_new(qb_store_connect *connect, void *database)
{
    struct sql_store *store = calloc(1, sizeof *store);

    QB_ASSERT(store != NULL);
    store->store.ops = &qb_store_sql_ops;
    store->connect = connect;
    store->database = database;
    return &store->store;
}
