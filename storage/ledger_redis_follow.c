/* Loading an auction: its newest snapshot and the entries behind it; and handing in snapshots. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/log.h"
#include "storage/ledger_redis_open.h"
#include "storage/ledger_redis_state.h"

#define LOG_BYTES_MAX (512U << 20)

struct qb_follow {
    qb_ledger_followed *done;
    void *context;
    uint64_t known;
    uint64_t durable;
    struct qb_text snapshot;
    struct qb_text entries; /* length u16, bytes */
    size_t count;
    size_t opens; /* OPENs among them: each has rules */
};

/* What a snapshot and the entries turn into for the one who asked. */
struct loaded {
    struct qb_ledger_log log;
    struct qb_lot lot;
    struct qb_bid_record *records;
    struct qb_entry *entries;
    struct qb_rules *rules;
};

static void follow_free(struct qb_follow *follow)
{
    qb_text_fini(&follow->snapshot);
    qb_text_fini(&follow->entries);
    free(follow);
}

struct told_later {
    qb_id auction;
    qb_ledger_followed *done;
    void *context;
};

static void tell_no_answer(void *context, void *message)
{
    struct told_later *later = message;

    (void)context;
    later->done(later->context, later->auction, QB_LEDGER_NO_ANSWER, NULL);
    free(later);
}

static void answer_later(struct qb_redis_ledger *ledger, qb_id auction, qb_ledger_followed *done,
                         void *context)
{
    struct told_later *later = malloc(sizeof *later);

    QB_ASSERT(later != NULL);
    *later = (struct told_later){auction, done, context};
    qb_mailbox_post_answer(ledger->options.mailbox, tell_no_answer, NULL, later);
}

void qb_follow_begin(struct qb_ledger *port, qb_id auction, qb_ledger_followed *done, void *context)
{
    struct qb_redis_ledger *ledger = (struct qb_redis_ledger *)port;

    if (!ledger->is_open) {
        answer_later(ledger, auction, done, context);
        return;
    }
    struct qb_track *track = qb_track_make(ledger, auction);
    QB_ASSERT(!track->is_followed);
    QB_ASSERT(track->follow == NULL);
    struct qb_follow *follow = calloc(1, sizeof *follow);
    QB_ASSERT(follow != NULL);
    follow->done = done;
    follow->context = context;
    follow->entries.bytes_max = LOG_BYTES_MAX;
    follow->snapshot.bytes_max = LOG_BYTES_MAX;
    track->follow = follow;
    track->serial = ++ledger->serial;
    qb_track_read(track);
}

void qb_follow_cancel(struct qb_track *track)
{
    struct qb_follow *follow = track->follow;

    track->follow = NULL;
    answer_later(track->ledger, track->auction, follow->done, follow->context);
    follow_free(follow);
}

uint64_t qb_follow_known(const struct qb_follow *follow)
{
    return follow->known;
}

/* Adds the entries of a piece, which must go on where those before ended. */
static bool take_entries(struct qb_follow *follow, struct qb_piece *piece)
{
    const uint8_t *bytes = NULL;
    size_t length = 0;

    while (qb_piece_next(piece, &bytes, &length)) {
        const char head[2] = {(char)length, (char)(length >> 8)};
        if (qb_piece_seq(bytes, length) != follow->known + 1) return false;
        if (bytes[QB_ENTRY_SEQ_AT + 8] == QB_ENTRY_OPEN) follow->opens++;
        qb_text_add(&follow->entries, head, sizeof head);
        qb_text_add(&follow->entries, (const char *)bytes, length);
        follow->known++;
        follow->count++;
    }
    return !follow->entries.is_full;
}

/* The snapshot of a first piece; entries go on behind it. */
static bool take_snapshot(struct qb_follow *follow, const char *bytes, size_t length)
{
    if (length == 0) return true;
    follow->known = qb_snapshot_seq(bytes, length);
    qb_text_add(&follow->snapshot, bytes, length);
    return follow->known > 0 && !follow->snapshot.is_full;
}

static void *room_for(size_t count, size_t bytes)
{
    void *made = calloc(count > 0 ? count : 1, bytes);

    QB_ASSERT(made != NULL);
    return made;
}

static bool load_snapshot(const struct qb_follow *follow, struct loaded *loaded)
{
    const struct qb_text *text = &follow->snapshot;
    size_t count = 0;

    if (text->length == 0) return true;
    if (!qb_snapshot_read(text->bytes, text->length, &loaded->lot, NULL, &count)) return false;
    loaded->records = room_for(count, sizeof *loaded->records);
    loaded->log.state = &loaded->lot;
    loaded->log.records = loaded->records;
    loaded->log.record_count = count;
    return qb_snapshot_read(text->bytes, text->length, &loaded->lot, loaded->records, &count);
}

static bool load_entries(const struct qb_follow *follow, qb_id auction, struct loaded *loaded)
{
    const uint8_t *bytes = (const uint8_t *)follow->entries.bytes;
    struct qb_rules no_rules;
    size_t opens = 0;

    loaded->entries = room_for(follow->count, sizeof *loaded->entries);
    loaded->rules = room_for(follow->opens, sizeof *loaded->rules);
    for (size_t i = 0; i < follow->count; i++) {
        size_t length = (size_t)bytes[0] | (size_t)bytes[1] << 8;
        struct qb_entry *entry = &loaded->entries[i];
        bool is_open = bytes[2 + QB_ENTRY_SEQ_AT + 8] == QB_ENTRY_OPEN;
        /* cppcheck-suppress uninitvar ; only its address is taken */
        struct qb_rules *rules = is_open ? &loaded->rules[opens++] : &no_rules;
        if (!qb_entry_decode(bytes + 2, length, entry, rules)) return false;
        if (entry->auction != auction) return false;
        bytes += 2 + length;
    }
    loaded->log.entries = loaded->entries;
    loaded->log.entry_count = follow->count;
    loaded->log.durable_seq = follow->durable < follow->known ? follow->durable : follow->known;
    return true;
}

