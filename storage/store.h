/*
 * Port: the permanent record: accounts, sessions, auctions, entries, bids, payments; and the
 * queries over it.
 *
 * Implementations: store_sqlite.h, store_postgres.h, store_replicas.h.
 * tests/contract/store_contract.c says what each must do.
 *
 * Thread    calls block: worker threads only, each with a connection of its own (qb_store_open).
 * Errors    enum qb_store_result; FAILED sets `error` (log it; never show it to a client).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/attributes.h"
#include "base/error.h"
#include "bidding/entry.h"
#include "bidding/lot.h"
#include "bidding/payment.h"

struct qb_store;
struct qb_store_link; /* one connection; one thread */

enum qb_store_result {
    QB_STORE_OK,
    QB_STORE_NOT_FOUND,
    QB_STORE_TAKEN, /* a unique value is taken */
    QB_STORE_FULL,  /* a limit that came with the call is reached */
    QB_STORE_LATER, /* likewise, and time alone makes room */
    QB_STORE_FAILED,
    QB_STORE_BROKEN, /* what is stored there cannot be read, while the rest can; sets `error` */
};

/* Whether a query has no answer, for whichever reason. */
static inline bool qb_store_is_down(enum qb_store_result result)
{
    return result == QB_STORE_FAILED || result == QB_STORE_BROKEN;
}

#define QB_EMAIL_BYTES_MAX       254
#define QB_NAME_BYTES_MAX        80
#define QB_TITLE_BYTES_MAX       200
#define QB_DESCRIPTION_BYTES_MAX 8000
#define QB_CATEGORY_BYTES_MAX    40
#define QB_VERIFIER_BYTES_MAX    200 /* "$scrypt$ln=14,r=8,p=5$salt$hash" */
#define QB_IMAGE_BYTES_MAX       (2U << 20)
#define QB_IMAGE_HASH_BYTES      32
#define QB_PAGE_ROWS_MAX         100

enum qb_role { QB_ROLE_BIDDER = 1, QB_ROLE_SELLER = 2, QB_ROLE_ADMIN = 4 };

/* Bids and purchases, by any way in. Staff may not, whatever else they are (rules.md 10). */
static inline bool qb_roles_may_bid(unsigned roles)
{
    return (roles & QB_ROLE_BIDDER) != 0 && (roles & QB_ROLE_ADMIN) == 0;
}

struct qb_user {
    qb_id id;
    char email[QB_EMAIL_BYTES_MAX + 1]; /* lower case; unique */
    char name[QB_NAME_BYTES_MAX + 1];
    char verifier[QB_VERIFIER_BYTES_MAX + 1];
    unsigned roles; /* enum qb_role, or-ed */
    bool is_banned;
    qb_time_us created_us;
};

/* A login. Its secret is only with the client; here is the secret's SHA-256. */
struct qb_login {
    uint8_t hash[QB_SHA256_BYTES];
    qb_id user;
    qb_time_us created_us;
    qb_time_us expires_us;
};

/* As tokens and sessions name a login: 63 bits of its hash, never 0. */
static inline uint64_t qb_login_name(const uint8_t hash[QB_SHA256_BYTES])
{
    uint64_t name = 0;

    (void)memcpy(&name, hash, sizeof name);
    name &= INT64_MAX;
    return name != 0 ? name : 1;
}

/* Tokens that are refused before they end: all those of `login`, or, when that is 0, those that
 * `user` got at `since_us` or before. */
struct qb_revocation {
    uint64_t login;
    qb_id user;
    qb_time_us since_us;
    qb_time_us until_us; /* by then the last of these tokens has ended by itself */
};

