#include "storage/ledger_redis.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "storage/ledger_redis_state.h"

#define CONNECT_MS 3000
#define ANSWER_MS  2000
#define SWEEP_US   (100 * QB_MS_US)
#define HEADS_US   (QB_SECOND_US / QB_HEADS_STEPS)

static bool begins_with(const char *text, const char *word)
{
    return strncmp(text, word, strlen(word)) == 0;
}

/* What an error says of the Redis and of what was asked. */
static enum qb_answer_kind kind_of_error(const char *text)
{
    static const char *const fences[] = {"NOSCRIPT", "STALE", "READONLY"};
    static const char *const nothings[] = {"OOM",     "MISCONF", "NOREPLICAS", "MASTERDOWN",
                                           "LOADING", "BUSY",    "NOPERM",     "NOAUTH"};

    for (size_t i = 0; i < sizeof fences / sizeof fences[0]; i++) {
        if (begins_with(text, fences[i])) return QB_ANSWER_FENCED;
    }
    for (size_t i = 0; i < sizeof nothings / sizeof nothings[0]; i++) {
        if (begins_with(text, nothings[i])) return QB_ANSWER_NOTHING;
    }
    return QB_ANSWER_UNKNOWN;
}

static void on_answer(void *context, const struct qb_redis_reply *reply)
{
    struct qb_ask *ask = context;
    struct qb_redis_ledger *ledger = ask->shard->ledger;
    enum qb_answer_kind kind = reply == NULL ? QB_ANSWER_UNKNOWN : QB_ANSWER_GOOD;
    size_t length = 0;

    QB_ASSERT(ledger->asks > 0);
    ledger->asks--;
    if (reply != NULL && qb_redis_kind_of(reply) == QB_REDIS_ERROR) {
        const char *text = qb_redis_text(reply, &length);
        kind = kind_of_error(text);
        if (kind != QB_ANSWER_FENCED)
            qb_log(QB_LOG_ERROR, "ledger.error", QB_TEXT("error", text));
        else if (qb_ask_is_current(ask))
            qb_ledger_fence(ledger, text);
    }
    ask->take(ask, kind, kind == QB_ANSWER_GOOD ? reply : NULL);
    free(ask);
}

void *qb_ask_new(struct qb_shard *shard, size_t bytes,
                 void (*take)(struct qb_ask *ask, enum qb_answer_kind kind,
                              const struct qb_redis_reply *reply))
{
    struct qb_ask *ask = calloc(1, bytes);

    QB_ASSERT(ask != NULL);
    ask->shard = shard;
    ask->generation = shard->ledger->generation;
    ask->take = take;
    return ask;
}

struct qb_words *qb_ask_script(struct qb_shard *shard, enum qb_script script, size_t keys)
{
    struct qb_words *words = &shard->ledger->words;

    qb_words_clear(words);
    qb_words_string(words, "EVALSHA");
    qb_words_string(words, shard->ledger->shas[script]);
    qb_words_int(words, (int64_t)keys);
    return words;
}

void qb_ask_send(struct qb_ask *ask)
{
    struct qb_redis_ledger *ledger = ask->shard->ledger;

    ledger->asks++;
    ask->sent_us = qb_clock_mono_us();
    qb_words_send(&ledger->words, ask->shard->link, on_answer, ask);
}

/* The last argument: see storage/redis/common.lua. */
void qb_ask_send_script(struct qb_ask *ask)
{
    qb_words_shard_key(&ask->shard->ledger->words, ask->shard->index, "epoch");
    qb_ask_send(ask);
}

bool qb_shard_is_ready(const struct qb_shard *shard)
{
    return shard->is_ready && shard->link != NULL && qb_redis_is_up(shard->link);
}

bool qb_ask_is_current(const struct qb_ask *ask)
{
    const struct qb_redis_ledger *ledger = ask->shard->ledger;
    return ask->generation == ledger->generation && !ledger->is_freeing;
}

static void tell_open(struct qb_redis_ledger *ledger)
{
    if (ledger->listener.open == NULL) return;
    ledger->listener.open(ledger->listener.context, ledger->is_open, ledger->epoch);
}

void qb_ledger_fence(struct qb_redis_ledger *ledger, const char *why)
{
    if ((!ledger->is_open && !ledger->is_opening) || ledger->is_freeing) return;
    ledger->is_open = false;
    ledger->is_opening = false;
    qb_log(QB_LOG_WARNING, "ledger.fenced", QB_INT("epoch", ledger->epoch), QB_TEXT("why", why));
    qb_metric_add(QB_METRIC_ledger_fences_total, NULL, 1);
    tell_open(ledger);
}

/* Open once every shard has proved to be of the epoch. */
void qb_shard_ready(struct qb_shard *shard)
{
    struct qb_redis_ledger *ledger = shard->ledger;

    shard->is_ready = true;
    for (unsigned i = 0; i < ledger->options.shards && ledger->is_opening; i++) {
        if (!ledger->shards[i].is_ready) return;
    }
    if (!ledger->is_opening) {
        qb_heads_check(shard); /* back after a lost connection: what was missed? */
        return;
    }
    ledger->is_opening = false;
    ledger->is_open = true;
    tell_open(ledger);
}

