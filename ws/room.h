/*
 * Auctions and who watches them here: each room has a dense array of watches and the newest frame,
 * which a sweep gives to every watcher, a slice at a time (design.md 4).
 *
 * No update waits for a watcher: one that cannot take a frame now is marked, and gets the newest
 * when its socket is writable. Nobody gets an older update after a newer one, or one twice.
 * Protected frames (an extension, the close) wait in the outbox of a watcher that is blocked, up to
 * half of it; beyond, the newest state, which says the same, has to do.
 *
 * Thread    one for a struct qb_rooms and all its watchers.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attributes.h"
#include "base/frame.h"
#include "ws/outbox.h"

struct qb_rooms;
struct qb_room;

/* One connection's side of its watches. Zero-filled but for `outbox` is one without watches. */
struct qb_watcher {
    struct qb_outbox *outbox;         /* borrowed for the watcher's life */
    struct qb_watcher_entry *entries; /* null while it watches nothing */
    uint32_t count;
    uint32_t room;
    uint32_t next;        /* entry to look at first, so that all of them get their turn */
    uint32_t dirty_count; /* watches that wait for the socket */
};

struct qb_rooms_options {
    uint32_t sweep_slice;      /* watchers served in one qb_rooms_sweep() */
    uint32_t watches_max;      /* of one watcher */
    uint32_t outbox_bytes_max; /* of one watcher */
    /* The first watcher of an auction came, or the last one left. */
    void (*opened)(void *context, qb_id auction, bool is_open);
    /* There is work for qb_rooms_sweep(): it is to be called on the next turn of the loop. */
    void (*wants_sweep)(void *context);
    void *context;
};

struct qb_rooms *qb_rooms_new(const struct qb_rooms_options *options);
/* All watchers have left. */
void qb_rooms_free(struct qb_rooms **rooms);

/* Makes `watcher` one of the auction's, who has all updates up to seq; one that is already keeps
 * the higher seq. False: it has as many watches as it may. */
QB_MUST_USE bool qb_rooms_join(struct qb_rooms *rooms, struct qb_watcher *watcher, qb_id auction,
                               uint64_t seq);
void qb_rooms_leave(struct qb_rooms *rooms, struct qb_watcher *watcher, qb_id auction);
void qb_rooms_leave_all(struct qb_rooms *rooms, struct qb_watcher *watcher);
qb_id qb_watcher_auction(const struct qb_watcher *watcher, uint32_t index); /* below `count` */
bool qb_rooms_is_watching(const struct qb_watcher *watcher, qb_id auction);
size_t qb_rooms_watchers(const struct qb_rooms *rooms, qb_id auction);
/* The number of watchers of each auction where that may have changed since the last call. */
void qb_rooms_recount(struct qb_rooms *rooms,
                      void (*each)(void *context, qb_id auction, uint32_t count), void *context);

/* The newest state, for all watchers of the auction; one not newer than what was published before
 * is dropped. `frame` is held. */
void qb_rooms_publish(struct qb_rooms *rooms, qb_id auction, uint64_t seq, struct qb_frame *frame,
                      bool is_protected);

/* How many watch the auction everywhere, in the place of what was published of that before; a
 * newer state says it too, and takes its place as well. `frame` is held. */
void qb_rooms_publish_crowd(struct qb_rooms *rooms, qb_id auction, struct qb_frame *frame);

/* Serves one slice of watchers, over all rooms in turn. True: there is more to do. */
bool qb_rooms_sweep(struct qb_rooms *rooms);

/* The watcher's socket takes bytes and its outbox is clear: sends the newest of what it missed. */
void qb_watcher_writable(struct qb_rooms *rooms, struct qb_watcher *watcher);
