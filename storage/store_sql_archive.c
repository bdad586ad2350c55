#include <string.h>

#include "base/clock.h"
#include "storage/epochs.h"
#include "storage/store_rows.h"
#include "storage/store_sql_parts.h"
#include "storage/verdict_codec.h"

/* Any number that nobody else holds: who moves what is staged aside. */
#define VOID_LOCK 1364344400

enum qb_store_result qb_store_archive_begin(struct qb_store_link *link, uint32_t *epoch_least,
                                            struct qb_error *error)
{
    *epoch_least = 0;
    if (!qb_sql_begin(link->sql, error)) return QB_STORE_FAILED;
    if (link->sql->driver->dialect != QB_SQL_POSTGRES) return QB_STORE_OK;
    if (link->rows == NULL) link->rows = qb_store_rows_new();
    qb_store_rows_begin(link->rows);
    if (qb_epochs_share(link->sql, epoch_least, error)) return QB_STORE_OK;
    return qb_store_settle(link, QB_STORE_FAILED, false, error);
}

enum qb_store_result qb_store_archive_heads(struct qb_store_link *link,
                                            struct qb_archive_head *heads, size_t count,
                                            struct qb_error *error)
{
    if (link->rows != NULL) return qb_store_rows_heads(link->rows, link->sql, heads, count, error);
    for (size_t i = 0; i < count; i++) {
        struct qb_statement *query = qb_sql(
            link->sql, "SELECT (SELECT applied_seq FROM auctions WHERE id = ?1), (SELECT min(seq) "
                       "FROM staging WHERE auction = ?1 AND seq > coalesce((SELECT applied_seq "
                       "FROM auctions WHERE id = ?1), 0)), EXISTS (SELECT 1 FROM conflicts WHERE "
                       "auction = ?1)");
        qb_bind_int(query, 1, (int64_t)heads[i].auction);
        if (qb_step(query, error) != QB_STEP_ROW) return QB_STORE_FAILED;
        heads[i].applied_seq = (uint64_t)qb_column_int(query, 0);
        heads[i].staged_seq = (uint64_t)qb_column_int(query, 1);
        heads[i].is_frozen = qb_column_int(query, 2) != 0;
        qb_sql_end(query);
    }
    return QB_STORE_OK;
}

enum qb_store_result qb_store_applied(struct qb_store_link *link, struct qb_applied *auctions,
                                      size_t count, struct qb_error *error)
{
    if (link->sql->driver->dialect == QB_SQL_POSTGRES)
        return qb_store_rows_applied(link->sql, auctions, count, error);
    for (size_t i = 0; i < count; i++) {
        struct qb_statement *query = qb_sql(
            link->sql, "SELECT (SELECT applied_seq FROM auctions WHERE id = ?1), (SELECT status "
                       "FROM auctions WHERE id = ?1), EXISTS (SELECT 1 FROM conflicts WHERE "
                       "auction = ?1)");
        qb_bind_int(query, 1, (int64_t)auctions[i].auction);
        if (qb_step(query, error) != QB_STEP_ROW) return QB_STORE_FAILED;
        auctions[i].seq = (uint64_t)qb_column_int(query, 0);
        auctions[i].is_over = qb_column_int(query, 1) >= QB_STATUS_SOLD;
        auctions[i].is_frozen = qb_column_int(query, 2) != 0;
        qb_sql_end(query);
    }
    return QB_STORE_OK;
}

enum qb_store_result qb_store_archive_write(struct qb_store_link *link, struct qb_error *error)
{
    if (link->rows == NULL) return QB_STORE_OK;
    bool is_written = qb_store_rows_write(link->rows, link->sql, error) == QB_STORE_OK;
    return is_written ? QB_STORE_OK : QB_STORE_FAILED;
}

