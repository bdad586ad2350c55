#include "storage/ledger_redis_open.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/error.h"
#include "storage/ledger_redis_scripts.h"

struct opening {
    qb_ledger_redis_opened *done;
    void *context;
    unsigned left;     /* answers */
    unsigned expected; /* the script whose answer comes next */
    uint32_t epoch;
    struct qb_error error;
};

static void end_one(struct opening *opening)
{
    if (--opening->left > 0) return;
    opening->done(opening->context, opening->error.text[0] != '\0' ? opening->error.text : NULL);
    free(opening);
}

static void fail(struct opening *opening, const struct qb_redis_reply *reply)
{
    size_t length = 0;

    if (opening->error.text[0] != '\0') return;
    (void)qb_error_set(&opening->error, "%s",
                       reply != NULL ? qb_redis_text(reply, &length) : "no answer");
}

static void on_epoch(void *context, const struct qb_redis_reply *reply)
{
    if (reply == NULL || qb_redis_kind_of(reply) == QB_REDIS_ERROR) fail(context, reply);
    end_one(context);
}

/* Answers come in the order of the commands. */
static void on_script(void *context, const struct qb_redis_reply *reply)
{
    struct opening *opening = context;
    char sha[QB_SCRIPT_SHA_BYTES];

    qb_script_sha((enum qb_script)opening->expected++, opening->epoch, sha);
    if (reply == NULL || !qb_redis_is_text(reply, sha)) fail(opening, reply);
    end_one(opening);
}

void qb_ledger_redis_open_shard(struct qb_redis *redis, unsigned shard, uint32_t epoch,
                                qb_ledger_redis_opened *done, void *context)
{
    struct opening *opening = calloc(1, sizeof *opening);
    struct qb_words words = {0};
    struct qb_text text = {0};

    QB_ASSERT(opening != NULL);
    opening->done = done;
    opening->context = context;
    opening->epoch = epoch;
    opening->left = 1 + QB_SCRIPT_COUNT;
    qb_words_clear(&words);
    qb_words_string(&words, "SET");
    qb_words_shard_key(&words, shard, "epoch");
    qb_words_int(&words, epoch);
    qb_words_send(&words, redis, on_epoch, opening);
    for (int i = 0; i < QB_SCRIPT_COUNT; i++) {
        text.length = 0;
        qb_script_text((enum qb_script)i, epoch, &text);
        qb_words_clear(&words);
        qb_words_string(&words, "SCRIPT");
        qb_words_string(&words, "LOAD");
        qb_words_add(&words, text.bytes, text.length);
        qb_words_send(&words, redis, on_script, opening);
    }
    qb_text_fini(&text);
    qb_words_fini(&words);
}