/* The last word on a follow; from here on the auction is followed if it was found. */
static void answer(struct qb_track *track, enum qb_ledger_found found)
{
    struct qb_follow *follow = track->follow;
    struct loaded loaded = {0};

    if (found == QB_LEDGER_FOUND) {
        bool is_good =
            load_snapshot(follow, &loaded) && load_entries(follow, track->auction, &loaded);
        if (!is_good) {
            qb_log(QB_LOG_ERROR, "ledger.unreadable", QB_INT("auction", track->auction),
                   QB_INT("seq", follow->known));
            found = QB_LEDGER_NO_ANSWER;
        }
    }
    track->follow = NULL;
    if (found == QB_LEDGER_FOUND)
        qb_track_follow(track, follow->known, follow->durable);
    else
        qb_track_unfollow(track); /* held by the answer that is being read */
    follow->done(follow->context, track->auction, found,
                 found == QB_LEDGER_FOUND ? &loaded.log : NULL);
    free(loaded.records);
    free(loaded.entries);
    free(loaded.rules);
    follow_free(follow);
    qb_track_settle(track);
}

void qb_follow_take(struct qb_track *track, const struct qb_redis_reply *reply)
{
    struct qb_follow *follow = track->follow;
    struct qb_piece piece = {0};
    size_t length = 0;
    size_t snapshot_length = 0;
    const char *snapshot =
        reply != NULL ? qb_redis_text(qb_redis_item(reply, 0), &snapshot_length) : "";
    const char *bytes = reply != NULL ? qb_redis_text(qb_redis_item(reply, 1), &length) : "";

    if (reply == NULL || !qb_piece_open(&piece, bytes, length)) {
        answer(track, QB_LEDGER_NO_ANSWER);
        return;
    }
    if (piece.seq == 0) {
        answer(track, QB_LEDGER_NOT_FOUND);
        return;
    }
    bool is_whole = take_snapshot(follow, snapshot, snapshot_length);
    bool is_cut = (piece.flags & QB_PIECE_CUT) != 0;
    bool is_end = piece.left == 0 && is_cut; /* trimmed, without a snapshot in their place */
    if (!is_whole || is_end || !take_entries(follow, &piece)) {
        qb_log(QB_LOG_ERROR, "ledger.gap", QB_INT("auction", track->auction),
               QB_INT("seq", follow->known + 1));
        answer(track, QB_LEDGER_NO_ANSWER);
        return;
    }
    if (piece.durable > follow->durable) follow->durable = piece.durable;
    if (is_cut)
        qb_track_read(track);
    else
        answer(track, QB_LEDGER_FOUND);
}

/* Without an end that time brings (paused) the old one stays: it is at worst too early. */
static qb_time_us due_of(const struct qb_lot *lot)
{
    if (qb_lot_is_over(lot)) return INT64_MAX;
    return lot->status == QB_STATUS_OPEN ? lot->ends_at_us : 0;
}

void qb_snapshot_take(struct qb_ledger *port, const struct qb_lot *lot,
                      const struct qb_bid_record *records, size_t count)
{
    struct qb_redis_ledger *ledger = (struct qb_redis_ledger *)port;
    struct qb_track *track = qb_track_find(ledger, lot->auction);

    if (!ledger->is_open || track == NULL || !track->is_followed) return;
    bool is_kept_back = track->snapshot.length > 0 && !qb_lot_is_over(lot);
    if (is_kept_back || lot->seq == 0) return;
    track->snapshot.length = 0; /* nothing comes behind the last one */
    qb_ledger_redis_snapshot(&track->snapshot, lot, records, count);
    if (track->snapshot.is_full) { /* too large to be of use: it is loaded from its entries */
        qb_text_fini(&track->snapshot);
        track->snapshot.is_full = false;
        return;
    }
    track->snapshot_seq = lot->seq;
    track->snapshot_due_us = due_of(lot);
    qb_snapshot_send(track);
}

/* Whether it was kept matters to nobody. */
static void take_kept(struct qb_ask *ask, enum qb_answer_kind kind,
                      const struct qb_redis_reply *reply)
{
    (void)ask;
    (void)kind;
    (void)reply;
}

void qb_snapshot_send(struct qb_track *track)
{
    struct qb_shard *shard = track->shard;

    if (track->durable < track->snapshot_seq || !qb_shard_is_ready(shard)) return;
    struct qb_ask *ask = qb_ask_new(shard, sizeof *ask, take_kept);
    struct qb_words *words = qb_ask_script(shard, QB_SCRIPT_SNAPSHOT, 3);
    qb_words_auction_key(words, shard->index, track->auction, "state");
    qb_words_auction_key(words, shard->index, track->auction, "snap");
    qb_words_shard_key(words, shard->index, "due");
    qb_words_id(words, track->auction);
    qb_words_add(words, track->snapshot.bytes, track->snapshot.length);
    if (track->snapshot_due_us == INT64_MAX)
        qb_words_string(words, "over");
    else if (track->snapshot_due_us > 0)
        qb_words_int(words, track->snapshot_due_us);
    else
        qb_words_string(words, "");
    qb_text_fini(&track->snapshot);
    qb_ask_send_script(ask);
}