enum qb_store_result qb_store_archive_records(struct qb_store_link *link, qb_id auction,
                                              bool (*each)(void *, const struct qb_bid_record *),
                                              void *context, struct qb_error *error)
{
    struct qb_statement *query =
        qb_sql(link->sql, "SELECT seq, type, is_live, bidder, max, t_us FROM bids WHERE auction = "
                          "? AND type <> ? ORDER BY seq");
    enum qb_step step = QB_STEP_DONE;

    if (qb_store_archive_write(link, error) != QB_STORE_OK) return QB_STORE_FAILED;
    qb_bind_int(query, 1, (int64_t)auction);
    qb_bind_int(query, 2, QB_ENTRY_BUY_NOW);
    while ((step = qb_step(query, error)) == QB_STEP_ROW) {
        const struct qb_bid_record record = {
            .seq = (uint64_t)qb_column_int(query, 0),
            .type = (uint8_t)qb_column_int(query, 1),
            .is_live = qb_column_int(query, 2) != 0,
            .bidder = (qb_id)qb_column_int(query, 3),
            .max = qb_column_int(query, 4),
            .t_us = qb_column_int(query, 5),
        };
        if (!each(context, &record)) break;
    }
    qb_sql_end(query);
    return step == QB_STEP_FAILED ? QB_STORE_FAILED : QB_STORE_OK;
}

static bool may_wait(const struct qb_store_link *link)
{
    return link->rows != NULL && qb_store_rows_may_wait(link->rows);
}

/* The row of an accepted bid, a purchase or a lowered reserve. What it says is derived from the
 * entry, which alone decides whether the place is taken. */
static enum qb_store_result add_bid(struct qb_store_link *link, const struct qb_entry *entry,
                                    const struct qb_verdict *verdict, struct qb_error *error)
{
    bool is_reserve = entry->type == QB_ENTRY_RESERVE;
    bool is_purchase = entry->type == QB_ENTRY_BUY_NOW;
    const int64_t values[QB_BID_VALUES] = {(int64_t)entry->auction,
                                           (int64_t)entry->seq,
                                           entry->type,
                                           (int64_t)entry->bidder,
                                           entry->max,
                                           is_purchase ? entry->max : verdict->price,
                                           is_reserve ? 0 : verdict->code,
                                           !is_reserve,
                                           verdict->t_us};

    if (may_wait(link)) {
        qb_store_rows_bid(link->rows, values);
        return QB_STORE_OK;
    }
    struct qb_statement *insert = qb_sql(
        link->sql, "INSERT INTO bids (auction, seq, type, bidder, max, price, code, is_live, "
                   "t_us) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (auction, seq) "
                   "DO UPDATE SET type = excluded.type, bidder = excluded.bidder, max = "
                   "excluded.max, price = excluded.price, code = excluded.code, is_live = "
                   "excluded.is_live, t_us = excluded.t_us");
    for (int i = 0; i < QB_BID_VALUES; i++) qb_bind_int(insert, i + 1, values[i]);
    return qb_store_step(link, insert, QB_STORE_OK, error);
}

static enum qb_store_result add_entry(struct qb_store_link *link, const struct qb_entry *entry,
                                      const struct qb_archived *archived, struct qb_error *error)
{
    uint8_t verdict[QB_VERDICT_BYTES];

    qb_verdict_encode(&archived->verdict, verdict);
    if (may_wait(link)) {
        qb_store_rows_entry(link->rows, entry, archived, verdict, sizeof verdict);
        return QB_STORE_OK;
    }
    struct qb_statement *insert =
        qb_sql(link->sql, "INSERT INTO entries (auction, seq, bid_id, bytes, verdict, chain) "
                          "VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING");
    qb_bind_int(insert, 1, (int64_t)entry->auction);
    qb_bind_int(insert, 2, (int64_t)entry->seq);
    qb_bind_blob(insert, 3, entry->bid_id, QB_BID_ID_BYTES);
    qb_bind_blob(insert, 4, archived->bytes, archived->length);
    qb_bind_blob(insert, 5, verdict, sizeof verdict);
    qb_bind_blob(insert, 6, archived->chain, QB_SHA256_BYTES);
    return qb_store_step(link, insert, QB_STORE_TAKEN, error);
}

