#include "storage/holds_memory.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/map.h"
#include "bidding/limiter.h"

#define RESERVATIONS_MAX 8
#define SWEEP_STEPS      4

/* A bid on its way. */
struct reservation {
    uint8_t bid_id[QB_BID_ID_BYTES]; /* zeros: of all that found no place of their own */
    int64_t max;
    uint32_t count; /* the same bid may be under way more than once */
};

/* What one account has at stake in one auction; in the map, and in its account's list. */
struct stake {
    struct account *account;
    struct stake *next;
    struct stake **at; /* what points here */
    qb_id auction;
    uint64_t seq; /* of the folded hold */
    int64_t held; /* by the fold */
    char currency[QB_CURRENCY_BYTES];
    uint8_t reservation_count;
    struct reservation *reservations; /* of accounts that had a limit; null before the first */
};

struct limit {
    char currency[QB_CURRENCY_BYTES];
    int64_t amount;
};

/* An account that has a limit or something at stake: a limit set later must know the lead. */
struct account {
    qb_id user;
    struct limit *limits; /* at most one a currency */
    size_t limit_count;
    struct stake *stakes;
};

struct stake_key {
    qb_id user;
    qb_id auction;
};

struct pace { /* of one account's submissions */
    qb_id user;
    int64_t seen_us;
    struct qb_bid_log *log;
};

struct qb_holds {
    pthread_mutex_t lock; /* of all but the bans */
    struct qb_holds_options options;
    struct qb_map accounts; /* user -> struct account */
    struct qb_map stakes;   /* struct stake_key -> struct stake */
    struct qb_map paces;    /* user -> struct pace */
    size_t sweep;           /* cursor of the idle sweep */
    pthread_rwlock_t bans_lock;
    struct qb_map banned; /* user -> the holds themselves: a set */
};

struct qb_holds *qb_holds_new(const struct qb_holds_options *options)
{
    struct qb_holds *holds = calloc(1, sizeof *holds);

    QB_ASSERT(holds != NULL);
    QB_ASSERT(options->users_max > 0);
    (void)pthread_mutex_init(&holds->lock, NULL);
    (void)pthread_rwlock_init(&holds->bans_lock, NULL);
    holds->options = *options;
    qb_map_init(&holds->accounts, sizeof(qb_id));
    qb_map_init(&holds->stakes, sizeof(struct stake_key));
    qb_map_init(&holds->paces, sizeof(qb_id));
    qb_map_init(&holds->banned, sizeof(qb_id));
    return holds;
}

void qb_holds_free(struct qb_holds **holds)
{
    struct qb_holds *old = *holds;
    size_t cursor = 0;
    struct account *account = NULL;
    struct stake *stake = NULL;
    struct pace *pace = NULL;

    *holds = NULL;
    if (old == NULL) return;
    while ((account = qb_map_next(&old->accounts, &cursor, NULL)) != NULL) {
        free(account->limits);
        free(account);
    }
    cursor = 0;
    while ((stake = qb_map_next(&old->stakes, &cursor, NULL)) != NULL) {
        free(stake->reservations);
        free(stake);
    }
    cursor = 0;
    while ((pace = qb_map_next(&old->paces, &cursor, NULL)) != NULL) {
        free(pace->log);
        free(pace);
    }
    qb_map_fini(&old->accounts);
    qb_map_fini(&old->stakes);
    qb_map_fini(&old->paces);
    qb_map_fini(&old->banned);
    (void)pthread_mutex_destroy(&old->lock);
    (void)pthread_rwlock_destroy(&old->bans_lock);
    free(old);
}

static struct limit *find_limit(struct account *account, const char *currency)
{
    for (size_t i = 0; i < account->limit_count; i++) {
        if (strcmp(account->limits[i].currency, currency) == 0) return &account->limits[i];
    }
    return NULL;
}

static struct account *account_of(struct qb_holds *holds, qb_id user)
{
    struct account *account = qb_map_get(&holds->accounts, &user);

