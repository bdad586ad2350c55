#include "storage/store_rows.h"

#include <stdlib.h>

#include "base/assert.h"
#include "storage/postgres_column.h"

#define ENTRY_VALUES 6

struct qb_store_rows {
    bool is_taken;   /* in this transaction */
    bool is_careful; /* nothing waits */
    struct qb_postgres_column entries[ENTRY_VALUES];
    struct qb_postgres_column bids[QB_BID_VALUES];
    struct qb_postgres_column states[QB_STATE_VALUES + 1];
    struct qb_postgres_column auctions;
};

struct qb_store_rows *qb_store_rows_new(void)
{
    struct qb_store_rows *rows = calloc(1, sizeof *rows);

    QB_ASSERT(rows != NULL);
    return rows;
}

static void fini(struct qb_postgres_column *columns, size_t count)
{
    for (size_t i = 0; i < count; i++) qb_postgres_column_fini(&columns[i]);
}

void qb_store_rows_free(struct qb_store_rows **rows)
{
    struct qb_store_rows *old = *rows;

    *rows = NULL;
    if (old == NULL) return;
    fini(old->entries, ENTRY_VALUES);
    fini(old->bids, QB_BID_VALUES);
    fini(old->states, QB_STATE_VALUES + 1);
    fini(&old->auctions, 1);
    free(old);
}

static void clear_entries(struct qb_store_rows *rows)
{
    for (size_t i = 0; i < ENTRY_VALUES; i++) {
        qb_postgres_column_clear(&rows->entries[i], i < 2 ? QB_POSTGRES_INT8 : QB_POSTGRES_BYTES);
    }
    for (size_t i = 0; i < QB_BID_VALUES; i++) {
        qb_postgres_column_clear(&rows->bids[i], QB_POSTGRES_INT8);
    }
}

static void clear_states(struct qb_store_rows *rows)
{
    for (size_t i = 0; i < QB_STATE_VALUES; i++) {
        qb_postgres_column_clear(&rows->states[i], QB_POSTGRES_INT8);
    }
    qb_postgres_column_clear(&rows->states[QB_STATE_VALUES], QB_POSTGRES_BYTES);
}

void qb_store_rows_begin(struct qb_store_rows *rows)
{
    rows->is_taken = false;
    clear_entries(rows);
    clear_states(rows);
}

bool qb_store_rows_may_wait(const struct qb_store_rows *rows)
{
    return !rows->is_careful;
}

void qb_store_rows_entry(struct qb_store_rows *rows, const struct qb_entry *entry,
                         const struct qb_archived *archived, const void *verdict, size_t length)
{
    qb_postgres_column_int(&rows->entries[0], (int64_t)entry->auction);
    qb_postgres_column_int(&rows->entries[1], (int64_t)entry->seq);
    qb_postgres_column_bytes(&rows->entries[2], entry->bid_id, QB_BID_ID_BYTES);
    qb_postgres_column_bytes(&rows->entries[3], archived->bytes, archived->length);
    qb_postgres_column_bytes(&rows->entries[4], verdict, length);
    qb_postgres_column_bytes(&rows->entries[5], archived->chain, QB_SHA256_BYTES);
}

void qb_store_rows_bid(struct qb_store_rows *rows, const int64_t values[QB_BID_VALUES])
{
    for (size_t i = 0; i < QB_BID_VALUES; i++) qb_postgres_column_int(&rows->bids[i], values[i]);
}

void qb_store_rows_state(struct qb_store_rows *rows, const int64_t values[QB_STATE_VALUES],
                         const void *bytes, size_t length)
{
    for (size_t i = 0; i < QB_STATE_VALUES; i++) {
        qb_postgres_column_int(&rows->states[i], values[i]);
    }
    qb_postgres_column_bytes(&rows->states[QB_STATE_VALUES], bytes, length);
}

/* Runs a statement over all rows of the columns; `changed` gets how many it wrote. */
static bool write_rows(struct qb_sql_link *sql, const char *text,
                       struct qb_postgres_column *columns, int count, int64_t *changed,
                       struct qb_error *error)
{
    struct qb_statement *statement = qb_sql(sql, text);

    *changed = 0;
    for (int i = 0; i < count; i++) qb_postgres_bind_column(statement, i + 1, &columns[i]);
    enum qb_step step = qb_step(statement, error);
    if (step == QB_STEP_DONE) *changed = qb_sql_changes(sql);
    return step == QB_STEP_DONE;
}

static bool write_bids(struct qb_store_rows *rows, struct qb_sql_link *sql, struct qb_error *error)
{
    static const char text[] =
        "INSERT INTO bids (auction, seq, type, bidder, max, price, code, is_live, t_us) "
        "SELECT * FROM unnest(?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (auction, seq) "
        "DO UPDATE SET type = excluded.type, bidder = excluded.bidder, max = excluded.max, "
        "price = excluded.price, code = excluded.code, is_live = excluded.is_live, "
        "t_us = excluded.t_us";
    int64_t changed = 0;

    if (rows->bids[0].count == 0) return true;
    return write_rows(sql, text, rows->bids, QB_BID_VALUES, &changed, error);
}

static bool write_states(struct qb_store_rows *rows, struct qb_sql_link *sql,
                         struct qb_error *error)
{
    static const char text[] =
        "UPDATE auctions SET applied_seq = new.applied_seq, status = new.status, "
        "outcome = new.outcome, price = new.price, bids = new.bids, ends_at_us = new.ends_at_us, "
        "winner = new.winner, final_price = new.final_price, sort_price = new.sort_price, "
        "buy_now = new.buy_now, state = new.state FROM unnest(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
        "AS new (id, applied_seq, status, outcome, price, bids, ends_at_us, winner, final_price, "
        "sort_price, buy_now, state) WHERE auctions.id = new.id";
    int64_t changed = 0;