enum qb_store_result qb_store_archive_entry(struct qb_store_link *link,
                                            const struct qb_entry *entry,
                                            const struct qb_archived *archived,
                                            struct qb_error *error)
{
    const struct qb_verdict *verdict = &archived->verdict;
    enum qb_store_result result = add_entry(link, entry, archived, error);
    bool has_row = verdict->code >= QB_VERDICT_LEADING && verdict->code <= QB_VERDICT_BOUGHT;

    if (entry->type == QB_ENTRY_RESERVE && verdict->code == QB_VERDICT_DONE) has_row = true;
    return result == QB_STORE_OK && has_row ? add_bid(link, entry, verdict, error) : result;
}

enum qb_store_result qb_store_archive_struck(struct qb_store_link *link, qb_id auction,
                                             uint64_t seq, struct qb_error *error)
{
    struct qb_statement *update =
        qb_sql(link->sql, "UPDATE bids SET is_live = 0 WHERE auction = ? AND seq = ?");

    if (qb_store_archive_write(link, error) != QB_STORE_OK) return QB_STORE_FAILED;
    qb_bind_int(update, 1, (int64_t)auction);
    qb_bind_int(update, 2, (int64_t)seq);
    return qb_store_step(link, update, QB_STORE_OK, error);
}

enum qb_store_result qb_store_archive_state(struct qb_store_link *link, const struct qb_lot *lot,
                                            struct qb_error *error)
{
    uint8_t bytes[QB_LOT_BYTES_MAX];
    size_t length = qb_lot_encode(lot, bytes);
    bool has_price = lot->price != QB_AMOUNT_NONE;
    int64_t sort_price = has_price ? lot->price : lot->rules.start_price;
    const int64_t values[QB_STATE_VALUES] = {
        (int64_t)lot->auction,
        (int64_t)lot->seq,
        lot->status,
        lot->outcome,
        lot->price,
        lot->bids,
        lot->ends_at_us,
        (int64_t)lot->winner,
        lot->final_price,
        lot->final_price != QB_AMOUNT_NONE ? lot->final_price : sort_price,
        qb_lot_is_buy_now_open(lot) ? lot->rules.buy_now : QB_AMOUNT_NONE};

    if (may_wait(link)) {
        qb_store_rows_state(link->rows, values, bytes, length);
        return QB_STORE_OK;
    }
    struct qb_statement *update = qb_sql(
        link->sql, "UPDATE auctions SET applied_seq = ?2, status = ?3, outcome = ?4, price = ?5, "
                   "bids = ?6, ends_at_us = ?7, winner = ?8, final_price = ?9, sort_price = ?10, "
                   "buy_now = ?11, state = ?12 WHERE id = ?1");
    for (int i = 0; i < QB_STATE_VALUES; i++) qb_bind_int(update, i + 1, values[i]);
    qb_bind_blob(update, QB_STATE_VALUES + 1, bytes, length);
    return qb_store_step(link, update, QB_STORE_NOT_FOUND, error);
}

enum qb_store_result qb_store_archive_payment(struct qb_store_link *link,
                                              const struct qb_payment *payment,
                                              struct qb_error *error)
{
    struct qb_statement *insert =
        qb_sql(link->sql, "INSERT INTO payments (id, auction, buyer, seller, amount, currency, "
                          "status, created_us, deadline_us) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON "
                          "CONFLICT DO NOTHING");

    qb_bind_int(insert, 1, (int64_t)payment->id);
    qb_bind_int(insert, 2, (int64_t)payment->auction);
    qb_bind_int(insert, 3, (int64_t)payment->buyer);
    qb_bind_int(insert, 4, (int64_t)payment->seller);
    qb_bind_int(insert, 5, payment->amount);
    qb_bind_text(insert, 6, payment->currency);
    qb_bind_int(insert, 7, payment->status);
    qb_bind_int(insert, 8, payment->created_us);
    qb_bind_int(insert, 9, payment->deadline_us);
    return qb_store_step(link, insert, QB_STORE_TAKEN, error);
}