    if (account != NULL) return account;
    account = calloc(1, sizeof *account);
    QB_ASSERT(account != NULL);
    account->user = user;
    (void)qb_map_set(&holds->accounts, &user, account);
    return account;
}

static void forget_if_empty(struct qb_holds *holds, struct account *account)
{
    if (account->limit_count > 0 || account->stakes != NULL) return;
    (void)qb_map_remove(&holds->accounts, &account->user);
    free(account->limits);
    free(account);
}

void qb_holds_limit_set(struct qb_holds *holds, qb_id user, const char *currency, int64_t amount)
{
    (void)pthread_mutex_lock(&holds->lock);
    struct account *account = account_of(holds, user);
    struct limit *limit = find_limit(account, currency);
    if (amount < 0 && limit != NULL) {
        *limit = account->limits[--account->limit_count];
    } else if (amount >= 0) {
        if (limit == NULL) {
            account->limits =
                realloc(account->limits, (account->limit_count + 1) * sizeof *account->limits);
            QB_ASSERT(account->limits != NULL);
            limit = &account->limits[account->limit_count++];
            (void)memcpy(limit->currency, currency, QB_CURRENCY_BYTES);
        }
        limit->amount = amount;
    }
    forget_if_empty(holds, account);
    (void)pthread_mutex_unlock(&holds->lock);
}

int64_t qb_holds_limit(struct qb_holds *holds, qb_id user, const char *currency)
{
    (void)pthread_mutex_lock(&holds->lock);
    struct account *account = qb_map_get(&holds->accounts, &user);
    const struct limit *limit = account != NULL ? find_limit(account, currency) : NULL;
    int64_t amount = limit != NULL ? limit->amount : -1;
    (void)pthread_mutex_unlock(&holds->lock);
    return amount;
}

void qb_holds_limits(struct qb_holds *holds,
                     void (*each)(void *context, qb_id user, const char *currency, int64_t amount),
                     void *context)
{
    const struct account *account = NULL;
    size_t cursor = 0;

    (void)pthread_mutex_lock(&holds->lock);
    while ((account = qb_map_next(&holds->accounts, &cursor, NULL)) != NULL) {
        for (size_t i = 0; i < account->limit_count; i++) {
            const struct limit *limit = &account->limits[i];
            each(context, account->user, limit->currency, limit->amount);
        }
    }
    (void)pthread_mutex_unlock(&holds->lock);
}

void qb_holds_ban(struct qb_holds *holds, qb_id user, bool is_banned)
{
    (void)pthread_rwlock_wrlock(&holds->bans_lock);
    if (is_banned)
        (void)qb_map_set(&holds->banned, &user, holds);
    else
        (void)qb_map_remove(&holds->banned, &user);
    (void)pthread_rwlock_unlock(&holds->bans_lock);
}

void qb_holds_keep_bans(struct qb_holds *holds)
{
    (void)pthread_rwlock_rdlock(&holds->bans_lock);
}

bool qb_holds_kept_ban(const struct qb_holds *holds, qb_id user)
{
    return qb_map_get(&holds->banned, &user) != NULL;
}

void qb_holds_release_bans(struct qb_holds *holds)
{
    (void)pthread_rwlock_unlock(&holds->bans_lock);
}

bool qb_holds_is_banned(struct qb_holds *holds, qb_id user)
{
    qb_holds_keep_bans(holds);
    bool is_banned = qb_holds_kept_ban(holds, user);
    qb_holds_release_bans(holds);
    return is_banned;
}

void qb_holds_bans(struct qb_holds *holds, void (*each)(void *context, qb_id user), void *context)
{
    const void *key = NULL;
    size_t cursor = 0;

    qb_holds_keep_bans(holds);
    while (qb_map_next(&holds->banned, &cursor, &key) != NULL) {
        qb_id user = 0;
        (void)memcpy(&user, key, sizeof user);
        each(context, user);
    }
    qb_holds_release_bans(holds);
}

