/*
 * What the ledger on Redis holds; private to storage/ledger_redis*.c.
 *
 * A shard is a connection. A track is what is known of one auction. A part is the commands of one
 * call that go to one shard, in groups by auction. An ask is any one request to Redis.
 */
#pragma once

#include "base/map.h"
#include "base/random.h"
#include "base/redis.h"
#include "base/text.h"
#include "storage/ledger_redis.h"
#include "storage/ledger_redis_piece.h"
#include "storage/ledger_redis_scripts.h"

#define QB_PIECE_ENTRIES 256 /* asked for at a time */
#define QB_HEADS_STEPS   10  /* of a second, over which the check of the heads is spread */

/* Runs of seqs. */
struct qb_span {
    uint64_t first;
    uint64_t last;
    int64_t since_us; /* monotonic */
};

struct qb_spans {
    struct qb_span *list;
    size_t count;
    size_t room;
};

struct qb_track {
    qb_id auction;
    struct qb_shard *shard;
    struct qb_redis_ledger *ledger;
    uint32_t holds;  /* what points here beside the map */
    uint32_t calls;  /* groups of commands under way: others' entries wait for their answer */
    uint32_t serial; /* of this following; the answer to one before it tells nothing */
    bool is_gone;    /* of an epoch before: no longer in the map */
    bool is_followed;
    bool is_reading; /* a piece of its log is asked for */
    bool is_dirty;   /* in the ledger's list of those to be marked */
    bool is_unsafe;  /* in its shard's list of those for which a WAIT is due */
    bool is_unsaid;  /* in that of those that are safe, and Redis does not know it yet */
    uint64_t behind; /* at the last check of the heads this was there and not durable; 0: all was */
    uint64_t told;   /* heard or answered up to here */
    uint64_t newest; /* the highest seq that was heard of */
    uint64_t durable;
    uint64_t durable_told;
    struct qb_text kept;     /* entries that came too early: length u16, bytes */
    struct qb_spans own;     /* answered DONE, not durable yet */
    struct qb_spans orphans; /* told as orphans, not durable yet */
    struct qb_spans marks;   /* durable, Redis does not know it yet */
    struct qb_text snapshot; /* waits until it is durable */
    uint64_t snapshot_seq;
    qb_time_us snapshot_due_us; /* INT64_MAX: over; 0: there is no telling */
    struct qb_follow *follow;   /* being loaded */
    struct qb_group *waiting;   /* answered, waits for what lies before it */
    struct qb_group *gathering; /* within one qb_ledger_call: its commands so far */
};

struct qb_wait;

struct qb_clock_sample {
    int64_t mono_us; /* the middle of the round trip */
    int64_t offset_us;
    int64_t half_us;
};

/* Tracks for which something is to be done; each has a flag that says whether it is in. */
struct qb_track_list {
    struct qb_track **tracks;
    size_t count;
    size_t room;
};

#define QB_CLOCK_SAMPLES 16

struct qb_clock {
    struct qb_clock_sample samples[QB_CLOCK_SAMPLES];
    size_t count; /* ever taken */
};

struct qb_shard {
    struct qb_redis_ledger *ledger;
    unsigned index;
    struct qb_redis *link;
    struct qb_clock clock;
    char run_id[64]; /* of the server of this epoch; empty: not yet known */
    bool is_up;      /* connected */
    bool is_ready;   /* and it proved to be of the epoch */
    bool is_marking; /* one MARK at a time: what comes meanwhile goes together */
    bool is_sweeping;
    /* Of QB_ACK_LEDGER. */
    unsigned replicas; /* that must have an entry */
    bool is_safe;      /* the newest WAIT found all of them */
    bool is_waiting;   /* a WAIT for what none covered before is under way */
    bool is_saying;    /* likewise what is safe, to Redis */
    int64_t wait_us;   /* monotonic: when that may be tried again */
    const char *unsafe_why;
    uint64_t outbox; /* entries that the journal lacked, a second ago */
    bool is_stuck;   /* read by all threads, atomically */
    struct qb_track_list unsafe;
    struct qb_track_list unsaid;
    size_t due_at;      /* where the list of due auctions is read on */
    int64_t checked_us; /* when the newest check that was answered was sent */
    struct qb_part *flying;
    struct qb_part *first; /* parts that wait for the one that flies */
    struct qb_part *last;
};

