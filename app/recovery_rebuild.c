#include "app/recovery_rebuild.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/log.h"
#include "base/random.h"
#include "base/shard.h"
#include "storage/ledger_redis_open.h"
#include "storage/load.h"

#define UNDER_WAY_MAX 32 /* guarded commands sent before their answers are awaited */
#define IDS_A_COMMAND 500
#define PAGE_KEYS     "500"

/* One command, carried out only while this leader's token stands where the epoch was. */
static const char guard[] = "if redis.call('GET', KEYS[1]) ~= ARGV[1] then "
                            "return redis.error_reply('STALE another leader rebuilds') end "
                            "return redis.call(unpack(ARGV, 2))";

struct writer {
    struct qb_rebuild *rebuild;
    unsigned shard;
    struct qb_words words;
    size_t under_way;
    struct qb_error *error;
    bool has_failed;
};

static void settle(struct writer *writer)
{
    if (writer->under_way == 0) return;
    writer->under_way = 0;
    if (!qb_redis_desk_settle(writer->rebuild->desk, writer->error)) writer->has_failed = true;
}

static bool goes_on(const struct writer *writer)
{
    bool is_ending = atomic_load(writer->rebuild->is_ending);

    return !is_ending || qb_error_set(writer->error, "this replica ends");
}

/* A guarded command begins with its name; its words are added, then send() is called. */
static struct qb_words *begin(struct writer *writer, const char *name)
{
    struct qb_words *words = &writer->words;

    qb_words_clear(words);
    qb_words_string(words, "EVAL");
    qb_words_string(words, guard);
    qb_words_string(words, "1");
    qb_words_shard_key(words, writer->shard, "epoch");
    qb_words_string(words, writer->rebuild->token);
    qb_words_string(words, name);
    return words;
}

static void send(struct writer *writer)
{
    if (writer->has_failed) return;
    qb_redis_desk_send(writer->rebuild->desk, writer->shard, &writer->words);
    writer->under_way++;
    if (writer->under_way == UNDER_WAY_MAX) settle(writer);
}

/* --- wiping --- */

struct page {
    char cursor[32];
    struct qb_words unlink;
    struct writer *writer;
    size_t keys;
};

static void take_page(void *context, const struct qb_redis_reply *reply)
{
    struct page *page = context;
    const struct qb_redis_reply *keys = qb_redis_item(reply, 1);
    char epoch_key[64];
    char limits[64]; /* what nobody gets anew by a recovery (reliability.md H30) */

    (void)snprintf(limits, sizeof limits, "qb:{q%u}:" QB_LIMIT_KEYS, page->writer->shard);
    (void)snprintf(page->cursor, sizeof page->cursor, "%s",
                   qb_redis_text(qb_redis_item(reply, 0), NULL));
    (void)snprintf(epoch_key, sizeof epoch_key, "qb:{q%u}:epoch", page->writer->shard);
    page->keys = 0;
    (void)begin(page->writer, "UNLINK");
    for (size_t i = 0; i < qb_redis_count(keys); i++) {
        size_t length = 0;
        const char *key = qb_redis_text(qb_redis_item(keys, i), &length);
        if (strcmp(key, epoch_key) == 0 || strncmp(key, limits, strlen(limits)) == 0) continue;
        qb_words_add(&page->writer->words, key, length);
        page->keys++;
    }
}

static bool wipe(struct writer *writer)
{
    struct page page = {.cursor = "0", .writer = writer};
    struct qb_words scan = {0};
    char pattern[64];

    (void)snprintf(pattern, sizeof pattern, "qb:{q%u}:*", writer->shard);
    do {
        qb_words_clear(&scan);
        qb_words_string(&scan, "SCAN");
        qb_words_string(&scan, page.cursor);
        qb_words_string(&scan, "MATCH");
        qb_words_string(&scan, pattern);
        qb_words_string(&scan, "COUNT");
        qb_words_string(&scan, PAGE_KEYS);
        settle(writer);
        if (!qb_redis_desk_ask(writer->rebuild->desk, writer->shard, &scan, take_page, &page,
                               writer->error)) {
            writer->has_failed = true;
        }
        if (page.keys > 0) send(writer);
        if (!goes_on(writer)) writer->has_failed = true;
    } while (!writer->has_failed && strcmp(page.cursor, "0") != 0);
    settle(writer);
    qb_words_fini(&scan);
    return !writer->has_failed;
}

