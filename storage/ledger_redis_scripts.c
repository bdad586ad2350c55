#include "storage/ledger_redis_scripts.h"

#include <inttypes.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "storage/ledger_redis_texts.h"

#define COMMAND_BYTES_MAX (64U << 20)

static const char *const bodies[QB_SCRIPT_COUNT] = {
    [QB_SCRIPT_APPEND] = qb_script_append,     [QB_SCRIPT_MARK] = qb_script_mark,
    [QB_SCRIPT_HEADS] = qb_script_heads,       [QB_SCRIPT_READ] = qb_script_read,
    [QB_SCRIPT_SAFE] = qb_script_safe,         [QB_SCRIPT_SWEEP] = qb_script_sweep,
    [QB_SCRIPT_SNAPSHOT] = qb_script_snapshot, [QB_SCRIPT_TRIM] = qb_script_trim,
    [QB_SCRIPT_LIMITS] = qb_script_limits,     [QB_SCRIPT_TALLY] = qb_script_tally,
};

void qb_script_text(enum qb_script script, uint32_t epoch, struct qb_text *text)
{
    const char *body = bodies[script];
    const char *rest = strchr(body, '\n'); /* the first line is Redis's: "#!lua" and flags */

    QB_ASSERT(rest != NULL);
    qb_text_add(text, body, (size_t)(rest - body));
    qb_text_format(text, "\nlocal EPOCH = '%" PRIu32 "'\n", epoch);
    qb_text_string(text, qb_script_common);
    qb_text_string(text, rest);
    QB_ASSERT(!text->is_full);
}

void qb_script_sha(enum qb_script script, uint32_t epoch, char sha[QB_SCRIPT_SHA_BYTES])
{
    struct qb_text text = {0};
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned length = 0;

    qb_script_text(script, epoch, &text);
    int is_good = EVP_Digest(text.bytes, text.length, digest, &length, EVP_sha1(), NULL);
    QB_ASSERT(is_good == 1);
    QB_ASSERT(length * 2 + 1 == QB_SCRIPT_SHA_BYTES);
    qb_hex(digest, length, sha);
    qb_text_fini(&text);
}

void qb_words_fini(struct qb_words *words)
{
    qb_text_fini(&words->bytes);
    free(words->ends);
    free(words->words);
    free(words->lengths);
    *words = (struct qb_words){0};
}

void qb_words_clear(struct qb_words *words)
{
    words->bytes.length = 0;
    words->bytes.bytes_max = COMMAND_BYTES_MAX;
    words->count = 0;
}

static void *resize(void *old, size_t count, size_t bytes)
{
    void *made = realloc(old, count * bytes);

    QB_ASSERT(made != NULL);
    return made;
}

/* What was added to the bytes since the word before is one word. */
static void end_word(struct qb_words *words)
{
    if (words->count == words->room) {
        words->room = words->room == 0 ? 64 : words->room * 2;
        words->ends = resize(words->ends, words->room, sizeof *words->ends);
        words->words = resize(words->words, words->room, sizeof *words->words);
        words->lengths = resize(words->lengths, words->room, sizeof *words->lengths);
    }
    words->ends[words->count++] = words->bytes.length;
}

void qb_words_add(struct qb_words *words, const void *bytes, size_t length)
{
    qb_text_add(&words->bytes, bytes, length);
    end_word(words);
}

void qb_words_string(struct qb_words *words, const char *string)
{
    qb_words_add(words, string, strlen(string));
}

void qb_words_int(struct qb_words *words, int64_t value)
{
    qb_text_int(&words->bytes, value);
    end_word(words);
}

void qb_words_shard_key(struct qb_words *words, unsigned shard, const char *name)
{
    qb_text_format(&words->bytes, "qb:{q%u}:%s", shard, name);
    end_word(words);
}

void qb_words_auction_key(struct qb_words *words, unsigned shard, qb_id auction, const char *name)
{
    qb_text_format(&words->bytes, "qb:{q%u}:%016" PRIx64 ":%s", shard, auction, name);
    end_word(words);
}

void qb_words_user_key(struct qb_words *words, unsigned shard, qb_id user, const char *name)
{
    qb_text_format(&words->bytes, "qb:{q%u}:" QB_LIMIT_KEYS "%016" PRIx64 ":%s", shard, user, name);
    end_word(words);
}

void qb_words_channel(struct qb_words *words, unsigned shard, qb_id auction)
{
    qb_text_format(&words->bytes, "qb:{q%u}:log:%016" PRIx64, shard, auction);
    end_word(words);
}

void qb_words_id(struct qb_words *words, qb_id auction)
{
    qb_text_format(&words->bytes, "%016" PRIx64, auction);
    end_word(words);
}

void qb_words_send(struct qb_words *words, struct qb_redis *redis, qb_redis_answer *answer,
                   void *context)
{
    size_t at = 0;

    QB_ASSERT(!words->bytes.is_full);
    QB_ASSERT(words->count > 0);
    for (size_t i = 0; i < words->count; i++) { /* only now: the bytes no longer move */
        words->words[i] = &words->bytes.bytes[at];
        words->lengths[i] = words->ends[i] - at;
        at = words->ends[i];
    }
    qb_redis_command(redis, words->count, words->words, words->lengths, answer, context);
}
