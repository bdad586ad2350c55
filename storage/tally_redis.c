#include "storage/tally_redis.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "base/redis.h"
#include "base/shard.h"
#include "base/text.h"
#include "bidding/bytes.h"
#include "storage/ledger_redis_scripts.h"

#define ANSWER_MS     1000
#define EXCHANGE_US   (50 * QB_MS_US)
#define LISTEN_US     (500 * QB_MS_US)
#define PARTS_AT_ONCE 256
#define KEY_TEXT      (2 * QB_TALLY_KEY_BYTES)
#define SUM_BYTES     24
#define HOT_BYTES     (KEY_TEXT + 8)

struct shard {
    struct qb_tally_redis *redis;
    unsigned index;
    struct qb_redis *link;
    struct qb_tally_part parts[PARTS_AT_ONCE]; /* of the call that is put together or under way */
    size_t count;
    uint64_t since_us; /* hot keys are told from then on, by the shard's clock */
    int64_t sent_us;
    int64_t heard_us; /* 0: never */
    bool is_asking;
    bool is_fenced;
};

struct qb_tally_redis {
    struct qb_tally_redis_options options;
    struct shard *shards;
    struct qb_words words;
    char sha[QB_SCRIPT_SHA_BYTES];
    char process[17];
    uint32_t generation;
    int64_t exchanged_us;
};

struct asked {
    struct shard *shard;
    uint32_t generation;
};

static struct shard *shard_of(struct qb_tally_redis *redis, const uint8_t *key)
{
    uint64_t head = 0;

    (void)memcpy(&head, key, sizeof head);
    for (size_t i = sizeof head; i < QB_TALLY_KEY_BYTES; i++) head = head * 31 + key[i];
    return &redis->shards[qb_shard_of(head, redis->options.shards)];
}

static void give_back(struct shard *shard)
{
    for (size_t i = 0; i < shard->count; i++)
        qb_tally_give_back(shard->redis->options.tally, &shard->parts[i]);
    shard->count = 0;
}

/* All that the others told is known as of the oldest answer. */
static void tell_reached(struct qb_tally_redis *redis, unsigned replicas)
{
    int64_t oldest_us = INT64_MAX;

    for (unsigned i = 0; i < redis->options.shards; i++) {
        if (redis->shards[i].heard_us < oldest_us) oldest_us = redis->shards[i].heard_us;
    }
    if (oldest_us > 0) qb_tally_reached(redis->options.tally, replicas, oldest_us);
}

static void take_hot(struct qb_tally *tally, const char *bytes, size_t length, int64_t now_us)
{
    for (size_t at = 0; at + HOT_BYTES <= length; at += HOT_BYTES) {
        uint8_t key[QB_TALLY_KEY_BYTES];
        struct qb_reader total = {.bytes = (const uint8_t *)&bytes[at + KEY_TEXT], .length = 8};
        if (!qb_hex_parse(&bytes[at], KEY_TEXT, key)) continue;
        qb_tally_hear(tally, key, qb_take_uint(&total, 8), now_us);
    }
}

static bool take(struct shard *shard, const struct qb_redis_reply *reply)
{
    struct qb_tally *tally = shard->redis->options.tally;
    size_t lengths[3] = {0};
    const char *bytes[3];
    int64_t now_us = qb_clock_mono_us();

    if (qb_redis_count(reply) != 3) return false;
    for (size_t i = 0; i < 3; i++) bytes[i] = qb_redis_text(qb_redis_item(reply, i), &lengths[i]);
    if (lengths[0] != 16 || lengths[1] != shard->count * SUM_BYTES) return false;
    struct qb_reader head = {.bytes = (const uint8_t *)bytes[0], .length = lengths[0]};
    struct qb_reader sums = {.bytes = (const uint8_t *)bytes[1], .length = lengths[1]};
    unsigned replicas = (unsigned)qb_take_uint(&head, 8);
    shard->since_us = qb_take_uint(&head, 8);
    for (size_t i = 0; i < shard->count; i++) {
        struct qb_tally_sum sum = {.total = qb_take_uint(&sums, 8)};
        sum.granted = (uint32_t)qb_take_uint(&sums, 8);
        sum.wait_us = qb_take_int(&sums);
        qb_tally_take(tally, &shard->parts[i], &sum, now_us);
    }
    shard->count = 0;
    take_hot(tally, bytes[2], lengths[2], now_us);
    shard->heard_us = shard->sent_us;
    tell_reached(shard->redis, replicas);
    return true;
}

static bool begins_with(const char *text, const char *word)
{
    return strncmp(text, word, strlen(word)) == 0;
}

static void on_answer(void *context, const struct qb_redis_reply *reply)
{
    struct asked *asked = context;
    struct shard *shard = asked->shard;
    struct qb_tally_redis *redis = shard->redis;
    bool is_error = reply != NULL && qb_redis_kind_of(reply) == QB_REDIS_ERROR;

    shard->is_asking = false;
    if (is_error) {
        const char *text = qb_redis_text(reply, NULL);
        bool is_fence = begins_with(text, "NOSCRIPT") || begins_with(text, "STALE");
        qb_log(QB_LOG_WARNING, "tally.error", QB_INT("shard", shard->index),
               QB_TEXT("error", text));
        if (is_fence && asked->generation == redis->generation) shard->is_fenced = true;
    }
    free(asked);
    /* It may have been counted: then it counts twice, which is too strict and never too lax. */
    if (reply == NULL || is_error || !take(shard, reply)) give_back(shard);
}

static bool is_ready(const struct shard *shard)
{
    return shard->redis->generation > 0 && !shard->is_fenced && qb_redis_is_up(shard->link);
}

