#include <string.h>

#include "base/clock.h"
#include "storage/store_sql_parts.h"
#include "storage/verdict_codec.h"

enum qb_store_result qb_store_archive_begin(struct qb_store_link *link, struct qb_error *error)
{
    return qb_sql_begin(link->sql, error) ? QB_STORE_OK : QB_STORE_FAILED;
}

enum qb_store_result qb_store_archive_records(struct qb_store_link *link, qb_id auction,
                                              bool (*each)(void *, const struct qb_bid_record *),
                                              void *context, struct qb_error *error)
{
    struct qb_statement *query =
        qb_sql(link->sql, "SELECT seq, type, is_live, bidder, max, t_us FROM bids WHERE auction = "
                          "? AND type <> ? ORDER BY seq");
    enum qb_step step = QB_STEP_DONE;

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

/* The row of an accepted bid, a purchase or a lowered reserve. What it says is derived from the
 * entry, which alone decides whether the place is taken. */
static enum qb_store_result add_bid(struct qb_store_link *link, const struct qb_entry *entry,
                                    const struct qb_verdict *verdict, struct qb_error *error)
{
    struct qb_statement *insert = qb_sql(
        link->sql, "INSERT INTO bids (auction, seq, type, bidder, max, price, code, is_live, "
                   "t_us) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (auction, seq) "
                   "DO UPDATE SET type = excluded.type, bidder = excluded.bidder, max = "
                   "excluded.max, price = excluded.price, code = excluded.code, is_live = "
                   "excluded.is_live, t_us = excluded.t_us");
    bool is_reserve = entry->type == QB_ENTRY_RESERVE;
    bool is_purchase = entry->type == QB_ENTRY_BUY_NOW;

    qb_bind_int(insert, 1, (int64_t)entry->auction);
    qb_bind_int(insert, 2, (int64_t)entry->seq);
    qb_bind_int(insert, 3, entry->type);
    qb_bind_int(insert, 4, (int64_t)entry->bidder);
    qb_bind_int(insert, 5, entry->max);
    qb_bind_int(insert, 6, is_purchase ? entry->max : verdict->price);
    qb_bind_int(insert, 7, is_reserve ? 0 : verdict->code);
    qb_bind_int(insert, 8, !is_reserve);
    qb_bind_int(insert, 9, verdict->t_us);
    return qb_store_step(link, insert, QB_STORE_OK, error);
}

enum qb_store_result qb_store_archive_entry(struct qb_store_link *link,
                                            const struct qb_entry *entry,
                                            const struct qb_archived *archived,
                                            struct qb_error *error)
{
    struct qb_statement *insert =
        qb_sql(link->sql, "INSERT INTO entries (auction, seq, bid_id, bytes, verdict, chain) "
                          "VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING");
    const struct qb_verdict *verdict = &archived->verdict;
    uint8_t bytes[QB_VERDICT_BYTES];

    qb_verdict_encode(verdict, bytes);
    qb_bind_int(insert, 1, (int64_t)entry->auction);
    qb_bind_int(insert, 2, (int64_t)entry->seq);
    qb_bind_blob(insert, 3, entry->bid_id, QB_BID_ID_BYTES);
    qb_bind_blob(insert, 4, archived->bytes, archived->length);
    qb_bind_blob(insert, 5, bytes, sizeof bytes);
    qb_bind_blob(insert, 6, archived->chain, QB_SHA256_BYTES);
    enum qb_store_result result = qb_store_step(link, insert, QB_STORE_TAKEN, error);
    bool has_row = verdict->code >= QB_VERDICT_LEADING && verdict->code <= QB_VERDICT_BOUGHT;
    if (entry->type == QB_ENTRY_RESERVE && verdict->code == QB_VERDICT_DONE) has_row = true;
    return result == QB_STORE_OK && has_row ? add_bid(link, entry, verdict, error) : result;
}

enum qb_store_result qb_store_archive_struck(struct qb_store_link *link, qb_id auction,
                                             uint64_t seq, struct qb_error *error)
{
    struct qb_statement *update =
        qb_sql(link->sql, "UPDATE bids SET is_live = 0 WHERE auction = ? AND seq = ?");

    qb_bind_int(update, 1, (int64_t)auction);
    qb_bind_int(update, 2, (int64_t)seq);
    return qb_store_step(link, update, QB_STORE_OK, error);
}

enum qb_store_result qb_store_archive_state(struct qb_store_link *link, const struct qb_lot *lot,
                                            struct qb_error *error)
{
    struct qb_statement *update = qb_sql(
        link->sql, "UPDATE auctions SET applied_seq = ?2, status = ?3, outcome = ?4, price = ?5, "
                   "bids = ?6, ends_at_us = ?7, winner = ?8, final_price = ?9, sort_price = ?10, "
                   "buy_now = ?11, state = ?12 WHERE id = ?1");
    uint8_t bytes[QB_LOT_BYTES_MAX];
    size_t length = qb_lot_encode(lot, bytes);
    bool has_price = lot->price != QB_AMOUNT_NONE;
    int64_t sort_price = has_price ? lot->price : lot->rules.start_price;

    qb_bind_int(update, 1, (int64_t)lot->auction);
    qb_bind_int(update, 2, (int64_t)lot->seq);
    qb_bind_int(update, 3, lot->status);
    qb_bind_int(update, 4, lot->outcome);
    qb_bind_int(update, 5, lot->price);
    qb_bind_int(update, 6, lot->bids);
    qb_bind_int(update, 7, lot->ends_at_us);
    qb_bind_int(update, 8, (int64_t)lot->winner);
    qb_bind_int(update, 9, lot->final_price);
    qb_bind_int(update, 10, lot->final_price != QB_AMOUNT_NONE ? lot->final_price : sort_price);
    qb_bind_int(update, 11, qb_lot_is_buy_now_open(lot) ? lot->rules.buy_now : QB_AMOUNT_NONE);
    qb_bind_blob(update, 12, bytes, length);
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

enum qb_store_result qb_store_archive_end(struct qb_store_link *link, bool do_commit,
                                          struct qb_error *error)
{
    return qb_sql_finish(link->sql, do_commit, error) ? QB_STORE_OK : QB_STORE_FAILED;
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
