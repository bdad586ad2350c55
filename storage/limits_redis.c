#include "storage/limits_redis.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/redis.h"
#include "base/shard.h"
#include "bidding/bytes.h"
#include "storage/ledger_redis_scripts.h"

#define ANSWER_MS      1000
#define RESERVED_US    (20 * QB_SECOND_US)
#define STEPS_MAX      20000
#define STEPS_PER_CALL 256 /* so that no call keeps Redis from others for long */
#define HOLD_KEPT_US   (60 * QB_SECOND_US)
#define STEP_BYTES_MAX 64
#define ANSWER_BYTES   16

enum step_kind { SUBMIT, HOLD, RELEASE };

struct step {
    enum step_kind kind;
    struct qb_submission of; /* a hold: its amount is `max` */
    uint64_t seq;            /* HOLD */
    int64_t since_us;        /* HOLD: monotonic */
    qb_limits_done *done;    /* SUBMIT */
    void *context;
};

struct steps {
    struct step *list;
    size_t count;
    size_t room;
};

struct shard {
    struct qb_limits_redis *limits;
    unsigned index;
    struct qb_redis *link;
    struct steps waiting; /* for the next calls */
    struct steps kept;    /* holds that met no Redis, for the next call that can be sent */
    size_t calls;         /* under way */
    bool is_fenced;       /* it proved to be of another epoch */
};

struct qb_limits_redis {
    struct qb_limits_redis_options options;
    struct shard *shards;
    struct qb_words words;
    char sha[QB_SCRIPT_SHA_BYTES];
    uint32_t epoch;
    uint32_t generation; /* of this opening; 0: none yet */
    size_t under_way;    /* steps sent */
    bool is_freeing;
};

/* Steps that went together. */
struct call {
    struct shard *shard;
    uint32_t generation;
    size_t count;
    struct step steps[];
};

static void add_step(struct steps *steps, const struct step *step)
{
    if (steps->count == steps->room) {
        steps->room = steps->room == 0 ? 64 : steps->room * 2;
        steps->list = realloc(steps->list, steps->room * sizeof *steps->list);
        QB_ASSERT(steps->list != NULL);
    }
    steps->list[steps->count++] = *step;
}

static struct shard *shard_of(struct qb_limits_redis *limits, qb_id user)
{
    return &limits->shards[qb_shard_of(user, limits->options.shards)];
}

static bool is_ready(const struct shard *shard)
{
    return shard->limits->generation > 0 && !shard->is_fenced && shard->link != NULL &&
           qb_redis_is_up(shard->link);
}

static bool is_full(const struct shard *shard)
{
    return shard->waiting.count + shard->kept.count >= shard->limits->options.steps_max;
}

static void answer_unknown(const struct step *step)
{
    const struct qb_submitted unknown = {.allowance = step->of.limit >= 0 ? 0 : -1};

    qb_metric_add(QB_METRIC_limits_unknown_total, NULL, 1);
    step->done(step->context, &unknown);
}

static void lose_hold(void)
{
    qb_metric_add(QB_METRIC_limits_holds_lost_total, NULL, 1);
}

/* These met no Redis. Holds are kept; a reservation that is not released ends by itself. */
static void give_back(struct shard *shard, const struct step *steps, size_t count)
{
    const struct qb_limits_redis *limits = shard->limits;

    for (size_t i = 0; i < count; i++) {
        if (steps[i].kind != HOLD) continue;
        if (shard->kept.count < limits->options.steps_max && !limits->is_freeing)
            add_step(&shard->kept, &steps[i]);
        else
            lose_hold();
    }
    for (size_t i = 0; i < count; i++) { /* last: these may give more */
        if (steps[i].kind == SUBMIT) answer_unknown(&steps[i]);
    }
}

static void take_answers(const struct call *call, const struct qb_redis_reply *reply)
{
    size_t length = 0;
    const char *bytes = qb_redis_text(reply, &length);
    struct qb_reader reader = {.bytes = (const uint8_t *)bytes, .length = length};

    for (size_t i = 0; i < call->count; i++) {
        if (call->steps[i].kind != SUBMIT) continue;
        struct qb_submitted answer = {.is_known = true};
        answer.wait_us = qb_take_int(&reader);
        answer.allowance = qb_take_int(&reader);
        call->steps[i].done(call->steps[i].context, &answer);
    }
    QB_ASSERT(!reader.is_bad);
    QB_ASSERT(reader.at == length);
}

