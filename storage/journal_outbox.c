#include "storage/journal_outbox.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/shard.h"

/* An entry that was handed in; it lives until all before it of its track are settled. */
struct qb_journal_handed {
    struct qb_journal_handed *next;
    struct track *track;
    uint64_t seq;
    uint32_t epoch;
    bool is_confirmed;
    bool is_dropped;
};

struct track_key {
    uint64_t writer;
    uint64_t auction;
};

/* What one writer handed in of one auction and has not been told of, in that order. */
struct track {
    struct track_key key;
    struct qb_journal_writer *writer;
    struct qb_journal_handed *first;
    struct qb_journal_handed **end;
    struct track *next_changed;
    bool is_changed;
};

void qb_journal_outbox_init(struct qb_journal_outbox *outbox, unsigned shards, size_t entries_max)
{
    QB_ASSERT(shards > 0 && entries_max > 0);
    *outbox = (struct qb_journal_outbox){.shards = shards, .entries_max = entries_max};
    outbox->lanes = calloc(shards, sizeof *outbox->lanes);
    QB_ASSERT(outbox->lanes != NULL);
    qb_map_init(&outbox->tracks, sizeof(struct track_key));
}

static struct track *track_of(struct qb_journal_outbox *outbox, struct qb_journal_writer *writer,
                              qb_id auction)
{
    const struct track_key key = {(uint64_t)(uintptr_t)writer, auction};
    struct track *track = qb_map_get(&outbox->tracks, &key);

    if (track != NULL) return track;
    track = calloc(1, sizeof *track);
    QB_ASSERT(track != NULL);
    track->key = key;
    track->writer = writer;
    track->end = &track->first;
    (void)qb_map_set(&outbox->tracks, &key, track);
    return track;
}

static struct qb_journal_handed *handed_in(struct qb_journal_outbox *outbox,
                                           const struct qb_journal_waiting *waiting)
{
    struct track *track = track_of(outbox, waiting->writer, waiting->auction);
    struct qb_journal_handed *handed = calloc(1, sizeof *handed);

    QB_ASSERT(handed != NULL);
    *handed =
        (struct qb_journal_handed){.track = track, .seq = waiting->seq, .epoch = waiting->epoch};
    *track->end = handed;
    track->end = &handed->next;
    return handed;
}

static struct qb_journal_outgoing *new_outgoing(struct qb_journal_outbox *outbox, uint8_t kind,
                                                unsigned shard, uint32_t epoch)
{
    struct qb_journal_outgoing *outgoing = calloc(1, sizeof *outgoing);

    QB_ASSERT(outgoing != NULL);
    outgoing->head = (struct qb_journal_message){kind, epoch, (uint16_t)shard, 0};
    outgoing->id = ++outbox->next_id;
    outgoing->room = kind == QB_JOURNAL_MESSAGE_PROBE ? QB_JOURNAL_MESSAGE_HEAD_BYTES : 1024;
    outgoing->bytes = malloc(outgoing->room);
    QB_ASSERT(outgoing->bytes != NULL);
    outgoing->length = QB_JOURNAL_MESSAGE_HEAD_BYTES;
    qb_journal_message_head(&outgoing->head, outgoing->bytes);
    return outgoing;
}

static void free_outgoing(struct qb_journal_outgoing **outgoing)
{
    free((*outgoing)->entries);
    free((*outgoing)->bytes);
    free(*outgoing);
    *outgoing = NULL;
}

/* In the order of their ids: one that comes back stands before what came after it. */
static void insert(struct qb_journal_lane *lane, struct qb_journal_outgoing *outgoing)
{
    struct qb_journal_outgoing **at = &lane->first;

    while (*at != NULL && (*at)->id < outgoing->id) at = &(*at)->next;
    outgoing->next = *at;
    *at = outgoing;
}

