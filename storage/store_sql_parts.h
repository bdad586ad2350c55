/*
 * The operations of a store on SQL, by file; private to storage/store_sql*.c. What each promises
 * stands in store.h.
 */
#pragma once

#include "storage/store_sql.h"

struct qb_store_link {
    struct qb_sql_link *sql;
    struct qb_store_copy *copy; /* of store_replicas.c; null elsewhere */
    struct qb_store_rows *rows; /* of an archiver on Postgres; null elsewhere */
};

/* The operations; `open` and `free` are of qb_store_sql_new(). */
extern const struct qb_store_ops qb_store_sql_ops;

/* A statement that returns no rows; `if_none` is the result when it changes none: TAKEN of an
 * insert that meets a taken value with ON CONFLICT DO NOTHING, NOT_FOUND of an update. */
enum qb_store_result qb_store_step(struct qb_store_link *link, struct qb_statement *statement,
                                   enum qb_store_result if_none, struct qb_error *error);
/* Ends a transaction: `result`, or FAILED when it was to be kept and was not. */
enum qb_store_result qb_store_settle(struct qb_store_link *link, enum qb_store_result result,
                                     bool do_keep, struct qb_error *error);
/* qb_store_step() in a transaction of its own. */
enum qb_store_result qb_store_write(struct qb_store_link *link, struct qb_statement *statement,
                                    enum qb_store_result if_none, struct qb_error *error);

/* store_sql_accounts.c */
enum qb_store_result qb_store_user_add(struct qb_store_link *, const struct qb_user *,
                                       struct qb_error *);
enum qb_store_result qb_store_user_by_email(struct qb_store_link *, const char *, struct qb_user *,
                                            struct qb_error *);
enum qb_store_result qb_store_user_by_id(struct qb_store_link *, qb_id, struct qb_user *,
                                         struct qb_error *);
enum qb_store_result qb_store_user_update(struct qb_store_link *, const struct qb_user *,
                                          struct qb_error *);
enum qb_store_result qb_store_login_add(struct qb_store_link *, const struct qb_login *,
                                        struct qb_error *);
enum qb_store_result qb_store_login_find(struct qb_store_link *, const uint8_t *, struct qb_login *,
                                         struct qb_error *);
enum qb_store_result qb_store_login_remove(struct qb_store_link *, const uint8_t *,
                                           const struct qb_revocation *, struct qb_error *);
enum qb_store_result qb_store_revoke(struct qb_store_link *, const struct qb_revocation *,
                                     struct qb_error *);
enum qb_store_result qb_store_revocations(struct qb_store_link *, qb_time_us,
                                          bool (*)(void *, const struct qb_revocation *), void *,
                                          struct qb_error *);
enum qb_store_result qb_store_limit_set(struct qb_store_link *, qb_id, const char *, int64_t,
                                        struct qb_error *);
enum qb_store_result qb_store_limits(struct qb_store_link *,
                                     bool (*)(void *, qb_id, const char *, int64_t), void *,
                                     struct qb_error *);
enum qb_store_result qb_store_banned(struct qb_store_link *, bool (*each)(void *, qb_id),
                                     void *context, struct qb_error *);

/* What qb_store_read_listing() reads, in its order; then come sort_price and the digest of what
 * was asked under a key. */
#define QB_LISTING_COLUMNS                                                                         \
    "SELECT id, seller, title, description, category, image, currency, is_private, created_us, "   \
    "starts_at_us, start_price, buy_now, applied_seq, status, outcome, price, bids, ends_at_us, "  \
    "winner, final_price, sort_price, asked FROM auctions "

/* store_sql_auctions.c */
void qb_store_read_listing(struct qb_statement *query, struct qb_listing *listing);
enum qb_store_result qb_store_listing_add(struct qb_store_link *, const struct qb_listing *,
                                          struct qb_listing_terms *, struct qb_error *);
enum qb_store_result qb_store_listing_by_key(struct qb_store_link *, qb_id, const char *,
                                             struct qb_listing *, uint8_t *, struct qb_error *);
enum qb_store_result qb_store_listing_get(struct qb_store_link *, qb_id, struct qb_listing *,
                                          struct qb_error *);
enum qb_store_result qb_store_listings_forget(struct qb_store_link *, qb_time_us, size_t *,
                                              struct qb_error *);
enum qb_store_result qb_store_live(struct qb_store_link *, bool (*)(void *, qb_id), void *,
                                   struct qb_error *);
