#include <string.h>

#include "base/clock.h"
#include "storage/store_sql_parts.h"

#define WATCHES_MAX 1000
#define HOUR_US     (3600 * QB_SECOND_US)

void qb_store_read_listing(struct qb_statement *query, struct qb_listing *listing)
{
    (void)memset(listing, 0, sizeof *listing);
    listing->id = (qb_id)qb_column_int(query, 0);
    listing->seller = (qb_id)qb_column_int(query, 1);
    qb_column_copy(query, 2, listing->title, sizeof listing->title);
    qb_column_copy(query, 3, listing->description, sizeof listing->description);
    qb_column_copy(query, 4, listing->category, sizeof listing->category);
    qb_column_copy(query, 5, listing->image, sizeof listing->image);
    qb_column_copy(query, 6, listing->currency, sizeof listing->currency);
    listing->is_private = qb_column_int(query, 7) != 0;
    listing->created_us = qb_column_int(query, 8);
    listing->starts_at_us = qb_column_int(query, 9);
    listing->start_price = qb_column_int(query, 10);
    listing->buy_now = qb_column_int(query, 11);
    listing->applied_seq = (uint64_t)qb_column_int(query, 12);
    listing->status = (uint8_t)qb_column_int(query, 13);
    listing->outcome = (uint8_t)qb_column_int(query, 14);
    listing->price = qb_column_int(query, 15);
    listing->bids = (uint32_t)qb_column_int(query, 16);
    listing->ends_at_us = qb_column_int(query, 17);
    listing->winner = (qb_id)qb_column_int(query, 18);
    listing->final_price = qb_column_int(query, 19);
}

static enum qb_store_result insert_listing(struct qb_store_link *link,
                                           const struct qb_listing *listing,
                                           const struct qb_listing_terms *terms,
                                           struct qb_error *error)
{
    struct qb_statement *insert = qb_sql(
        link->sql,
        "INSERT INTO auctions (id, seller, title, description, category, image, currency, "
        "is_private, created_us, starts_at_us, start_price, buy_now, ends_at_us, sort_price, key, "
        "asked) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?11, "
        "nullif(?14, ''), CASE ?14 WHEN '' THEN NULL ELSE ?15 END) ON CONFLICT DO NOTHING");
    bool has_key = terms != NULL && terms->key != NULL;

    qb_bind_int(insert, 1, (int64_t)listing->id);
    qb_bind_int(insert, 2, (int64_t)listing->seller);
    qb_bind_text(insert, 3, listing->title);
    qb_bind_text(insert, 4, listing->description);
    qb_bind_text(insert, 5, listing->category);
    qb_bind_text(insert, 6, listing->image);
    qb_bind_text(insert, 7, listing->currency);
    qb_bind_int(insert, 8, listing->is_private);
    qb_bind_int(insert, 9, listing->created_us);
    qb_bind_int(insert, 10, listing->starts_at_us);
    qb_bind_int(insert, 11, listing->start_price);
    qb_bind_int(insert, 12, listing->buy_now);
    qb_bind_int(insert, 13, listing->ends_at_us);
    qb_bind_text(insert, 14, has_key ? terms->key : ""); /* none: both are null */
    qb_bind_blob(insert, 15, has_key ? terms->asked : NULL, has_key ? sizeof terms->asked : 0);
    return qb_store_step(link, insert, QB_STORE_TAKEN, error);
}

/* For the search, where the database does not do it itself. Not by a trigger: with trusted_schema
 * off none may write to a virtual table. */
static enum qb_store_result insert_words(struct qb_store_link *link,
                                         const struct qb_listing *listing, struct qb_error *error)
{
    if (link->sql->driver->dialect != QB_SQL_SQLITE) return QB_STORE_OK;
    struct qb_statement *insert =
        qb_sql(link->sql, "INSERT INTO auction_words (rowid, title, description) VALUES (?, ?, ?)");

    qb_bind_int(insert, 1, (int64_t)listing->id);
    qb_bind_text(insert, 2, listing->title);
    qb_bind_text(insert, 3, listing->description);
    return qb_store_step(link, insert, QB_STORE_OK, error);
}

/* The seller's listings that are not over. Those that never opened are counted for an hour: who
 * made them may still ask, and later ones are forgotten at the next start. */
static enum qb_store_result judge_live(struct qb_store_link *link, const struct qb_listing *listing,
                                       const struct qb_listing_terms *terms, struct qb_error *error)
{
    struct qb_statement *query =
        qb_sql(link->sql, "SELECT count(*) FROM auctions WHERE seller = ?1 AND status < 3 AND "
                          "(status > 0 OR created_us > ?2)");

    qb_bind_int(query, 1, (int64_t)listing->seller);
    qb_bind_int(query, 2, listing->created_us - HOUR_US);
    if (qb_step(query, error) != QB_STEP_ROW) return QB_STORE_FAILED;
    bool is_full = qb_column_int(query, 0) >= terms->live_max;
    qb_sql_end(query);
    return is_full ? QB_STORE_FULL : QB_STORE_OK;
}

