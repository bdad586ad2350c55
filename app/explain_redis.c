#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/explain_parts.h"
#include "app/redis_desk.h"
#include "base/assert.h"
#include "base/clock.h"

#define WAIT_US       (4 * QB_SECOND_US)
#define HEADS_AT_ONCE 500

struct asking {
    struct qb_redis_desk *desk;
    unsigned shard;
    struct qb_explain_shard *found;
    struct qb_words words;
    struct qb_error *error;
    size_t answered; /* heads */
};

static bool ask(struct asking *asking, qb_redis_answer *answer, void *context)
{
    return qb_redis_desk_ask(asking->desk, 0, &asking->words, answer, context, asking->error);
}

/* "<command> <key of the shard>" */
static void begin(struct asking *asking, const char *command, const char *key)
{
    qb_words_clear(&asking->words);
    qb_words_string(&asking->words, command);
    qb_words_shard_key(&asking->words, asking->shard, key);
}

static void take_count(void *context, const struct qb_redis_reply *reply)
{
    *(int64_t *)context = qb_redis_integer(reply, 0);
}

static void take_time(void *context, const struct qb_redis_reply *reply)
{
    if (qb_redis_count(reply) != 2) return;
    *(int64_t *)context = qb_redis_integer(qb_redis_item(reply, 0), 0) * QB_SECOND_US +
                          qb_redis_integer(qb_redis_item(reply, 1), 0);
}

/* The score of the first: ZRANGE … 0 0 WITHSCORES. */
static void take_score(void *context, const struct qb_redis_reply *reply)
{
    if (qb_redis_count(reply) == 2)
        *(int64_t *)context = qb_redis_integer(qb_redis_item(reply, 1), 0);
}

static void take_epoch(void *context, const struct qb_redis_reply *reply)
{
    struct qb_explain_shard *found = context;

    found->epoch = qb_redis_integer(reply, 0);
    found->fence = QB_EXPLAIN_INTACT;
    if (qb_redis_kind_of(reply) != QB_REDIS_TEXT)
        found->fence = QB_EXPLAIN_NO_EPOCH;
    else if (found->epoch == 0)
        found->fence = QB_EXPLAIN_REBUILDING; /* a leader's token */
}

static bool count(struct asking *asking, const char *command, const char *key, int64_t *number)
{
    begin(asking, command, key);
    return ask(asking, take_count, number);
}

static bool first_score(struct asking *asking, const char *key, int64_t *score)
{
    begin(asking, "ZRANGE", key);
    qb_words_string(&asking->words, "0");
    qb_words_string(&asking->words, "0");
    qb_words_string(&asking->words, "WITHSCORES");
    return ask(asking, take_score, score);
}

/* By the script that only reads: whether this process knows those of the epoch. */
static bool ask_scripts(struct asking *asking)
{
    char sha[QB_SCRIPT_SHA_BYTES];
    struct qb_error refusal = {""};

    if (asking->found->fence != QB_EXPLAIN_INTACT) return true;
    qb_script_sha(QB_SCRIPT_HEADS, (uint32_t)asking->found->epoch, sha);
    qb_words_clear(&asking->words);
    qb_words_string(&asking->words, "EVALSHA");
    qb_words_string(&asking->words, sha);
    qb_words_string(&asking->words, "1");
    qb_words_shard_key(&asking->words, asking->shard, "outbox:entries");
    qb_words_shard_key(&asking->words, asking->shard, "epoch");
    if (qb_redis_desk_ask(asking->desk, 0, &asking->words, NULL, NULL, &refusal)) return true;
    if (strstr(refusal.text, "NOSCRIPT") == NULL)
        return qb_error_set(asking->error, "%s", refusal.text);
    asking->found->fence = QB_EXPLAIN_RESTARTED;
    return true;
}

static void take_heads(void *context, const struct qb_redis_reply *reply)
{
    struct qb_explain_shard *found = context;

    found->heads = calloc(qb_redis_count(reply) + 1, sizeof *found->heads);
    QB_ASSERT(found->heads != NULL);
    for (size_t i = 0; i < qb_redis_count(reply); i++) {
        const char *hex = qb_redis_text(qb_redis_item(reply, i), NULL);
        found->heads[found->head_count++].auction = strtoull(hex, NULL, 16);
    }
}

