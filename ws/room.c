#include "ws/room.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/map.h"
#include "base/metrics.h"

/* Protected frames of one room that a sweep has not yet given to all. One more takes the place of
 * the last: each is self-contained, so who gets the newer one misses nothing. */
#define PROTECTED_MAX 8

struct watch {
    struct qb_watcher *watcher;
    uint64_t last_seq; /* what this watcher has */
    uint32_t entry;    /* its place in watcher->entries */
    uint16_t crowd;    /* which count of watchers it has; wraps */
    bool is_dirty;     /* the newest waits for the socket */
};

struct update {
    uint64_t seq;
    struct qb_frame *frame;
};

struct qb_watcher_entry {
    qb_id auction;
    struct qb_room *room;
    uint32_t index; /* its place in room->watches */
};

struct qb_room {
    qb_id auction;
    struct watch *watches;
    uint32_t count;
    uint32_t size;
    /* A round goes downwards: watches from `cursor` on have been served in it. */
    uint32_t cursor;
    bool is_sweeping; /* in the list of rooms with work */
    bool is_again;    /* a newer state came during the round: one more is due */
    uint64_t round_seq;
    int64_t round_us; /* when the state came that the round is for */
    int64_t again_us;
    struct update newest; /* seq 0: none yet */
    struct update protected_updates[PROTECTED_MAX];
    uint32_t protected_count;
    struct qb_frame *crowd; /* null: the newest state says it */
    uint16_t crowd_number;
    struct qb_room *before; /* of the rooms with work */
    struct qb_room *after;
};

struct qb_rooms {
    struct qb_rooms_options options;
    struct qb_map by_auction;
    struct qb_map recounted; /* auctions whose watchers came or left since the last recount */
    struct qb_room *first;   /* with work, in turn */
    struct qb_room *last;
    uint64_t delivered; /* not yet in the metrics */
    uint64_t conflated;
};

struct qb_rooms *qb_rooms_new(const struct qb_rooms_options *options)
{
    struct qb_rooms *rooms = calloc(1, sizeof *rooms);

    QB_ASSERT(rooms != NULL);
    QB_ASSERT(options->sweep_slice > 0);
    QB_ASSERT(options->watches_max > 0);
    rooms->options = *options;
    qb_map_init(&rooms->by_auction, sizeof(qb_id));
    qb_map_init(&rooms->recounted, sizeof(qb_id));
    return rooms;
}

void qb_rooms_free(struct qb_rooms **rooms)
{
    if (*rooms == NULL) return;
    QB_ASSERT((*rooms)->by_auction.count == 0);
    qb_map_fini(&(*rooms)->by_auction);
    qb_map_fini(&(*rooms)->recounted);
    free(*rooms);
    *rooms = NULL;
}

static void count(struct qb_rooms *rooms)
{
    if (rooms->delivered > 0) {
        qb_metric_add(QB_METRIC_deliveries_total, NULL, (int64_t)rooms->delivered);
    }
    if (rooms->conflated > 0) {
        qb_metric_add(QB_METRIC_updates_conflated_total, NULL, (int64_t)rooms->conflated);
    }
    rooms->delivered = 0;
    rooms->conflated = 0;
}

static void set_dirty(struct watch *watch, bool is_dirty)
{
    if (watch->is_dirty == is_dirty) return;
    watch->is_dirty = is_dirty;
    watch->watcher->dirty_count += is_dirty ? 1U : UINT32_MAX; /* adds or takes one */
}

/* --- the list of rooms with work --- */

static void begin_work(struct qb_rooms *rooms, struct qb_room *room)
{
    QB_ASSERT(!room->is_sweeping);
    room->is_sweeping = true;
    room->before = rooms->last;
    room->after = NULL;
    if (rooms->last != NULL)
        rooms->last->after = room;
    else
        rooms->first = room;
    rooms->last = room;
}

static void end_work(struct qb_rooms *rooms, struct qb_room *room)
{
    if (!room->is_sweeping) return;
    room->is_sweeping = false;
    if (room->before != NULL)
        room->before->after = room->after;
    else
        rooms->first = room->after;
    if (room->after != NULL)
        room->after->before = room->before;
    else
        rooms->last = room->before;
}

/* --- one watcher --- */

