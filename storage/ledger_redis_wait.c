/*
 * What makes entries durable with ack = ledger: a WAIT behind each call that appends, and behind a
 * small write where such a WAIT fell short or its replica is gone (reliability.md 2.3).
 *
 * Redis answers in order, and what waits for a WAIT was written and synced before it. A WAIT covers
 * all that the server wrote before, so an auction's log has no gaps below it.
 */
#include <stdlib.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/shard.h"
#include "storage/ledger_redis_state.h"

/* A connection takes nothing else meanwhile; three in a row stay below the answer time. */
#define WAIT_MS       300
#define AGAIN_US      (100 * QB_MS_US)
#define WAIT_AUCTIONS 1000

struct waited {
    struct qb_track *track;
    uint64_t seq; /* how far its log went; 0: not known */
};

/* Asks for the role behind the WAIT: then all is known. */
struct qb_wait {
    struct qb_ask ask;
    int64_t replicas; /* that have it; -1: no answer */
    bool is_own;      /* not behind an append, but a write of its own */
    bool is_written;  /* that was done */
    size_t count;
    struct waited waited[];
};

/* Another request on behalf of a WAIT; answered before it. */
struct helper {
    struct qb_ask ask;
    struct qb_wait *wait;
};

void qb_wait_judge(struct qb_redis_ledger *ledger)
{
    bool has_outbox = ledger->ack == QB_ACK_LEDGER;
    int64_t outbox = 0;

    for (unsigned i = 0; i < ledger->options.shards; i++) {
        struct qb_shard *shard = &ledger->shards[i];
        bool is_full = shard->outbox >= ledger->options.outbox_max;
        outbox += (int64_t)shard->outbox;
        __atomic_store_n(&shard->is_stuck, has_outbox && (!shard->is_safe || is_full),
                         __ATOMIC_RELEASE);
    }
    if (has_outbox) qb_metric_set(QB_METRIC_ledger_outbox_entries, NULL, outbox);
}

bool qb_ledger_redis_is_stuck(const struct qb_ledger *port, unsigned shard)
{
    const struct qb_redis_ledger *ledger = (const struct qb_redis_ledger *)port;

    QB_ASSERT(shard < ledger->options.shards);
    return __atomic_load_n(&ledger->shards[shard].is_stuck, __ATOMIC_ACQUIRE);
}

/* A shard that wants more replicas than it shall have takes nothing, and says no more than that. */
static void take_min_replicas(struct qb_ask *ask, enum qb_answer_kind kind,
                              const struct qb_redis_reply *reply)
{
    const struct qb_shard *shard = ask->shard;

    if (kind != QB_ANSWER_GOOD || !qb_ask_is_current(ask) || qb_redis_count(reply) != 2) return;
    int64_t least = qb_redis_integer(qb_redis_item(reply, 1), 0);
    if (least <= (int64_t)shard->replicas) return;
    qb_log(QB_LOG_ERROR, "ledger.unsafe", QB_INT("shard", shard->index),
           QB_TEXT("why", "its min-replicas-to-write is more than the replicas that are waited for "
                          "(QUICKBID_ACK_REPLICAS behind Sentinel, else none): one of the two is "
                          "wrong"),
           QB_INT("min_replicas_to_write", least), QB_INT("replicas", shard->replicas));
}

void qb_wait_begin(struct qb_shard *shard)
{
    struct qb_words *words = &shard->ledger->words;

    shard->is_safe = false;
    shard->unsafe_why = NULL;
    shard->wait_us = 0;
    qb_wait_judge(shard->ledger);
    if (!shard->is_up || shard->ledger->ack != QB_ACK_LEDGER) return;
    qb_words_clear(words);
    qb_words_string(words, "CONFIG");
    qb_words_string(words, "GET");
    qb_words_string(words, "min-replicas-to-write");
    qb_ask_send(qb_ask_new(shard, sizeof(struct qb_ask), take_min_replicas));
}

static void set_safe(struct qb_shard *shard, const char *why)
{
    bool is_safe = why == NULL;

    if (is_safe && shard->unsafe_why != NULL) {
        qb_log(QB_LOG_INFO, "ledger.safe", QB_INT("shard", shard->index));
    }
    if (!is_safe && shard->unsafe_why != why) {
        qb_log(QB_LOG_ERROR, "ledger.unsafe", QB_INT("shard", shard->index), QB_TEXT("why", why));
    }
    if (!is_safe) shard->wait_us = qb_clock_mono_us() + AGAIN_US;
    shard->is_safe = is_safe;
    shard->unsafe_why = why;
    qb_wait_judge(shard->ledger);
}

