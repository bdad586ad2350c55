/* What is durable and who sees to it: marks (P2), the sweeper (P3), auctions that are due (P8). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/shard.h"
#include "storage/ledger_redis_state.h"

#define SPAN_US        (100 * QB_MS_US) /* seqs added later than this begin a run of their own */
#define PATIENCE_US    (5 * QB_SECOND_US)
#define ORPHAN_AGE_US  (250 * QB_MS_US)
#define SWEEP_AUCTIONS 64
#define SWEEP_ENTRIES  512
#define LOCK_MS        500
#define LOCK_OUTBOX_MS 100 /* there may be much to catch up with */
#define DUE_AHEAD_US   (5 * QB_SECOND_US)
#define DUE_AUCTIONS   1000
#define MARK_AUCTIONS  1000
#define ID_DIGITS      16

static void add_run(struct qb_spans *spans, struct qb_span run)
{
    if (spans->count == spans->room) {
        spans->room = spans->room == 0 ? 4 : spans->room * 2;
        spans->list = realloc(spans->list, spans->room * sizeof *spans->list);
    }
    QB_ASSERT(spans->list != NULL);
    spans->list[spans->count++] = run;
}

void qb_spans_add(struct qb_spans *spans, uint64_t seq, int64_t now_us)
{
    struct qb_span *last = spans->count > 0 ? &spans->list[spans->count - 1] : NULL;

    if (last != NULL && last->last + 1 == seq && now_us - last->since_us < SPAN_US)
        last->last = seq;
    else
        add_run(spans, (struct qb_span){seq, seq, now_us});
}

void qb_spans_remove(struct qb_spans *spans, uint64_t seq)
{
    for (size_t i = 0; i < spans->count; i++) {
        struct qb_span run = spans->list[i];
        if (seq < run.first || seq > run.last) continue;
        if (run.first == run.last) {
            spans->list[i] = spans->list[--spans->count];
        } else if (seq == run.first) {
            spans->list[i].first++;
        } else {
            spans->list[i].last = seq - 1;
            run.first = seq + 1;
            if (run.first <= run.last) add_run(spans, run);
        }
        return;
    }
}

void qb_spans_free(struct qb_spans *spans)
{
    free(spans->list);
    *spans = (struct qb_spans){0};
}

/* Whether it was added not long ago. What nobody made durable for too long is everybody's again. */
static bool is_in_hand(const struct qb_spans *spans, uint64_t seq, int64_t now_us)
{
    for (size_t i = 0; i < spans->count; i++) {
        const struct qb_span *run = &spans->list[i];
        if (run->first <= seq && seq <= run->last && now_us - run->since_us < PATIENCE_US) {
            return true;
        }
    }
    return false;
}

void qb_spans_drop(struct qb_spans *spans, uint64_t seq)
{
    size_t left = 0;

    for (size_t i = 0; i < spans->count; i++) {
        struct qb_span run = spans->list[i];
        if (run.last <= seq) continue;
        if (run.first <= seq) run.first = seq + 1;
        spans->list[left++] = run;
    }
    spans->count = left;
}

/* Moves the seqs up to `seq` to the marks. */
static void move_up_to(struct qb_spans *from, uint64_t seq, struct qb_spans *marks)
{
    for (size_t i = 0; i < from->count; i++) {
        struct qb_span run = from->list[i];
        if (run.first > seq) continue;
        if (run.last > seq) run.last = seq;
        add_run(marks, run);
    }
    qb_spans_drop(from, seq);
}

static void make_dirty(struct qb_track *track)
{
    qb_track_list_add(&track->ledger->dirty, track, &track->is_dirty);
}

void qb_ledger_redis_leave(struct qb_ledger *port, qb_id auction, uint64_t seq)
{
    struct qb_track *track = qb_track_find((struct qb_redis_ledger *)port, auction);

    if (track != NULL) qb_spans_remove(&track->own, seq);
}

