/* One auction's log as it is told: in order, without a gap, each entry once. */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/shard.h"
#include "storage/ledger_redis_state.h"

/* Entries that came too early are kept up to here; what is beyond is read again later. */
#define KEPT_BYTES_MAX (256U << 10)

struct qb_track *qb_track_find(const struct qb_redis_ledger *ledger, qb_id auction)
{
    return qb_map_get(&ledger->tracks, &auction);
}

struct qb_track *qb_track_make(struct qb_redis_ledger *ledger, qb_id auction)
{
    struct qb_track *track = qb_track_find(ledger, auction);

    if (track != NULL) return track;
    track = calloc(1, sizeof *track);
    QB_ASSERT(track != NULL);
    track->auction = auction;
    track->ledger = ledger;
    track->shard = &ledger->shards[qb_shard_of(auction, ledger->options.shards)];
    track->kept.bytes_max = KEPT_BYTES_MAX;
    (void)qb_map_set(&ledger->tracks, &auction, track);
    return track;
}

void qb_track_hold(struct qb_track *track)
{
    track->holds++;
}

static void free_if_unneeded(struct qb_track *track)
{
    bool is_needed = track->holds > 0 || track->is_followed || track->follow != NULL ||
                     track->is_dirty || track->is_unsafe || track->is_unsaid ||
                     track->own.count > 0 || track->orphans.count > 0 || track->marks.count > 0;

    if (is_needed) return;
    if (!track->is_gone) (void)qb_map_remove(&track->ledger->tracks, &track->auction);
    qb_text_fini(&track->kept);
    qb_text_fini(&track->snapshot);
    qb_spans_free(&track->own);
    qb_spans_free(&track->orphans);
    qb_spans_free(&track->marks);
    free(track);
}

void qb_track_release(struct qb_track *track)
{
    QB_ASSERT(track->holds > 0);
    track->holds--;
    free_if_unneeded(track);
}

void qb_track_follow(struct qb_track *track, uint64_t told, uint64_t durable)
{
    QB_ASSERT(!track->is_followed);
    track->is_followed = true;
    if (track->serial == 0) track->serial = ++track->ledger->serial;
    track->told = told;
    if (track->newest < told) track->newest = told;
    if (track->durable < durable) track->durable = durable;
    track->durable_told = durable < told ? durable : told;
}

void qb_track_unfollow(struct qb_track *track)
{
    track->is_followed = false;
    track->serial = 0;
    track->newest = 0;
    track->kept.length = 0;
    track->snapshot.length = 0;
    if (track->follow != NULL) qb_follow_cancel(track);
    free_if_unneeded(track);
}

void qb_track_drop(struct qb_track *track)
{
    struct qb_spans *all[] = {&track->own, &track->orphans, &track->marks};

    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) qb_spans_free(all[i]);
    track->is_gone = true;
    track->is_dirty = false; /* the ledger empties its lists with its tracks */
    track->is_unsafe = false;
    track->is_unsaid = false;
    qb_track_unfollow(track);
}

bool qb_track_tell(struct qb_track *track, const uint8_t *bytes, size_t length)
{
    struct qb_redis_ledger *ledger = track->ledger;
    struct qb_rules rules;
    struct qb_entry entry;

    if (!track->is_followed || qb_piece_seq(bytes, length) != track->told + 1) return false;
    if (!qb_entry_decode(bytes, length, &entry, &rules) || entry.auction != track->auction) {
        qb_log(QB_LOG_ERROR, "ledger.unreadable", QB_INT("auction", track->auction),
               QB_INT("seq", track->told + 1));
        return false;
    }
    track->told++;
    if (ledger->listener.heard != NULL) ledger->listener.heard(ledger->listener.context, &entry);
    return true;
}

static void keep(struct qb_text *kept, const uint8_t *bytes, size_t length)
{
    const uint8_t head[2] = {(uint8_t)length, (uint8_t)(length >> 8)};

    if (kept->length + sizeof head + length > KEPT_BYTES_MAX) return; /* it is read again */
    qb_text_add(kept, (const char *)head, sizeof head);
    qb_text_add(kept, (const char *)bytes, length);
}

void qb_track_offer(struct qb_track *track, const uint8_t *bytes, size_t length)
{
    uint64_t seq = qb_piece_seq(bytes, length);

    if (!track->is_followed && track->follow == NULL) return;
    if (track->is_followed && seq <= track->told) return;
    if (seq > track->newest) track->newest = seq;
    bool must_wait = !track->is_followed || track->calls > 0 || seq != track->told + 1;
    if (must_wait)
        keep(&track->kept, bytes, length);
    else
        (void)qb_track_tell(track, bytes, length);
}

