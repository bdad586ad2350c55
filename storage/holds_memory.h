/*
 * What an account may do, over all auctions and threads: its exposure (rules.md 10) and its bids in
 * a minute (security.md S47). In memory: summed anew from the auctions at a start.
 *
 * Any thread; one mutex, held for a few hundred nanoseconds.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attributes.h"
#include "bidding/entry.h"

struct qb_holds;

struct qb_holds_options {
    uint32_t bids_max; /* in any window */
    int64_t window_us;
    size_t users_max; /* accounts remembered for the bid limit; the idle ones are forgotten */
};

struct qb_holds *qb_holds_new(const struct qb_holds_options *options);
void qb_holds_free(struct qb_holds **holds);

/* The most that `user` may have at stake in `currency`; -1: no limit. */
void qb_holds_limit_set(struct qb_holds *holds, qb_id user, const char *currency, int64_t amount);
int64_t qb_holds_limit(struct qb_holds *holds, qb_id user, const char *currency);
/* Each of them, for who compares them with the store; `each` makes no call to the holds. */
void qb_holds_limits(struct qb_holds *holds,
                     void (*each)(void *context, qb_id user, const char *currency, int64_t amount),
                     void *context);

/* A banned account is known at once on all threads, also to who holds an older token. Waits for
 * who keeps the bans. */
void qb_holds_ban(struct qb_holds *holds, qb_id user, bool is_banned);
bool qb_holds_is_banned(struct qb_holds *holds, qb_id user);
/* Each that is banned; `each` makes no call to the holds. */
void qb_holds_bans(struct qb_holds *holds, void (*each)(void *context, qb_id user), void *context);

/*
 * Keeps the bans as they are until they are released, and asks them meanwhile: what is entered in
 * between is entered before any ban of its bidder is answered. Several threads at once; for
 * microseconds, and without another call to the holds.
 */
void qb_holds_keep_bans(struct qb_holds *holds);
bool qb_holds_kept_ban(const struct qb_holds *holds, qb_id user);
void qb_holds_release_bans(struct qb_holds *holds);

/*
 * Reserves the maximum of a bid that sets out; of several on their way in one auction the largest
 * counts. Beyond eight in one auction, further ones share a place, which is free again when all of
 * them are decided: too much is held for a moment, never too little.
 *
 * bid      borrowed; of it the bidder, the auction, the currency, the maximum and the bid_id
 * returns  what the account can grant in this auction: the bid's `allowance`; -1: no limit
 */
int64_t qb_holds_reserve(struct qb_holds *holds, const struct qb_entry *bid);

/* The bid was decided, or never will be: what was reserved for it, if anything, is let go. Once for
 * each qb_holds_reserve(), with the allowance that it returned. */
void qb_holds_release(struct qb_holds *holds, const struct qb_entry *bid);

/* What the folded state of `auction` as of `seq` holds of `user`. */
struct qb_hold {
    qb_id user;
    qb_id auction;
    const char *currency; /* of the auction */
    uint64_t seq;
    int64_t amount; /* the own maximum, or 0 */
};

/* An older seq never overwrites a newer one. Kept also of accounts without a limit, which may get
 * one while they lead: as many as auctions are live. */
void qb_holds_set(struct qb_holds *holds, const struct qb_hold *hold);

/* Lets a submission through (0), or tells how long to wait, in us. The same bid_id inside the
 * window takes no second place. */
int64_t qb_holds_admit(struct qb_holds *holds, qb_id user, const uint8_t bid_id[QB_BID_ID_BYTES],
                       int64_t mono_us);