struct qb_redis_ledger {
    struct qb_ledger ledger;
    struct qb_ledger_redis_options options;
    struct qb_ledger_listener listener;
    struct qb_shard *shards;
    struct qb_map tracks;
    struct qb_track_list dirty;
    enum qb_ack ack;
    struct qb_words words;
    char shas[QB_SCRIPT_COUNT][QB_SCRIPT_SHA_BYTES];
    qb_time_us told_us; /* the clock never goes back */
    struct qb_random random;
    uint32_t epoch;
    uint32_t generation; /* of this opening: answers to what was asked before count for nothing */
    uint32_t serial;
    size_t asks;
    int64_t sweep_us; /* monotonic: when next */
    int64_t heads_us;
    int64_t second_us;
    size_t heads_at; /* how far the check of the heads has come in the map */
    bool is_open;
    bool is_opening; /* every shard must prove to be of the epoch first */
    bool is_freeing;
};

/* What became of a request. */
enum qb_answer_kind {
    QB_ANSWER_GOOD,
    QB_ANSWER_NOTHING, /* refused as a whole: nothing was done */
    QB_ANSWER_FENCED,  /* refused as a whole: not the Redis of this epoch */
    QB_ANSWER_UNKNOWN, /* no answer, or an error on the way */
};

/* First member of every request; the answer frees it. `take` may not free it. */
struct qb_ask {
    struct qb_shard *shard;
    uint32_t generation;
    int64_t sent_us;
    void (*take)(struct qb_ask *ask, enum qb_answer_kind kind, const struct qb_redis_reply *reply);
};

/* --- ledger_redis.c --- */

/* A request of `bytes` with qb_ask as its first member, zero-filled. */
void *qb_ask_new(struct qb_shard *shard, size_t bytes,
                 void (*take)(struct qb_ask *ask, enum qb_answer_kind kind,
                              const struct qb_redis_reply *reply));
/* Begins a call of `script` with so many keys; these, then the arguments follow. */
struct qb_words *qb_ask_script(struct qb_shard *shard, enum qb_script script, size_t keys);
/* Sends the command, or the call of a script, that was put together; `ask` is taken. */
void qb_ask_send(struct qb_ask *ask);
void qb_ask_send_script(struct qb_ask *ask);
/* Whether commands may be given to it. */
bool qb_shard_is_ready(const struct qb_shard *shard);
/* Whether the answer belongs to the epoch that is open. */
bool qb_ask_is_current(const struct qb_ask *ask);
/* This is not the Redis of the epoch: takes no commands from now on. */
void qb_ledger_fence(struct qb_redis_ledger *ledger, const char *why);

/* It has proved to be of the epoch. */
void qb_shard_ready(struct qb_shard *shard);

/* --- ledger_redis_wait.c: what QB_ACK_LEDGER needs --- */

/* Begins a WAIT behind a call of a script that writes; for so many auctions. */
struct qb_wait *qb_wait_new(struct qb_shard *shard, size_t count);
/* One of its auctions; and, once the call is answered, how far its log went then. */
void qb_wait_add(struct qb_wait *wait, struct qb_track *track);
void qb_wait_reached(struct qb_wait *wait, size_t index, uint64_t seq);
/* Sends it; right behind the call on the same connection, as that is what it covers. */
void qb_wait_send(struct qb_wait *wait);
/* What is in its log is covered by no WAIT that was answered well: one of its own is due. */
void qb_wait_later(struct qb_track *track);
/* Sends what is due of that, and says to Redis what is safe. */
void qb_wait_turn(struct qb_redis_ledger *ledger);
int64_t qb_wait_wake_us(const struct qb_redis_ledger *ledger);
/* A connection or an epoch begins: nothing is known of the shard's replicas. */
void qb_wait_begin(struct qb_shard *shard);
/* Whether its shards are stuck may have changed. */
void qb_wait_judge(struct qb_redis_ledger *ledger);

/* --- ledger_redis_heads.c --- */

/* Asks where these tracks stand; also without any, whether this is the Redis of the epoch. */
void qb_heads_ask(struct qb_shard *shard, struct qb_track *const *tracks, size_t count);
void qb_heads_probe(struct qb_shard *shard);
/* All that are followed of a shard. */
void qb_heads_check(struct qb_shard *shard);
void qb_heads_missed(struct qb_ledger *ledger, qb_id auction);
/* The next of all that are followed: every one's turn comes within a second. */
void qb_heads_check_some(struct qb_redis_ledger *ledger);

/* --- ledger_redis_track.c --- */