/* Null, or why what was written may be lost when this server is. */
static const char *find_fault(const struct qb_shard *shard, const struct qb_wait *wait,
                              const struct qb_redis_reply *role)
{
    if (wait->replicas < 0 || role == NULL || qb_redis_count(role) < 3)
        return "no answer to WAIT and ROLE";
    if (!qb_redis_is_text(qb_redis_item(role, 0), "master")) return "it is no primary";
    size_t connected = qb_redis_count(qb_redis_item(role, 2));
    if (connected > shard->replicas || wait->replicas > (int64_t)shard->replicas) {
        return "it has a replica more than is waited for, which might be promoted without what was "
               "acknowledged: behind Sentinel QUICKBID_ACK_REPLICAS must be the number of all, and "
               "at an address without Sentinel there may be none";
    }
    if (wait->is_own && !wait->is_written) return "it takes no writes";
    if (wait->replicas < (int64_t)shard->replicas)
        return "fewer replicas than QUICKBID_ACK_REPLICAS have the newest";
    return NULL;
}

static void take_wait(struct qb_ask *ask, enum qb_answer_kind kind,
                      const struct qb_redis_reply *reply)
{
    struct qb_wait *wait = (struct qb_wait *)ask;
    struct qb_shard *shard = ask->shard;
    bool is_current = qb_ask_is_current(ask);
    bool is_up = qb_shard_is_ready(shard); /* else that is told already */
    const char *fault = find_fault(shard, wait, reply);
    bool is_safe = is_current && is_up && fault == NULL;

    (void)kind; /* without a good answer there is no reply */
    if (is_current && wait->is_own) shard->is_waiting = false;
    if (is_current && is_up) set_safe(shard, fault);
    if (is_safe) qb_metric_observe(QB_METRIC_ledger_wait_us, qb_clock_mono_us() - ask->sent_us);
    if (is_current && is_up && !is_safe) qb_metric_add(QB_METRIC_ledger_short_total, NULL, 1);
    for (size_t i = 0; i < wait->count; i++) {
        struct qb_track *track = wait->waited[i].track;
        uint64_t seq = wait->waited[i].seq;
        if (is_current && is_safe && seq > track->durable) {
            qb_track_set_durable(track, seq);
            qb_track_list_add(&shard->unsaid, track, &track->is_unsaid);
            qb_track_settle(track);
        } else if (is_current && !is_safe && (wait->is_own || seq > track->durable)) {
            qb_wait_later(track);
        }
        qb_track_release(track);
    }
}

static void take_replicas(struct qb_ask *ask, enum qb_answer_kind kind,
                          const struct qb_redis_reply *reply)
{
    struct qb_wait *wait = ((struct helper *)ask)->wait;

    wait->replicas = kind == QB_ANSWER_GOOD ? qb_redis_integer(reply, -1) : -1;
}

struct qb_wait *qb_wait_new(struct qb_shard *shard, size_t count)
{
    struct qb_wait *wait =
        qb_ask_new(shard, sizeof *wait + count * sizeof wait->waited[0], take_wait);

    wait->replicas = -1;
    return wait;
}

void qb_wait_add(struct qb_wait *wait, struct qb_track *track)
{
    wait->waited[wait->count++] = (struct waited){track, 0};
    qb_track_hold(track);
}

void qb_wait_reached(struct qb_wait *wait, size_t index, uint64_t seq)
{
    QB_ASSERT(index < wait->count);
    wait->waited[index].seq = seq;
}

static void *helper_new(struct qb_wait *wait,
                        void (*take)(struct qb_ask *ask, enum qb_answer_kind kind,
                                     const struct qb_redis_reply *reply))
{
    struct helper *helper = qb_ask_new(wait->ask.shard, sizeof *helper, take);

    helper->wait = wait;
    return helper;
}

void qb_wait_send(struct qb_wait *wait)
{
    struct qb_shard *shard = wait->ask.shard;
    struct qb_words *words = &shard->ledger->words;

    qb_words_clear(words);
    qb_words_string(words, "WAIT");
    qb_words_int(words, shard->replicas);
    qb_words_int(words, WAIT_MS);
    qb_ask_send(helper_new(wait, take_replicas));
    qb_words_clear(words);
    qb_words_string(words, "ROLE");
    qb_ask_send(&wait->ask);
}

void qb_wait_later(struct qb_track *track)
{
    qb_track_list_add(&track->shard->unsafe, track, &track->is_unsafe);
}