/* From here on no script of any epoch runs in this shard, and no other leader's writes count. */
static bool fence(struct writer *writer)
{
    struct qb_words words = {0};

    qb_words_string(&words, "SET");
    qb_words_shard_key(&words, writer->shard, "epoch");
    qb_words_string(&words, writer->rebuild->token);
    bool is_done =
        qb_redis_desk_ask(writer->rebuild->desk, writer->shard, &words, NULL, NULL, writer->error);
    qb_words_fini(&words);
    return is_done;
}

/* --- one auction --- */

struct auction {
    struct writer *writer;
    qb_id id;
    uint8_t (*ring)[QB_ENTRY_BYTES_MAX];
    size_t *lengths;
    uint64_t seq;
    size_t pending_ids; /* pairs in the HSET that is being put together */
};

static void send_ids(struct auction *auction)
{
    if (auction->pending_ids > 0) send(auction->writer);
    auction->pending_ids = 0;
}

static void take_entry(void *context, const struct qb_entry *entry,
                       const struct qb_verdict *verdict, const struct qb_lot *lot)
{
    struct auction *auction = context;
    struct qb_words *words = &auction->writer->words;
    uint8_t id[QB_LEDGER_REDIS_ID_BYTES];
    size_t at = (size_t)(entry->seq % auction->writer->rebuild->ring_entries);

    (void)verdict;
    (void)lot;
    if (auction->pending_ids == 0) {
        words = begin(auction->writer, "HSET");
        qb_words_auction_key(words, auction->writer->shard, auction->id, "ids");
    }
    qb_ledger_redis_id(entry->seq, entry->type == QB_ENTRY_DISCARD ? 0 : qb_entry_asked(entry), id);
    qb_words_add(words, entry->bid_id, QB_BID_ID_BYTES);
    qb_words_add(words, id, sizeof id);
    auction->pending_ids++;
    if (auction->pending_ids == IDS_A_COMMAND) send_ids(auction);
    auction->lengths[at] = qb_entry_encode(entry, auction->ring[at]);
    auction->seq = entry->seq;
}

/* The newest entries, for replicas that load the auction and for clients that resume. */
static void write_stream(struct auction *auction)
{
    uint64_t kept = auction->writer->rebuild->ring_entries;
    uint64_t first = auction->seq > kept ? auction->seq - kept + 1 : 1;

    for (uint64_t seq = first; seq <= auction->seq; seq++) {
        struct qb_words *words = begin(auction->writer, "XADD");
        char id[32];
        (void)snprintf(id, sizeof id, "%" PRIu64 "-0", seq);
        qb_words_auction_key(words, auction->writer->shard, auction->id, "stream");
        qb_words_string(words, id);
        qb_words_string(words, "e");
        qb_words_add(words, auction->ring[seq % kept], auction->lengths[seq % kept]);
        send(auction->writer);
    }
}

static void write_state(struct auction *auction, const struct qb_loaded *loaded)
{
    struct writer *writer = auction->writer;
    struct qb_text snapshot = {.bytes_max = SIZE_MAX / 4};
    struct qb_words *words = begin(writer, "SET");

    qb_ledger_redis_snapshot(&snapshot, &loaded->lot, loaded->records, loaded->record_count);
    qb_words_auction_key(words, writer->shard, auction->id, "snap");
    qb_words_add(words, snapshot.bytes, snapshot.length);
    send(writer);
    qb_text_fini(&snapshot);
    words = begin(writer, "ZADD");
    qb_words_shard_key(words, writer->shard, "due");
    qb_words_int(words, loaded->lot.ends_at_us);
    qb_words_id(words, auction->id);
    send(writer);
    words = begin(writer, "SADD");
    qb_words_shard_key(words, writer->shard, "live");
    qb_words_id(words, auction->id);
    send(writer);
    words = begin(writer, "HSET");
    qb_words_auction_key(words, writer->shard, auction->id, "state");
    qb_words_string(words, "seq");
    qb_words_int(words, (int64_t)loaded->lot.seq);
    qb_words_string(words, "last");
    qb_words_int(words, loaded->lot.now_us);
    qb_words_string(words, "dur");
    qb_words_int(words, (int64_t)loaded->lot.seq);
    qb_words_string(words, "pg");
    qb_words_int(words, (int64_t)loaded->lot.seq);
    if (writer->rebuild->has_outbox) {
        qb_words_string(words, "out");
        qb_words_int(words, (int64_t)loaded->lot.seq);
    }
    send(writer);
}

