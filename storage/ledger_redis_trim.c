#include "storage/ledger_redis_trim.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/assert.h"
#include "bidding/bytes.h"

#define ANSWER_BYTES (5 * 8 + 1)

void qb_trim_words(struct qb_words *words, uint32_t epoch, unsigned shard,
                   const struct qb_trim_options *options, const struct qb_trim_item *items,
                   size_t count)
{
    char sha[QB_SCRIPT_SHA_BYTES];
    char prefix[32];

    QB_ASSERT(count <= QB_TRIM_MAX);
    (void)snprintf(prefix, sizeof prefix, "qb:{q%u}:", shard);
    qb_script_sha(QB_SCRIPT_TRIM, epoch, sha);
    qb_words_clear(words);
    qb_words_string(words, "EVALSHA");
    qb_words_string(words, sha);
    qb_words_int(words, 3);
    qb_words_shard_key(words, shard, "pend");
    qb_words_shard_key(words, shard, "due");
    qb_words_shard_key(words, shard, "live");
    qb_words_string(words, prefix);
    qb_words_int(words, (int64_t)options->entries_kept);
    qb_words_int(words, options->failover_us);
    qb_words_int(words, options->over_us);
    qb_words_int(words, (int64_t)count);
    for (size_t i = 0; i < count; i++) {
        qb_words_id(words, items[i].auction);
        qb_words_int(words, (int64_t)items[i].committed);
        qb_words_string(words, items[i].is_over ? "1" : "0");
    }
    qb_words_shard_key(words, shard, "epoch");
}

bool qb_trim_read(const struct qb_redis_reply *reply, struct qb_trim_item *items, size_t count)
{
    size_t length = 0;
    const uint8_t *bytes = (const uint8_t *)qb_redis_text(reply, &length);
    struct qb_reader reader = {.bytes = bytes, .length = length};

    if (qb_redis_kind_of(reply) != QB_REDIS_TEXT || length != count * ANSWER_BYTES) return false;
    for (size_t i = 0; i < count; i++) {
        items[i].seq = qb_take_uint(&reader, 8);
        items[i].durable = qb_take_uint(&reader, 8);
        items[i].said = qb_take_uint(&reader, 8);
        items[i].left = qb_take_uint(&reader, 8);
        items[i].taken = qb_take_uint(&reader, 8);
        items[i].is_gone = qb_take_uint(&reader, 1) != 0;
    }
    QB_ASSERT(!reader.is_bad);
    return true;
}
