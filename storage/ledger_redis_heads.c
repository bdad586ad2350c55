/* Where auctions stand (P10): what the bus has lost is noticed within a second. */
#include "base/clock.h"
#include "base/metrics.h"
#include "storage/ledger_redis_state.h"

#define HEADS_AT_ONCE  256
#define PROBES_AT_ONCE 4 /* round trips differ: the clock takes the best */

struct head {
    qb_id auction;
    uint32_t serial;
    uint64_t told; /* when it was asked */
};

struct heads_ask {
    struct qb_ask ask;
    size_t count;
    struct head heads[];
};

/* An auction stands here: it is behind, it is over and its log has left Redis (trim.lua), or (the
 * log was taken back) this is another Redis. */
static void take_head(struct qb_redis_ledger *ledger, const struct head *head, uint64_t seq,
                      uint64_t durable)
{
    struct qb_track *track = qb_track_find(ledger, head->auction);

    if (track == NULL || !track->is_followed || track->serial != head->serial) return;
    if (seq == 0 && head->told > 0) {
        qb_track_lose(track);
        return;
    }
    if (seq < head->told) {
        qb_ledger_fence(ledger, "the log is shorter than it was");
        return;
    }
    if (seq > track->newest && track->calls == 0) track->newest = seq;
    qb_track_set_durable(track, durable);
    /* Twice in a row: whoever appended it may be gone, so that its WAIT is ours. */
    bool is_behind = ledger->ack == QB_ACK_LEDGER && seq > track->durable;
    if (is_behind && track->behind > track->durable) qb_wait_later(track);
    track->behind = is_behind ? seq : 0;
    qb_track_settle(track);
}

static void take_heads(struct qb_ask *ask, enum qb_answer_kind kind,
                       const struct qb_redis_reply *reply)
{
    struct heads_ask *asked = (struct heads_ask *)ask;
    struct qb_shard *shard = ask->shard;
    size_t length = 0;

    if (kind != QB_ANSWER_GOOD || !qb_ask_is_current(ask)) return;
    const char *bytes = qb_redis_text(reply, &length);
    struct qb_reader reader = {.bytes = (const uint8_t *)bytes, .length = length};
    qb_time_us now_us = qb_take_int(&reader);
    shard->outbox = qb_take_uint(&reader, 8);
    if (length != 16 + asked->count * 16) return;
    if (ask->sent_us > shard->checked_us) shard->checked_us = ask->sent_us;
    if (asked->count == 0) { /* the short ones: once a second, and not long under way */
        qb_clock_take(&shard->clock, ask->sent_us, qb_clock_mono_us(), now_us);
        qb_metric_set(QB_METRIC_ledger_clock_ahead_us, NULL, now_us - qb_clock_wall_us());
        qb_wait_judge(shard->ledger);
    }
    if (!shard->is_ready && shard->is_up) qb_shard_ready(shard);
    for (size_t i = 0; i < asked->count && qb_ask_is_current(ask); i++) {
        uint64_t seq = qb_take_uint(&reader, 8);
        take_head(shard->ledger, &asked->heads[i], seq, qb_take_uint(&reader, 8));
    }
}

void qb_heads_ask(struct qb_shard *shard, struct qb_track *const *tracks, size_t count)
{
    struct heads_ask *ask =
        qb_ask_new(shard, sizeof *ask + count * sizeof ask->heads[0], take_heads);
    struct qb_words *words = qb_ask_script(shard, QB_SCRIPT_HEADS, 1 + count);

    qb_words_shard_key(words, shard->index, QB_OUTBOX_KEY);
    for (size_t i = 0; i < count; i++) {
        qb_words_auction_key(words, shard->index, tracks[i]->auction, "state");
        ask->heads[i] = (struct head){tracks[i]->auction, tracks[i]->serial, tracks[i]->told};
    }
    ask->count = count;
    qb_ask_send_script(&ask->ask);
}

void qb_heads_probe(struct qb_shard *shard)
{
    for (int i = 0; i < PROBES_AT_ONCE; i++) qb_heads_ask(shard, NULL, 0);
}

void qb_heads_check(struct qb_shard *shard)
{
    struct qb_redis_ledger *ledger = shard->ledger;
    struct qb_track *batch[HEADS_AT_ONCE];
    struct qb_track *track = NULL;
    size_t cursor = 0;
    size_t count = 0;

    while ((track = qb_map_next(&ledger->tracks, &cursor, NULL)) != NULL) {
        if (track->shard != shard || !track->is_followed) continue;
        batch[count++] = track;
        if (count < HEADS_AT_ONCE) continue;
        qb_heads_ask(shard, batch, count);
        count = 0;
    }
    qb_heads_ask(shard, batch, count);
}

/* Sends what was gathered of all shards. */
static void ask_all(struct qb_redis_ledger *ledger, struct qb_track *const *tracks, size_t count)
{
    for (unsigned i = 0; i < ledger->options.shards; i++) {
        struct qb_track *batch[HEADS_AT_ONCE];
        size_t batch_count = 0;
        if (!qb_shard_is_ready(&ledger->shards[i])) continue;
        for (size_t at = 0; at < count; at++) {
            if (tracks[at]->shard->index == i) batch[batch_count++] = tracks[at];
        }
        if (batch_count > 0) qb_heads_ask(&ledger->shards[i], batch, batch_count);
    }
}

void qb_heads_missed(struct qb_ledger *port, qb_id auction)
{
    struct qb_redis_ledger *ledger = (struct qb_redis_ledger *)port;
    struct qb_track *track = qb_track_find(ledger, auction);

    if (!ledger->is_open) return;
    if (track != NULL && track->is_followed) ask_all(ledger, &track, 1);
    for (unsigned i = 0; i < ledger->options.shards && auction == 0; i++) {
        if (qb_shard_is_ready(&ledger->shards[i])) qb_heads_check(&ledger->shards[i]);
    }
}

void qb_heads_check_some(struct qb_redis_ledger *ledger)
{
    struct qb_track *batch[HEADS_AT_ONCE];
    struct qb_track *track = NULL;
    size_t count = 0;
    size_t end = ledger->heads_at + ledger->tracks.room / QB_HEADS_STEPS + 1;

    while (ledger->heads_at < end) {
        track = qb_map_next(&ledger->tracks, &ledger->heads_at, NULL);
        if (track == NULL) { /* once through: from the first again, at the next step */
            ledger->heads_at = 0;
            break;
        }
        if (track->is_followed) batch[count++] = track;
        if (count < HEADS_AT_ONCE) continue;
        ask_all(ledger, batch, count);
        count = 0;
    }
    ask_all(ledger, batch, count);
}
