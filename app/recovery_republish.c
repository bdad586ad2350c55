#include "app/recovery_republish.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/log.h"
#include "base/random.h"
#include "bidding/entry.h"
#include "storage/journal_rabbit_admin.h"

#define PAGE QB_JOURNAL_RABBIT_PUT_MAX

struct ids {
    qb_id *list;
    size_t count;
};

static void take_ids(void *context, const struct qb_redis_reply *reply)
{
    struct ids *ids = context;

    ids->list = calloc(qb_redis_count(reply) + 1, sizeof *ids->list);
    QB_ASSERT(ids->list != NULL);
    for (size_t i = 0; i < qb_redis_count(reply); i++) {
        size_t length = 0;
        const char *hex = qb_redis_text(qb_redis_item(reply, i), &length);
        ids->list[ids->count++] = strtoull(hex, NULL, 16);
    }
}

/* A page of a stream. */
struct page {
    struct qb_journal_item items[PAGE];
    uint8_t bytes[PAGE][QB_ENTRY_BYTES_MAX];
    size_t count;
    bool is_bad; /* what comes next cannot be read */
};

/* Entries of a message are of one epoch and follow each other: the page ends where that changes. */
static void take_page(void *context, const struct qb_redis_reply *reply)
{
    struct page *page = context;

    page->count = 0;
    for (size_t i = 0; i < qb_redis_count(reply) && i < PAGE; i++) {
        const struct qb_redis_reply *fields = qb_redis_item(qb_redis_item(reply, i), 1);
        struct qb_journal_item *item = &page->items[page->count];
        struct qb_entry entry;
        struct qb_rules rules;
        size_t length = 0;
        const char *bytes = qb_redis_text(qb_redis_item(fields, 1), &length);
        page->is_bad = length > QB_ENTRY_BYTES_MAX ||
                       !qb_entry_decode((const uint8_t *)bytes, length, &entry, &rules);
        if (page->is_bad) return;
        if (page->count > 0 && (entry.epoch != page->items[0].epoch ||
                                entry.seq != page->items[page->count - 1].seq + 1)) {
            return;
        }
        (void)memcpy(page->bytes[page->count], bytes, length);
        *item = (struct qb_journal_item){.auction = entry.auction,
                                         .seq = entry.seq,
                                         .epoch = entry.epoch,
                                         .bytes = page->bytes[page->count],
                                         .length = length};
        page->count++;
    }
}

/* They are in no store any more: what comes behind them waits in `staging`. */
static void say_missing(qb_id auction, uint64_t from, uint64_t upto)
{
    char id[QB_ID_TEXT_BYTES];

    qb_id_text(auction, id);
    qb_log(QB_LOG_ERROR, "republish.missing", QB_TEXT("auction", id), QB_INT("from", from),
           QB_INT("upto", upto));
}

/* Its persister could apply nothing that comes behind. */
static void complain(qb_id auction, uint64_t seq)
{
    char id[QB_ID_TEXT_BYTES];

    qb_id_text(auction, id);
    qb_log(QB_LOG_ERROR, "recovery.left_out", QB_TEXT("auction", id), QB_INT("from_seq", seq));
}

static bool put_behind(struct qb_republish *republish, unsigned shard, qb_id auction, uint64_t seq,
                       struct page *page, struct qb_error *error)
{
    struct qb_words words = {0};
    bool is_good = true;
    char upto[32];

    (void)snprintf(upto, sizeof upto, "%" PRIu64 "-0", republish->upto);
    do {
        char from[32];
        (void)snprintf(from, sizeof from, "%" PRIu64 "-0", seq + 1);
        qb_words_clear(&words);
        qb_words_string(&words, "XRANGE");
        qb_words_auction_key(&words, shard, auction, "stream");
        qb_words_string(&words, from);
        qb_words_string(&words, upto);
        qb_words_string(&words, "COUNT");
        qb_words_int(&words, PAGE);
        page->count = 0;
        bool is_ending = republish->is_ending != NULL && atomic_load(republish->is_ending);
        is_good = !is_ending || qb_error_set(error, "this replica ends");
        page->is_bad = false;
        if (is_good)
            is_good = qb_redis_desk_ask(republish->desk, shard, &words, take_page, page, error);
        if (is_good && page->is_bad && page->count == 0) complain(auction, seq + 1);
        if (!is_good || page->count == 0) break;
        if (page->items[0].seq > seq + 1) say_missing(auction, seq + 1, page->items[0].seq - 1);
        is_good = qb_journal_rabbit_put(republish->journal, shard, page->items, page->count, error);
        seq = page->items[page->count - 1].seq;
        republish->entries += page->count;
    } while (is_good && seq < republish->upto);
    qb_words_fini(&words);
    return is_good;
}