/* The second half of an outbox is for answers: a slow reader of an auction that is extended by
 * every bid would else be closed by it. It gets the newest state, which says the same. */
static bool may_wait(const struct qb_rooms *rooms, const struct qb_outbox *outbox)
{
    return outbox->bytes <= rooms->options.outbox_bytes_max / 2;
}

static void send_protected(struct qb_rooms *rooms, struct qb_room *room, struct watch *watch)
{
    struct qb_outbox *outbox = watch->watcher->outbox;

    for (uint32_t i = 0; i < room->protected_count; i++) {
        const struct update *update = &room->protected_updates[i];
        if (update->seq <= watch->last_seq) continue;
        if (!may_wait(rooms, outbox)) return;
        if (watch->is_dirty) rooms->conflated++; /* it tells all that the waiting one would */
        set_dirty(watch, false);
        watch->last_seq = update->seq;
        rooms->delivered++;
        qb_outbox_send(outbox, update->frame, rooms->options.outbox_bytes_max);
    }
}

static void send_crowd(const struct qb_room *room, struct watch *watch)
{
    const struct qb_outbox *outbox = watch->watcher->outbox;

    if (room->crowd == NULL || watch->crowd == room->crowd_number) return;
    set_dirty(watch, !qb_outbox_is_clear(outbox));
    if (watch->is_dirty) return;
    watch->crowd = room->crowd_number;
    qb_connection_send(outbox->connection, room->crowd);
}

/* Gives a watcher what it does not have, or marks it. */
static void serve(struct qb_rooms *rooms, struct qb_room *room, struct watch *watch)
{
    struct qb_outbox *outbox = watch->watcher->outbox;

    if (outbox->is_closing) return;
    if (room->protected_count > 0) send_protected(rooms, room, watch);
    if (room->newest.seq <= watch->last_seq) {
        set_dirty(watch, false);
        send_crowd(room, watch);
        return;
    }
    if (!qb_outbox_is_clear(outbox)) {
        if (watch->is_dirty) rooms->conflated++;
        set_dirty(watch, true);
        return;
    }
    set_dirty(watch, false);
    watch->last_seq = room->newest.seq;
    rooms->delivered++;
    qb_connection_send(outbox->connection, room->newest.frame);
    send_crowd(room, watch);
}

void qb_watcher_writable(struct qb_rooms *rooms, struct qb_watcher *watcher)
{
    for (uint32_t i = 0; i < watcher->count && watcher->dirty_count > 0; i++) {
        if (!qb_outbox_is_clear(watcher->outbox)) break;
        if (watcher->next >= watcher->count) watcher->next = 0;
        const struct qb_watcher_entry *entry = &watcher->entries[watcher->next++];
        struct watch *watch = &entry->room->watches[entry->index];
        if (watch->is_dirty) serve(rooms, entry->room, watch);
    }
    count(rooms);
}

/* --- sweeps --- */

static void begin_round(struct qb_room *room, int64_t since_us)
{
    room->cursor = room->count;
    room->round_seq = room->newest.seq;
    room->round_us = since_us;
    room->is_again = false;
}

/* Everybody has the protected frames that were there when the round began. */
static void end_round(struct qb_room *room)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < room->protected_count; i++) {
        struct update *update = &room->protected_updates[i];
        if (update->seq <= room->round_seq)
            qb_frame_free(&update->frame);
        else
            room->protected_updates[kept++] = *update;
    }
    room->protected_count = kept;
    qb_metric_observe(QB_METRIC_fanout_duration_us, qb_clock_mono_us() - room->round_us);
}

/* Serves up to `slice` watchers of a room. Returns how many were left of the slice. */
static uint32_t sweep_room(struct qb_rooms *rooms, struct qb_room *room, uint32_t slice)
{
    while (slice > 0 && room->is_sweeping) {
        while (slice > 0 && room->cursor > 0) {
            slice--;
            serve(rooms, room, &room->watches[--room->cursor]);
        }
        if (room->cursor > 0) break;
        end_round(room);
        if (room->is_again)
            begin_round(room, room->again_us);
        else
            end_work(rooms, room);
    }
    return slice;
}

