/*
 * Runs the auctions of all I/O threads: commands to their home threads, events into the
 * auctioneer's step, effects to ledger, journal, bus and edge, answers back to who asked.
 *
 * One struct qb_runner is one I/O thread. An auction's home is one of them, by its id.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/frame.h"
#include "base/text.h"
#include "bidding/auctioneer.h"
#include "ws/edge.h"

struct qb_runner;
struct qb_runners;
struct qb_loop;
struct qb_ledger;
struct qb_journal;
struct qb_bus;
struct qb_holds;
struct qb_limits_redis;
struct qb_work_pool;

struct qb_runners_options {
    unsigned threads;
    uint32_t epoch;
    uint32_t auctions_max; /* over all threads */
    uint32_t commands_max; /* over all threads */
    uint32_t held_max;
    uint32_t unconfirmed_max;
    uint64_t entries_max;
    uint32_t ring_entries;
    int64_t expires_us;
    int64_t pending_us;
    int64_t over_keep_us;
    uint32_t heard_max; /* other replicas' entries that are not durable yet, over all threads */
    bool is_suspended;  /* no bids until the ledger says that it is open */
    /* A cluster's; null when embedded. The first two: what its ledger needs from its loop. */
    void (*ledger_turn)(struct qb_ledger *ledger);
    int64_t (*ledger_wake_us)(const struct qb_ledger *ledger);
    /* Whether what is decided now could not be made durable soon, and when to ask again (or null).
     */
    bool (*is_stuck)(void *context, const struct qb_ledger *ledger, unsigned shard,
                     uint32_t *retry_after_ms);
    /* Whether a shard of the ledger is out of reach; then since when at the earliest (monotonic).
     */
    bool (*is_away)(const struct qb_ledger *ledger, unsigned shard, int64_t *since_us);
    unsigned shards; /* of the ledger; 0: embedded, it is always there */
    /* Whether the journal takes nothing now and need not, as the ledger has an outbox: then own
     * entries are left there, each by `leave`. */
    bool (*may_leave)(void *context);
    void (*leave)(struct qb_ledger *ledger, qb_id auction, uint64_t seq);
    /* The ledger of this epoch takes nothing any more: recovery must look. */
    void (*fenced)(void *context, uint32_t epoch);
    void *cluster; /* their context */
    /* A durable entry changed what the catalogue says of `auction`; `is_heard`: another replica's,
     * which tells the others. On the auction's home thread. Null: nobody is to be told. */
    void (*described)(void *context, qb_id auction, uint64_t seq, bool is_heard);
    void *context; /* of that */
    struct qb_journal *journal;
    struct qb_bus *bus;
    struct qb_holds *holds;
    struct qb_work_pool *store_pool; /* its `worker` is a struct qb_store_link * */
    const struct qb_store_ops *store;
};

struct qb_runners *qb_runners_new(const struct qb_runners_options *options);
void qb_runners_free(struct qb_runners **runners);

/* The end, once no loop runs: commands that are under way are answered UNAVAILABLE, on the thread
 * that calls or by messages in the runners' mailboxes, and the ledgers go. Nothing may be asked
 * behind it. */
void qb_runners_end(struct qb_runners *runners);

/* A runner for one I/O thread. `ledger` is taken. */
struct qb_runner *qb_runner_new(struct qb_runners *runners, struct qb_loop *loop,
                                struct qb_ledger *ledger);
/* The limits of accounts over all replicas, asked before anything is sent to an auction; a
 * cluster's only. Borrowed; null when they go. */
void qb_runner_set_limits(struct qb_runner *runner, struct qb_limits_redis *limits);
/* Its edge, once there is one; before the loop runs. */
void qb_runner_set_edge(struct qb_runner *runner, struct qb_edge *edge);

/* The runner on which `auction` is at home. */
struct qb_runner *qb_runners_home(struct qb_runners *runners, qb_id auction);

/* Its ledger, for the start; borrowed. */
struct qb_ledger *qb_runner_ledger(struct qb_runner *runner);

/* At start, before the loops run: an auction rebuilt from its log, with the records of its bids;
 * then its newest entries, oldest first. False: no room (auctions_max). */
QB_MUST_USE bool qb_runner_restore(struct qb_runner *runner, const struct qb_lot *lot,
                                   const struct qb_bid_record *records, size_t record_count);
void qb_runner_restore_entry(struct qb_runner *runner, const struct qb_entry *entry,
                             const struct qb_verdict *verdict);
/* Takes no more commands for `auction`, whether it is in memory or could not be restored; what is
 * under way ends without a verdict. `why` is logged. On the runner's thread, or before the loops
 * run. Once more does nothing. */
void qb_runner_halt(struct qb_runner *runner, qb_id auction, const char *why);
/* The same on the auction's home thread, from any other. */
void qb_runners_halt(struct qb_runners *runners, qb_id auction);