static enum qb_store_result judge_day(struct qb_store_link *link, const struct qb_listing *listing,
                                      struct qb_listing_terms *terms, struct qb_error *error)
{
    struct qb_statement *query = qb_sql(
        link->sql,
        "SELECT count(*), min(created_us) FROM auctions WHERE seller = ?1 AND created_us > ?2");

    qb_bind_int(query, 1, (int64_t)listing->seller);
    qb_bind_int(query, 2, listing->created_us - 24 * HOUR_US);
    if (qb_step(query, error) != QB_STEP_ROW) return QB_STORE_FAILED;
    bool is_full = qb_column_int(query, 0) >= terms->day_max;
    terms->free_us = qb_column_int(query, 1) + 24 * HOUR_US;
    qb_sql_end(query);
    return is_full ? QB_STORE_LATER : QB_STORE_OK;
}

static enum qb_store_result judge(struct qb_store_link *link, const struct qb_listing *listing,
                                  struct qb_listing_terms *terms, struct qb_error *error)
{
    enum qb_store_result result = QB_STORE_OK;

    if (terms == NULL) return result;
    if (!qb_sql_hold(link->sql, (int64_t)listing->seller, error)) return QB_STORE_FAILED;
    if (terms->live_max > 0) result = judge_live(link, listing, terms, error);
    if (result == QB_STORE_OK && terms->day_max > 0)
        result = judge_day(link, listing, terms, error);
    return result;
}

enum qb_store_result qb_store_listing_add(struct qb_store_link *link,
                                          const struct qb_listing *listing,
                                          struct qb_listing_terms *terms, struct qb_error *error)
{
    if (!qb_sql_begin(link->sql, error)) return QB_STORE_FAILED;
    enum qb_store_result result = judge(link, listing, terms, error);
    if (result == QB_STORE_OK) result = insert_listing(link, listing, terms, error);
    if (result == QB_STORE_OK) result = insert_words(link, listing, error);
    return qb_store_settle(link, result, result == QB_STORE_OK, error);
}

enum qb_store_result qb_store_listing_by_key(struct qb_store_link *link, qb_id seller,
                                             const char *key, struct qb_listing *listing,
                                             uint8_t *asked, struct qb_error *error)
{
    struct qb_statement *query =
        qb_sql(link->sql, QB_LISTING_COLUMNS "WHERE seller = ? AND key = ? AND key IS NOT NULL");
    size_t length = 0;

    qb_bind_int(query, 1, (int64_t)seller);
    qb_bind_text(query, 2, key);
    enum qb_step step = qb_step(query, error);
    if (step != QB_STEP_ROW) return step == QB_STEP_DONE ? QB_STORE_NOT_FOUND : QB_STORE_FAILED;
    qb_store_read_listing(query, listing);
    const void *digest = qb_column_blob(query, 21, &length);
    if (length == QB_SHA256_BYTES) (void)memcpy(asked, digest, QB_SHA256_BYTES);
    qb_sql_end(query);
    if (length == QB_SHA256_BYTES) return QB_STORE_OK;
    (void)qb_error_set(error, "the digest of a publication is not one");
    return QB_STORE_BROKEN;
}

enum qb_store_result qb_store_listing_get(struct qb_store_link *link, qb_id id,
                                          struct qb_listing *listing, struct qb_error *error)
{
    struct qb_statement *query = qb_sql(link->sql, QB_LISTING_COLUMNS "WHERE id = ?");

    qb_bind_int(query, 1, (int64_t)id);
    enum qb_step step = qb_step(query, error);
    if (step != QB_STEP_ROW) return step == QB_STEP_DONE ? QB_STORE_NOT_FOUND : QB_STORE_FAILED;
    qb_store_read_listing(query, listing);
    qb_sql_end(query);
    return QB_STORE_OK;
}

/* Of the listings to forget: what refers to them goes first. */
#define UNOPENED                                                                                   \
    "FROM auctions WHERE applied_seq = 0 AND status = 0 AND created_us < ? AND id NOT IN (SELECT " \
    "auction FROM conflicts)"

static bool forget(struct qb_store_link *link, qb_time_us before_us, struct qb_error *error)
{
    static const struct {
        const char *sql;
        bool is_for_sqlite; /* where the store writes the words itself */
    } steps[] = {
        {"DELETE FROM watches WHERE auction IN (SELECT id " UNOPENED ")", false},
        {"INSERT INTO auction_words (auction_words, rowid, title, description) SELECT 'delete', "
         "id, title, description " UNOPENED,
         true},
        {"DELETE " UNOPENED, false},
    };
    bool is_sqlite = link->sql->driver->dialect == QB_SQL_SQLITE;

    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        if (steps[i].is_for_sqlite && !is_sqlite) continue;
        struct qb_statement *statement = qb_sql(link->sql, steps[i].sql);
        qb_bind_int(statement, 1, before_us);
        if (qb_step(statement, error) != QB_STEP_DONE) return false;
    }
    return true;
}