/* What is said about an auction beside its rules: texts for people. */
struct qb_listing {
    qb_id id;
    qb_id seller;
    char title[QB_TITLE_BYTES_MAX + 1];
    char description[QB_DESCRIPTION_BYTES_MAX + 1];
    char category[QB_CATEGORY_BYTES_MAX + 1];
    char image[QB_IMAGE_HASH_BYTES * 2 + 1]; /* hash of an image in hex, or empty */
    char currency[QB_CURRENCY_BYTES];
    bool is_private; /* not listed; found only by its id */
    qb_time_us created_us;
    qb_time_us starts_at_us;
    int64_t start_price;
    int64_t buy_now; /* QB_AMOUNT_NONE: none */
    /* As of the newest archived entry; live ones are in memory. */
    uint64_t applied_seq;
    uint8_t status;  /* enum qb_status; NONE: not published yet */
    uint8_t outcome; /* enum qb_outcome */
    int64_t price;
    uint32_t bids;
    qb_time_us ends_at_us;
    qb_id winner;
    int64_t final_price;
};

/* What a new listing must keep to, and how it was asked for. */
struct qb_listing_terms {
    const char *key;                /* of the seller's request; null: none */
    uint8_t asked[QB_SHA256_BYTES]; /* with a key: a digest of what was asked */
    int64_t live_max;   /* of its seller's that are not over, this one included; 0: any number */
    int64_t day_max;    /* of its seller's within 24 hours; 0: any number */
    qb_time_us free_us; /* set with LATER: when there is room again */
};

struct qb_image {
    uint8_t hash[QB_IMAGE_HASH_BYTES];
    const char *type;
    const void *bytes;
    size_t length;
    qb_id owner;
};

enum qb_listing_sort { QB_SORT_ENDING_SOON, QB_SORT_NEWEST, QB_SORT_PRICE_UP, QB_SORT_PRICE_DOWN };
enum qb_listing_phase { QB_PHASE_ANY, QB_PHASE_SCHEDULED, QB_PHASE_LIVE, QB_PHASE_OVER };

struct qb_listing_query {
    const char *search;   /* words, all of which title or description must hold; null: any */
    const char *category; /* null: any */
    const char *currency; /* null: any */
    /* At most one of the three. */
    qb_id seller;      /* 0: any */
    qb_id bidder;      /* who has bid; 0: any */
    qb_id watcher;     /* who keeps it on the watch list; 0: any */
    bool with_private; /* also private ones (the owner's own pages) */
    uint8_t phase;     /* enum qb_listing_phase, at now_us */
    uint8_t sort;      /* enum qb_listing_sort */
    qb_time_us now_us;
    /* The last row of the page before: its sort key and id; `after_id` 0: from the start. */
    int64_t after_key;
    qb_id after_id;
    size_t rows_max; /* at most QB_PAGE_ROWS_MAX */
};

/* `key` is what the next page's after_key is. Returning false stops. */
typedef bool qb_store_listing(void *context, const struct qb_listing *listing, int64_t key);

/* An archived entry with what the fold made of it. */
struct qb_archived {
    uint64_t seq;
    const uint8_t *bytes; /* canonical */
    size_t length;
    struct qb_verdict verdict;
    uint8_t chain[QB_SHA256_BYTES]; /* after it */
};
typedef bool qb_store_archived(void *context, const struct qb_archived *archived);

/* An entry that came before its predecessors and waits for them, or after its epoch. */
struct qb_staged {
    qb_id auction;
    uint64_t seq;
    uint32_t epoch;
    size_t length;
    uint8_t bytes[QB_ENTRY_BYTES_MAX]; /* canonical */
};

/* One accepted bid, or a purchase, as the history shows it. */
struct qb_bid_row {
    qb_id auction;
    uint64_t seq;
    qb_id bidder;
    int64_t max;   /* private unless beaten */
    int64_t price; /* after it */
    uint8_t code;  /* enum qb_verdict_code */
    bool is_live;  /* not voided or retracted */
    qb_time_us t_us;
};
typedef bool qb_store_bid(void *context, const struct qb_bid_row *bid);

struct qb_payment {
    qb_id id;
    qb_id auction;
    qb_id buyer;
    qb_id seller;
    int64_t amount;
    char currency[QB_CURRENCY_BYTES];
    uint8_t status; /* enum qb_payment_status */
    qb_time_us created_us;
    qb_time_us deadline_us;
    char title[QB_TITLE_BYTES_MAX + 1]; /* of the auction; for reading */
};
typedef bool qb_store_payment(void *context, const struct qb_payment *payment);

