/*
 * The rows of an archiver's transaction on Postgres, written many at a time: entries, bids and the
 * states of auctions wait here until something is read that they may be part of, or the end.
 * Private to storage/store_sql_archive.c.
 */
#pragma once

#include "storage/sql.h"
#include "storage/store.h"

#define QB_BID_VALUES   9  /* columns of a bid's row */
#define QB_STATE_VALUES 11 /* columns of an auction's state, without its bytes */

struct qb_store_rows;

struct qb_store_rows *qb_store_rows_new(void);
/* Nulls the pointer; accepts null. */
void qb_store_rows_free(struct qb_store_rows **rows);

/* Of a new transaction. */
void qb_store_rows_begin(struct qb_store_rows *rows);

/* Whether rows may wait: not in the transaction after one in which a place was taken, which finds
 * out which row it was. */
bool qb_store_rows_may_wait(const struct qb_store_rows *rows);

void qb_store_rows_entry(struct qb_store_rows *rows, const struct qb_entry *entry,
                         const struct qb_archived *archived, const void *verdict, size_t length);
void qb_store_rows_bid(struct qb_store_rows *rows, const int64_t values[QB_BID_VALUES]);
void qb_store_rows_state(struct qb_store_rows *rows, const int64_t values[QB_STATE_VALUES],
                         const void *bytes, size_t length);

/* Writes what waits. TAKEN: an entry's place was; the transaction cannot be kept. */
enum qb_store_result qb_store_rows_write(struct qb_store_rows *rows, struct qb_sql_link *sql,
                                         struct qb_error *error);

/* The transaction has ended. Returns whether a place was taken in it. */
bool qb_store_rows_end(struct qb_store_rows *rows, bool is_kept);

/* As archive_heads. */
enum qb_store_result qb_store_rows_heads(struct qb_store_rows *rows, struct qb_sql_link *sql,
                                         struct qb_archive_head *heads, size_t count,
                                         struct qb_error *error);

/* As `applied`; not of a transaction. */
enum qb_store_result qb_store_rows_applied(struct qb_sql_link *sql, struct qb_applied *auctions,
                                           size_t count, struct qb_error *error);