enum qb_store_result qb_store_state(struct qb_store_link *, qb_id, struct qb_lot *,
                                    struct qb_error *);
enum qb_store_result qb_store_watch_set(struct qb_store_link *, qb_id, qb_id, bool,
                                        struct qb_error *);

/* store_sqlite_images.c */
enum qb_store_result qb_store_image_add(struct qb_store_link *, const struct qb_image *, int64_t,
                                        struct qb_error *);
enum qb_store_result qb_store_image_is_there(struct qb_store_link *, const uint8_t *,
                                             struct qb_error *);
enum qb_store_result qb_store_image(struct qb_store_link *, const uint8_t *,
                                    void (*)(void *, const char *, const void *, size_t), void *,
                                    struct qb_error *);

/* store_sql_listings.c */
enum qb_store_result qb_store_listings(struct qb_store_link *, const struct qb_listing_query *,
                                       qb_store_listing *, void *, struct qb_error *);

/* store_sql_history.c */
enum qb_store_result qb_store_entries(struct qb_store_link *, qb_id, uint64_t, size_t,
                                      qb_store_archived *, void *, struct qb_error *);
enum qb_store_result qb_store_entry_by_bid_id(struct qb_store_link *, qb_id, const uint8_t *,
                                              struct qb_archived *, uint8_t *, struct qb_error *);
enum qb_store_result qb_store_bids(struct qb_store_link *, qb_id, uint64_t, size_t, qb_store_bid *,
                                   void *, struct qb_error *);
enum qb_store_result qb_store_bids_of(struct qb_store_link *, qb_id, qb_id, size_t, qb_store_bid *,
                                      void *, struct qb_error *);
enum qb_store_result qb_store_payments_of(struct qb_store_link *, qb_id, qb_id, size_t,
                                          qb_store_payment *, void *, struct qb_error *);
enum qb_store_result qb_store_payment_of_auction(struct qb_store_link *, qb_id, struct qb_payment *,
                                                 struct qb_error *);

/* store_sql_archive.c */
enum qb_store_result qb_store_archive_begin(struct qb_store_link *, uint32_t *, struct qb_error *);
enum qb_store_result qb_store_archive_heads(struct qb_store_link *, struct qb_archive_head *,
                                            size_t, struct qb_error *);
enum qb_store_result qb_store_archive_records(struct qb_store_link *, qb_id,
                                              bool (*)(void *, const struct qb_bid_record *),
                                              void *, struct qb_error *);
enum qb_store_result qb_store_archive_entry(struct qb_store_link *, const struct qb_entry *,
                                            const struct qb_archived *, struct qb_error *);
enum qb_store_result qb_store_archive_struck(struct qb_store_link *, qb_id, uint64_t,
                                             struct qb_error *);
enum qb_store_result qb_store_archive_state(struct qb_store_link *, const struct qb_lot *,
                                            struct qb_error *);
enum qb_store_result qb_store_archive_payment(struct qb_store_link *, const struct qb_payment *,
                                              struct qb_error *);
enum qb_store_result qb_store_archive_conflict(struct qb_store_link *, qb_id, uint64_t,
                                               const uint8_t *, size_t, struct qb_error *);
enum qb_store_result qb_store_archive_is_frozen(struct qb_store_link *, qb_id, bool *,
                                                struct qb_error *);
enum qb_store_result qb_store_archive_stage(struct qb_store_link *, const struct qb_staged *,
                                            struct qb_error *);
enum qb_store_result qb_store_archive_staged(struct qb_store_link *, qb_id, uint64_t,
                                             struct qb_staged *, struct qb_error *);
enum qb_store_result qb_store_archive_unstage(struct qb_store_link *, const struct qb_staged *,
                                              struct qb_error *);
enum qb_store_result qb_store_archive_void(struct qb_store_link *, const struct qb_staged *,
                                           struct qb_error *);
enum qb_store_result qb_store_archive_void_staged(struct qb_store_link *, uint32_t, size_t *,
                                                  struct qb_error *);
enum qb_store_result qb_store_applied(struct qb_store_link *, struct qb_applied *, size_t,
                                      struct qb_error *);
/* Before a read that may concern what the transaction under way has not written yet. */
enum qb_store_result qb_store_archive_write(struct qb_store_link *, struct qb_error *);
enum qb_store_result qb_store_archive_end(struct qb_store_link *, bool, struct qb_error *);
enum qb_store_result qb_store_epoch_next(struct qb_store_link *, uint32_t *, struct qb_error *);
