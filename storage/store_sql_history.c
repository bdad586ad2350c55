#include <string.h>

#include "storage/store_sql_parts.h"
#include "storage/verdict_codec.h"

static bool read_archived(struct qb_statement *query, struct qb_archived *archived)
{
    size_t length = 0;

    archived->seq = (uint64_t)qb_column_int(query, 0);
    archived->bytes = qb_column_blob(query, 1, &archived->length);
    const void *verdict = qb_column_blob(query, 2, &length);
    if (!qb_verdict_decode(verdict, length, &archived->verdict)) return false;
    const void *chain = qb_column_blob(query, 3, &length);
    if (length != QB_SHA256_BYTES) return false;
    (void)memcpy(archived->chain, chain, QB_SHA256_BYTES);
    return true;
}

static enum qb_store_result unreadable(struct qb_error *error)
{
    (void)qb_error_set(error, "an archived entry cannot be read: the database was changed by "
                              "something else");
    return QB_STORE_BROKEN;
}

enum qb_store_result qb_store_entries(struct qb_store_link *link, qb_id auction, uint64_t after_seq,
                                      size_t rows_max, qb_store_archived *each, void *context,
                                      struct qb_error *error)
{
    struct qb_statement *query = qb_sql(
        link->sql, "SELECT seq, bytes, verdict, chain FROM entries WHERE auction = ? AND seq > ? "
                   "ORDER BY seq LIMIT ?");
    enum qb_step step = QB_STEP_DONE;
    struct qb_archived archived;
    bool is_good = true;

    if (qb_store_archive_write(link, error) != QB_STORE_OK) return QB_STORE_FAILED;
    qb_bind_int(query, 1, (int64_t)auction);
    qb_bind_int(query, 2, (int64_t)after_seq);
    qb_bind_int(query, 3, (int64_t)rows_max);
    while (is_good && (step = qb_step(query, error)) == QB_STEP_ROW) {
        is_good = read_archived(query, &archived);
        if (is_good && !each(context, &archived)) break;
    }
    qb_sql_end(query);
    if (!is_good) return unreadable(error);
    return step == QB_STEP_FAILED ? QB_STORE_FAILED : QB_STORE_OK;
}

enum qb_store_result qb_store_entry_by_bid_id(struct qb_store_link *link, qb_id auction,
                                              const uint8_t *bid_id, struct qb_archived *archived,
                                              uint8_t *bytes, struct qb_error *error)
{
    struct qb_statement *query =
        qb_sql(link->sql, "SELECT seq, bytes, verdict, chain FROM entries WHERE auction = ? AND "
                          "bid_id = ?");

    qb_bind_int(query, 1, (int64_t)auction);
    qb_bind_blob(query, 2, bid_id, QB_BID_ID_BYTES);
    enum qb_step step = qb_step(query, error);
    if (step != QB_STEP_ROW) return step == QB_STEP_DONE ? QB_STORE_NOT_FOUND : QB_STORE_FAILED;
    bool is_good = read_archived(query, archived) && archived->length <= QB_ENTRY_BYTES_MAX;
    if (is_good) (void)memcpy(bytes, archived->bytes, archived->length);
    archived->bytes = bytes;
    qb_sql_end(query);
    return is_good ? QB_STORE_OK : unreadable(error);
}

#define BID_COLUMNS "SELECT auction, seq, bidder, max, price, code, is_live, t_us FROM bids "

static enum qb_store_result walk_bids(struct qb_statement *query, qb_store_bid *each, void *context,
                                      struct qb_error *error)
{
    enum qb_step step = QB_STEP_DONE;

    while ((step = qb_step(query, error)) == QB_STEP_ROW) {
        const struct qb_bid_row bid = {
            .auction = (qb_id)qb_column_int(query, 0),
            .seq = (uint64_t)qb_column_int(query, 1),
            .bidder = (qb_id)qb_column_int(query, 2),
            .max = qb_column_int(query, 3),
            .price = qb_column_int(query, 4),
            .code = (uint8_t)qb_column_int(query, 5),
            .is_live = qb_column_int(query, 6) != 0,
            .t_us = qb_column_int(query, 7),
        };
        if (!each(context, &bid)) break;
    }
    qb_sql_end(query);
    return step == QB_STEP_FAILED ? QB_STORE_FAILED : QB_STORE_OK;
}

enum qb_store_result qb_store_bids(struct qb_store_link *link, qb_id auction, uint64_t before_seq,
                                   size_t rows_max, qb_store_bid *each, void *context,
                                   struct qb_error *error)
{
    struct qb_statement *query =
        qb_sql(link->sql, BID_COLUMNS "WHERE auction = ?1 AND seq < ?2 AND code > 0 ORDER BY seq "
                                      "DESC LIMIT ?3");

