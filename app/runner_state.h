/*
 * What the runners hold; private to app/runner*.c and app/home*.c.
 */
#pragma once

#include <stdatomic.h>

#include "app/loop.h"
#include "app/runner.h"
#include "base/map.h"
#include "base/work.h"
#include "pubsub/bus.h"
#include "storage/holds_memory.h"
#include "storage/journal.h"
#include "storage/ledger.h"
#include "storage/limits_redis.h"
#include "storage/store.h"

/* Time that an auction gets when it ended while nobody could bid (reliability.md P5, embedded). */
#define DOWN_EXTENSION_US (30 * QB_SECOND_US)

/* An entry as watchers may know it, kept for clients that resume and for resends. */
struct qb_ring_item {
    uint64_t seq;
    uint32_t epoch;
    uint8_t type; /* enum qb_entry_type */
    qb_id bidder;
    struct qb_verdict verdict;
};

/* The newest durable entries of one auction. Grows on demand up to the setting. */
struct qb_ring {
    struct qb_ring_item *items;
    uint32_t room;
    uint32_t first;
    uint32_t count;
};

/* An auction at home on this thread. */
struct qb_home {
    qb_id auction;
    uint32_t lot; /* the auctioneer's slot */
    struct qb_bid_record *records;
    size_t record_count;
    size_t record_room;
    struct qb_ring ring;
    struct qb_lot_moment shown; /* after the newest durable entry */
    int64_t over_us;            /* monotonic time of its end; 0: not over */
    int64_t changed_us;         /* monotonic time of the change to be published */
    bool is_dirty;              /* in the runner's list of those to publish */
    bool is_recent;             /* changed in this second: published once more, for the lossy bus */
    bool must_protect;          /* this change may not be conflated away */
    uint64_t snapshot_seq;      /* of the newest state handed to the ledger */
    uint64_t watchers;          /* everywhere, as the bus said last */
    uint64_t crowd_told;        /* as watchers know it */
    int64_t crowd_us;           /* monotonic time of that */
    uint64_t published;         /* position of the newest update */
    bool is_crowd_new;          /* in the runner's list of those whose watchers are to be told */
    bool is_lost;               /* a recovery made it worthless: comes anew when it is idle */
};

/* A command under way: who asked, where the answer goes. */
struct qb_request {
    struct qb_runner *origin;
    struct qb_runner *home; /* set when it waits there for the auction to be loaded */
    qb_runner_answer *answer;
    void *context;
    qb_id user;
    int64_t read_us;
    bool is_resolve;
    bool is_final;
    bool is_reserved; /* at the limits of a cluster */
    int64_t limit;    /* of the account, of a bid in a cluster; -1: none */
    struct qb_entry entry;
    struct qb_rules *rules;  /* a copy, of an OPEN */
    struct qb_answer result; /* on its way back to the origin */
};

/* A ledger command that waits for the end of the turn. */
struct qb_call {
    struct qb_entry entry;
    qb_time_us expires_us;
    uint64_t as_of;
    uint32_t ticket;
    uint8_t refusal;
    bool is_mark;
    bool is_barred; /* a banned account's bid: refused where it would have been appended */
};

struct qb_call_list {
    struct qb_call *calls;
    size_t count;
    size_t room;
};

void qb_call_list_grow(struct qb_call_list *list, size_t least);

/* Encoded entries that wait for the end of the turn, then go to the journal together. */
struct qb_outgoing {
    struct qb_journal_writer *writer;
    struct qb_text bytes;
    struct qb_journal_item *items;
    size_t count;
    size_t room;
};

