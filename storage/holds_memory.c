#include "storage/holds_memory.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/map.h"
#include "bidding/limiter.h"

#define RESERVATION_US (15 * QB_SECOND_US)
#define SWEEP_STEPS    4

/* What one account has at stake in one auction. */
struct stake {
    qb_id auction;
    uint64_t seq;        /* of the folded hold */
    int64_t held;        /* by the fold */
    int64_t reserved;    /* largest of the bids on their way */
    int64_t reserved_us; /* when; monotonic */
    uint8_t bid_id[QB_BID_ID_BYTES];
    char currency[QB_CURRENCY_BYTES]; /* empty until a bid told it */
};

struct limit {
    char currency[QB_CURRENCY_BYTES];
    int64_t amount;
};

#define LIMITS_MAX 8

/* An account that has a limit, or has had. */
struct account {
    struct limit limits[LIMITS_MAX];
    size_t limit_count;
    struct stake *stakes;
    size_t stake_count;
    size_t stake_room;
};

struct pace { /* of one account's submissions */
    qb_id user;
    int64_t seen_us;
    struct qb_bid_log *log;
};

struct qb_holds {
    pthread_mutex_t lock;
    struct qb_holds_options options;
    struct qb_map accounts; /* user -> struct account */
    struct qb_map paces;    /* user -> struct pace */
    struct qb_map banned;   /* user -> the holds themselves: a set */
    size_t sweep;           /* cursor of the idle sweep */
};

struct qb_holds *qb_holds_new(const struct qb_holds_options *options)
{
    struct qb_holds *holds = calloc(1, sizeof *holds);

    QB_ASSERT(holds != NULL);
    QB_ASSERT(options->users_max > 0);
    (void)pthread_mutex_init(&holds->lock, NULL);
    holds->options = *options;
    qb_map_init(&holds->accounts, sizeof(qb_id));
    qb_map_init(&holds->paces, sizeof(qb_id));
    qb_map_init(&holds->banned, sizeof(qb_id));
    return holds;
}

void qb_holds_free(struct qb_holds **holds)
{
    struct qb_holds *old = *holds;
    size_t cursor = 0;
    struct account *account = NULL;
    struct pace *pace = NULL;

    *holds = NULL;
    if (old == NULL) return;
    while ((account = qb_map_next(&old->accounts, &cursor, NULL)) != NULL) {
        free(account->stakes);
        free(account);
    }
    cursor = 0;
    while ((pace = qb_map_next(&old->paces, &cursor, NULL)) != NULL) {
        free(pace->log);
        free(pace);
    }
    qb_map_fini(&old->accounts);
    qb_map_fini(&old->paces);
    qb_map_fini(&old->banned);
    (void)pthread_mutex_destroy(&old->lock);
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
    (void)qb_map_set(&holds->accounts, &user, account);
    return account;
}

void qb_holds_limit_set(struct qb_holds *holds, qb_id user, const char *currency, int64_t amount)
{
    (void)pthread_mutex_lock(&holds->lock);
    struct account *account = account_of(holds, user);
    struct limit *limit = find_limit(account, currency);
    if (limit == NULL && amount >= 0 && account->limit_count < LIMITS_MAX) {
        limit = &account->limits[account->limit_count++];
        (void)memcpy(limit->currency, currency, QB_CURRENCY_BYTES);
    }
    if (limit != NULL) limit->amount = amount;
    (void)pthread_mutex_unlock(&holds->lock);
}

void qb_holds_ban(struct qb_holds *holds, qb_id user, bool is_banned)
{
    (void)pthread_mutex_lock(&holds->lock);
    if (is_banned)
        (void)qb_map_set(&holds->banned, &user, holds);
    else
        (void)qb_map_remove(&holds->banned, &user);
    (void)pthread_mutex_unlock(&holds->lock);
}

bool qb_holds_is_banned(struct qb_holds *holds, qb_id user)
{
    (void)pthread_mutex_lock(&holds->lock);
    bool is_banned = qb_map_get(&holds->banned, &user) != NULL;
    (void)pthread_mutex_unlock(&holds->lock);
    return is_banned;
}

static struct stake *stake_of(struct account *account, qb_id auction)
{
    for (size_t i = 0; i < account->stake_count; i++) {
        if (account->stakes[i].auction == auction) return &account->stakes[i];
    }
    if (account->stake_count == account->stake_room) {
        account->stake_room = account->stake_room == 0 ? 4 : account->stake_room * 2;
        account->stakes = realloc(account->stakes, account->stake_room * sizeof(struct stake));
        QB_ASSERT(account->stakes != NULL);
    }
    struct stake *stake = &account->stakes[account->stake_count++];
    *stake = (struct stake){.auction = auction};
    return stake;
}

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* What is at stake elsewhere; drops what is over on the way. */
static int64_t at_stake_elsewhere(struct account *account, const char *currency, qb_id auction,
                                  int64_t mono_us)
{
    int64_t sum = 0;

    for (size_t i = 0; i < account->stake_count;) {
        struct stake *stake = &account->stakes[i];
        if (stake->reserved > 0 && mono_us - stake->reserved_us > RESERVATION_US) {
            stake->reserved = 0;
        }
        if (stake->held == 0 && stake->reserved == 0 && stake->auction != auction) {
            *stake = account->stakes[--account->stake_count];
            continue;
        }
        bool is_same = stake->currency[0] == '\0' || strcmp(stake->currency, currency) == 0;
        if (stake->auction != auction && is_same) sum += larger(stake->held, stake->reserved);
        i++;
    }
    return sum;
}

int64_t qb_holds_reserve(struct qb_holds *holds, qb_id user, const char *currency, qb_id auction,
                         const uint8_t bid_id[QB_BID_ID_BYTES], int64_t max, int64_t mono_us)
{
    int64_t allowance = -1;

    (void)pthread_mutex_lock(&holds->lock);
    struct account *account = qb_map_get(&holds->accounts, &user);
    const struct limit *limit = account != NULL ? find_limit(account, currency) : NULL;
    if (limit != NULL && limit->amount >= 0) {
        int64_t left = limit->amount - at_stake_elsewhere(account, currency, auction, mono_us);
        allowance = larger(left, 0);
        struct stake *stake = stake_of(account, auction);
        (void)memcpy(stake->currency, currency, QB_CURRENCY_BYTES);
        if (max <= allowance && max > stake->reserved) {
            stake->reserved = max;
            stake->reserved_us = mono_us;
            (void)memcpy(stake->bid_id, bid_id, QB_BID_ID_BYTES);
        }
    }
    (void)pthread_mutex_unlock(&holds->lock);
    return allowance;
}

void qb_holds_set(struct qb_holds *holds, qb_id user, qb_id auction, uint64_t seq, int64_t amount)
{
    (void)pthread_mutex_lock(&holds->lock);
    struct account *account = qb_map_get(&holds->accounts, &user);
    if (account != NULL) { /* accounts without a limit are not kept */
        struct stake *stake = stake_of(account, auction);
        if (seq >= stake->seq) {
            stake->seq = seq;
            stake->held = amount;
            stake->reserved = 0;
        }
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