/* Behind the last restored one: extends what ended while the server was down. */
void qb_runner_restored(struct qb_runner *runner);

/* In a cluster: when the ledger's epoch opened, in its time; auctions that ended before have had no
 * chance and are extended when they come into memory. Any thread, before the ledger opens it. */
void qb_runners_opened(struct qb_runners *runners, qb_time_us opened_us);

/* The loop's handlers. */
void qb_runner_turn(struct qb_runner *runner);
void qb_runner_timer(struct qb_runner *runner);
void qb_runner_second(struct qb_runner *runner);
/* The edge's room handler: subscribes to the bus, or not any longer. */
void qb_runner_room(struct qb_runner *runner, qb_id auction, bool is_open);
void qb_runner_presence(struct qb_runner *runner, qb_id user, bool is_here);

/* From now on new commands of clients are answered UNAVAILABLE. Any thread. */
void qb_runners_refuse(struct qb_runners *runners);
/* Commands asked for and not answered finally, over all threads. Any thread. */
uint64_t qb_runners_open_requests(struct qb_runners *runners);

/* The answer to a command, on the thread that asked. Borrowed for the call. */
struct qb_answer {
    uint8_t reply;           /* enum qb_reply_kind; QB_REPLY_PENDING is not the last one */
    bool is_unknown_auction; /* there is no such live auction: nothing else is set */
    bool is_halted;       /* reply UNAVAILABLE: the auction takes nothing until a person looked */
    bool is_rate_limited; /* reply BUSY: the user's own limit; retry_after_ms says when */
    uint64_t seq;         /* the entry's, or as of which it was refused */
    uint32_t epoch;
    int64_t retry_after_ms;
    struct qb_verdict verdict;
    char label[QB_LABEL_BYTES]; /* the asking user's label in this auction; "" without one */
};
typedef void qb_runner_answer(void *context, const struct qb_answer *answer);

/*
 * Gives a command to its auction's home and calls `answer` on the calling I/O thread, also before
 * this returns. Limits per user and exposure are applied here.
 *
 * entry    copied; auction, type, by, bidder, actor, max, currency, target_seq, end_us, reason,
 *          text, bid_id and (OPEN) rules are set by the caller; recv_us by the runner from read_us
 * read_us  monotonic arrival of the last byte
 */
void qb_runner_command(struct qb_runner *runner, const struct qb_entry *entry, int64_t read_us,
                       qb_runner_answer *answer, void *context);

/* What became of `bid_id` of `user` (resolve). */
void qb_runner_resolve(struct qb_runner *runner, qb_id auction, qb_id user,
                       const uint8_t bid_id[QB_BID_ID_BYTES], qb_runner_answer *answer,
                       void *context);

/* The newest public state as JSON (the body of …/state), or null when the auction is not live
 * here or in the store. Held for the callback. Called on the asking thread, maybe at once. */
typedef void qb_runner_state_answer(void *context, struct qb_frame *state);
void qb_runner_state(struct qb_runner *runner, qb_id auction, qb_runner_state_answer *answer,
                     void *context);

/* `watch`: answers the session and makes it a watcher. */
void qb_runner_watch(struct qb_runner *runner, qb_session_id session, qb_id user,
                     const struct qb_command *command);
/* What an event stream begins with. */
struct qb_stream_start {
    bool is_answered;       /* by who knows whether there is such an auction */
    bool is_live;           /* there will be updates behind first->position */
    struct qb_frame *first; /* {"on":"snapshot" or "missed",…}; null: no such auction */
};
typedef void qb_runner_stream_answer(void *context, const struct qb_stream_start *start);

/*
 * Asks for it; `answer` is called on the asking thread, maybe at once. Who watches inside that call
 * misses no update.
 *
 * command   auction; has_position, epoch and seq of what the client has
 */
void qb_runner_stream(struct qb_runner *runner, qb_id user, const struct qb_command *command,
                      qb_runner_stream_answer *answer, void *context);

/* `preview`: answers the session. */
void qb_runner_preview(struct qb_runner *runner, qb_session_id session, qb_id user,
                       const struct qb_command *command);

/* Whether the command was carried out (accepted, done, or void as asked). */
bool qb_answer_is_good(const struct qb_answer *answer);

/* A verdict as JSON members ("verdict":"leading","price":…), the same on WebSocket and HTTP. Only
 * for a good answer. */
void qb_answer_json(struct qb_text *text, const struct qb_answer *answer);

/* What a refusal or failure says. */
struct qb_problem {
    const char *code;
    const char *text;
    bool is_temporary; /* the same request with the same key may succeed later */
};
void qb_answer_problem(const struct qb_answer *answer, struct qb_problem *problem);

/* What would do: `"minimum":…,"ends_at_ms":…` beside a problem; may be empty. */
void qb_answer_extra_json(struct qb_text *text, const struct qb_answer *answer);