static bool begins_with(const char *text, const char *word)
{
    return strncmp(text, word, strlen(word)) == 0;
}

/* Whether this is not the Redis of the epoch: no call is carried out before the next one. */
static bool is_fence(const char *text)
{
    return begins_with(text, "NOSCRIPT") || begins_with(text, "STALE");
}

static void on_answer(void *context, const struct qb_redis_reply *reply)
{
    struct call *call = context;
    struct shard *shard = call->shard;
    struct qb_limits_redis *limits = shard->limits;
    bool is_error = reply != NULL && qb_redis_kind_of(reply) == QB_REDIS_ERROR;

    QB_ASSERT(limits->under_way >= call->count);
    QB_ASSERT(shard->calls > 0);
    limits->under_way -= call->count;
    shard->calls--;
    if (is_error) {
        const char *text = qb_redis_text(reply, NULL);
        qb_log(QB_LOG_WARNING, "limits.error", QB_INT("shard", shard->index),
               QB_TEXT("error", text));
        if (is_fence(text) && call->generation == limits->generation) shard->is_fenced = true;
    }
    if (reply == NULL || is_error)
        give_back(shard, call->steps, call->count);
    else
        take_answers(call, reply);
    free(call);
}

/* As storage/redis/limits.lua reads it. */
static void add_words(struct qb_words *words, unsigned shard, const struct step *step, bool is_keys)
{
    uint8_t bytes[STEP_BYTES_MAX];
    struct qb_writer writer = {.bytes = bytes, .room = sizeof bytes};

    if (is_keys) {
        qb_words_user_key(words, shard, step->of.user, "pace");
        qb_words_user_key(words, shard, step->of.user, "stakes");
        return;
    }
    switch (step->kind) {
    case SUBMIT:
        qb_put(&writer, "S", 1);
        qb_put(&writer, step->of.bid_id, QB_BID_ID_BYTES);
        qb_put_uint(&writer, step->of.auction, 8);
        qb_put(&writer, step->of.currency, QB_CURRENCY_BYTES);
        qb_put_int(&writer, step->of.max);
        qb_put_int(&writer, step->of.limit);
        break;
    case HOLD:
        qb_put(&writer, "H", 1);
        qb_put_uint(&writer, step->of.auction, 8);
        qb_put(&writer, step->of.currency, QB_CURRENCY_BYTES);
        qb_put_uint(&writer, step->seq, 8);
        qb_put_int(&writer, step->of.max);
        break;
    case RELEASE:
        qb_put(&writer, "R", 1);
        qb_put_uint(&writer, step->of.auction, 8);
        qb_put(&writer, step->of.bid_id, QB_BID_ID_BYTES);
        break;
    }
    qb_words_add(words, bytes, writer.length);
}

/* The call of the script with these steps. */
static void put_call(struct qb_words *words, const char *sha, unsigned shard,
                     const struct qb_limits_redis_options *options, const struct step *steps,
                     size_t count)
{
    qb_words_clear(words);
    qb_words_string(words, "EVALSHA");
    qb_words_string(words, sha);
    qb_words_int(words, (int64_t)(count * 2));
    for (size_t i = 0; i < count; i++) add_words(words, shard, &steps[i], true);
    qb_words_int(words, options->bids_max);
    qb_words_int(words, options->window_us);
    qb_words_int(words, options->reserved_us);
    qb_words_int(words, (int64_t)count);
    for (size_t i = 0; i < count; i++) add_words(words, shard, &steps[i], false);
    qb_words_shard_key(words, shard, "epoch");
}