/* A log that is not what was written stays away, and so its auction takes no bids; others go on. */
static bool write_auction(struct auction *auction)
{
    struct writer *writer = auction->writer;
    struct qb_rebuild *rebuild = writer->rebuild;
    struct qb_loaded loaded;

    auction->seq = 0;
    auction->pending_ids = 0;
    if (!qb_load_auction(rebuild->store, rebuild->link, auction->id, take_entry, auction, &loaded,
                         writer->error)) {
        if (!loaded.is_broken) return false;
        qb_log(QB_LOG_ERROR, "recovery.skipped", QB_TEXT("error", writer->error->text));
        return true;
    }
    send_ids(auction);
    if (loaded.lot.seq > 0 && !qb_lot_is_over(&loaded.lot)) {
        write_stream(auction);
        write_state(auction, &loaded);
        qb_recovery_holds_add(&rebuild->holds, &loaded.lot);
        rebuild->auctions++;
        rebuild->entries += loaded.lot.seq;
    }
    qb_loaded_fini(&loaded);
    return !writer->has_failed;
}

/* --- all --- */

static bool write_shard(struct writer *writer, const struct qb_live *live)
{
    const struct qb_rebuild *rebuild = writer->rebuild;
    struct auction auction = {.writer = writer};

    if (!fence(writer) || !wipe(writer)) return false;
    auction.ring = malloc((size_t)rebuild->ring_entries * sizeof *auction.ring);
    auction.lengths = calloc(rebuild->ring_entries, sizeof *auction.lengths);
    QB_ASSERT(auction.ring != NULL && auction.lengths != NULL);
    bool is_good = true;
    for (size_t i = 0; is_good && i < live->count; i++) {
        auction.id = live->auctions[i];
        if (qb_shard_of(auction.id, qb_redis_desk_shards(rebuild->desk)) != writer->shard) continue;
        is_good = goes_on(writer) && write_auction(&auction);
    }
    settle(writer);
    free(auction.ring);
    free(auction.lengths);
    return is_good && !writer->has_failed;
}

bool qb_rebuild_run(struct qb_rebuild *rebuild, struct qb_error *error)
{
    struct qb_live live = {0};
    uint8_t secret[16];
    char hex[33];

    qb_random_secret(secret, sizeof secret);
    qb_hex(secret, sizeof secret, hex);
    (void)snprintf(rebuild->token, sizeof rebuild->token, "rebuilding %s", hex);
    rebuild->auctions = 0;
    rebuild->entries = 0;
    bool is_good = qb_load_live(rebuild->store, rebuild->link, &live, error);
    for (unsigned i = 0; is_good && i < qb_redis_desk_shards(rebuild->desk); i++) {
        struct writer writer = {.rebuild = rebuild, .shard = i, .error = error};
        is_good = write_shard(&writer, &live);
        qb_words_fini(&writer.words);
    }
    qb_live_fini(&live);
    return is_good;
}

static void take_time(void *context, const struct qb_redis_reply *reply)
{
    qb_time_us *newest = context;
    qb_time_us now_us = qb_redis_integer(qb_redis_item(reply, 0), 0) * 1000000 +
                        qb_redis_integer(qb_redis_item(reply, 1), 0);

    if (now_us > *newest) *newest = now_us;
}

bool qb_rebuild_now_us(struct qb_rebuild *rebuild, qb_time_us *now_us, struct qb_error *error)
{
    bool is_good = true;

    *now_us = 0;
    for (unsigned i = 0; is_good && i < qb_redis_desk_shards(rebuild->desk); i++) {
        struct qb_words words = {0};
        qb_words_string(&words, "TIME");
        is_good = qb_redis_desk_ask(rebuild->desk, i, &words, take_time, now_us, error);
        qb_words_fini(&words);
    }
    return is_good;
}
