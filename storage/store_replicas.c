#include "storage/store_replicas.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "storage/store_rows.h"
#include "storage/store_sql_parts.h"

#define REPLICAS_MAX 16
#define CHECK_US     QB_SECOND_US
#define AVOID_US     (10 * QB_SECOND_US)

struct replica {
    struct qb_postgres *where;
    _Atomic int64_t avoid_until_us; /* it failed */
};

struct replicas_store {
    struct qb_store store;
    struct qb_store_ops ops;
    struct qb_postgres *primary;
    atomic_size_t links; /* made so far: they take the replicas in turn */
    size_t count;
    struct replica replicas[REPLICAS_MAX];
};

/* What a link has beside its connection to the primary. */
struct qb_store_copy {
    struct replicas_store *store;
    struct qb_store_link link; /* to the replica; without a connection at first */
    size_t at;                 /* which replica */
    bool is_good;
    int64_t checked_us;
    uint64_t commits; /* of this process that the replica had replayed */
};

static struct qb_store_link *link_of(struct replicas_store *mine, struct qb_sql_link *sql)
{
    struct qb_store_link *link = calloc(1, sizeof *link);
    struct qb_store_copy *copy = calloc(1, sizeof *copy);
    QB_ASSERT(link != NULL && copy != NULL);
    copy->store = mine;
    copy->at = atomic_fetch_add(&mine->links, 1) % mine->count;
    copy->checked_us = -CHECK_US;
    link->sql = sql;
    link->copy = copy;
    return link;
}

static struct qb_store_link *open_link(struct qb_store *store, struct qb_error *error)
{
    struct replicas_store *mine = (struct replicas_store *)store;
    struct qb_sql_link *sql = qb_postgres_open(mine->primary, error);

    return sql != NULL ? link_of(mine, sql) : NULL;
}

static struct qb_store_link *open_later(struct qb_store *store)
{
    struct replicas_store *mine = (struct replicas_store *)store;
    return link_of(mine, qb_postgres_open_later(mine->primary));
}

static void close_link(struct qb_store_link **link)
{
    struct qb_store_link *old = *link;

    *link = NULL;
    if (old == NULL) return;
    qb_sql_close(&old->copy->link.sql);
    free(old->copy);
    qb_store_rows_free(&old->rows);
    qb_sql_close(&old->sql);
    free(old);
}

static void store_free(struct qb_store *store)
{
    free(store);
}

/* The replica failed this link: all leave it alone for a while. */
static void give_up(struct qb_store_copy *copy, const struct qb_error *why)
{
    struct replica *replica = &copy->store->replicas[copy->at];

    qb_log(QB_LOG_WARNING, "store.replica_avoided", QB_INT("replica", copy->at + 1),
           QB_TEXT("error", why->text));
    atomic_store(&replica->avoid_until_us, qb_clock_mono_us() + AVOID_US);
    qb_sql_close(&copy->link.sql);
}

/* There is a connection to some replica that is not to be avoided. */
static bool connected(struct qb_store_copy *copy, int64_t now_us)
{
    struct replicas_store *store = copy->store;
    struct qb_error error = {""};

    for (size_t i = 0; i < store->count; i++) {
        struct replica *replica = &store->replicas[copy->at];
        bool is_avoided = now_us < atomic_load(&replica->avoid_until_us);
        if (!is_avoided && copy->link.sql != NULL) return true;
        if (!is_avoided) {
            copy->checked_us = now_us - CHECK_US;
            copy->link.sql = qb_postgres_open(replica->where, &error);
            if (copy->link.sql != NULL) return true;
            give_up(copy, &error);
        }
        qb_sql_close(&copy->link.sql);
        copy->at = (copy->at + 1) % store->count;
    }
    return false;
}

/* A position in the write-ahead log; -1: unknown. */
static int64_t position(struct qb_sql_link *sql, const char *text, struct qb_error *error)
{
    struct qb_statement *query = qb_sql(sql, text);
    int64_t value = qb_step(query, error) == QB_STEP_ROW ? qb_column_int(query, 0) : -1;

    qb_sql_end(query);
    return value;
}