static void close_open(struct qb_journal_lane *lane)
{
    if (lane->open != NULL) insert(lane, lane->open);
    lane->open = NULL;
}

static void reserve_room(struct qb_journal_outgoing *outgoing, size_t bytes)
{
    while (outgoing->room < outgoing->length + bytes) outgoing->room *= 2;
    outgoing->bytes = realloc(outgoing->bytes, outgoing->room);
    QB_ASSERT(outgoing->bytes != NULL);
    if (outgoing->head.count < outgoing->entries_room) return;
    outgoing->entries_room = outgoing->entries_room == 0 ? 16 : outgoing->entries_room * 2;
    outgoing->entries =
        realloc(outgoing->entries, outgoing->entries_room * sizeof outgoing->entries[0]);
    QB_ASSERT(outgoing->entries != NULL);
}

void qb_journal_outbox_add(struct qb_journal_outbox *outbox,
                           const struct qb_journal_waiting *waiting, const uint8_t *bytes,
                           uint64_t serial, int64_t now_us)
{
    const struct qb_journal_item item = {.auction = waiting->auction,
                                         .seq = waiting->seq,
                                         .bytes = bytes,
                                         .length = waiting->length};
    unsigned shard = qb_shard_of(waiting->auction, outbox->shards);
    struct qb_journal_lane *lane = &outbox->lanes[shard];
    struct qb_journal_outgoing *open = lane->open;
    size_t needed = QB_JOURNAL_MESSAGE_ENTRY_BYTES + item.length;

    if (open != NULL) {
        bool is_full = open->head.count >= outbox->entries_max && waiting->is_others;
        bool is_too_long = open->length + needed > QB_JOURNAL_OUTGOING_BYTES_MAX;
        bool is_alike = open->head.epoch == waiting->epoch && open->head.count < UINT16_MAX;
        if (is_full || is_too_long || !is_alike) close_open(lane);
    }
    if (lane->open == NULL) {
        lane->open = new_outgoing(outbox, QB_JOURNAL_MESSAGE_ENTRIES, shard, waiting->epoch);
        lane->open->serial = serial;
        lane->open->since_us = now_us;
    }
    open = lane->open;
    reserve_room(open, needed);
    open->length += qb_journal_message_entry(&item, &open->bytes[open->length]);
    open->entries[open->head.count++] = handed_in(outbox, waiting);
    open->entry_bytes += item.length;
}

struct qb_journal_outgoing *qb_journal_outbox_next(struct qb_journal_outbox *outbox, unsigned shard,
                                                   bool may_cut)
{
    struct qb_journal_lane *lane = &outbox->lanes[shard];

    if (lane->first == NULL) {
        bool is_full = lane->open != NULL && lane->open->head.count >= outbox->entries_max;
        if (is_full || may_cut) close_open(lane);
    }
    struct qb_journal_outgoing *outgoing = lane->first;
    if (outgoing == NULL) return NULL;
    lane->first = outgoing->next;
    qb_journal_message_head(&outgoing->head, outgoing->bytes);
    return outgoing;
}

struct qb_journal_outgoing *qb_journal_outbox_probe(struct qb_journal_outbox *outbox,
                                                    unsigned shard, uint32_t epoch)
{
    return new_outgoing(outbox, QB_JOURNAL_MESSAGE_PROBE, shard, epoch);
}

static void note_change(struct qb_journal_outbox *outbox, struct track *track)
{
    if (track->is_changed) return;
    track->is_changed = true;
    track->next_changed = outbox->changed;
    outbox->changed = track;
}

void qb_journal_outbox_confirmed(struct qb_journal_outbox *outbox,
                                 struct qb_journal_outgoing **outgoing)
{
    for (uint16_t i = 0; i < (*outgoing)->head.count; i++) {
        (*outgoing)->entries[i]->is_confirmed = true;
        note_change(outbox, (*outgoing)->entries[i]->track);
    }
    free_outgoing(outgoing);
}