/* "qb:{q<shard>}:limit:<what>:<name>" */
static void add_key(struct qb_words *words, const struct shard *shard, const char *name)
{
    char text[100];
    int length = snprintf(text, sizeof text, "qb:{q%u}:" QB_LIMIT_KEYS "%s:%s", shard->index,
                          shard->redis->options.what, name);

    QB_ASSERT(length > 0 && (size_t)length < sizeof text);
    qb_words_string(words, text);
}

static void send(struct shard *shard, int64_t now_us)
{
    struct qb_tally_redis *redis = shard->redis;
    struct qb_words *words = &redis->words;
    struct asked *asked = calloc(1, sizeof *asked);
    char key[KEY_TEXT + 1];

    QB_ASSERT(asked != NULL);
    *asked = (struct asked){shard, redis->generation};
    shard->is_asking = true;
    shard->sent_us = now_us;
    qb_words_clear(words);
    qb_words_string(words, "EVALSHA");
    qb_words_string(words, redis->sha);
    qb_words_int(words, (int64_t)shard->count + 2);
    add_key(words, shard, "replicas");
    add_key(words, shard, "hot");
    for (size_t i = 0; i < shard->count; i++) {
        qb_hex(shard->parts[i].key, QB_TALLY_KEY_BYTES, key);
        add_key(words, shard, key);
    }
    qb_words_int(words, qb_tally_limit(redis->options.tally));
    qb_words_int(words, qb_tally_window_us(redis->options.tally));
    qb_words_string(words, redis->process);
    qb_words_int(words, (int64_t)shard->since_us);
    add_key(words, shard, "");
    qb_words_int(words, (int64_t)shard->count);
    for (size_t i = 0; i < shard->count; i++) {
        qb_hex(shard->parts[i].key, QB_TALLY_KEY_BYTES, key);
        qb_words_string(words, key);
        qb_words_int(words, shard->parts[i].added);
        qb_words_int(words, shard->parts[i].is_wanted ? 1 : 0);
    }
    qb_words_shard_key(words, shard->index, "epoch");
    qb_words_send(words, shard->link, on_answer, asked);
}

/* What is for a shard that cannot be asked now stays in the tally. */
static void collect(struct qb_tally_redis *redis)
{
    struct qb_tally_part list[PARTS_AT_ONCE];
    size_t count = qb_tally_collect(redis->options.tally, list, PARTS_AT_ONCE);

    for (size_t i = 0; i < count; i++) {
        struct shard *shard = shard_of(redis, list[i].key);
        if (is_ready(shard) && !shard->is_asking)
            shard->parts[shard->count++] = list[i];
        else
            qb_tally_give_back(redis->options.tally, &list[i]);
    }
}

void qb_tally_redis_turn(struct qb_tally_redis *redis)
{
    int64_t now_us = qb_clock_mono_us();

    if (now_us - redis->exchanged_us < redis->options.exchange_us) return;
    redis->exchanged_us = now_us;
    collect(redis);
    for (unsigned i = 0; i < redis->options.shards; i++) {
        struct shard *shard = &redis->shards[i];
        bool is_due = shard->count > 0 || now_us - shard->sent_us >= LISTEN_US;
        if (is_due && is_ready(shard) && !shard->is_asking) send(shard, now_us);
    }
}

int64_t qb_tally_redis_wake_us(const struct qb_tally_redis *redis)
{
    return redis->exchanged_us + redis->options.exchange_us;
}

void qb_tally_redis_open(struct qb_tally_redis *redis, uint32_t epoch)
{
    redis->generation++;
    qb_script_sha(QB_SCRIPT_TALLY, epoch, redis->sha);
    for (unsigned i = 0; i < redis->options.shards; i++) {
        redis->shards[i].is_fenced = false;
        redis->shards[i].since_us = 0; /* whose clock it was is not known */
    }
}

static void on_up(void *context, const char *run_id)
{
    (void)context;
    (void)run_id;
}

static void on_down(void *context, const char *why)
{
    const struct shard *shard = context;

    qb_log(QB_LOG_WARNING, "tally.unreachable", QB_INT("shard", shard->index), QB_TEXT("why", why));
}

void qb_tally_redis_free(struct qb_tally_redis **redis)
{
    struct qb_tally_redis *old = *redis;

    *redis = NULL;
    if (old == NULL) return;
    for (unsigned i = 0; i < old->options.shards; i++) qb_redis_free(&old->shards[i].link);
    qb_words_fini(&old->words);
    free(old->shards);
    free(old);
}

struct qb_tally_redis *qb_tally_redis_new(const struct qb_tally_redis_options *options,
                                          struct qb_error *error)
{
    struct qb_tally_redis *redis = calloc(1, sizeof *redis);
    uint8_t process[8];

    QB_ASSERT(redis != NULL);
    QB_ASSERT(options->shards > 0);
    redis->options = *options;
    if (redis->options.exchange_us == 0) redis->options.exchange_us = EXCHANGE_US;
    qb_random_secret(process, sizeof process);
    qb_hex(process, sizeof process, redis->process);
    redis->shards = calloc(options->shards, sizeof *redis->shards);
    QB_ASSERT(redis->shards != NULL);
    for (unsigned i = 0; i < options->shards; i++) {
        struct shard *shard = &redis->shards[i];
        const struct qb_redis_options link = {
            .loop = options->loop,
            .address = options->addresses[i],
            .name = options->name,
            .answer_ms = ANSWER_MS,
            .must_be_safe = options->must_be_safe,
            .up = on_up,
            .down = on_down,
            .context = shard,
        };
        shard->redis = redis;
        shard->index = i;
        shard->link = qb_redis_new(&link, error);
        if (shard->link != NULL) continue;
        qb_tally_redis_free(&redis);
        return NULL;
    }
    return redis;
}