static bool put_auction(struct qb_republish *republish, unsigned shard, qb_id auction,
                        struct page *page, struct qb_error *error)
{
    struct qb_lot lot;
    enum qb_store_result result = republish->store->state(republish->link, auction, &lot, error);

    if (result == QB_STORE_FAILED) return false;
    uint64_t seq = result == QB_STORE_OK ? lot.seq : 0;
    return put_behind(republish, shard, auction, seq, page, error);
}

bool qb_republish_auction(struct qb_republish *republish, unsigned shard, qb_id auction,
                          uint64_t seq, struct qb_error *error)
{
    struct page *page = malloc(sizeof *page);

    QB_ASSERT(page != NULL);
    bool is_good = put_behind(republish, shard, auction, seq, page, error);
    free(page);
    return is_good;
}

static bool put_shard(struct qb_republish *republish, unsigned shard, struct page *page,
                      struct qb_error *error)
{
    struct qb_words words = {0};
    struct ids ids = {0};

    qb_words_string(&words, "SMEMBERS");
    qb_words_shard_key(&words, shard, "live");
    bool is_good = qb_redis_desk_ask(republish->desk, shard, &words, take_ids, &ids, error);
    for (size_t i = 0; is_good && i < ids.count; i++) {
        is_good = put_auction(republish, shard, ids.list[i], page, error);
    }
    free(ids.list);
    qb_words_fini(&words);
    return is_good;
}

static void take_epoch(void *context, const struct qb_redis_reply *reply)
{
    *(bool *)context = qb_redis_kind_of(reply) == QB_REDIS_TEXT;
}

/* No script of any epoch runs from here on: what is acknowledged is in the logs by now. A shard
 * that has no epoch has lost its data, and what only it had with them: nothing can be done but
 * tell. */
static bool fence(struct qb_republish *republish, unsigned shard, struct qb_error *error)
{
    struct qb_words words = {0};
    uint8_t secret[16];
    char token[64] = "republishing ";
    bool has_epoch = false;

    qb_random_secret(secret, sizeof secret);
    qb_hex(secret, sizeof secret, &token[strlen(token)]);
    qb_words_string(&words, "GET");
    qb_words_shard_key(&words, shard, "epoch");
    bool is_good = qb_redis_desk_ask(republish->desk, shard, &words, take_epoch, &has_epoch, error);
    if (is_good && !has_epoch) {
        qb_log(QB_LOG_ERROR, "recovery.outbox_lost", QB_INT("shard", shard),
               QB_TEXT("what", "Redis lost its data: bids that were acknowledged and that RabbitMQ "
                               "did not have are lost"));
    }
    qb_words_clear(&words);
    qb_words_string(&words, "SET");
    qb_words_shard_key(&words, shard, "epoch");
    qb_words_string(&words, token);
    is_good = is_good && qb_redis_desk_ask(republish->desk, shard, &words, NULL, NULL, error);
    qb_words_fini(&words);
    return is_good;
}

bool qb_republish_run(struct qb_republish *republish, struct qb_error *error)
{
    struct page *page = malloc(sizeof *page);
    bool is_good = true;

    QB_ASSERT(page != NULL);
    unsigned shards = qb_redis_desk_shards(republish->desk);
    for (unsigned i = 0; republish->must_fence && is_good && i < shards; i++) {
        is_good = fence(republish, i, error);
    }
    for (unsigned i = 0; is_good && i < shards; i++) {
        is_good = put_shard(republish, i, page, error);
    }
    free(page);
    return is_good;
}