    qb_bind_int(query, 1, (int64_t)auction);
    qb_bind_int(query, 2, before_seq > 0 ? (int64_t)before_seq : INT64_MAX);
    qb_bind_int(query, 3, (int64_t)rows_max);
    return walk_bids(query, each, context, error);
}

enum qb_store_result qb_store_bids_of(struct qb_store_link *link, qb_id bidder, qb_id auction,
                                      size_t rows_max, qb_store_bid *each, void *context,
                                      struct qb_error *error)
{
    struct qb_statement *query =
        auction != 0 ? qb_sql(link->sql, BID_COLUMNS "WHERE bidder = ?1 AND auction = ?3 AND code "
                                                     "> 0 ORDER BY seq DESC LIMIT ?2")
                     : qb_sql(link->sql, BID_COLUMNS "WHERE bidder = ?1 AND code > 0 ORDER BY "
                                                     "auction DESC, seq DESC LIMIT ?2");

    qb_bind_int(query, 1, (int64_t)bidder);
    qb_bind_int(query, 2, (int64_t)rows_max);
    if (auction != 0) qb_bind_int(query, 3, (int64_t)auction);
    return walk_bids(query, each, context, error);
}

#define PAYMENT_COLUMNS                                                                            \
    "SELECT p.id, p.auction, p.buyer, p.seller, p.amount, p.currency, p.status, p.created_us, "    \
    "p.deadline_us, a.title FROM payments p JOIN auctions a ON a.id = p.auction "
/* Two runs of an index each, side by side; nobody pays themselves. */
#define PAYMENTS_OF                                                                                \
    "SELECT p.id, p.auction, p.buyer, p.seller, p.amount, p.currency, p.status, p.created_us, "    \
    "p.deadline_us, a.title FROM (SELECT * FROM payments WHERE buyer = ?1 AND id < ?2 UNION ALL "  \
    "SELECT * FROM payments WHERE seller = ?1 AND id < ?2) p JOIN auctions a ON a.id = p.auction " \
    "ORDER BY p.id DESC LIMIT ?3"

static void read_payment(struct qb_statement *query, struct qb_payment *payment)
{
    (void)memset(payment, 0, sizeof *payment);
    payment->id = (qb_id)qb_column_int(query, 0);
    payment->auction = (qb_id)qb_column_int(query, 1);
    payment->buyer = (qb_id)qb_column_int(query, 2);
    payment->seller = (qb_id)qb_column_int(query, 3);
    payment->amount = qb_column_int(query, 4);
    qb_column_copy(query, 5, payment->currency, sizeof payment->currency);
    payment->status = (uint8_t)qb_column_int(query, 6);
    payment->created_us = qb_column_int(query, 7);
    payment->deadline_us = qb_column_int(query, 8);
    qb_column_copy(query, 9, payment->title, sizeof payment->title);
}

enum qb_store_result qb_store_payments_of(struct qb_store_link *link, qb_id user, qb_id before_id,
                                          size_t rows_max, qb_store_payment *each, void *context,
                                          struct qb_error *error)
{
    struct qb_statement *query = qb_sql(link->sql, PAYMENTS_OF);
    enum qb_step step = QB_STEP_DONE;
    struct qb_payment payment;

    qb_bind_int(query, 1, (int64_t)user);
    qb_bind_int(query, 2, before_id > 0 ? (int64_t)before_id : INT64_MAX);
    qb_bind_int(query, 3, (int64_t)rows_max);
    while ((step = qb_step(query, error)) == QB_STEP_ROW) {
        read_payment(query, &payment);
        if (!each(context, &payment)) break;
    }
    qb_sql_end(query);
    return step == QB_STEP_FAILED ? QB_STORE_FAILED : QB_STORE_OK;
}

enum qb_store_result qb_store_payment_of_auction(struct qb_store_link *link, qb_id auction,
                                                 struct qb_payment *payment, struct qb_error *error)
{
    struct qb_statement *query = qb_sql(link->sql, PAYMENT_COLUMNS "WHERE p.auction = ?");

    qb_bind_int(query, 1, (int64_t)auction);
    enum qb_step step = qb_step(query, error);
    if (step != QB_STEP_ROW) return step == QB_STEP_DONE ? QB_STORE_NOT_FOUND : QB_STORE_FAILED;
    read_payment(query, payment);
    qb_sql_end(query);
    return QB_STORE_OK;
}
