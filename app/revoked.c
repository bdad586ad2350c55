#include "app/revoked.h"

#include <pthread.h>
#include <stdlib.h>

#include "app/token.h"
#include "base/assert.h"
#include "base/clock.h"
#include "base/map.h"
#include "base/metrics.h"

struct key {
    uint64_t login; /* 0: of an account */
    qb_id user;
};

struct row {
    struct key key;
    qb_time_us since_us;
    qb_time_us until_us;
    struct row *newer;
    struct row *older;
};

struct qb_revoked {
    pthread_mutex_t mutex;
    struct qb_map map; /* key -> row */
    size_t rows_max;
    struct row *oldest;
    struct row *newest;
    qb_time_us not_before_us; /* tokens from up to then are refused: their rows went */
};

/* The longest life that a token may have, whatever the setting was when it was made; its time of
 * issue may be the second that follows. */
#define LIFE_MAX_US (QB_TOKEN_LIFE_MAX_US + QB_TOKEN_LEEWAY_US + 2 * QB_SECOND_US)

struct qb_revocation qb_revocation_now(uint64_t login, qb_id user)
{
    qb_time_us now_us = qb_clock_wall_us();

    return (struct qb_revocation){
        .login = login, .user = user, .since_us = now_us, .until_us = now_us + LIFE_MAX_US};
}

struct qb_revoked *qb_revoked_new(size_t rows_max)
{
    struct qb_revoked *revoked = calloc(1, sizeof *revoked);

    QB_ASSERT(revoked != NULL);
    QB_ASSERT(rows_max > 0);
    qb_map_init(&revoked->map, sizeof(struct key));
    revoked->rows_max = rows_max;
    QB_ASSERT(pthread_mutex_init(&revoked->mutex, NULL) == 0);
    return revoked;
}

static void drop(struct qb_revoked *revoked, struct row *row)
{
    (void)qb_map_remove(&revoked->map, &row->key);
    *(row->older != NULL ? &row->older->newer : &revoked->oldest) = row->newer;
    *(row->newer != NULL ? &row->newer->older : &revoked->newest) = row->older;
    free(row);
}

void qb_revoked_free(struct qb_revoked **revoked)
{
    struct qb_revoked *old = *revoked;

    *revoked = NULL;
    if (old == NULL) return;
    while (old->oldest != NULL) drop(old, old->oldest);
    qb_map_fini(&old->map);
    (void)pthread_mutex_destroy(&old->mutex);
    free(old);
}

/* Room for one more: what has ended goes first, else the oldest, for which all older tokens pay. */
static void make_room(struct qb_revoked *revoked, qb_time_us now_us)
{
    while (revoked->oldest != NULL && revoked->oldest->until_us <= now_us)
        drop(revoked, revoked->oldest);
    if (revoked->map.count < revoked->rows_max) return;
    QB_ASSERT(revoked->oldest != NULL);
    if (revoked->oldest->since_us > revoked->not_before_us)
        revoked->not_before_us = revoked->oldest->since_us;
    drop(revoked, revoked->oldest);
    qb_metric_add(QB_METRIC_revocations_dropped_total, NULL, 1);
}

static struct key key_of(const struct qb_revocation *revocation)
{
    return (struct key){.login = revocation->login,
                        .user = revocation->login == 0 ? revocation->user : 0};
}

/* The caller holds the mutex. */
static void add(struct qb_revoked *revoked, const struct qb_revocation *revocation,
                qb_time_us now_us)
{
    struct row *row = calloc(1, sizeof *row);

    QB_ASSERT(row != NULL);
    row->key = key_of(revocation);
    row->since_us = revocation->since_us;
    row->until_us = revocation->until_us;
    struct row *before = qb_map_get(&revoked->map, &row->key);
    if (before != NULL) drop(revoked, before);
    make_room(revoked, now_us);
    (void)qb_map_set(&revoked->map, &row->key, row);
    row->older = revoked->newest;
    *(revoked->newest != NULL ? &revoked->newest->newer : &revoked->oldest) = row;
    revoked->newest = row;
    qb_metric_set(QB_METRIC_revocations, NULL, (int64_t)revoked->map.count);
}

void qb_revoked_add(struct qb_revoked *revoked, const struct qb_revocation *revocation,
                    qb_time_us now_us)
{
    (void)pthread_mutex_lock(&revoked->mutex);
    add(revoked, revocation, now_us);
    (void)pthread_mutex_unlock(&revoked->mutex);
}

bool qb_revoked_learn(struct qb_revoked *revoked, const struct qb_revocation *revocation,
                      qb_time_us now_us)
{
    const struct key key = key_of(revocation);

    (void)pthread_mutex_lock(&revoked->mutex);
    const struct row *row = qb_map_get(&revoked->map, &key);
    bool is_known = row != NULL && row->since_us >= revocation->since_us;
    /* One whose row went is known too: else a full list would learn it again and again. */
    bool is_new =
        !is_known && revocation->since_us > revoked->not_before_us && revocation->until_us > now_us;
    if (is_new) add(revoked, revocation, now_us);
    (void)pthread_mutex_unlock(&revoked->mutex);
    return is_new;
}

/* Since when tokens of the account are good again; the caller holds the mutex. */
static qb_time_us since_us(const struct qb_revoked *revoked, qb_id user)
{
    const struct key key = {.user = user};
    const struct row *row = qb_map_get(&revoked->map, &key);

    return row != NULL && row->since_us > revoked->not_before_us ? row->since_us
                                                                 : revoked->not_before_us;
}

bool qb_revoked_has(struct qb_revoked *revoked, const struct qb_identity *identity)
{
    const struct key login = {.login = identity->login};

    if (identity->user == 0) return false;
    (void)pthread_mutex_lock(&revoked->mutex);
    /* Whenever its token was made: a login that is out never comes back. */
    bool is_revoked = qb_map_get(&revoked->map, &login) != NULL ||
                      since_us(revoked, identity->user) >= identity->checked_us;
    (void)pthread_mutex_unlock(&revoked->mutex);
    return is_revoked;
}

qb_time_us qb_revoked_issue_us(struct qb_revoked *revoked, const struct qb_identity *identity)
{
    qb_time_us second_us = identity->checked_us - identity->checked_us % QB_SECOND_US;

    (void)pthread_mutex_lock(&revoked->mutex);
    qb_time_us newest_us = since_us(revoked, identity->user);
    (void)pthread_mutex_unlock(&revoked->mutex);
    bool is_taken_for_older = newest_us >= second_us && newest_us < identity->checked_us;
    return is_taken_for_older ? second_us + QB_SECOND_US : second_us;
}