/* How far an auction is archived. */
struct qb_archive_head {
    qb_id auction;
    uint64_t applied_seq; /* 0: nothing yet */
    uint64_t staged_seq;  /* the lowest place above it that has an entry staged; 0: none */
    bool is_frozen;       /* it has had an archive_conflict */
};

/* What of an auction's log is committed. */
struct qb_applied {
    qb_id auction;
    uint64_t seq;   /* 0: nothing yet */
    bool is_over;   /* the fold of that seq has ended it */
    bool is_frozen; /* it has had an archive_conflict */
};

struct qb_store_ops {
    struct qb_store_link *(*open)(struct qb_store *store, struct qb_error *error);
    struct qb_store_link *(*open_later)(struct qb_store *store);
    void (*close)(struct qb_store_link **link);
    void (*free)(struct qb_store *store);
    /* accounts */
    enum qb_store_result (*user_add)(struct qb_store_link *, const struct qb_user *,
                                     struct qb_error *);
    enum qb_store_result (*user_by_email)(struct qb_store_link *, const char *email,
                                          struct qb_user *, struct qb_error *);
    enum qb_store_result (*user_by_id)(struct qb_store_link *, qb_id, struct qb_user *,
                                       struct qb_error *);
    enum qb_store_result (*user_update)(struct qb_store_link *, const struct qb_user *,
                                        struct qb_error *);
    enum qb_store_result (*login_add)(struct qb_store_link *, const struct qb_login *,
                                      struct qb_error *);
    enum qb_store_result (*login_find)(struct qb_store_link *, const uint8_t hash[QB_SHA256_BYTES],
                                       struct qb_login *, struct qb_error *);
    enum qb_store_result (*login_remove)(struct qb_store_link *,
                                         const uint8_t hash[QB_SHA256_BYTES],
                                         const struct qb_revocation *, struct qb_error *);
    enum qb_store_result (*revoke)(struct qb_store_link *, const struct qb_revocation *,
                                   struct qb_error *);
    enum qb_store_result (*revocations)(struct qb_store_link *, qb_time_us now_us,
                                        bool (*each)(void *context, const struct qb_revocation *),
                                        void *context, struct qb_error *);
    enum qb_store_result (*limit_set)(struct qb_store_link *, qb_id user,
                                      const char currency[QB_CURRENCY_BYTES], int64_t amount,
                                      struct qb_error *);
    enum qb_store_result (*limits)(struct qb_store_link *,
                                   bool (*each)(void *context, qb_id user, const char *currency,
                                                int64_t amount),
                                   void *context, struct qb_error *);
    enum qb_store_result (*banned)(struct qb_store_link *, bool (*each)(void *context, qb_id user),
                                   void *context, struct qb_error *);
    /* auctions */
    enum qb_store_result (*listing_add)(struct qb_store_link *, const struct qb_listing *,
                                        struct qb_listing_terms *, struct qb_error *);
    enum qb_store_result (*listing_by_key)(struct qb_store_link *, qb_id seller, const char *key,
                                           struct qb_listing *, uint8_t asked[QB_SHA256_BYTES],
                                           struct qb_error *);
    enum qb_store_result (*listing)(struct qb_store_link *, qb_id, struct qb_listing *,
                                    struct qb_error *);
    enum qb_store_result (*listings)(struct qb_store_link *, const struct qb_listing_query *,
                                     qb_store_listing *each, void *context, struct qb_error *);
    enum qb_store_result (*listings_forget)(struct qb_store_link *, qb_time_us before_us,
                                            size_t *count, struct qb_error *);
    enum qb_store_result (*live)(struct qb_store_link *, bool (*each)(void *context, qb_id auction),
                                 void *context, struct qb_error *);
    enum qb_store_result (*state)(struct qb_store_link *, qb_id auction, struct qb_lot *,
                                  struct qb_error *);
    enum qb_store_result (*applied)(struct qb_store_link *, struct qb_applied *auctions,
                                    size_t count, struct qb_error *);
    enum qb_store_result (*watch_set)(struct qb_store_link *, qb_id user, qb_id auction,
                                      bool is_watched, struct qb_error *);
    enum qb_store_result (*image_add)(struct qb_store_link *, const struct qb_image *,
                                      int64_t bytes_max, struct qb_error *);
    enum qb_store_result (*image_is_there)(struct qb_store_link *,
                                           const uint8_t hash[QB_IMAGE_HASH_BYTES],
                                           struct qb_error *);
    enum qb_store_result (*image)(struct qb_store_link *, const uint8_t hash[QB_IMAGE_HASH_BYTES],
                                  void (*take)(void *context, const char *type, const void *bytes,
                                               size_t length),
                                  void *context, struct qb_error *);
    /* log, history, payments */
    enum qb_store_result (*entries)(struct qb_store_link *, qb_id auction, uint64_t after_seq,
                                    size_t rows_max, qb_store_archived *each, void *context,
                                    struct qb_error *);
    enum qb_store_result (*entry_by_bid_id)(struct qb_store_link *, qb_id auction,
                                            const uint8_t bid_id[QB_BID_ID_BYTES],
                                            struct qb_archived *, uint8_t bytes[QB_ENTRY_BYTES_MAX],
                                            struct qb_error *);
    enum qb_store_result (*bids)(struct qb_store_link *, qb_id auction, uint64_t before_seq,
                                 size_t rows_max, qb_store_bid *each, void *context,
                                 struct qb_error *);
    enum qb_store_result (*bids_of)(struct qb_store_link *, qb_id bidder, qb_id auction,
                                    size_t rows_max, qb_store_bid *each, void *context,
                                    struct qb_error *);
    enum qb_store_result (*payments_of)(struct qb_store_link *, qb_id user, qb_id before_id,
                                        size_t rows_max, qb_store_payment *each, void *context,
                                        struct qb_error *);
    enum qb_store_result (*payment_of_auction)(struct qb_store_link *, qb_id auction,
                                               struct qb_payment *, struct qb_error *);
    /* the archiver's */
    enum qb_store_result (*archive_begin)(struct qb_store_link *, uint32_t *epoch_least,
                                          struct qb_error *);
    enum qb_store_result (*archive_heads)(struct qb_store_link *, struct qb_archive_head *heads,
                                          size_t count, struct qb_error *);
    enum qb_store_result (*archive_records)(struct qb_store_link *, qb_id auction,
                                            bool (*each)(void *context,
                                                         const struct qb_bid_record *record),
                                            void *context, struct qb_error *);
    enum qb_store_result (*archive_entry)(struct qb_store_link *, const struct qb_entry *entry,
                                          const struct qb_archived *archived, struct qb_error *);
    enum qb_store_result (*archive_struck)(struct qb_store_link *, qb_id auction, uint64_t seq,
                                           struct qb_error *);
    enum qb_store_result (*archive_state)(struct qb_store_link *, const struct qb_lot *lot,
                                          struct qb_error *);
    enum qb_store_result (*archive_payment)(struct qb_store_link *, const struct qb_payment *,
                                            struct qb_error *);
    enum qb_store_result (*archive_conflict)(struct qb_store_link *, qb_id auction, uint64_t seq,
                                             const uint8_t *bytes, size_t length,
                                             struct qb_error *);
    enum qb_store_result (*archive_is_frozen)(struct qb_store_link *, qb_id auction,
                                              bool *is_frozen, struct qb_error *);
    enum qb_store_result (*archive_stage)(struct qb_store_link *, const struct qb_staged *,
                                          struct qb_error *);
    enum qb_store_result (*archive_staged)(struct qb_store_link *, qb_id auction,
                                           uint64_t after_seq, struct qb_staged *,
                                           struct qb_error *);
    enum qb_store_result (*archive_unstage)(struct qb_store_link *, const struct qb_staged *,
                                            struct qb_error *);
    enum qb_store_result (*archive_void)(struct qb_store_link *, const struct qb_staged *,
                                         struct qb_error *);
    enum qb_store_result (*archive_void_staged)(struct qb_store_link *, uint32_t epoch_least,
                                                size_t *count, struct qb_error *);
    enum qb_store_result (*archive_end)(struct qb_store_link *, bool do_commit, struct qb_error *);
    /* the start counter: raised and durable before it returns */
    enum qb_store_result (*epoch_next)(struct qb_store_link *, uint32_t *epoch, struct qb_error *);
};