bool qb_rooms_sweep(struct qb_rooms *rooms)
{
    uint32_t slice = rooms->options.sweep_slice;

    while (slice > 0 && rooms->first != NULL) {
        struct qb_room *room = rooms->first;
        slice = sweep_room(rooms, room, slice);
        if (!room->is_sweeping || room->after == NULL) continue;
        end_work(rooms, room); /* the others have their turn before it goes on */
        begin_work(rooms, room);
    }
    count(rooms);
    return rooms->first != NULL;
}

static void ask_for_sweep(struct qb_rooms *rooms, struct qb_room *room)
{
    int64_t now_us = qb_clock_mono_us();

    if (room->is_sweeping) {
        if (!room->is_again) room->again_us = now_us;
        room->is_again = true;
        return;
    }
    begin_round(room, now_us);
    begin_work(rooms, room);
    if (rooms->first == room) rooms->options.wants_sweep(rooms->options.context);
}

void qb_rooms_publish(struct qb_rooms *rooms, qb_id auction, uint64_t seq, struct qb_frame *frame,
                      bool is_protected)
{
    struct qb_room *room = qb_map_get(&rooms->by_auction, &auction);

    if (room == NULL || seq <= room->newest.seq) return;
    qb_frame_free(&room->newest.frame);
    room->newest = (struct update){.seq = seq, .frame = qb_frame_hold(frame)};
    qb_frame_free(&room->crowd);
    if (is_protected) {
        if (room->protected_count == PROTECTED_MAX) {
            qb_frame_free(&room->protected_updates[--room->protected_count].frame);
        }
        room->protected_updates[room->protected_count++] =
            (struct update){.seq = seq, .frame = qb_frame_hold(frame)};
    }
    ask_for_sweep(rooms, room);
}

void qb_rooms_publish_crowd(struct qb_rooms *rooms, qb_id auction, struct qb_frame *frame)
{
    struct qb_room *room = qb_map_get(&rooms->by_auction, &auction);

    if (room == NULL) return;
    qb_frame_free(&room->crowd);
    room->crowd = qb_frame_hold(frame);
    room->crowd_number++;
    ask_for_sweep(rooms, room);
}

/* --- coming and going --- */

static void note_change(struct qb_rooms *rooms, qb_id auction, int by)
{
    qb_metric_add(QB_METRIC_watchers, NULL, by);
    (void)qb_map_set(&rooms->recounted, &auction, rooms);
}

void qb_rooms_recount(struct qb_rooms *rooms,
                      void (*each)(void *context, qb_id auction, uint32_t count), void *context)
{
    const void *key = NULL;
    size_t cursor = 0;

    while (qb_map_next(&rooms->recounted, &cursor, &key) != NULL) {
        qb_id auction = 0;
        (void)memcpy(&auction, key, sizeof auction);
        each(context, auction, (uint32_t)qb_rooms_watchers(rooms, auction));
    }
    if (rooms->recounted.count == 0) return;
    qb_map_fini(&rooms->recounted);
    qb_map_init(&rooms->recounted, sizeof(qb_id));
}

static struct qb_room *open_room(struct qb_rooms *rooms, qb_id auction)
{
    struct qb_room *room = calloc(1, sizeof *room);

    QB_ASSERT(room != NULL);
    room->auction = auction;
    (void)qb_map_set(&rooms->by_auction, &auction, room);
    return room;
}

static void close_room(struct qb_rooms *rooms, struct qb_room *room)
{
    qb_id auction = room->auction;

    end_work(rooms, room);
    (void)qb_map_remove(&rooms->by_auction, &auction);
    qb_frame_free(&room->newest.frame);
    qb_frame_free(&room->crowd);
    for (uint32_t i = 0; i < room->protected_count; i++) {
        qb_frame_free(&room->protected_updates[i].frame);
    }
    free(room->watches);
    free(room);
    rooms->options.opened(rooms->options.context, auction, false);
}

/* Of the watcher's own watches, which are few and side by side. */
static struct qb_watcher_entry *entry_of(const struct qb_watcher *watcher, qb_id auction)
{
    for (uint32_t i = 0; i < watcher->count; i++) {
        if (watcher->entries[i].auction == auction) return &watcher->entries[i];
    }
    return NULL;
}