static void on_up(void *context, const char *run_id)
{
    struct qb_shard *shard = context;
    struct qb_redis_ledger *ledger = shard->ledger;

    shard->is_up = true;
    if (shard->run_id[0] != '\0' && strcmp(shard->run_id, run_id) != 0) {
        qb_ledger_fence(ledger, "the server is another process");
    }
    (void)snprintf(shard->run_id, sizeof shard->run_id, "%s", run_id);
    qb_wait_begin(shard);
    if (ledger->is_open || ledger->is_opening) qb_heads_probe(shard);
}

static void on_down(void *context, const char *why)
{
    struct qb_shard *shard = context;

    shard->is_up = false;
    shard->is_ready = false;
    qb_wait_begin(shard);
    qb_log(QB_LOG_WARNING, "ledger.unreachable", QB_INT("shard", shard->index),
           QB_TEXT("why", why));
    qb_part_next(shard); /* what waits to be sent is refused */
}

void qb_ledger_redis_suspend(struct qb_ledger *port)
{
    qb_ledger_fence((struct qb_redis_ledger *)port, "recovery begins");
}

/* Everything known belongs to the epoch before. */
static void drop_tracks(struct qb_redis_ledger *ledger)
{
    struct qb_map tracks = ledger->tracks;
    struct qb_track *track = NULL;
    size_t cursor = 0;

    qb_map_init(&ledger->tracks, sizeof(qb_id));
    ledger->dirty.count = 0;
    for (unsigned i = 0; i < ledger->options.shards; i++) {
        ledger->shards[i].unsafe.count = 0;
        ledger->shards[i].unsaid.count = 0;
    }
    while ((track = qb_map_next(&tracks, &cursor, NULL)) != NULL) qb_track_drop(track);
    qb_map_fini(&tracks);
}

void qb_ledger_redis_open(struct qb_ledger *port, uint32_t epoch, enum qb_ack ack)
{
    struct qb_redis_ledger *ledger = (struct qb_redis_ledger *)port;

    ledger->generation++;
    ledger->epoch = epoch;
    ledger->ack = ack;
    ledger->is_open = false;
    ledger->is_opening = true;
    for (int i = 0; i < QB_SCRIPT_COUNT; i++) {
        qb_script_sha((enum qb_script)i, epoch, ledger->shas[i]);
    }
    drop_tracks(ledger);
    for (unsigned i = 0; i < ledger->options.shards; i++) {
        struct qb_shard *shard = &ledger->shards[i];
        shard->is_ready = false;
        shard->is_marking = false;
        shard->is_sweeping = false;
        shard->is_saying = false;
        shard->is_waiting = false;
        shard->due_at = 0;
        qb_wait_begin(shard);
        if (!shard->is_up) shard->run_id[0] = '\0'; /* whoever it is then: the probe decides */
        if (shard->is_up) qb_heads_probe(shard);
    }
}

/* Once a second: is it still the Redis of the epoch, what time is it there, and what is due. */
static void each_second(struct qb_redis_ledger *ledger)
{
    for (unsigned i = 0; i < ledger->options.shards; i++) {
        struct qb_shard *shard = &ledger->shards[i];
        if (shard->is_up) qb_heads_ask(shard, NULL, 0);
        if (ledger->is_open && qb_shard_is_ready(shard)) qb_ask_due(shard);
    }
}

void qb_ledger_redis_turn(struct qb_ledger *port)
{
    struct qb_redis_ledger *ledger = (struct qb_redis_ledger *)port;
    int64_t now_us = qb_clock_mono_us();

    if (!ledger->is_open && !ledger->is_opening) return;
    if (now_us >= ledger->second_us) {
        ledger->second_us = now_us + QB_SECOND_US;
        each_second(ledger);
    }
    if (!ledger->is_open) return;
    qb_mark_send(ledger);
    if (ledger->ack == QB_ACK_LEDGER) qb_wait_turn(ledger);
    if (now_us >= ledger->heads_us) {
        ledger->heads_us = now_us + HEADS_US;
        qb_heads_check_some(ledger);
    }
    if (now_us < ledger->sweep_us) return;
    ledger->sweep_us =
        now_us + SWEEP_US / 2 + (int64_t)qb_random_below(&ledger->random, (uint64_t)SWEEP_US);
    for (unsigned i = 0; i < ledger->options.shards; i++) {
        if (qb_shard_is_ready(&ledger->shards[i])) qb_sweep(&ledger->shards[i]);
    }
}

int64_t qb_ledger_redis_wake_us(const struct qb_ledger *port)
{
    const struct qb_redis_ledger *ledger = (const struct qb_redis_ledger *)port;
    int64_t wake_us = ledger->second_us;

    if (!ledger->is_open && !ledger->is_opening) return INT64_MAX;
    if (!ledger->is_open) return wake_us;
    if (ledger->sweep_us < wake_us) wake_us = ledger->sweep_us;
    if (ledger->ack == QB_ACK_LEDGER) {
        int64_t wait_us = qb_wait_wake_us(ledger);
        if (wait_us < wake_us) wake_us = wait_us;
    }
    return ledger->heads_us < wake_us ? ledger->heads_us : wake_us;
}

