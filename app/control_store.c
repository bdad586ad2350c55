/*
 * The store as it is compared with what this process believes. A row here that is not believed is
 * taken; a ban or a limit that is believed and has no row is taken back.
 */
#include <stdlib.h>
#include <string.h>

#include "app/control_parts.h"
#include "base/assert.h"
#include "base/clock.h"
#include "base/condition.h"
#include "base/log.h"
#include "base/metrics.h"

#define READ_US       (2 * QB_SECOND_US)
#define CLOCKS_US     (60 * QB_SECOND_US) /* two replicas' differ by at most so much */
#define READS_FOR_ALL 15                  /* the longer reads, only so often */

struct words {
    struct qb_control_word *list;
    size_t count;
    size_t room;
};

/* One read, or one look at what is believed. */
struct image {
    struct words revoked;
    struct words banned;
    struct words limited;
};

static void add_word(struct words *words, const struct qb_control_word *word)
{
    if (words->count == words->room) {
        words->room = words->room == 0 ? 64 : words->room * 2;
        words->list = realloc(words->list, words->room * sizeof *words->list);
        QB_ASSERT(words->list != NULL);
    }
    words->list[words->count++] = *word;
}

static void image_fini(struct image *image)
{
    free(image->revoked.list);
    free(image->banned.list);
    free(image->limited.list);
}

static bool add_revoked(void *context, const struct qb_revocation *revocation)
{
    const struct qb_control_word word = {.kind = QB_CONTROL_REVOKED, .revocation = *revocation};

    add_word(&((struct image *)context)->revoked, &word);
    return true;
}

static void believe_banned(void *context, qb_id user)
{
    const struct qb_control_word word = {
        .kind = QB_CONTROL_BANNED, .revocation.user = user, .amount = 1};

    add_word(&((struct image *)context)->banned, &word);
}

static bool add_banned(void *context, qb_id user)
{
    believe_banned(context, user);
    return true;
}

static void believe_limited(void *context, qb_id user, const char *currency, int64_t amount)
{
    struct qb_control_word word = {
        .kind = QB_CONTROL_LIMITED, .revocation.user = user, .amount = amount};

    (void)memcpy(word.currency, currency, QB_CURRENCY_BYTES);
    add_word(&((struct image *)context)->limited, &word);
}

static bool add_limited(void *context, qb_id user, const char *currency, int64_t amount)
{
    believe_limited(context, user, currency, amount);
    return true;
}

static int compare(const void *a, const void *b)
{
    const struct qb_control_word *left = a;
    const struct qb_control_word *right = b;

    if (left->revocation.user != right->revocation.user)
        return left->revocation.user < right->revocation.user ? -1 : 1;
    return memcmp(left->currency, right->currency, QB_CURRENCY_BYTES);
}

static void sort(struct words *words)
{
    if (words->count > 0) qsort(words->list, words->count, sizeof *words->list, compare);
}

/* One that differs, unless somebody said other since. */
static size_t repair(struct qb_control *control, struct qb_control_word word, bool is_there,
                     int64_t began_us)
{
    if (qb_control_is_noted(control, &word, began_us)) return 0;
    if (!is_there) word.amount = word.kind == QB_CONTROL_BANNED ? 0 : -1;
    return qb_control_take(control, &word) ? 1 : 0;
}

/* Both are sorted. Returns how many were wrong. */
static size_t merge(struct qb_control *control, const struct words *stored,
                    const struct words *believed, int64_t began_us)
{
    size_t at = 0;
    size_t wrong = 0;

    for (size_t i = 0; i < stored->count; i++) {
        const struct qb_control_word *word = &stored->list[i];
        while (at < believed->count && compare(&believed->list[at], word) < 0)
            wrong += repair(control, believed->list[at++], false, began_us);
        bool is_believed = at < believed->count && compare(&believed->list[at], word) == 0;
        if (!is_believed || believed->list[at].amount != word->amount)
            wrong += repair(control, *word, true, began_us);
        if (is_believed) at++;
    }
    while (at < believed->count) wrong += repair(control, believed->list[at++], false, began_us);
    return wrong;
}

static void compare_all(struct qb_control *control, struct image *stored, bool is_all,
                        int64_t began_us)
{
    struct image believed = {0};
    size_t wrong = 0;

    (void)pthread_mutex_lock(&control->lock);
    qb_holds_bans(control->options.holds, believe_banned, &believed);
    qb_holds_limits(control->options.holds, believe_limited, &believed);
    sort(&stored->banned);
    sort(&believed.banned);
    sort(&stored->limited);
    sort(&believed.limited);
    for (size_t i = 0; i < stored->revoked.count; i++) {
        if (qb_control_take(control, &stored->revoked.list[i])) wrong++;
    }
    wrong += merge(control, &stored->banned, &believed.banned, began_us);
    if (is_all) wrong += merge(control, &stored->limited, &believed.limited, began_us);
    qb_control_forget(control, began_us);
    (void)pthread_mutex_unlock(&control->lock);
    image_fini(&believed);
    if (wrong > 0) qb_metric_add(QB_METRIC_control_repaired_total, NULL, (int64_t)wrong);
}

/* A revocation's end is its time and a constant, and the store finds it by its end. */
static qb_time_us ending_after(bool is_all)
{
    qb_time_us now_us = qb_clock_wall_us();

    return is_all ? now_us : qb_revocation_now(0, 0).until_us - CLOCKS_US;
}

static bool read_store(struct qb_control *control, struct qb_store_link **link, bool is_all)
{
    const struct qb_store_ops *ops = control->options.store->ops;
    struct image stored = {0};
    struct qb_error error = {""};
    int64_t began_us = qb_clock_mono_us();

    if (*link == NULL) *link = ops->open(control->options.store, &error);
    bool is_good = *link != NULL &&
                   ops->revocations(*link, ending_after(is_all), add_revoked, &stored, &error) ==
                       QB_STORE_OK &&
                   ops->banned(*link, add_banned, &stored, &error) == QB_STORE_OK &&
                   (!is_all || ops->limits(*link, add_limited, &stored, &error) == QB_STORE_OK);
    if (is_good)
        compare_all(control, &stored, is_all, began_us);
    else
        qb_log(QB_LOG_WARNING, "control.unread", QB_TEXT("error", error.text));
    image_fini(&stored);
    return is_good;
}

void *qb_control_reading(void *argument)
{
    struct qb_control *control = argument;
    struct qb_store_link *link = NULL;
    int64_t read_us = control->options.read_us > 0 ? control->options.read_us : READ_US;
    int until_all = 0; /* reads */

    (void)pthread_mutex_lock(&control->lock);
    while (!control->must_end) {
        bool is_all = control->must_read || until_all == 0;
        control->must_read = false;
        (void)pthread_mutex_unlock(&control->lock);
        bool is_good = read_store(control, &link, is_all);
        if (is_all) until_all = READS_FOR_ALL;
        until_all = is_good ? until_all - 1 : 0;
        const struct timespec until = qb_condition_after(read_us);
        int waited = 0;
        (void)pthread_mutex_lock(&control->lock);
        while (!control->must_end && !control->must_read && waited == 0)
            waited = pthread_cond_timedwait(&control->wanted, &control->lock, &until);
    }
    (void)pthread_mutex_unlock(&control->lock);
    control->options.store->ops->close(&link);
    return NULL;
}