enum qb_store_result qb_store_archive_conflict(struct qb_store_link *link, qb_id auction,
                                               uint64_t seq, const uint8_t *bytes, size_t length,
                                               struct qb_error *error)
{
    struct qb_statement *insert = qb_sql(
        link->sql, "INSERT INTO conflicts (auction, seq, bytes, seen_us) VALUES (?, ?, ?, ?)");

    qb_bind_int(insert, 1, (int64_t)auction);
    qb_bind_int(insert, 2, (int64_t)seq);
    qb_bind_blob(insert, 3, bytes, length);
    qb_bind_int(insert, 4, qb_clock_wall_us());
    return qb_store_step(link, insert, QB_STORE_OK, error);
}

enum qb_store_result qb_store_archive_is_frozen(struct qb_store_link *link, qb_id auction,
                                                bool *is_frozen, struct qb_error *error)
{
    struct qb_statement *query =
        qb_sql(link->sql, "SELECT EXISTS (SELECT 1 FROM conflicts WHERE auction = ?)");

    qb_bind_int(query, 1, (int64_t)auction);
    if (qb_step(query, error) != QB_STEP_ROW) return QB_STORE_FAILED;
    *is_frozen = qb_column_int(query, 0) != 0;
    qb_sql_end(query);
    return QB_STORE_OK;
}

/* Whether the same bytes wait in that place and epoch already. */
static enum qb_store_result compare_staged(struct qb_store_link *link,
                                           const struct qb_staged *staged, struct qb_error *error)
{
    struct qb_statement *query =
        qb_sql(link->sql, "SELECT bytes FROM staging WHERE auction = ? AND seq = ? AND epoch = ?");
    size_t length = 0;

    qb_bind_int(query, 1, (int64_t)staged->auction);
    qb_bind_int(query, 2, (int64_t)staged->seq);
    qb_bind_int(query, 3, staged->epoch);
    if (qb_step(query, error) != QB_STEP_ROW) return QB_STORE_FAILED;
    const void *bytes = qb_column_blob(query, 0, &length);
    bool is_same = length == staged->length && memcmp(bytes, staged->bytes, length) == 0;
    qb_sql_end(query);
    return is_same ? QB_STORE_OK : QB_STORE_TAKEN;
}

enum qb_store_result qb_store_archive_stage(struct qb_store_link *link,
                                            const struct qb_staged *staged, struct qb_error *error)
{
    struct qb_statement *insert =
        qb_sql(link->sql, "INSERT INTO staging (auction, seq, epoch, bytes) VALUES (?, ?, ?, ?) "
                          "ON CONFLICT DO NOTHING");

    qb_bind_int(insert, 1, (int64_t)staged->auction);
    qb_bind_int(insert, 2, (int64_t)staged->seq);
    qb_bind_int(insert, 3, staged->epoch);
    qb_bind_blob(insert, 4, staged->bytes, staged->length);
    enum qb_store_result result = qb_store_step(link, insert, QB_STORE_TAKEN, error);
    return result == QB_STORE_TAKEN ? compare_staged(link, staged, error) : result;
}

enum qb_store_result qb_store_archive_staged(struct qb_store_link *link, qb_id auction,
                                             uint64_t after_seq, struct qb_staged *staged,
                                             struct qb_error *error)
{
    struct qb_statement *query =
        qb_sql(link->sql, "SELECT seq, epoch, bytes FROM staging WHERE auction = ? AND seq > ? "
                          "ORDER BY seq, epoch DESC LIMIT 1");

    qb_bind_int(query, 1, (int64_t)auction);
    qb_bind_int(query, 2, (int64_t)after_seq);
    enum qb_step step = qb_step(query, error);
    if (step == QB_STEP_DONE) return QB_STORE_NOT_FOUND;
    if (step != QB_STEP_ROW) return QB_STORE_FAILED;
    staged->auction = auction;
    staged->seq = (uint64_t)qb_column_int(query, 0);
    staged->epoch = (uint32_t)qb_column_int(query, 1);
    const void *bytes = qb_column_blob(query, 2, &staged->length);
    bool has_room = staged->length <= sizeof staged->bytes;
    if (has_room) (void)memcpy(staged->bytes, bytes, staged->length);
    qb_sql_end(query);
    if (has_room) return QB_STORE_OK;
    (void)qb_error_set(error, "a staged entry is longer than any entry");
    return QB_STORE_FAILED;
}