struct qb_track *qb_track_find(const struct qb_redis_ledger *ledger, qb_id auction);
struct qb_track *qb_track_make(struct qb_redis_ledger *ledger, qb_id auction);
void qb_track_hold(struct qb_track *track);
/* Frees it when nothing needs it any more. */
void qb_track_release(struct qb_track *track);
void qb_track_follow(struct qb_track *track, uint64_t told, uint64_t durable);
void qb_track_unfollow(struct qb_track *track);
/* Lets go of it and says so: what comes next cannot be had here. */
void qb_track_lose(struct qb_track *track);
/* Leaves the map because its epoch is over. */
void qb_track_drop(struct qb_track *track);
/* An entry that may be the next, known, or too early. */
void qb_track_offer(struct qb_track *track, const uint8_t *bytes, size_t length);
/* Tells the next entry; false: it is not the next. */
bool qb_track_tell(struct qb_track *track, const uint8_t *bytes, size_t length);
void qb_track_set_durable(struct qb_track *track, uint64_t seq);
/* The journal has all up to `seq`, whoever gave it. */
void qb_track_set_journaled(struct qb_track *track, uint64_t seq);
void qb_track_list_add(struct qb_track_list *list, struct qb_track *track, bool *is_in);
/* Takes up to `most` of a shard out; their flags are the caller's to clear. */
size_t qb_track_list_take(struct qb_track_list *list, const struct qb_shard *shard,
                          struct qb_track **tracks, size_t most);
/* Tells what can be told, and reads what is missing. */
void qb_track_settle(struct qb_track *track);
/* Asks for the piece of the log behind what is known. */
void qb_track_read(struct qb_track *track);
void qb_track_fed(struct qb_ledger *ledger, qb_id auction, const uint8_t *bytes, size_t length);

/* --- ledger_redis_follow.c --- */

void qb_follow_begin(struct qb_ledger *ledger, qb_id auction, qb_ledger_followed *done,
                     void *context);
/* What the track's `follow` knows already. */
uint64_t qb_follow_known(const struct qb_follow *follow);
/* The next piece, or null when there was no answer. */
void qb_follow_take(struct qb_track *track, const struct qb_redis_reply *reply);
/* It is let go of before it was loaded. */
void qb_follow_cancel(struct qb_track *track);
void qb_snapshot_take(struct qb_ledger *ledger, const struct qb_lot *lot,
                      const struct qb_bid_record *records, size_t count);
/* Up to where a snapshot goes; 0: it is none. */
uint64_t qb_snapshot_seq(const char *bytes, size_t length);
/* Its state, how many records, and (not null) these. False: it cannot be read. */
bool qb_snapshot_read(const char *bytes, size_t length, struct qb_lot *lot,
                      struct qb_bid_record *records, size_t *count);
/* Sends the snapshot that waited, once it is durable. */
void qb_snapshot_send(struct qb_track *track);

/* --- ledger_redis_call.c --- */

void qb_call_begin(struct qb_ledger *ledger, const struct qb_ledger_command *commands, size_t count,
                   qb_ledger_done *done, void *context);
/* Sends the next part that waits, or refuses all that do when there is nobody to send them to. */
void qb_part_next(struct qb_shard *shard);
/* What lay before the group's entries was told, or (false) cannot be had. */
void qb_group_ready(struct qb_group *group, bool is_good);
/* Entries up to here were missing when the group was answered. */
uint64_t qb_group_before(const struct qb_group *group);

/* --- ledger_redis_mark.c --- */

void qb_spans_add(struct qb_spans *spans, uint64_t seq, int64_t now_us);
/* Forgets one seq. */
void qb_spans_remove(struct qb_spans *spans, uint64_t seq);
/* Forgets the seqs up to `seq`. */
void qb_spans_drop(struct qb_spans *spans, uint64_t seq);
void qb_spans_free(struct qb_spans *spans);
void qb_mark_durable(struct qb_ledger *ledger, qb_id auction, uint64_t seq);
void qb_mark_adopted(struct qb_ledger *ledger, qb_id auction, uint64_t seq);
/* Sends the marks that have gathered. */
void qb_mark_send(struct qb_redis_ledger *ledger);
void qb_sweep(struct qb_shard *shard);
void qb_ask_due(struct qb_shard *shard);

/* --- ledger_redis_clock.c --- */

void qb_clock_take(struct qb_clock *clock, int64_t sent_us, int64_t answered_us, qb_time_us now_us);
/* The estimate for all shards, and how far off it may be for the worst of them; 0 and INT64_MAX
 * before every shard has answered once. */
qb_time_us qb_clock_tell(struct qb_redis_ledger *ledger, int64_t *uncertainty_us);