/* How far the logs go that a WAIT of its own will cover. */
static void take_touched(struct qb_ask *ask, enum qb_answer_kind kind,
                         const struct qb_redis_reply *reply)
{
    struct qb_wait *wait = ((struct helper *)ask)->wait;

    if (kind != QB_ANSWER_GOOD || qb_redis_count(reply) != wait->count) return;
    wait->is_written = true;
    for (size_t i = 0; i < wait->count; i++) {
        size_t length = 0;
        const char *bytes = qb_redis_text(qb_redis_item(reply, i), &length);
        struct qb_reader reader = {.bytes = (const uint8_t *)bytes, .length = length};
        uint64_t seq = qb_take_uint(&reader, 8);
        if (!reader.is_bad) wait->waited[i].seq = seq;
    }
}

/* One call of the script for these; `upto` of each or (null) nothing but a write. */
static struct qb_words *begin_safe(struct qb_shard *shard, struct qb_track *const *tracks,
                                   size_t count, bool must_write)
{
    struct qb_words *words = qb_ask_script(shard, QB_SCRIPT_SAFE, 1 + count);

    qb_words_shard_key(words, shard->index, QB_OUTBOX_KEY);
    for (size_t i = 0; i < count; i++) {
        qb_words_auction_key(words, shard->index, tracks[i]->auction, "state");
    }
    qb_words_int(words, must_write);
    qb_words_int(words, (int64_t)count);
    for (size_t i = 0; i < count; i++) {
        qb_words_channel(words, shard->index, tracks[i]->auction);
        qb_words_int(words, must_write ? 0 : (int64_t)tracks[i]->durable);
    }
    return words;
}

/* A WAIT behind a write of its own: for what none has covered, or to see whether one would do. */
static void send_own(struct qb_shard *shard, struct qb_track *const *tracks, size_t count)
{
    struct qb_wait *wait = qb_wait_new(shard, count);

    wait->is_own = true;
    for (size_t i = 0; i < count; i++) {
        tracks[i]->is_unsafe = false;
        qb_wait_add(wait, tracks[i]);
    }
    shard->is_waiting = true;
    struct helper *touch = helper_new(wait, take_touched);
    (void)begin_safe(shard, tracks, count, true);
    qb_ask_send_script(&touch->ask);
    qb_wait_send(wait);
}

struct saying {
    struct qb_ask ask;
    size_t count;
    struct qb_track *tracks[];
};

static void take_said(struct qb_ask *ask, enum qb_answer_kind kind,
                      const struct qb_redis_reply *reply)
{
    struct saying *saying = (struct saying *)ask;
    bool is_current = qb_ask_is_current(ask);

    (void)reply;
    if (is_current) ask->shard->is_saying = false;
    for (size_t i = 0; i < saying->count; i++) {
        struct qb_track *track = saying->tracks[i];
        if (is_current && kind != QB_ANSWER_GOOD && kind != QB_ANSWER_FENCED)
            qb_track_list_add(&ask->shard->unsaid, track, &track->is_unsaid);
        qb_track_release(track);
    }
}

/* Others go by what Redis has. */
static void say(struct qb_shard *shard, struct qb_track *const *tracks, size_t count)
{
    struct saying *saying =
        qb_ask_new(shard, sizeof *saying + count * sizeof(struct qb_track *), take_said);

    for (size_t i = 0; i < count; i++) {
        tracks[i]->is_unsaid = false;
        qb_track_hold(tracks[i]);
        saying->tracks[i] = tracks[i];
    }
    saying->count = count;
    shard->is_saying = true;
    (void)begin_safe(shard, tracks, count, false);
    qb_ask_send_script(&saying->ask);
}

void qb_wait_turn(struct qb_redis_ledger *ledger)
{
    struct qb_track *batch[WAIT_AUCTIONS];
    int64_t now_us = qb_clock_mono_us();

    for (unsigned i = 0; i < ledger->options.shards; i++) {
        struct qb_shard *shard = &ledger->shards[i];
        if (!qb_shard_is_ready(shard)) continue;
        bool is_due = shard->unsafe.count > 0 || !shard->is_safe;
        if (is_due && !shard->is_waiting && now_us >= shard->wait_us) {
            size_t count = qb_track_list_take(&shard->unsafe, shard, batch, WAIT_AUCTIONS);
            send_own(shard, batch, count);
        }
        if (shard->is_saying || shard->unsaid.count == 0) continue;
        size_t count = qb_track_list_take(&shard->unsaid, shard, batch, WAIT_AUCTIONS);
        say(shard, batch, count);
    }
}

int64_t qb_wait_wake_us(const struct qb_redis_ledger *ledger)
{
    int64_t wake_us = INT64_MAX;

    for (unsigned i = 0; i < ledger->options.shards; i++) {
        const struct qb_shard *shard = &ledger->shards[i];
        if (shard->is_waiting || !qb_shard_is_ready(shard)) continue;
        if (shard->is_safe && shard->unsafe.count == 0) continue;
        if (shard->wait_us < wake_us) wake_us = shard->wait_us;
    }
    return wake_us;
}