enum qb_store_result qb_store_listings_forget(struct qb_store_link *link, qb_time_us before_us,
                                              size_t *count, struct qb_error *error)
{
    struct qb_error ignored;

    *count = 0;
    if (!qb_sql_begin(link->sql, error)) return QB_STORE_FAILED;
    bool is_done = forget(link, before_us, error);
    size_t changed = is_done ? (size_t)qb_sql_changes(link->sql) : 0;
    if (!qb_sql_finish(link->sql, is_done, is_done ? error : &ignored)) is_done = false;
    if (is_done) *count = changed;
    return is_done ? QB_STORE_OK : QB_STORE_FAILED;
}

enum qb_store_result qb_store_live(struct qb_store_link *link, bool (*each)(void *, qb_id),
                                   void *context, struct qb_error *error)
{
    struct qb_statement *query =
        qb_sql(link->sql, "SELECT id FROM auctions WHERE status IN (1, 2) ORDER BY id");
    enum qb_step step = QB_STEP_DONE;

    while ((step = qb_step(query, error)) == QB_STEP_ROW) {
        if (!each(context, (qb_id)qb_column_int(query, 0))) break;
    }
    qb_sql_end(query);
    return step == QB_STEP_FAILED ? QB_STORE_FAILED : QB_STORE_OK;
}

enum qb_store_result qb_store_state(struct qb_store_link *link, qb_id auction, struct qb_lot *lot,
                                    struct qb_error *error)
{
    struct qb_statement *query =
        qb_sql(link->sql, "SELECT state FROM auctions WHERE id = ? AND state IS NOT NULL");
    size_t length = 0;

    qb_bind_int(query, 1, (int64_t)auction);
    enum qb_step step = qb_step(query, error);
    if (step != QB_STEP_ROW) return step == QB_STEP_DONE ? QB_STORE_NOT_FOUND : QB_STORE_FAILED;
    const uint8_t *bytes = qb_column_blob(query, 0, &length);
    bool is_good = qb_lot_decode(bytes, length, lot);
    qb_sql_end(query);
    if (is_good) return QB_STORE_OK;
    (void)qb_error_set(error, "the stored state of an auction cannot be read: the database was "
                              "changed by something else");
    return QB_STORE_BROKEN;
}

enum qb_store_result qb_store_watch_set(struct qb_store_link *link, qb_id user, qb_id auction,
                                        bool is_watched, struct qb_error *error)
{
    struct qb_statement *change = NULL;

    if (!is_watched) {
        change = qb_sql(link->sql, "DELETE FROM watches WHERE \"user\" = ? AND auction = ?");
        qb_bind_int(change, 1, (int64_t)user);
        qb_bind_int(change, 2, (int64_t)auction);
        return qb_store_write(link, change, QB_STORE_OK, error);
    }
    change = qb_sql(link->sql, "INSERT INTO watches (\"user\", auction) SELECT ?1, id FROM "
                               "auctions WHERE id = ?2 AND (SELECT count(*) FROM watches WHERE "
                               "\"user\" = ?1) < ?3 ON CONFLICT DO NOTHING");
    qb_bind_int(change, 1, (int64_t)user);
    qb_bind_int(change, 2, (int64_t)auction);
    qb_bind_int(change, 3, WATCHES_MAX);
    if (!qb_sql_begin(link->sql, error)) return QB_STORE_FAILED;
    enum qb_store_result result = qb_sql_hold(link->sql, (int64_t)user, error)
                                      ? qb_store_step(link, change, QB_STORE_NOT_FOUND, error)
                                      : QB_STORE_FAILED;
    result = qb_store_settle(link, result, result == QB_STORE_OK, error);
    if (result != QB_STORE_NOT_FOUND) return result;
    struct qb_statement *look =
        qb_sql(link->sql, "SELECT EXISTS (SELECT 1 FROM watches WHERE \"user\" = ?1 AND auction = "
                          "?2), EXISTS (SELECT 1 FROM auctions WHERE id = ?2)");
    qb_bind_int(look, 1, (int64_t)user);
    qb_bind_int(look, 2, (int64_t)auction);
    if (qb_step(look, error) != QB_STEP_ROW) return QB_STORE_FAILED;
    bool is_there = qb_column_int(look, 0) != 0;
    bool is_known = qb_column_int(look, 1) != 0;
    qb_sql_end(look);
    if (is_there) return QB_STORE_OK;
    return is_known ? QB_STORE_TAKEN : QB_STORE_NOT_FOUND;
}