static void send_steps(struct shard *shard, const struct step *steps, size_t count)
{
    struct qb_limits_redis *limits = shard->limits;
    struct call *call = calloc(1, sizeof *call + count * sizeof call->steps[0]);

    QB_ASSERT(call != NULL);
    call->shard = shard;
    call->generation = limits->generation;
    call->count = count;
    (void)memcpy(call->steps, steps, count * sizeof steps[0]);
    limits->under_way += count;
    shard->calls++;
    put_call(&limits->words, limits->sha, shard->index, &limits->options, steps, count);
    qb_words_send(&limits->words, shard->link, on_answer, call);
}

static void send_all(struct shard *shard, const struct steps *steps)
{
    for (size_t at = 0; at < steps->count; at += STEPS_PER_CALL) {
        size_t left = steps->count - at;
        send_steps(shard, &steps->list[at], left < STEPS_PER_CALL ? left : STEPS_PER_CALL);
    }
}

/* What is older than that was set again since by whoever looked at all leaders; and the newer seq
 * that it would have to meet may be forgotten. */
static void drop_old(struct steps *kept)
{
    int64_t now_us = qb_clock_mono_us();
    size_t count = 0;

    for (size_t i = 0; i < kept->count; i++) {
        if (now_us - kept->list[i].since_us < HOLD_KEPT_US)
            kept->list[count++] = kept->list[i];
        else
            lose_hold();
    }
    kept->count = count;
}

/* What comes while calls are under way goes together in the next ones: a call costs Redis more than
 * a step. Holds that were kept go first: what they took the place of may be released now. */
static void send_waiting(struct shard *shard)
{
    struct steps waiting = shard->waiting;
    struct steps kept = shard->kept;
    bool can_send = is_ready(shard);

    if (can_send && shard->calls > 0) return;
    shard->waiting = (struct steps){0};
    if (can_send) {
        shard->kept = (struct steps){0};
        drop_old(&kept);
        send_all(shard, &kept);
        send_all(shard, &waiting);
        free(kept.list);
    } else {
        give_back(shard, waiting.list, waiting.count);
    }
    free(waiting.list);
}

void qb_limits_redis_turn(struct qb_limits_redis *limits)
{
    for (unsigned i = 0; i < limits->options.shards; i++) send_waiting(&limits->shards[i]);
}

/* Those of an epoch before are of logs that may have been taken back. */
static void drop_holds(struct shard *shard)
{
    size_t count = 0;

    for (size_t i = 0; i < shard->waiting.count; i++) {
        if (shard->waiting.list[i].kind != HOLD)
            shard->waiting.list[count++] = shard->waiting.list[i];
    }
    shard->waiting.count = count;
    shard->kept.count = 0;
}

void qb_limits_redis_open(struct qb_limits_redis *limits, uint32_t epoch)
{
    bool is_other = epoch != limits->epoch;

    limits->generation++;
    limits->epoch = epoch;
    qb_script_sha(QB_SCRIPT_LIMITS, epoch, limits->sha);
    for (unsigned i = 0; i < limits->options.shards; i++) {
        limits->shards[i].is_fenced = false;
        if (is_other) drop_holds(&limits->shards[i]);
    }
}

void qb_limits_redis_submit(struct qb_limits_redis *limits, const struct qb_submission *submission,
                            qb_limits_done *done, void *context)
{
    const struct step step = {.kind = SUBMIT, .of = *submission, .done = done, .context = context};

    QB_ASSERT(done != NULL);
    /* It is the caller who bounds these: each belongs to a request of its own. */
    add_step(&shard_of(limits, submission->user)->waiting, &step);
}

void qb_limits_redis_release(struct qb_limits_redis *limits, qb_id user, qb_id auction,
                             const uint8_t bid_id[QB_BID_ID_BYTES])
{
    struct shard *shard = shard_of(limits, user);
    struct step step = {.kind = RELEASE, .of = {.user = user, .auction = auction}};

    if (is_full(shard)) return; /* it ends by itself */
    (void)memcpy(step.of.bid_id, bid_id, QB_BID_ID_BYTES);
    add_step(&shard->waiting, &step);
}

static struct step step_of(const struct qb_hold *hold)
{
    struct step step = {
        .kind = HOLD,
        .of = {.user = hold->user, .auction = hold->auction, .max = hold->amount},
        .seq = hold->seq,
        .since_us = qb_clock_mono_us(),
    };