static void take_durable(struct qb_ledger *port, qb_id auction, uint64_t seq, bool is_own)
{
    struct qb_track *track = qb_track_find((struct qb_redis_ledger *)port, auction);

    if (track == NULL) return; /* of an epoch before: recovery decided */
    move_up_to(is_own ? &track->own : &track->orphans, seq, &track->marks);
    if (track->marks.count > 0) make_dirty(track);
}

void qb_mark_durable(struct qb_ledger *ledger, qb_id auction, uint64_t seq)
{
    take_durable(ledger, auction, seq, true);
}

void qb_mark_adopted(struct qb_ledger *ledger, qb_id auction, uint64_t seq)
{
    take_durable(ledger, auction, seq, false);
}

struct marked {
    struct qb_track *track;
    struct qb_spans runs;
};

struct mark_ask {
    struct qb_ask ask;
    size_t count;
    struct marked marked[];
};

/* Marks without an answer are sent again: they count once. */
static void take_mark(struct qb_ask *ask, enum qb_answer_kind kind,
                      const struct qb_redis_reply *reply)
{
    struct mark_ask *mark = (struct mark_ask *)ask;
    bool is_current = qb_ask_is_current(ask);
    bool is_good = kind == QB_ANSWER_GOOD && qb_redis_count(reply) == mark->count;

    ask->shard->is_marking = false;
    for (size_t i = 0; i < mark->count; i++) {
        struct qb_track *track = mark->marked[i].track;
        struct qb_spans *runs = &mark->marked[i].runs;
        size_t length = 0;
        const char *bytes = is_good ? qb_redis_text(qb_redis_item(reply, i), &length) : "";
        struct qb_reader reader = {.bytes = (const uint8_t *)bytes, .length = length};
        uint64_t newest = qb_take_uint(&reader, 8);
        uint64_t upto = qb_take_uint(&reader, 8);
        if (is_current && !reader.is_bad) {
            if (track->is_followed && newest > track->newest && track->calls == 0) {
                track->newest = newest;
            }
            if (track->ledger->ack == QB_ACK_JOURNAL)
                qb_track_set_durable(track, upto);
            else
                qb_track_set_journaled(track, upto);
            qb_track_settle(track);
        } else if (is_current && kind != QB_ANSWER_FENCED) {
            for (size_t run = 0; run < runs->count; run++) add_run(&track->marks, runs->list[run]);
            make_dirty(track);
        }
        qb_spans_free(runs);
        qb_track_release(track);
    }
}

/* What of an auction's state moves as the journal confirms. */
static const char *mark_of(const struct qb_redis_ledger *ledger)
{
    return ledger->ack == QB_ACK_JOURNAL ? "dur" : "out";
}

static void send_marks(struct qb_shard *shard, struct qb_track *const *tracks, size_t count)
{
    struct mark_ask *mark =
        qb_ask_new(shard, sizeof *mark + count * sizeof mark->marked[0], take_mark);
    struct qb_words *words = qb_ask_script(shard, QB_SCRIPT_MARK, 2 + 2 * count);

    qb_words_shard_key(words, shard->index, "pend");
    qb_words_shard_key(words, shard->index, QB_OUTBOX_KEY);
    for (size_t i = 0; i < count; i++) {
        qb_words_auction_key(words, shard->index, tracks[i]->auction, "state");
        qb_words_auction_key(words, shard->index, tracks[i]->auction, "conf");
    }
    qb_words_string(words, mark_of(shard->ledger));
    qb_words_int(words, (int64_t)count);
    for (size_t i = 0; i < count; i++) {
        struct qb_track *track = tracks[i];
        qb_words_id(words, track->auction);
        qb_words_channel(words, shard->index, track->auction);
        qb_words_int(words, (int64_t)track->marks.count);
        for (size_t run = 0; run < track->marks.count; run++) {
            qb_words_int(words, (int64_t)track->marks.list[run].first);
            qb_words_int(words, (int64_t)track->marks.list[run].last);
        }
        mark->marked[i] = (struct marked){track, track->marks};
        track->marks = (struct qb_spans){0};
        qb_track_hold(track);
    }
    mark->count = count;
    shard->is_marking = true;
    qb_ask_send_script(&mark->ask);
}