/* One pass over what was kept; what is still too early is kept on. Whether any was told. */
static bool tell_kept(struct qb_track *track)
{
    struct qb_text kept = track->kept;
    uint32_t serial = track->serial;
    bool is_any = false;
    size_t at = 0;

    track->kept = (struct qb_text){.bytes_max = KEPT_BYTES_MAX};
    while (at < kept.length) {
        const uint8_t *head = (const uint8_t *)&kept.bytes[at];
        /* cppcheck-suppress objectIndex ; the object is an array */
        size_t length = (size_t)head[0] | (size_t)head[1] << 8;
        at += 2 + length;
        if (track->serial != serial) break; /* let go of by who was told */
        if (qb_piece_seq(head + 2, length) <= track->told) continue;
        if (track->calls == 0 && qb_track_tell(track, head + 2, length))
            is_any = true;
        else
            keep(&track->kept, head + 2, length);
    }
    qb_text_fini(&kept);
    return is_any;
}

static void tell_durable(struct qb_track *track)
{
    struct qb_redis_ledger *ledger = track->ledger;
    uint64_t durable = track->durable < track->told ? track->durable : track->told;

    if (!track->is_followed || durable <= track->durable_told) return;
    track->durable_told = durable;
    if (ledger->listener.durable == NULL) return;
    ledger->listener.durable(ledger->listener.context, track->auction, durable);
}

void qb_track_set_durable(struct qb_track *track, uint64_t seq)
{
    if (seq <= track->durable) return;
    track->durable = seq;
    if (track->ledger->ack == QB_ACK_JOURNAL) qb_track_set_journaled(track, seq);
}

void qb_track_set_journaled(struct qb_track *track, uint64_t seq)
{
    qb_spans_drop(&track->own, seq);
    qb_spans_drop(&track->orphans, seq);
}

void qb_track_list_add(struct qb_track_list *list, struct qb_track *track, bool *is_in)
{
    if (*is_in || track->is_gone) return;
    if (list->count == list->room) {
        list->room = list->room == 0 ? 64 : list->room * 2;
        list->tracks = realloc(list->tracks, list->room * sizeof(struct qb_track *));
        QB_ASSERT(list->tracks != NULL);
    }
    *is_in = true;
    list->tracks[list->count++] = track;
}

size_t qb_track_list_take(struct qb_track_list *list, const struct qb_shard *shard,
                          struct qb_track **tracks, size_t most)
{
    size_t count = 0;
    size_t left = 0;

    for (size_t at = 0; at < list->count; at++) {
        struct qb_track *track = list->tracks[at];
        if (track->shard == shard && count < most)
            tracks[count++] = track;
        else
            list->tracks[left++] = track;
    }
    list->count = left;
    return count;
}

/* Tells what can be told now. */
static void tell_ready(struct qb_track *track)
{
    while (track->is_followed && track->calls == 0 && track->kept.length > 0 && tell_kept(track)) {}
    tell_durable(track);
    if (track->is_followed && track->snapshot.length > 0) qb_snapshot_send(track);
}

void qb_track_settle(struct qb_track *track)
{
    qb_track_hold(track);
    tell_ready(track);
    if (track->is_followed && track->calls == 0 && track->newest > track->told) {
        qb_track_read(track);
    }
    qb_track_release(track);
}

struct read {
    struct qb_ask ask;
    struct qb_track *track;
    uint32_t serial;
    bool is_follow;
};

/* The entries of a piece that lie before an own one which is answered already, or the next ones. */
static void take_entries(struct qb_track *track, struct qb_piece *piece)
{
    const uint8_t *bytes = NULL;
    size_t length = 0;

    while (qb_piece_next(piece, &bytes, &length)) {
        const struct qb_group *group = track->waiting;
        bool is_before = group != NULL && qb_piece_seq(bytes, length) <= qb_group_before(group);
        if (is_before)
            (void)qb_track_tell(track, bytes, length);
        else
            qb_track_offer(track, bytes, length);
    }
    if (piece->seq > track->newest) track->newest = piece->seq;
    qb_track_set_durable(track, piece->durable);
}

static void take_waiting(struct qb_track *track, bool has_progress)
{
    if (track->told >= qb_group_before(track->waiting))
        qb_group_ready(track->waiting, true);
    else if (has_progress)
        qb_track_read(track);
    else
        qb_group_ready(track->waiting, false);
}