struct qb_store { /* first member of every implementation */
    const struct qb_store_ops *ops;
};

/*
 * What each operation promises, in the order of the table:
 *
 * open            a connection for the calling thread; null with `error` set
 * open_later      the same, to a database that was reached before; a server is connected to by the
 *                 first query, which fails if it cannot be. Never null
 * close           ends it, nulls the pointer; accepts null
 * user_add        TAKEN: the e-mail has an account. user_update: name, verifier, roles, is_banned
 * login_find      NOT_FOUND also when expired is up to the caller: it returns what there is
 * login_remove    the login, and in the same transaction its tokens are revoked; NOT_FOUND: there
 *                 is none, and nothing was written
 * revoke          in place of an older one of the same login or account. revocations: those that
 *                 end after now_us, by since_us, for the start
 * limit_set       amount -1 removes it. limits: all of them, for the start
 * banned          all banned accounts, for the start
 * listing_add     texts of a new auction, status NONE until its OPEN is archived: not in listings
 *                 The terms may be null. FULL: live_max, LATER: day_max is reached. TAKEN: the id,
 *                 or the seller's key
 * listing_by_key  what that seller asked for under that key, and the digest
 * listing         NOT_FOUND: no such auction. listings: by query, in its sort order
 * listings_forget removes listings made before before_us whose OPEN never came (the process ended
 *                 between the two); `count` gets how many. Those with a conflict stay
 * live            ids of all auctions whose newest archived status is OPEN or PAUSED
 * state           the fold's newest archived state; NOT_FOUND without entries, BROKEN: unreadable
 * applied         how far these auctions (each once) are committed; waits for nobody
 * watch_set       the user's watch list; at most 1,000 a user: TAKEN beyond
 * image_add       the same hash again is OK, whoever sends it, and counts to who sent it first.
 *                 FULL: the owner's images would take more than bytes_max (0: any number), each
 *                 counted as at least 4 KiB. image_is_there: OK or NOT_FOUND. image: gives its
 *                 bytes to `take`
 * entries         archived entries with seq > after_seq, ascending; BROKEN: one is unreadable
 * entry_by_bid_id the entry with that id; `bytes` is the caller's room for archived->bytes
 * bids            accepted bids and purchases, newest first, seq < before_seq (0: from the newest)
 * bids_of         the same of one bidder, newest first; auction 0: all of them
 * payments_of     as buyer or seller, newest first, id < before_id (0: from the newest)
 * archive_*       between archive_begin and archive_end, one transaction, one link at a time; the
 *                 caller folds. archive_begin: entries of epochs below `epoch_least` may not be
 *                 archived: recovery has ended them, and ends none until archive_end; 0 where
 *                 there is no recovery. archive_heads: of distinct auctions, ascending; other
 *                 archivers of these wait for archive_end. archive_entry also writes the bid row
 *                 of an accepted BID or BUY_NOW; TAKEN: the auction has that seq or bid_id, and
 *                 nothing was written. archive_is_frozen: whether it has had an archive_conflict.
 *                 archive_struck: a bid was voided. archive_stage: TAKEN: other bytes wait in that
 *                 place and epoch; the same again is OK. archive_staged: what waits in the lowest
 *                 place above after_seq, of its newest epoch; NOT_FOUND: nothing does.
 *                 archive_unstage: it waits no longer. archive_void: keeps an entry of an ended
 *                 epoch beside. archive_void_staged: so with all that is staged of epochs below
 *                 epoch_least; `count` gets how many. archive_records: accepted bids and RESERVE
 *                 entries with effect, by seq, those of this transaction included.
 *                 archive_payment: TAKEN when the auction has one. archive_end: TAKEN: rows were
 *                 written together, and one that archive_entry had called OK was taken: nothing
 *                 is committed, and the same transaction again tells which
 * epoch_next      1 at the first start
 */