void qb_mark_send(struct qb_redis_ledger *ledger)
{
    struct qb_track *batch[MARK_AUCTIONS];

    for (unsigned i = 0; i < ledger->options.shards && ledger->dirty.count > 0; i++) {
        struct qb_shard *shard = &ledger->shards[i];
        if (shard->is_marking || !qb_shard_is_ready(shard) || !ledger->is_open) continue;
        size_t count = qb_track_list_take(&ledger->dirty, shard, batch, MARK_AUCTIONS);
        for (size_t at = 0; at < count; at++) batch[at]->is_dirty = false;
        if (count > 0) send_marks(shard, batch, count);
    }
}

static bool id_of(const char *digits, size_t length, qb_id *auction)
{
    uint8_t bytes[ID_DIGITS / 2];

    *auction = 0;
    if (length != ID_DIGITS || !qb_hex_parse(digits, length, bytes)) return false;
    for (size_t i = 0; i < sizeof bytes; i++) *auction = *auction << 8 | bytes[i];
    return *auction != 0;
}

/* Whether it was told: not what is on its way to the journal here. */
static bool tell_orphan(struct qb_track *track, const uint8_t *bytes, size_t length)
{
    struct qb_redis_ledger *ledger = track->ledger;
    uint64_t seq = qb_piece_seq(bytes, length);
    int64_t now_us = qb_clock_mono_us();
    struct qb_rules rules;
    struct qb_entry entry;

    if (is_in_hand(&track->own, seq, now_us) || is_in_hand(&track->orphans, seq, now_us)) {
        return false;
    }
    if (!qb_entry_decode(bytes, length, &entry, &rules) || entry.auction != track->auction) {
        qb_log(QB_LOG_ERROR, "ledger.unreadable", QB_INT("auction", track->auction),
               QB_INT("seq", seq));
        return false;
    }
    qb_spans_add(&track->orphans, seq, now_us); /* it may be adopted within the call */
    bool is_taken = ledger->listener.orphan(ledger->listener.context, &entry);
    /* Else what is adopted above it would vouch for it. */
    if (!is_taken) qb_spans_remove(&track->orphans, seq);
    return is_taken;
}

static void ignore(struct qb_ask *ask, enum qb_answer_kind kind, const struct qb_redis_reply *reply)
{
    (void)ask;
    (void)kind;
    (void)reply;
}

/* Nothing to do for it here: others need not wait until the lock falls off by itself. */
static void unlock(struct qb_track *track)
{
    struct qb_ask *ask = qb_ask_new(track->shard, sizeof *ask, ignore);
    struct qb_words *words = &track->ledger->words;

    qb_words_clear(words);
    qb_words_string(words, "DEL");
    qb_words_auction_key(words, track->shard->index, track->auction, "sweep");
    qb_ask_send(ask);
}

static void take_sweep(struct qb_ask *ask, enum qb_answer_kind kind,
                       const struct qb_redis_reply *reply)
{
    struct qb_redis_ledger *ledger = ask->shard->ledger;

    ask->shard->is_sweeping = false;
    if (kind != QB_ANSWER_GOOD || !qb_ask_is_current(ask)) return;
    for (size_t i = 0; i + 1 < qb_redis_count(reply); i += 2) {
        size_t id_length = 0;
        size_t length = 0;
        size_t entry_length = 0;
        qb_id auction = 0;
        const uint8_t *entry = NULL;
        struct qb_piece piece;
        const char *id = qb_redis_text(qb_redis_item(reply, i), &id_length);
        const char *bytes = qb_redis_text(qb_redis_item(reply, i + 1), &length);
        if (!id_of(id, id_length, &auction) || !qb_piece_open(&piece, bytes, length)) continue;
        struct qb_track *track = qb_track_make(ledger, auction);
        qb_track_hold(track);
        bool is_any = false;
        qb_track_set_durable(track, piece.durable);
        while (qb_ask_is_current(ask) && qb_piece_next(&piece, &entry, &entry_length)) {
            if (tell_orphan(track, entry, entry_length)) is_any = true;
        }
        if (!is_any && qb_ask_is_current(ask)) unlock(track);
        qb_track_release(track);
    }
}