static struct stake *stake_of(struct qb_holds *holds, struct account *account, qb_id auction,
                              const char *currency)
{
    const struct stake_key key = {account->user, auction};
    struct stake *stake = qb_map_get(&holds->stakes, &key);

    if (stake != NULL) return stake;
    stake = calloc(1, sizeof *stake);
    QB_ASSERT(stake != NULL);
    *stake = (struct stake){
        .account = account, .next = account->stakes, .at = &account->stakes, .auction = auction};
    (void)memcpy(stake->currency, currency, QB_CURRENCY_BYTES);
    /* The analyzer does not see that drop_if_empty() unlinks by `at`. */
    if (stake->next != NULL)
        stake->next->at = &stake->next; /* NOLINT(clang-analyzer-unix.Malloc) */
    account->stakes = stake;
    (void)qb_map_set(&holds->stakes, &key, stake);
    return stake;
}

static void drop_if_empty(struct qb_holds *holds, struct stake *stake)
{
    const struct stake_key key = {stake->account->user, stake->auction};

    if (stake->held > 0 || stake->reservation_count > 0) return;
    *stake->at = stake->next;
    if (stake->next != NULL) stake->next->at = stake->at;
    (void)qb_map_remove(&holds->stakes, &key);
    free(stake->reservations);
    free(stake);
}

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* The folded hold or the largest of the bids on their way. */
static int64_t at_stake(const struct stake *stake)
{
    int64_t most = stake->held;

    for (size_t i = 0; i < stake->reservation_count; i++) {
        most = larger(most, stake->reservations[i].max);
    }
    return most;
}

static int64_t at_stake_elsewhere(const struct account *account, const char *currency,
                                  qb_id auction)
{
    int64_t sum = 0;

    for (const struct stake *stake = account->stakes; stake != NULL; stake = stake->next) {
        if (stake->auction == auction || strcmp(stake->currency, currency) != 0) continue;
        sum += at_stake(stake);
    }
    return sum;
}

static struct reservation *find_reservation(struct stake *stake, const uint8_t *bid_id)
{
    for (size_t i = 0; i < stake->reservation_count; i++) {
        struct reservation *reservation = &stake->reservations[i];
        if (memcmp(reservation->bid_id, bid_id, QB_BID_ID_BYTES) == 0) return reservation;
    }
    return NULL;
}

/* The place of a bid, or the one that all share who have none. */
static struct reservation *place_of(struct stake *stake, const uint8_t *bid_id)
{
    static const uint8_t shared[QB_BID_ID_BYTES] = {0};
    struct reservation *place = find_reservation(stake, bid_id);

    return place != NULL ? place : find_reservation(stake, shared);
}

static void reserve(struct stake *stake, const uint8_t *bid_id, int64_t max)
{
    struct reservation *place = find_reservation(stake, bid_id);

    if (stake->reservations == NULL) {
        stake->reservations = calloc(RESERVATIONS_MAX, sizeof *stake->reservations);
        QB_ASSERT(stake->reservations != NULL);
    }
    if (place == NULL && stake->reservation_count < RESERVATIONS_MAX) {
        place = &stake->reservations[stake->reservation_count++];
        (void)memset(place, 0, sizeof *place);
        (void)memcpy(place->bid_id, bid_id, QB_BID_ID_BYTES);
    } else if (place == NULL) {
        place = place_of(stake, bid_id);
        if (place == NULL) place = &stake->reservations[RESERVATIONS_MAX - 1];
        (void)memset(place->bid_id, 0, QB_BID_ID_BYTES);
    }
    place->max = larger(place->max, max);
    place->count++;
}

/* More than the account can grant the fold refuses: nothing is reserved for it. */
static bool is_reserved(const struct qb_entry *bid, int64_t allowance)
{
    return bid->max > 0 && bid->max <= allowance;
}