struct qb_runner {
    struct qb_runners *all;
    unsigned index;
    struct qb_loop *loop;
    struct qb_edge *edge;
    struct qb_ledger *ledger; /* null: the end */
    struct qb_bus_member *member;
    struct qb_auctioneer *auctioneer;
    void *memory;          /* the auctioneer's */
    struct qb_map homes;   /* auction id -> struct qb_home */
    struct qb_map halted;  /* auction id -> this runner: no more commands */
    struct qb_map loading; /* auction id -> struct qb_loading */
    struct qb_map again;   /* auction id -> the newest seq shown + 1, as a pointer: lost, to be
                              asked for once more */
    struct qb_map absent;  /* auction id -> struct qb_absent */
    unsigned absent_reads; /* of those, being read */
    size_t loading_waiters;
    size_t waiters_max;
    bool is_suspended;      /* the ledger takes nothing */
    uint32_t epoch;         /* the ledger's; a cluster's only */
    struct qb_away *aways;  /* by shard; a cluster's only */
    unsigned hold_seconds;  /* since all leaders' holds were told */
    struct qb_map watching; /* auction id -> how many watches are being answered, as a pointer */
    struct qb_home **lots;  /* by the auctioneer's slot */
    struct qb_call_list waiting; /* for the next call */
    struct qb_call_list calling; /* in the call under way */
    bool is_calling;
    struct qb_limits_redis *limits; /* null: embedded */
    struct qb_outgoing own;         /* appended here */
    struct qb_outgoing adopted;     /* left over by another replica */
    struct qb_home **dirty;
    size_t dirty_count;
    struct qb_home **recent;
    size_t recent_count;
    struct qb_home **crowded;
    size_t crowded_count;
    struct qb_effects effects;
    struct found {
        uint32_t ticket;
        struct qb_verdict verdict;
    } * found; /* lookups answered within a step, fed back after it */
    size_t found_count;
    size_t found_room;
    bool is_feeding;
    int64_t armed_us;     /* when the loop's timer will ring */
    int64_t told_tickets; /* this thread's part of two gauges */
    int64_t told_held;
    _Atomic uint32_t open_requests; /* asked here and not answered finally */
};

/* Shared by all runners; read-only once they run, but for what locks itself. */
struct qb_runners {
    struct qb_runners_options options;
    unsigned count;
    struct qb_runner **runners;
    atomic_bool is_refusing;    /* a drain: no new bids */
    _Atomic int64_t opened_us;  /* see qb_runners_opened() */
    _Atomic unsigned suspended; /* how many runners' ledgers take nothing */
};

/* --- runner_effects.c --- */

/* One event into the auctioneer, its effects carried out, until nothing is left to do. */
void qb_runner_feed(struct qb_runner *runner, struct qb_event *event);
/* Finds the verdict of a LOOKUP effect: in the ring, else in the store. */
void qb_runner_look_up(struct qb_runner *runner, const struct qb_effect *effect);
/* The ledger's estimated time. */
qb_time_us qb_runner_now_us(struct qb_runner *runner);

/* The journal's answers; see storage/journal.h. `context` is the runner. */
void qb_runner_durable(void *context, qb_id auction, uint64_t seq);
void qb_runner_adopted(void *context, qb_id auction, uint64_t seq);
/* The ledger's: everything up to `seq` is durable. `context` is the runner. */
void qb_runner_settled(void *context, qb_id auction, uint64_t seq);

/* An entry to be made durable; handed to the journal at the end of the turn. */
void qb_outgoing_add(struct qb_outgoing *outgoing, const struct qb_entry *entry);

/* --- runner_limits.c --- */

/* Asks the limits over all replicas, then sends the request or answers it. */
void qb_runner_limit(struct qb_runner *runner, struct qb_request *request);
/* The request is decided: what was reserved for it at those limits is let go, by the runner that
 * set the hold, so that the one follows the other. */
void qb_runner_unreserve(const struct qb_runner *at, const struct qb_request *request);
/* What an auction holds of an account, here and over all replicas. */
void qb_runner_hold(struct qb_runner *runner, const struct qb_hold *hold);
/* The same of an auction's leader; and of all leaders, every few seconds. */
void qb_runner_hold_leader(struct qb_runner *runner, const struct qb_home *home);
void qb_runner_hold_again(struct qb_runner *runner);

/* --- runner_outages.c --- */

/* What the auctioneer is told of them. */
struct qb_auctioneer_outages qb_runner_outages(struct qb_runner *runner);
/* Whether one has begun or is over; each turn. */
void qb_runner_outages_look(struct qb_runner *runner);

/* --- runner_follow.c --- */

/* Its listener at the ledger; before any use of the runner. */
void qb_runner_listen(struct qb_runner *runner);
void qb_runner_follow_free(struct qb_runner *runner);
/* An entry of another replica, the next of its auction. */
void qb_runner_feed_heard(struct qb_runner *runner, const struct qb_home *home,
                          const struct qb_entry *entry);

/* Asks for some of the auctions that were lost, a few at a time; each turn. */
void qb_runner_load_again(struct qb_runner *runner);
/* A lost auction that is idle leaves, to be asked for again. */
void qb_runner_let_go(struct qb_runner *runner, struct qb_home *home);
/* To be asked for; its watchers were shown everything up to `shown`. */
void qb_runner_again(struct qb_runner *runner, qb_id auction, uint64_t shown);