static void take_state(void *context, const struct qb_redis_reply *reply)
{
    struct asking *asking = context;
    struct qb_explain_head *head = &asking->found->heads[asking->answered++];

    if (qb_redis_count(reply) != 2) return;
    head->seq = (uint64_t)qb_redis_integer(qb_redis_item(reply, 0), 0);
    head->durable = (uint64_t)qb_redis_integer(qb_redis_item(reply, 1), 0);
    if (head->seq > head->durable) asking->found->unconfirmed += head->seq - head->durable;
}

static bool ask_states(struct asking *asking)
{
    char most[24];

    (void)snprintf(most, sizeof most, "%d", QB_EXPLAIN_AUCTIONS_MAX - 1);
    begin(asking, "ZRANGE", "due");
    qb_words_string(&asking->words, "0");
    qb_words_string(&asking->words, most);
    QB_TRY(ask(asking, take_heads, asking->found));
    qb_redis_desk_listen(asking->desk, take_state, asking);
    for (size_t i = 0; i < asking->found->head_count; i++) {
        qb_words_clear(&asking->words);
        qb_words_string(&asking->words, "HMGET");
        qb_words_auction_key(&asking->words, asking->shard, asking->found->heads[i].auction,
                             "state");
        qb_words_string(&asking->words, "seq");
        qb_words_string(&asking->words, "dur");
        qb_redis_desk_send(asking->desk, 0, &asking->words);
        if (i % HEADS_AT_ONCE != HEADS_AT_ONCE - 1) continue;
        QB_TRY(qb_redis_desk_settle(asking->desk, asking->error));
    }
    bool is_good = qb_redis_desk_settle(asking->desk, asking->error);
    qb_redis_desk_listen(asking->desk, NULL, NULL);
    return is_good;
}

static bool ask_all(struct asking *asking, int64_t epoch)
{
    struct qb_explain_shard *found = asking->found;
    int64_t now_us = 0;
    int64_t pending_since_us = 0;
    int64_t next_end_us = 0;

    QB_TRY(qb_redis_desk_wait(asking->desk, WAIT_US, asking->error));
    qb_words_clear(&asking->words);
    qb_words_string(&asking->words, "TIME");
    QB_TRY(ask(asking, take_time, &now_us));
    begin(asking, "GET", "epoch");
    QB_TRY(ask(asking, take_epoch, found) && ask_scripts(asking));
    if (found->fence <= QB_EXPLAIN_INTACT && epoch >= 0 && found->epoch != epoch)
        found->fence = QB_EXPLAIN_OTHER;
    QB_TRY(count(asking, "SCARD", "live", &found->live) &&
           count(asking, "ZCARD", "pend", &found->pending) &&
           count(asking, "ZCARD", "due", &found->due));
    QB_TRY(first_score(asking, "pend", &pending_since_us) &&
           first_score(asking, "due", &next_end_us));
    if (found->pending > 0 && now_us > pending_since_us)
        found->pending_us = now_us - pending_since_us;
    if (found->due > 0) found->next_end_us = next_end_us - now_us;
    return ask_states(asking);
}

void qb_explain_ask_shard(const struct qb_cluster *cluster, unsigned shard, int64_t epoch,
                          struct qb_explain_shard *found)
{
    struct qb_shard_addresses address = {.list = {cluster->redis.list[shard]}, .count = 1};
    struct qb_error error = {""};
    struct asking asking = {.shard = shard, .found = found, .error = &error};

    asking.desk = qb_redis_desk_new(&address, "quickbid-explain", &error);
    bool is_good = asking.desk != NULL && ask_all(&asking, epoch);
    if (!is_good) (void)snprintf(found->answer.why, sizeof found->answer.why, "%.250s", error.text);
    qb_redis_desk_free(&asking.desk);
    qb_words_fini(&asking.words);
}
