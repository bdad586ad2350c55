/*
 * One client's connection, a WebSocket or an event stream: who it is, what it may, how much it has
 * asked for; and the edge of its thread, which keeps all of them. For edge.c and session.c; app/
 * sees ws/edge.h.
 *
 * Thread    the edge's I/O thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attributes.h"
#include "base/map.h"
#include "base/random.h"
#include "ws/connection.h"
#include "ws/edge.h"
#include "ws/outbox.h"
#include "ws/room.h"

struct qb_server;
struct qb_resumes;
struct qb_user_sessions;

/* Kept small: there is one for each of up to a million idle watchers. */
struct qb_session {
    struct qb_edge *edge;
    struct qb_outbox outbox; /* has the connection */
    struct qb_watcher watcher;
    struct qb_identity identity;
    struct qb_user_sessions *of_user; /* null: a visitor */
    struct qb_resumes *resumes;       /* null: none lately */
    uint32_t user_index;              /* its place in of_user */
    uint32_t slot;                    /* its place in the edge's table */
    int64_t begun_us;
    int64_t rate_us;      /* when its allowance of messages is full again */
    int64_t violation_us; /* when the row of violations began */
    int64_t pinged_us;    /* 0: no pong is due; of a stream: the last comment */
    int64_t blocked_us;   /* since when the socket takes nothing; 0: it does */
    uint16_t early_bytes; /* read before the first valid command */
    uint16_t stale;       /* shards of which it was told that they are */
    uint8_t malformed;    /* messages that were no JSON object */
    uint8_t violations;   /* of the rate, in a row */
    bool has_spoken;      /* gave a valid command, or was known from the start */
    bool is_events;       /* a stream: it only listens */
    bool is_leaving;      /* told to reconnect: closes once its outbox is clear */
    uint8_t leave_reason; /* enum qb_close */
};

struct qb_slot {
    struct qb_session *session; /* null: free */
    uint32_t generation;        /* grows with each session in the slot */
    uint32_t next_free;
};

struct qb_edge {
    struct qb_edge_options options;
    struct qb_server *server;
    struct qb_rooms *rooms;
    struct qb_slot *slots;
    uint32_t slot_count;
    uint32_t first_free; /* UINT32_MAX: none */
    uint32_t session_count;
    struct qb_map users; /* id to struct qb_user_sessions */
    struct qb_random random;
    qb_time_us wall_us; /* as of mono_us: ticks share one look at the clock */
    int64_t mono_us;
    uint16_t stale; /* shards, a bit each */
    qb_time_us stale_since_us;
    uint32_t stale_next; /* slot whose session is looked at next, to tell it */
    uint32_t stale_left; /* slots to look at until all know */
};

extern const struct qb_connection_handlers qb_session_handlers;

/* A session without a connection yet; it is in no table. */
struct qb_session *qb_session_new(struct qb_edge *edge, const struct qb_identity *identity,
                                  int64_t now_us);
/* Frees one whose connection is gone; it leaves its rooms and the edge's tables. */
void qb_session_free(struct qb_session **session);

/* Sends a sealed frame, never conflated. */
void qb_session_send_frame(struct qb_session *session, struct qb_frame *frame);

/* Closes with `reason` once what waits has been sent. */
void qb_session_leave(struct qb_session *session, enum qb_close reason);

/* --- by stale.c --- */

/* The session follows an auction from now on. */
void qb_edge_watched(struct qb_edge *edge, struct qb_session *session, qb_id auction);
/* Tells a slice of sessions what they do not know yet. True: there is more to do. */
bool qb_edge_tell_stale(struct qb_edge *edge);

/* --- by edge.c --- */

/* Gives the session a slot. */
void qb_edge_enter(struct qb_edge *edge, struct qb_session *session);
void qb_edge_exit(struct qb_edge *edge, struct qb_session *session);

/* Whether the user may have one more connection here. */
bool qb_edge_has_room_for(const struct qb_edge *edge, qb_id user);
/* Puts the session among those of its identity's user; a visitor is put nowhere. */
void qb_edge_add_to_user(struct qb_edge *edge, struct qb_session *session);
void qb_edge_remove_from_user(struct qb_edge *edge, struct qb_session *session);