void qb_track_lose(struct qb_track *track)
{
    struct qb_redis_ledger *ledger = track->ledger;
    struct qb_group *group = track->waiting;

    qb_track_hold(track);
    qb_track_unfollow(track);
    if (group != NULL) qb_group_ready(group, false);
    if (ledger->listener.lost != NULL)
        ledger->listener.lost(ledger->listener.context, track->auction);
    qb_track_release(track);
}

/* Whether a piece that was asked for from the next entry on begins later, or has none of it. */
static bool begins_late(const struct qb_track *track, struct qb_piece piece)
{
    const uint8_t *bytes = NULL;
    size_t length = 0;

    if (!qb_piece_next(&piece, &bytes, &length)) return piece.seq > track->told;
    return qb_piece_seq(bytes, length) > track->told + 1;
}

/* An answer without anything new asks no more: the next check of the heads does. */
static void take_log(struct qb_track *track, enum qb_answer_kind kind,
                     const struct qb_redis_reply *reply)
{
    struct qb_piece piece = {0};
    uint64_t told = track->told;
    size_t length = 0;
    const char *bytes =
        kind == QB_ANSWER_GOOD ? qb_redis_text(qb_redis_item(reply, 1), &length) : "";

    if (kind == QB_ANSWER_GOOD && qb_piece_open(&piece, bytes, length)) {
        if (begins_late(track, piece)) { /* what comes next was trimmed */
            qb_log(QB_LOG_WARNING, "ledger.lost", QB_INT("auction", track->auction),
                   QB_INT("seq", track->told + 1));
            qb_track_lose(track);
            return;
        }
        take_entries(track, &piece);
    }
    if (track->waiting != NULL) {
        take_waiting(track, track->told > told);
        return;
    }
    tell_ready(track);
    if (track->told > told) qb_track_settle(track);
}

static void take_read(struct qb_ask *ask, enum qb_answer_kind kind,
                      const struct qb_redis_reply *reply)
{
    struct read *read = (struct read *)ask;
    struct qb_track *track = read->track;

    if (kind == QB_ANSWER_GOOD && qb_redis_count(reply) != 2) kind = QB_ANSWER_UNKNOWN;
    track->is_reading = false;
    if (read->serial != track->serial || read->is_follow != (track->follow != NULL)) {
        /* What it was asked for is over. */
        if (track->waiting != NULL) qb_group_ready(track->waiting, false);
        if (track->follow != NULL) qb_track_read(track);
    } else if (read->is_follow) {
        qb_follow_take(track, kind == QB_ANSWER_GOOD ? reply : NULL);
    } else if (track->is_followed) {
        take_log(track, kind, reply);
    }
    qb_track_release(track);
}

void qb_track_read(struct qb_track *track)
{
    struct qb_shard *shard = track->shard;

    if (track->is_reading || track->ledger->is_freeing) return;
    struct read *read = qb_ask_new(shard, sizeof *read, take_read);
    struct qb_words *words = qb_ask_script(shard, QB_SCRIPT_READ, 3);
    qb_words_auction_key(words, shard->index, track->auction, "state");
    qb_words_auction_key(words, shard->index, track->auction, "stream");
    qb_words_auction_key(words, shard->index, track->auction, "snap");
    bool is_follow = track->follow != NULL;
    qb_words_int(words, (int64_t)(is_follow ? qb_follow_known(track->follow) : track->told));
    qb_words_int(words, QB_PIECE_ENTRIES);
    qb_words_string(words, is_follow && qb_follow_known(track->follow) == 0 ? "1" : "0");
    read->track = track;
    read->serial = track->serial;
    read->is_follow = is_follow;
    track->is_reading = true;
    qb_track_hold(track);
    if (!is_follow) qb_metric_add(QB_METRIC_ledger_reads_total, NULL, 1);
    qb_ask_send_script(&read->ask);
}

void qb_track_fed(struct qb_ledger *port, qb_id auction, const uint8_t *bytes, size_t length)
{
    struct qb_redis_ledger *ledger = (struct qb_redis_ledger *)port;
    struct qb_track *track = qb_track_find(ledger, auction);
    struct qb_piece piece;
    const uint8_t *entry = NULL;
    size_t entry_length = 0;

    if (track == NULL || !qb_piece_open(&piece, bytes, length)) return;
    if (piece.epoch != ledger->epoch) return;
    qb_track_hold(track);
    while (qb_piece_next(&piece, &entry, &entry_length)) {
        qb_track_offer(track, entry, entry_length);
    }
    if (track->is_followed || track->follow != NULL) {
        if (piece.seq > track->newest) track->newest = piece.seq;
        qb_track_set_durable(track, piece.durable);
    }
    qb_track_settle(track);
    qb_track_release(track); /* held above: NOLINT(clang-analyzer-unix.Malloc) */
}