bool qb_ledger_redis_is_ready(const struct qb_ledger *port)
{
    const struct qb_redis_ledger *ledger = (const struct qb_redis_ledger *)port;

    for (unsigned i = 0; i < ledger->options.shards; i++) {
        if (!qb_shard_is_ready(&ledger->shards[i])) return false;
    }
    return ledger->is_open;
}

int64_t qb_ledger_redis_checked_us(const struct qb_ledger *port, unsigned shard)
{
    const struct qb_redis_ledger *ledger = (const struct qb_redis_ledger *)port;

    QB_ASSERT(shard < ledger->options.shards);
    return ledger->shards[shard].checked_us;
}

bool qb_ledger_redis_is_away(const struct qb_ledger *port, unsigned index, int64_t *since_us)
{
    const struct qb_redis_ledger *ledger = (const struct qb_redis_ledger *)port;

    QB_ASSERT(index < ledger->options.shards);
    const struct qb_shard *shard = &ledger->shards[index];
    if (qb_shard_is_ready(shard)) return false;
    if (shard->checked_us > 0 && shard->checked_us < *since_us) *since_us = shard->checked_us;
    return true;
}

size_t qb_ledger_redis_under_way(const struct qb_ledger *port)
{
    const struct qb_redis_ledger *ledger = (const struct qb_redis_ledger *)port;
    return ledger->asks + ledger->dirty.count;
}

static void listen(struct qb_ledger *port, const struct qb_ledger_listener *listener)
{
    ((struct qb_redis_ledger *)port)->listener = *listener;
}

static void forget(struct qb_ledger *port, qb_id auction)
{
    struct qb_track *track = qb_track_find((struct qb_redis_ledger *)port, auction);
    if (track != NULL) qb_track_unfollow(track);
}

static qb_time_us now_us(struct qb_ledger *port, int64_t *uncertainty_us)
{
    return qb_clock_tell((struct qb_redis_ledger *)port, uncertainty_us);
}

static void ledger_free(struct qb_ledger *port)
{
    struct qb_redis_ledger *ledger = (struct qb_redis_ledger *)port;

    ledger->is_freeing = true;
    ledger->is_open = false;
    for (unsigned i = 0; i < ledger->options.shards; i++) {
        struct qb_shard *shard = &ledger->shards[i];
        qb_redis_free(&shard->link); /* answers what is under way, with nothing */
        qb_part_next(shard);
    }
    drop_tracks(ledger);
    qb_map_fini(&ledger->tracks);
    qb_words_fini(&ledger->words);
    free(ledger->dirty.tracks);
    for (unsigned i = 0; i < ledger->options.shards; i++) {
        free(ledger->shards[i].unsafe.tracks);
        free(ledger->shards[i].unsaid.tracks);
    }
    free(ledger->shards);
    free(ledger);
}

static const struct qb_ledger_ops ops = {
    .listen = listen,
    .follow = qb_follow_begin,
    .fed = qb_track_fed,
    .missed = qb_heads_missed,
    .call = qb_call_begin,
    .durable = qb_mark_durable,
    .adopted = qb_mark_adopted,
    .snapshot = qb_snapshot_take,
    .forget = forget,
    .now_us = now_us,
    .free = ledger_free,
};

struct qb_ledger *qb_ledger_redis_new(const struct qb_ledger_redis_options *options,
                                      struct qb_error *error)
{
    struct qb_redis_ledger *ledger = calloc(1, sizeof *ledger);
    uint64_t seed = 0;

    QB_ASSERT(ledger != NULL);
    QB_ASSERT(options->shards > 0);
    QB_ASSERT(options->marks_max > 0);
    ledger->ledger.ops = &ops;
    ledger->options = *options;
    ledger->options.replicas = NULL; /* borrowed: copied below */
    qb_map_init(&ledger->tracks, sizeof(qb_id));
    qb_random_secret(&seed, sizeof seed);
    qb_random_seed(&ledger->random, seed);
    ledger->shards = calloc(options->shards, sizeof *ledger->shards);
    QB_ASSERT(ledger->shards != NULL);
    for (unsigned i = 0; i < options->shards; i++) {
        struct qb_shard *shard = &ledger->shards[i];
        const struct qb_redis_options link = {
            .loop = options->loop,
            .address = options->addresses[i],
            .name = options->name,
            .connect_ms = CONNECT_MS,
            .answer_ms = options->answer_ms > 0 ? options->answer_ms : ANSWER_MS,
            .must_be_safe = options->must_be_safe,
            .up = on_up,
            .down = on_down,
            .context = shard,
        };
        shard->ledger = ledger;
        shard->index = i;
        shard->replicas = options->replicas != NULL ? options->replicas[i] : 0;
        shard->link = qb_redis_new(&link, error);
        if (shard->link == NULL) {
            ledger_free(&ledger->ledger);
            return NULL;
        }
    }
    return &ledger->ledger;
}
