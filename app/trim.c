#include "app/trim.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "app/redis_desk.h"
#include "app/trim_missing.h"
#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "storage/epochs.h"
#include "storage/store_postgres.h"
#include "storage/trims.h"

#define TICK_MS       1000
#define REDIS_WAIT_US (QB_SECOND_US / 2) /* how long a signal may wait, too */
#define PAGES_A_TICK  20                 /* of a shard; the next ones at the next tick */
#define SAY_AGAIN_US  (30 * QB_SECOND_US)
#define ROUND_US      (60 * QB_SECOND_US)

/* What a look at all auctions of a shard has found. */
struct tally {
    int64_t auctions;
    int64_t entries;
    int64_t uncommitted;
};

struct look {
    char cursor[32]; /* where the list of auctions is read on; "0": from its beginning */
    struct tally now;
    struct tally last; /* as of the last whole look */
};

struct qb_trimmer {
    struct qb_trimmer_options options;
    pthread_t thread;
    int wake; /* an eventfd: it shall end */
    atomic_bool is_ending;
    /* the thread's own */
    struct qb_store_link *link;
    struct qb_redis_desk *desk;
    struct qb_missing missing;
    struct look looks[QB_SHARDS_MAX];
    uint32_t epoch;
    int64_t said_us;  /* when trouble was logged last */
    int64_t round_us; /* when it was told last what was found */
    int64_t taken;    /* since then */
    int64_t gone;
};

/* --- one page of a shard's auctions --- */

struct page {
    struct qb_applied *auctions;
    size_t count;
    char *cursor;
    size_t cursor_room;
};

static void take_page(void *context, const struct qb_redis_reply *reply)
{
    struct page *page = context;
    const struct qb_redis_reply *ids = qb_redis_item(reply, 1);

    (void)snprintf(page->cursor, page->cursor_room, "%s",
                   qb_redis_text(qb_redis_item(reply, 0), NULL));
    page->auctions = calloc(qb_redis_count(ids) + 1, sizeof *page->auctions);
    QB_ASSERT(page->auctions != NULL);
    for (size_t i = 0; i < qb_redis_count(ids); i++) {
        const char *hex = qb_redis_text(qb_redis_item(ids, i), NULL);
        page->auctions[page->count++].auction = strtoull(hex, NULL, 16);
    }
}

static bool read_page(struct qb_trimmer *trimmer, unsigned shard, struct page *page,
                      struct qb_error *error)
{
    struct look *look = &trimmer->looks[shard];
    struct qb_words words = {0};

    *page = (struct page){.cursor = look->cursor, .cursor_room = sizeof look->cursor};
    qb_words_clear(&words);
    qb_words_string(&words, "SSCAN");
    qb_words_shard_key(&words, shard, "live");
    qb_words_string(&words, look->cursor);
    qb_words_string(&words, "COUNT");
    qb_words_int(&words, QB_TRIM_MAX);
    bool is_good = qb_redis_desk_ask(trimmer->desk, shard, &words, take_page, page, error);
    qb_words_fini(&words);
    return is_good;
}

/* --- some auctions of it --- */

struct answer {
    struct qb_trim_item *items;
    size_t count;
    bool is_good;
};

static void take_answer(void *context, const struct qb_redis_reply *reply)
{
    struct answer *answer = context;
    answer->is_good = qb_trim_read(reply, answer->items, answer->count);
}

static bool tell(struct qb_trimmer *trimmer, unsigned shard, struct qb_trim_item *items,
                 size_t count, struct qb_error *error)
{
    struct answer answer = {.items = items, .count = count};
    struct qb_words words = {0};

    qb_trim_words(&words, trimmer->epoch, shard, &trimmer->options.trim, items, count);
    bool is_good = qb_redis_desk_ask(trimmer->desk, shard, &words, take_answer, &answer, error);
    qb_words_fini(&words);
    if (!is_good) return false;
    return answer.is_good || qb_error_set(error, "Redis: a strange answer of trim.lua");
}