int64_t qb_holds_reserve(struct qb_holds *holds, const struct qb_entry *bid)
{
    int64_t allowance = -1;

    (void)pthread_mutex_lock(&holds->lock);
    struct account *account = qb_map_get(&holds->accounts, &bid->bidder);
    const struct limit *limit = account != NULL ? find_limit(account, bid->currency) : NULL;
    if (limit != NULL) {
        int64_t left = limit->amount - at_stake_elsewhere(account, bid->currency, bid->auction);
        allowance = larger(left, 0);
        if (is_reserved(bid, allowance)) {
            reserve(stake_of(holds, account, bid->auction, bid->currency), bid->bid_id, bid->max);
        }
    }
    (void)pthread_mutex_unlock(&holds->lock);
    return allowance;
}

static void forget_stake_if_empty(struct qb_holds *holds, struct stake *stake)
{
    struct account *account = stake->account;

    drop_if_empty(holds, stake);
    forget_if_empty(holds, account);
}

void qb_holds_release(struct qb_holds *holds, const struct qb_entry *bid)
{
    const struct stake_key key = {bid->bidder, bid->auction};

    if (!is_reserved(bid, bid->allowance)) return;
    (void)pthread_mutex_lock(&holds->lock);
    struct stake *stake = qb_map_get(&holds->stakes, &key);
    QB_ASSERT(stake != NULL);
    struct reservation *place = place_of(stake, bid->bid_id);
    QB_ASSERT(place != NULL && place->count > 0);
    if (--place->count == 0) {
        *place = stake->reservations[--stake->reservation_count];
        forget_stake_if_empty(holds, stake);
    }
    (void)pthread_mutex_unlock(&holds->lock);
}

void qb_holds_set(struct qb_holds *holds, const struct qb_hold *hold)
{
    const struct stake_key key = {hold->user, hold->auction};

    (void)pthread_mutex_lock(&holds->lock);
    struct stake *stake = qb_map_get(&holds->stakes, &key);
    if (stake == NULL && hold->amount > 0) {
        stake = stake_of(holds, account_of(holds, hold->user), hold->auction, hold->currency);
    }
    if (stake != NULL) {
        if (hold->seq >= stake->seq) {
            stake->seq = hold->seq;
            stake->held = hold->amount;
        }
        forget_stake_if_empty(holds, stake);
    }
    (void)pthread_mutex_unlock(&holds->lock);
}

static void pace_free(struct pace *pace)
{
    free(pace->log);
    free(pace);
}

/* Looks at a few accounts each time and forgets those whose window is empty. */
static void sweep_idle(struct qb_holds *holds, int64_t mono_us)
{
    for (int i = 0; i < SWEEP_STEPS; i++) {
        struct pace *pace = qb_map_next(&holds->paces, &holds->sweep, NULL);
        if (pace == NULL) {
            holds->sweep = 0;
            return;
        }
        if (mono_us - pace->seen_us <= holds->options.window_us) continue;
        (void)qb_map_remove(&holds->paces, &pace->user);
        pace_free(pace);
    }
}

int64_t qb_holds_admit(struct qb_holds *holds, qb_id user, const uint8_t bid_id[QB_BID_ID_BYTES],
                       int64_t mono_us)
{
    int64_t wait_us = QB_SECOND_US; /* the table is full of busy accounts: try again soon */

    (void)pthread_mutex_lock(&holds->lock);
    sweep_idle(holds, mono_us);
    struct pace *pace = qb_map_get(&holds->paces, &user);
    if (pace == NULL && holds->paces.count < holds->options.users_max) {
        pace = calloc(1, sizeof *pace);
        QB_ASSERT(pace != NULL);
        pace->user = user;
        pace->log = calloc(1, qb_bid_log_bytes(holds->options.bids_max));
        QB_ASSERT(pace->log != NULL);
        (void)qb_map_set(&holds->paces, &user, pace);
    }
    if (pace != NULL) {
        pace->seen_us = mono_us;
        wait_us = qb_bid_log_admit(pace->log, holds->options.bids_max, holds->options.window_us,
                                   bid_id, mono_us);
    }
    (void)pthread_mutex_unlock(&holds->lock);
    return wait_us;
}