void qb_journal_outbox_again(struct qb_journal_outbox *outbox,
                             struct qb_journal_outgoing **outgoing)
{
    if ((*outgoing)->head.kind == QB_JOURNAL_MESSAGE_PROBE) {
        free_outgoing(outgoing);
        return;
    }
    insert(&outbox->lanes[(*outgoing)->head.shard], *outgoing);
    *outgoing = NULL;
}

void qb_journal_outbox_dropped(struct qb_journal_outbox *outbox,
                               struct qb_journal_outgoing **outgoing)
{
    for (uint16_t i = 0; i < (*outgoing)->head.count; i++) {
        (*outgoing)->entries[i]->is_dropped = true;
        note_change(outbox, (*outgoing)->entries[i]->track);
    }
    free_outgoing(outgoing);
}

struct qb_journal_outgoing *qb_journal_outbox_stale(struct qb_journal_outbox *outbox,
                                                    uint32_t epoch)
{
    for (unsigned shard = 0; shard < outbox->shards; shard++) {
        struct qb_journal_lane *lane = &outbox->lanes[shard];
        struct qb_journal_outgoing **at = &lane->first;
        if (lane->open != NULL && lane->open->head.epoch < epoch) close_open(lane);
        while (*at != NULL && (*at)->head.epoch >= epoch) at = &(*at)->next;
        struct qb_journal_outgoing *stale = *at;
        if (stale == NULL) continue;
        *at = stale->next;
        return stale;
    }
    return NULL;
}

/* Forgets what is settled at the track's head. The newest confirmed seq of it, or 0: none. Of a
 * new epoch the seqs may begin below those of the one before. */
static uint64_t advance(struct track *track, uint32_t epoch_least)
{
    uint64_t newest = 0;
    uint32_t epoch = 0;

    while (track->first != NULL && (track->first->is_confirmed || track->first->is_dropped)) {
        struct qb_journal_handed *handed = track->first;
        bool is_newer = handed->epoch != epoch || handed->seq > newest;
        if (handed->is_confirmed && is_newer && handed->epoch >= epoch_least) {
            newest = handed->seq;
            epoch = handed->epoch;
        }
        track->first = handed->next;
        free(handed);
    }
    if (track->first == NULL) track->end = &track->first;
    return newest;
}

void qb_journal_outbox_tell(struct qb_journal_outbox *outbox, uint32_t epoch_least)
{
    while (outbox->changed != NULL) {
        struct track *track = outbox->changed;
        outbox->changed = track->next_changed;
        track->is_changed = false;
        uint64_t newest = advance(track, epoch_least);
        if (newest > 0) qb_journal_tell(track->writer, track->key.auction, newest);
        if (track->first != NULL) continue;
        (void)qb_map_remove(&outbox->tracks, &track->key);
        free(track);
    }
}

const struct qb_journal_outgoing *qb_journal_lane_oldest(const struct qb_journal_lane *lane)
{
    return lane->first != NULL ? lane->first : lane->open;
}

void qb_journal_outbox_fini(struct qb_journal_outbox *outbox)
{
    size_t cursor = 0;
    struct track *track = NULL;

    for (unsigned shard = 0; shard < outbox->shards; shard++) {
        struct qb_journal_lane *lane = &outbox->lanes[shard];
        close_open(lane);
        while (lane->first != NULL) {
            struct qb_journal_outgoing *outgoing = lane->first;
            lane->first = outgoing->next;
            free_outgoing(&outgoing);
        }
    }
    while ((track = qb_map_next(&outbox->tracks, &cursor, NULL)) != NULL) {
        while (track->first != NULL) {
            struct qb_journal_handed *handed = track->first;
            track->first = handed->next;
            free(handed);
        }
        free(track);
    }
    qb_map_fini(&outbox->tracks);
    free(outbox->lanes);
    *outbox = (struct qb_journal_outbox){0};
}