static void count(struct qb_trimmer *trimmer, struct tally *tally, const struct qb_trim_item *item)
{
    trimmer->taken += (int64_t)item->taken;
    trimmer->gone += item->is_gone ? 1 : 0;
    qb_metric_add(QB_METRIC_trimmed_entries_total, NULL, (int64_t)item->taken);
    qb_metric_add(QB_METRIC_trimmed_auctions_total, NULL, item->is_gone ? 1 : 0);
    if (item->seq == 0 || item->is_gone) return;
    tally->auctions++;
    tally->entries += (int64_t)item->left;
    if (item->seq > item->committed) tally->uncommitted += (int64_t)(item->seq - item->committed);
}

static void complain(struct qb_trimmer *trimmer, const struct qb_error *error)
{
    int64_t now_us = qb_clock_mono_us();

    if (trimmer->said_us != 0 && now_us - trimmer->said_us < SAY_AGAIN_US) return;
    trimmer->said_us = now_us;
    qb_log(QB_LOG_WARNING, "trim.waiting", QB_TEXT("error", error->text));
}

/* At most QB_TRIM_MAX auctions. One whose record contradicts itself is left as it is, for whoever
 * has to find out. */
static bool trim_some(struct qb_trimmer *trimmer, unsigned shard, struct qb_applied *auctions,
                      size_t auction_count, struct qb_error *error)
{
    struct qb_trim_item items[QB_TRIM_MAX];
    size_t item_count = 0;

    const struct qb_store_ops *store = trimmer->options.store->ops;
    QB_TRY(store->applied(trimmer->link, auctions, auction_count, error) == QB_STORE_OK);
    for (size_t i = 0; i < auction_count; i++) {
        if (auctions[i].is_frozen) continue;
        items[item_count++] = (struct qb_trim_item){
            .auction = auctions[i].auction,
            .committed = auctions[i].seq,
            .is_over = auctions[i].is_over,
        };
    }
    if (item_count == 0) return true;
    QB_TRY(tell(trimmer, shard, items, item_count, error));
    for (size_t i = 0; i < item_count; i++) {
        count(trimmer, &trimmer->looks[shard].now, &items[i]);
        /* RabbitMQ may be away for long: what is in Postgres goes all the same. */
        if (!qb_missing_look(&trimmer->missing, trimmer->link, trimmer->desk, shard, &items[i],
                             error))
            complain(trimmer, error);
    }
    return true;
}

/* --- all --- */

static void tell_looks(struct qb_trimmer *trimmer)
{
    struct tally all = {0};
    int64_t now_us = qb_clock_mono_us();

    for (unsigned i = 0; i < trimmer->options.shards->count; i++) {
        const struct tally *last = &trimmer->looks[i].last;
        all.auctions += last->auctions;
        all.entries += last->entries;
        all.uncommitted += last->uncommitted;
    }
    qb_metric_set(QB_METRIC_redis_auctions, NULL, all.auctions);
    qb_metric_set(QB_METRIC_redis_entries, NULL, all.entries);
    qb_metric_set(QB_METRIC_redis_entries_uncommitted, NULL, all.uncommitted);
    if (now_us - trimmer->round_us < ROUND_US) return;
    trimmer->round_us = now_us;
    qb_log(QB_LOG_INFO, "trim.found", QB_INT("auctions", all.auctions),
           QB_INT("entries", all.entries), QB_INT("entries_uncommitted", all.uncommitted),
           QB_INT("entries_taken", trimmer->taken), QB_INT("auctions_gone", trimmer->gone));
    trimmer->taken = 0;
    trimmer->gone = 0;
}