static struct watch *add_watch(struct qb_room *room, struct qb_watcher *watcher)
{
    if (room->count == room->size) {
        room->size = room->size == 0 ? 1 : room->size * 2;
        room->watches = realloc(room->watches, room->size * sizeof *room->watches);
        QB_ASSERT(room->watches != NULL);
    }
    if (watcher->count == watcher->room) {
        watcher->room = watcher->room == 0 ? 1 : watcher->room * 2;
        watcher->entries = realloc(watcher->entries, watcher->room * sizeof *watcher->entries);
        QB_ASSERT(watcher->entries != NULL);
    }
    watcher->entries[watcher->count] =
        (struct qb_watcher_entry){.auction = room->auction, .room = room, .index = room->count};
    struct watch *watch = &room->watches[room->count++];
    *watch =
        (struct watch){.watcher = watcher, .entry = watcher->count++, .crowd = room->crowd_number};
    return watch;
}

bool qb_rooms_join(struct qb_rooms *rooms, struct qb_watcher *watcher, qb_id auction, uint64_t seq)
{
    struct qb_watcher_entry *entry = entry_of(watcher, auction);

    QB_ASSERT(auction != 0);
    if (entry == NULL && watcher->count >= rooms->options.watches_max) return false;
    struct qb_room *room = qb_map_get(&rooms->by_auction, &auction);
    bool is_new = room == NULL;
    if (is_new) room = open_room(rooms, auction);
    struct watch *watch = entry != NULL ? &room->watches[entry->index] : add_watch(room, watcher);

    if (entry == NULL) note_change(rooms, auction, 1);
    if (seq > watch->last_seq) watch->last_seq = seq;
    if (room->newest.seq > watch->last_seq) {
        /* Not at once: the answer that carries the state of `seq` is still to be sent. */
        set_dirty(watch, true);
        qb_connection_want_writable(watcher->outbox->connection);
    }
    if (is_new) rooms->options.opened(rooms->options.context, auction, true);
    return true;
}

/* Closes the gap at `to` with the watch at `from`. */
static void move_watch(struct qb_room *room, uint32_t to, uint32_t from)
{
    if (to == from) return;
    room->watches[to] = room->watches[from];
    room->watches[to].watcher->entries[room->watches[to].entry].index = to;
}

static void remove_watch(struct qb_room *room, uint32_t index)
{
    uint32_t gap = index;

    set_dirty(&room->watches[index], false);
    if (gap < room->cursor) { /* the served and the unserved stay apart */
        room->cursor--;
        move_watch(room, gap, room->cursor);
        gap = room->cursor;
    }
    move_watch(room, gap, room->count - 1);
    room->count--;
}

static void leave(struct qb_rooms *rooms, struct qb_watcher *watcher,
                  struct qb_watcher_entry *entry)
{
    struct qb_room *room = entry->room;
    uint32_t place = (uint32_t)(entry - watcher->entries);

    QB_ASSERT(room->watches[entry->index].watcher == watcher);
    remove_watch(room, entry->index);
    watcher->count--;
    if (place != watcher->count) {
        watcher->entries[place] = watcher->entries[watcher->count];
        watcher->entries[place].room->watches[watcher->entries[place].index].entry = place;
    }
    if (watcher->count == 0) {
        free(watcher->entries);
        watcher->entries = NULL;
        watcher->room = 0;
    }
    note_change(rooms, room->auction, -1);
    if (room->count == 0) close_room(rooms, room);
}

void qb_rooms_leave(struct qb_rooms *rooms, struct qb_watcher *watcher, qb_id auction)
{
    struct qb_watcher_entry *entry = entry_of(watcher, auction);
    if (entry != NULL) leave(rooms, watcher, entry);
}

void qb_rooms_leave_all(struct qb_rooms *rooms, struct qb_watcher *watcher)
{
    while (watcher->count > 0) leave(rooms, watcher, &watcher->entries[watcher->count - 1]);
}

bool qb_rooms_is_watching(const struct qb_watcher *watcher, qb_id auction)
{
    return entry_of(watcher, auction) != NULL;
}

qb_id qb_watcher_auction(const struct qb_watcher *watcher, uint32_t index)
{
    QB_ASSERT(index < watcher->count);
    return watcher->entries[index].auction;
}

size_t qb_rooms_watchers(const struct qb_rooms *rooms, qb_id auction)
{
    const struct qb_room *room = qb_map_get(&rooms->by_auction, &auction);
    return room != NULL ? room->count : 0;
}