/* Whether the replica follows the primary and has all that this process committed. */
static void check(struct qb_store_link *link, int64_t now_us, uint64_t commits)
{
    static const char written[] = "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint";
    /* One that was promoted or cut off, or that is far behind, is none. */
    static const char replayed[] =
        "SELECT CASE WHEN pg_is_in_recovery() AND EXISTS (SELECT FROM pg_stat_wal_receiver) AND "
        "pg_wal_lsn_diff(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()) < 16777216 THEN "
        "pg_wal_lsn_diff(pg_last_wal_replay_lsn(), '0/0')::bigint ELSE -1 END";
    struct qb_store_copy *copy = link->copy;
    struct qb_error error = {""};
    bool has_all = copy->commits == commits;
    int64_t needed = has_all ? 0 : position(link->sql, written, &error);

    copy->is_good = false;
    copy->checked_us = now_us;
    if (needed < 0) return;
    error.text[0] = '\0';
    int64_t reached = position(copy->link.sql, replayed, &error);
    if (error.text[0] != '\0') {
        give_up(copy, &error);
        return;
    }
    copy->is_good = reached >= needed;
    if (copy->is_good) copy->commits = commits;
}

static void count_read(const char *from)
{
    qb_metric_add(QB_METRIC_store_public_reads_total, from, 1);
}

/* The link to read from: the replica's, or null if none may be asked. */
static struct qb_store_link *replica_of(struct qb_store_link *link)
{
    struct qb_store_copy *copy = link->copy;
    int64_t now_us = qb_clock_mono_us();
    uint64_t commits = qb_postgres_commits(copy->store->primary);
    bool is_connected = connected(copy, now_us);
    bool is_old = now_us - copy->checked_us >= CHECK_US || copy->commits != commits;

    if (is_connected && is_old) check(link, now_us, commits);
    if (is_connected && copy->is_good && copy->link.sql != NULL) return &copy->link;
    count_read("primary");
    return NULL;
}

/* Whether the replica has answered. If not, the primary is asked next: the replica may not have it
 * yet, or has failed, which is no failure of the read. */
static bool answered(struct qb_store_link *link, enum qb_store_result result,
                     const struct qb_error *why)
{
    if (result == QB_STORE_FAILED) give_up(link->copy, why);
    count_read(result == QB_STORE_OK ? "replica" : "primary");
    return result == QB_STORE_OK;
}

static enum qb_store_result listing(struct qb_store_link *link, qb_id id, struct qb_listing *found,
                                    struct qb_error *error)
{
    struct qb_store_link *from = replica_of(link);
    struct qb_error why = {""};

    if (from != NULL && answered(link, qb_store_listing_get(from, id, found, &why), &why)) {
        return QB_STORE_OK;
    }
    return qb_store_listing_get(link, id, found, error);
}

static enum qb_store_result listings(struct qb_store_link *link,
                                     const struct qb_listing_query *query, qb_store_listing *each,
                                     void *context, struct qb_error *error)
{
    bool is_own = query->bidder != 0 || query->watcher != 0 || query->with_private;
    struct qb_store_link *from = is_own ? NULL : replica_of(link);
    struct qb_error why = {""};

    if (from != NULL && answered(link, qb_store_listings(from, query, each, context, &why), &why)) {
        return QB_STORE_OK;
    }
    return qb_store_listings(link, query, each, context, error);
}

static enum qb_store_result bids(struct qb_store_link *link, qb_id auction, uint64_t before_seq,
                                 size_t rows_max, qb_store_bid *each, void *context,
                                 struct qb_error *error)
{
    struct qb_store_link *from = replica_of(link);
    struct qb_error why = {""};

    if (from != NULL &&
        answered(link, qb_store_bids(from, auction, before_seq, rows_max, each, context, &why),
                 &why)) {
        return QB_STORE_OK;
    }
    return qb_store_bids(link, auction, before_seq, rows_max, each, context, error);
}

static enum qb_store_result image(struct qb_store_link *link, const uint8_t *hash,
                                  void (*take)(void *, const char *, const void *, size_t),
                                  void *context, struct qb_error *error)
{
    struct qb_store_link *from = replica_of(link);
    struct qb_error why = {""};

    if (from != NULL && answered(link, qb_store_image(from, hash, take, context, &why), &why)) {
        return QB_STORE_OK;
    }
    return qb_store_image(link, hash, take, context, error);
}

struct qb_store *qb_store_replicas_new(struct qb_postgres *primary,
                                       struct qb_postgres *const *replicas, size_t count)
{
    struct replicas_store *store = calloc(1, sizeof *store);

    QB_ASSERT(store != NULL);
    QB_ASSERT(count >= 1 && count <= REPLICAS_MAX);
    store->ops = qb_store_sql_ops;
    store->ops.open = open_link;
    store->ops.open_later = open_later;
    store->ops.close = close_link;
    store->ops.free = store_free;
    store->ops.listing = listing;
    store->ops.listings = listings;
    store->ops.bids = bids;
    store->ops.image = image;
    store->store.ops = &store->ops;
    store->primary = primary;
    store->count = count;
    for (size_t i = 0; i < count; i++) store->replicas[i].where = replicas[i];
    return &store->store;
}