static bool trim_shard(struct qb_trimmer *trimmer, unsigned shard, struct qb_error *error)
{
    struct look *look = &trimmer->looks[shard];

    for (int i = 0; i < PAGES_A_TICK && !atomic_load(&trimmer->is_ending); i++) {
        struct page page;
        bool is_good = read_page(trimmer, shard, &page, error);
        for (size_t at = 0; is_good && at < page.count; at += QB_TRIM_MAX) {
            size_t some = page.count - at < QB_TRIM_MAX ? page.count - at : QB_TRIM_MAX;
            is_good = trim_some(trimmer, shard, &page.auctions[at], some, error);
        }
        free(page.auctions);
        if (!is_good) return false;
        if (strcmp(look->cursor, "0") != 0) continue;
        look->last = look->now;
        look->now = (struct tally){0};
        break;
    }
    return true;
}

/* A list that is read on after a pause, or by another process meanwhile, may be another. */
static void begin_again(struct qb_trimmer *trimmer)
{
    qb_missing_forget(&trimmer->missing);
    for (unsigned i = 0; i < trimmer->options.shards->count; i++) {
        trimmer->looks[i] = (struct look){.cursor = "0"};
    }
}

/* The epoch first: what is read behind it is at least as new as that. */
static bool tick(struct qb_trimmer *trimmer, struct qb_error *error)
{
    const struct qb_trimmer_options *options = &trimmer->options;
    struct qb_epoch epoch;
    bool is_mine = false;

    if (trimmer->link == NULL) trimmer->link = options->store->ops->open(options->store, error);
    if (trimmer->link == NULL) return false;
    struct qb_sql_link *sql = qb_store_sql_link(trimmer->link);
    QB_TRY(qb_trims_turn(sql, &is_mine, error));
    QB_TRY(qb_epochs_read(sql, &epoch, error));
    bool is_open = is_mine && epoch.state == QB_EPOCH_OPEN;
    if (!is_open || epoch.epoch != trimmer->epoch) begin_again(trimmer);
    trimmer->epoch = epoch.epoch;
    if (!is_open) {
        tell_looks(trimmer);
        return true;
    }
    if (trimmer->desk == NULL)
        trimmer->desk = qb_redis_desk_new(options->shards, "quickbid-trim", error);
    if (trimmer->desk == NULL) return false;
    QB_TRY(qb_redis_desk_wait(trimmer->desk, REDIS_WAIT_US, error));
    for (unsigned i = 0; i < options->shards->count; i++) QB_TRY(trim_shard(trimmer, i, error));
    tell_looks(trimmer);
    return true;
}

static void *trim(void *argument)
{
    struct qb_trimmer *trimmer = argument;
    struct pollfd wake = {.fd = trimmer->wake, .events = POLLIN};

    while (!atomic_load(&trimmer->is_ending)) {
        struct qb_error error = {""};
        if (!tick(trimmer, &error)) {
            complain(trimmer, &error);
            begin_again(trimmer);
        }
        (void)poll(&wake, 1, TICK_MS);
    }
    return NULL;
}

struct qb_trimmer *qb_trimmer_new(const struct qb_trimmer_options *options)
{
    struct qb_trimmer *trimmer = calloc(1, sizeof *trimmer);

    QB_ASSERT(trimmer != NULL);
    trimmer->options = *options;
    trimmer->round_us = qb_clock_mono_us();
    qb_missing_init(&trimmer->missing, options->journal, options->store->ops);
    trimmer->missing.is_ending = &trimmer->is_ending;
    begin_again(trimmer);
    trimmer->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    QB_ASSERT(trimmer->wake >= 0);
    int failed = pthread_create(&trimmer->thread, NULL, trim, trimmer);
    QB_ASSERT(failed == 0);
    return trimmer;
}

void qb_trimmer_free(struct qb_trimmer **trimmer)
{
    const uint64_t one = 1;
    struct qb_trimmer *old = *trimmer;

    *trimmer = NULL;
    if (old == NULL) return;
    atomic_store(&old->is_ending, true);
    (void)!write(old->wake, &one, sizeof one);
    (void)pthread_join(old->thread, NULL);
    qb_missing_fini(&old->missing);
    qb_redis_desk_free(&old->desk);
    if (old->link != NULL) old->options.store->ops->close(&old->link);
    (void)close(old->wake);
    free(old);
}