    if (rows->states[0].count == 0) return true;
    QB_TRY(write_rows(sql, text, rows->states, QB_STATE_VALUES + 1, &changed, error));
    clear_states(rows);
    return true;
}

enum qb_store_result qb_store_rows_write(struct qb_store_rows *rows, struct qb_sql_link *sql,
                                         struct qb_error *error)
{
    static const char text[] = "INSERT INTO entries (auction, seq, bid_id, bytes, verdict, chain) "
                               "SELECT * FROM unnest(?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING";
    int64_t count = rows->entries[0].count;
    int64_t changed = 0;

    if (rows->is_taken) return QB_STORE_TAKEN;
    if (count > 0 && !write_rows(sql, text, rows->entries, ENTRY_VALUES, &changed, error))
        return QB_STORE_FAILED;
    if (changed != count) {
        rows->is_taken = true;
        (void)qb_error_set(error, "the place of an entry was taken");
        return QB_STORE_TAKEN;
    }
    if (!write_bids(rows, sql, error) || !write_states(rows, sql, error)) return QB_STORE_FAILED;
    if (count > 0) clear_entries(rows);
    return QB_STORE_OK;
}

bool qb_store_rows_end(struct qb_store_rows *rows, bool is_kept)
{
    bool was_taken = rows->is_taken;

    if (was_taken || is_kept) rows->is_careful = was_taken;
    qb_store_rows_begin(rows);
    return was_taken;
}

static bool hold(struct qb_store_rows *rows, struct qb_sql_link *sql, struct qb_error *error)
{
    /* In one order, so that two who hold some never wait for each other. */
    struct qb_statement *query = qb_sql(sql, "SELECT id FROM auctions WHERE id = ANY (?) "
                                             "ORDER BY id FOR NO KEY UPDATE");

    qb_postgres_bind_column(query, 1, &rows->auctions);
    enum qb_step step = qb_step(query, error);
    qb_sql_end(query);
    return step != QB_STEP_FAILED;
}

enum qb_store_result qb_store_rows_heads(struct qb_store_rows *rows, struct qb_sql_link *sql,
                                         struct qb_archive_head *heads, size_t count,
                                         struct qb_error *error)
{
    qb_postgres_column_clear(&rows->auctions, QB_POSTGRES_INT8);
    for (size_t i = 0; i < count; i++) {
        qb_postgres_column_int(&rows->auctions, (int64_t)heads[i].auction);
    }
    if (!hold(rows, sql, error)) return QB_STORE_FAILED;
    /* After the wait: what others have committed meanwhile is seen by a new statement only. */
    struct qb_statement *query =
        qb_sql(sql, "SELECT wanted.id, coalesce(applied_seq, 0), coalesce((SELECT min(seq) FROM "
                    "staging WHERE auction = wanted.id AND seq > coalesce(applied_seq, 0)), 0), "
                    "EXISTS (SELECT 1 FROM conflicts WHERE auction = wanted.id) "
                    "FROM unnest(?) AS wanted (id) LEFT JOIN auctions USING (id) ORDER BY 1");
    enum qb_step step = QB_STEP_DONE;
    size_t i = 0;
    qb_postgres_bind_column(query, 1, &rows->auctions);
    while ((step = qb_step(query, error)) == QB_STEP_ROW) {
        QB_ASSERT(i < count && heads[i].auction == (qb_id)qb_column_int(query, 0));
        heads[i].applied_seq = (uint64_t)qb_column_int(query, 1);
        heads[i].staged_seq = (uint64_t)qb_column_int(query, 2);
        heads[i].is_frozen = qb_column_int(query, 3) != 0;
        i++;
    }
    return step == QB_STEP_FAILED ? QB_STORE_FAILED : QB_STORE_OK;
}

enum qb_store_result qb_store_rows_applied(struct qb_sql_link *sql, struct qb_applied *auctions,
                                           size_t count, struct qb_error *error)
{
    struct qb_postgres_column ids = {0};
    enum qb_step step = QB_STEP_DONE;
    size_t i = 0;

    qb_postgres_column_clear(&ids, QB_POSTGRES_INT8);
    for (i = 0; i < count; i++) qb_postgres_column_int(&ids, (int64_t)auctions[i].auction);
    struct qb_statement *query =
        qb_sql(sql, "SELECT wanted.id, coalesce(applied_seq, 0), coalesce(status, 0), EXISTS "
                    "(SELECT 1 FROM conflicts WHERE auction = wanted.id) FROM unnest(?) WITH "
                    "ORDINALITY AS wanted (id, place) LEFT JOIN auctions USING (id) ORDER BY "
                    "wanted.place");
    qb_postgres_bind_column(query, 1, &ids);
    for (i = 0; (step = qb_step(query, error)) == QB_STEP_ROW; i++) {
        QB_ASSERT(i < count && auctions[i].auction == (qb_id)qb_column_int(query, 0));
        auctions[i].seq = (uint64_t)qb_column_int(query, 1);
        auctions[i].is_over = qb_column_int(query, 2) >= QB_STATUS_SOLD;
        auctions[i].is_frozen = qb_column_int(query, 3) != 0;
    }
    qb_sql_end(query);
    qb_postgres_column_fini(&ids);
    return step == QB_STEP_FAILED ? QB_STORE_FAILED : QB_STORE_OK;
}