typedef void qb_runner_loaded(void *context, enum qb_ledger_found found);

/* Asks the ledger for an auction that is not in memory, once for all who ask meanwhile. `done` (or
 * null) may be called at once when too many wait. FOUND: it is in memory now. */
void qb_runner_load(struct qb_runner *runner, qb_id auction, qb_runner_loaded *done, void *context);

/* --- runner_crowd.c --- */

/* So many watch the auction everywhere; the bus says it. `context` is the runner. */
void qb_runner_take_crowd(void *context, qb_id auction, uint64_t total);
/* Each second: tells the bus how many watch on this thread, and watchers how many they are. */
void qb_runner_tell_crowds(struct qb_runner *runner);

/* --- runner_absent.c --- */

/* The ledger has no log of an auction that was here: reads from the store what its watchers were
 * not told, which is what lies behind `shown` (not 0). */
void qb_runner_absent(struct qb_runner *runner, qb_id auction, uint64_t shown);
/* Looks once more for those of which the end was not found yet; each second. */
void qb_runner_absent_again(struct qb_runner *runner);
void qb_runner_absent_free(struct qb_runner *runner);

/* --- runner_halt.c --- */

bool qb_runner_is_halted(const struct qb_runner *runner, qb_id auction);
/* What a halted auction answers. */
struct qb_answer qb_answer_halted(void);

/* --- runner_command.c, runner_archive.c --- */

/* This thread's ledger takes nothing, or something again: clients are told at the edge. */
void qb_runners_suspend(struct qb_runner *runner, bool is_suspended);

/* Its bid is decided, or never will be: lets go of what was reserved for it. */
void qb_request_release(const struct qb_runner *at, const struct qb_request *request);
/* A bid or a purchase. */
bool qb_request_is_bid(const struct qb_request *request);
/* To its auction's home thread. */
void qb_request_send(struct qb_request *request);
/* Ends a request that reached no auction in memory. `at` is the runner that found out. */
void qb_request_end(struct qb_runner *at, struct qb_request *request,
                    const struct qb_answer *answer);
/* Answers a request to an auction that is not in memory, from the store. */
void qb_runner_ask_archive(struct qb_runner *runner, struct qb_request *request);

/* --- home.c --- */

struct qb_home *qb_home_find(const struct qb_runner *runner, qb_id auction);
/* All of them, to be freed: for who changes them on the way. */
struct qb_home **qb_homes_list(const struct qb_runner *runner, size_t *count);
/* Takes an auction in; null when there is no room. */
struct qb_home *qb_home_add(struct qb_runner *runner, const struct qb_lot *state);
/* To the log of an auction; a home does it by itself. */
void qb_home_subscribe(struct qb_runner *runner, qb_id auction, bool is_wanted);
void qb_home_remove(struct qb_runner *runner, struct qb_home *home);
void qb_home_free(struct qb_home *home);
void qb_home_record(struct qb_home *home, const struct qb_bid_record *record);
/* One more durable entry. */
void qb_home_remember(struct qb_runner *runner, struct qb_home *home,
                      const struct qb_ring_item *item);
/* Hands the newest state to the ledger, if it has grown by so many entries since the last time. */
void qb_home_keep_snapshot(struct qb_runner *runner, struct qb_home *home, uint64_t entries);
/* The item of entry `seq`, or null when it is no longer kept. */
const struct qb_ring_item *qb_home_recall(const struct qb_home *home, uint64_t seq);
/* (epoch, seq) of what is shown, as one number that only grows, also over a recovery. */
uint64_t qb_home_position(const struct qb_home *home);
/* `lot` as it looked after the newest durable entry. */
void qb_home_shown(const struct qb_runner *runner, const struct qb_home *home, struct qb_lot *lot);
/* The body of …/state. */
void qb_home_state_json(struct qb_runner *runner, const struct qb_home *home, struct qb_text *text);
/* `"missed":[…]`: the events behind `seq`. False: not all of them are kept. */
QB_MUST_USE bool qb_home_missed_json(const struct qb_runner *runner, const struct qb_home *home,
                                     uint32_t epoch, uint64_t seq, struct qb_text *text);
/* Publishes what is shown at the end of the turn. Accepts null. */
void qb_home_show(struct qb_runner *runner, struct qb_home *home);
void qb_home_publish(struct qb_runner *runner, struct qb_home *home);