void qb_sweep(struct qb_shard *shard)
{
    char prefix[32];

    const struct qb_redis_ledger *ledger = shard->ledger;
    const struct qb_ledger_redis_options *options = &ledger->options;
    bool has_outbox = ledger->ack == QB_ACK_LEDGER;

    if (shard->is_sweeping || ledger->listener.orphan == NULL) return;
    /* In the outbox they are safe: no need to look while the journal takes none. */
    if (has_outbox && options->may_sweep != NULL && !options->may_sweep(options->context)) return;
    struct qb_ask *ask = qb_ask_new(shard, sizeof *ask, take_sweep);
    struct qb_words *words = qb_ask_script(shard, QB_SCRIPT_SWEEP, 1);
    (void)snprintf(prefix, sizeof prefix, "qb:{q%u}:", shard->index);
    qb_words_shard_key(words, shard->index, "pend");
    qb_words_string(words, prefix);
    qb_words_int(words, ORPHAN_AGE_US);
    qb_words_int(words, SWEEP_AUCTIONS);
    qb_words_int(words, SWEEP_ENTRIES);
    qb_words_string(words, mark_of(ledger));
    qb_words_int(words, has_outbox ? LOCK_OUTBOX_MS : LOCK_MS);
    shard->is_sweeping = true;
    qb_ask_send_script(ask);
}

static void take_due(struct qb_ask *ask, enum qb_answer_kind kind,
                     const struct qb_redis_reply *reply)
{
    struct qb_shard *shard = ask->shard;
    struct qb_redis_ledger *ledger = shard->ledger;

    if (kind != QB_ANSWER_GOOD || !qb_ask_is_current(ask)) return;
    /* A full answer: there are more, which the next one shows. */
    size_t count = qb_redis_count(reply);
    shard->due_at = count == DUE_AUCTIONS ? shard->due_at + count : 0;
    for (size_t i = 0; i < count && qb_ask_is_current(ask); i++) {
        size_t length = 0;
        qb_id auction = 0;
        const char *digits = qb_redis_text(qb_redis_item(reply, i), &length);
        if (!id_of(digits, length, &auction)) continue;
        const struct qb_track *track = qb_track_find(ledger, auction);
        if (track != NULL && (track->is_followed || track->follow != NULL)) continue;
        ledger->listener.due(ledger->listener.context, auction);
    }
}

void qb_ask_due(struct qb_shard *shard)
{
    struct qb_redis_ledger *ledger = shard->ledger;
    struct qb_words *words = &ledger->words;
    int64_t uncertainty_us = 0;
    qb_time_us now_us = qb_clock_tell(ledger, &uncertainty_us);

    if (ledger->listener.due == NULL || now_us == 0) return;
    struct qb_ask *ask = qb_ask_new(shard, sizeof *ask, take_due);
    qb_words_clear(words);
    qb_words_string(words, "ZRANGEBYSCORE");
    qb_words_shard_key(words, shard->index, "due");
    qb_words_string(words, "-inf");
    qb_words_int(words, now_us + DUE_AHEAD_US);
    qb_words_string(words, "LIMIT");
    qb_words_int(words, (int64_t)shard->due_at);
    qb_words_int(words, DUE_AUCTIONS);
    qb_ask_send(ask);
}