enum qb_store_result qb_store_archive_unstage(struct qb_store_link *link,
                                              const struct qb_staged *staged,
                                              struct qb_error *error)
{
    struct qb_statement *remove =
        qb_sql(link->sql, "DELETE FROM staging WHERE auction = ? AND seq = ? AND epoch = ?");

    qb_bind_int(remove, 1, (int64_t)staged->auction);
    qb_bind_int(remove, 2, (int64_t)staged->seq);
    qb_bind_int(remove, 3, staged->epoch);
    return qb_store_step(link, remove, QB_STORE_OK, error);
}

enum qb_store_result qb_store_archive_void(struct qb_store_link *link, const struct qb_staged *late,
                                           struct qb_error *error)
{
    struct qb_statement *insert =
        qb_sql(link->sql, "INSERT INTO void_entries (auction, seq, epoch, bytes, seen_us) VALUES "
                          "(?, ?, ?, ?, ?)");

    qb_bind_int(insert, 1, (int64_t)late->auction);
    qb_bind_int(insert, 2, (int64_t)late->seq);
    qb_bind_int(insert, 3, late->epoch);
    qb_bind_blob(insert, 4, late->bytes, late->length);
    qb_bind_int(insert, 5, qb_clock_wall_us());
    return qb_store_step(link, insert, QB_STORE_OK, error);
}

enum qb_store_result qb_store_archive_void_staged(struct qb_store_link *link, uint32_t epoch_least,
                                                  size_t *count, struct qb_error *error)
{
    struct qb_statement *copy =
        qb_sql(link->sql, "INSERT INTO void_entries (auction, seq, epoch, bytes, seen_us) SELECT "
                          "auction, seq, epoch, bytes, ?2 FROM staging WHERE epoch < ?1");
    struct qb_statement *remove = qb_sql(link->sql, "DELETE FROM staging WHERE epoch < ?");

    *count = 0;
    if (!qb_sql_hold(link->sql, VOID_LOCK, error)) return QB_STORE_FAILED; /* else: copied twice */
    qb_bind_int(copy, 1, epoch_least);
    qb_bind_int(copy, 2, qb_clock_wall_us());
    enum qb_store_result result = qb_store_step(link, copy, QB_STORE_OK, error);
    if (result != QB_STORE_OK) return result;
    *count = (size_t)qb_sql_changes(link->sql);
    qb_bind_int(remove, 1, epoch_least);
    return qb_store_step(link, remove, QB_STORE_OK, error);
}

enum qb_store_result qb_store_archive_end(struct qb_store_link *link, bool do_commit,
                                          struct qb_error *error)
{
    struct qb_error ignored;
    bool is_written = do_commit && qb_store_archive_write(link, error) == QB_STORE_OK;
    bool is_ended = qb_sql_finish(link->sql, is_written, is_written ? error : &ignored);
    bool is_kept = is_written && is_ended;

    if (link->rows != NULL && qb_store_rows_end(link->rows, is_kept)) return QB_STORE_TAKEN;
    return is_kept || (!do_commit && is_ended) ? QB_STORE_OK : QB_STORE_FAILED;
}

enum qb_store_result qb_store_epoch_next(struct qb_store_link *link, uint32_t *epoch,
                                         struct qb_error *error)
{
    struct qb_error ignored;

    if (!qb_sql_begin(link->sql, error)) return QB_STORE_FAILED;
    struct qb_statement *raise =
        qb_sql(link->sql, "UPDATE epochs SET epoch = epoch + 1 RETURNING epoch");
    bool is_good = qb_step(raise, error) == QB_STEP_ROW;
    if (is_good) *epoch = (uint32_t)qb_column_int(raise, 0);
    qb_sql_end(raise);
    bool is_committed = qb_sql_finish(link->sql, is_good, is_good ? error : &ignored);
    return is_good && is_committed ? QB_STORE_OK : QB_STORE_FAILED;
}