    QB_ASSERT(hold->amount >= 0);
    (void)memcpy(step.of.currency, hold->currency, QB_CURRENCY_BYTES);
    return step;
}

void qb_limits_redis_hold(struct qb_limits_redis *limits, const struct qb_hold *hold)
{
    struct shard *shard = shard_of(limits, hold->user);
    const struct step step = step_of(hold);

    if (is_full(shard))
        lose_hold();
    else
        add_step(&shard->waiting, &step);
}

void qb_limits_redis_hold_words(struct qb_words *words, unsigned shard, uint32_t epoch,
                                const struct qb_hold *holds, size_t count)
{
    const struct qb_limits_redis_options options = {0}; /* of submissions: there are none */
    struct step steps[QB_LIMITS_REDIS_HOLDS_MAX];
    char sha[QB_SCRIPT_SHA_BYTES];

    QB_ASSERT(count <= QB_LIMITS_REDIS_HOLDS_MAX);
    for (size_t i = 0; i < count; i++) steps[i] = step_of(&holds[i]);
    qb_script_sha(QB_SCRIPT_LIMITS, epoch, sha);
    put_call(words, sha, shard, &options, steps, count);
}

bool qb_limits_redis_is_ready(const struct qb_limits_redis *limits)
{
    for (unsigned i = 0; i < limits->options.shards; i++) {
        if (!is_ready(&limits->shards[i])) return false;
    }
    return true;
}

size_t qb_limits_redis_under_way(const struct qb_limits_redis *limits)
{
    size_t count = limits->under_way;

    for (unsigned i = 0; i < limits->options.shards; i++) {
        count += limits->shards[i].waiting.count + limits->shards[i].kept.count;
    }
    return count;
}

static void on_up(void *context, const char *run_id)
{
    (void)context;
    (void)run_id; /* whether it is of the epoch the script itself finds out */
}

static void on_down(void *context, const char *why)
{
    const struct shard *shard = context;

    qb_log(QB_LOG_WARNING, "limits.unreachable", QB_INT("shard", shard->index),
           QB_TEXT("why", why));
}

void qb_limits_redis_free(struct qb_limits_redis **limits)
{
    struct qb_limits_redis *old = *limits;

    *limits = NULL;
    if (old == NULL) return;
    old->is_freeing = true;
    for (unsigned i = 0; i < old->options.shards; i++) {
        struct shard *shard = &old->shards[i];
        qb_redis_free(&shard->link); /* answers what is under way, with nothing */
        give_back(shard, shard->waiting.list, shard->waiting.count);
        free(shard->waiting.list);
        free(shard->kept.list);
    }
    qb_words_fini(&old->words);
    free(old->shards);
    free(old);
}

struct qb_limits_redis *qb_limits_redis_new(const struct qb_limits_redis_options *options,
                                            struct qb_error *error)
{
    struct qb_limits_redis *limits = calloc(1, sizeof *limits);

    QB_ASSERT(limits != NULL);
    QB_ASSERT(options->shards > 0 && options->bids_max > 0);
    QB_ASSERT(options->window_us > 0);
    limits->options = *options;
    if (options->reserved_us == 0) limits->options.reserved_us = RESERVED_US;
    if (options->steps_max == 0) limits->options.steps_max = STEPS_MAX;
    limits->shards = calloc(options->shards, sizeof *limits->shards);
    QB_ASSERT(limits->shards != NULL);
    for (unsigned i = 0; i < options->shards; i++) {
        struct shard *shard = &limits->shards[i];
        const struct qb_redis_options link = {
            .loop = options->loop,
            .address = options->addresses[i],
            .name = options->name,
            .answer_ms = options->answer_ms > 0 ? options->answer_ms : ANSWER_MS,
            .must_be_safe = options->must_be_safe,
            .up = on_up,
            .down = on_down,
            .context = shard,
        };
        shard->limits = limits;
        shard->index = i;
        shard->link = qb_redis_new(&link, error);
        if (shard->link != NULL) continue;
        qb_limits_redis_free(&limits);
        return NULL;
    }
    return limits;
}
