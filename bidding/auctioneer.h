/*
 * The path of a bid as one step function: an event goes in, effects come out.
 *
 * Holds the auctions whose home is this thread and the commands under way. Early refusals, bids
 * held at the end, duplicates, unknown outcomes and the close are decided here and nowhere else;
 * the rules themselves are qb_lot_fold(). Pure, like all of bidding/: time comes in with the
 * event, I/O goes out as effects, memory is given once by the caller.
 *
 * Thread    one at a time; in the product, the auction's home thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bidding/entry.h"
#include "bidding/lot.h"

struct qb_auctioneer;

/* What an auctioneer asks of its caller besides effects: the records of an auction's accepted
 * bids, kept by the caller because they grow. Both are called within a step and do no I/O. */
struct qb_auctioneer_records {
    struct qb_bid_record *(*all)(void *context, uint32_t lot, size_t *count);
    void (*add)(void *context, uint32_t lot, const struct qb_bid_record *record);
    void *context;
};

/* A time in which bids were turned away because a store was away. */
struct qb_outage {
    bool is_on;
    qb_time_us since_us;
    qb_time_us until_us; /* set when it is over; those who were told to come back may be back */
};

/* What is known here of such times (reliability.md P9). */
struct qb_auctioneer_outages {
    /* The newest that concerns a lot; zero-filled: none. Called within a step, does no I/O. Null:
     * bids are never turned away. */
    struct qb_outage (*newest)(void *context, uint32_t lot);
    void *context;
    /* While one lasts no close is proposed. An auction whose end fell into one is extended instead,
     * to so long from then; likewise when its close would be later than `late_us`, as then nobody
     * could propose it. */
    int64_t extend_us;
    int64_t late_us;
};

struct qb_auctioneer_options {
    uint32_t lots_max;
    uint32_t tickets_max;     /* commands under way, over all auctions */
    uint32_t heard_max;       /* others' entries not yet durable, over all; beyond: only the newest
                                 state of their auction is announced */
    uint32_t held_max;        /* bids held back in one auction; beyond: BUSY */
    uint32_t unconfirmed_max; /* entries of one auction not yet durable; beyond: BUSY */
    uint64_t entries_max; /* of bidders; the seller has 100 more, staff and CLOSE always a place */
    int64_t expires_us;   /* a command not appended by then never is */
    int64_t pending_us;   /* without a verdict for so long, say `pending` */
    struct qb_auctioneer_records records;
    struct qb_auctioneer_outages outages;
};

/* Bytes of memory for these options; qb_auctioneer_init() takes that many, aligned for any type. */
size_t qb_auctioneer_bytes(const struct qb_auctioneer_options *options);
struct qb_auctioneer *qb_auctioneer_init(void *memory, const struct qb_auctioneer_options *options);

#define QB_LOT_NOWHERE UINT32_MAX

/*
 * Takes an auction in: a new one (`state` zero-filled but for the id, OPEN comes as a command) or
 * one rebuilt from its log, all of it durable. Returns its slot, or QB_LOT_NOWHERE when full.
 */
uint32_t qb_auctioneer_add(struct qb_auctioneer *auctioneer, const struct qb_lot *state);

/* Before its close is proposed the auction is extended, to `by_us` from then: its end fell into a
 * time in which nobody could bid. Only right after qb_auctioneer_add(). */
void qb_auctioneer_extend(struct qb_auctioneer *auctioneer, uint32_t lot, int64_t by_us);

/* Lets an auction go. Only one without commands under way; see qb_auctioneer_is_idle(). */
void qb_auctioneer_remove(struct qb_auctioneer *auctioneer, uint32_t lot);
bool qb_auctioneer_is_idle(const struct qb_auctioneer *auctioneer, uint32_t lot);

/* The newest folded state, durable or not. Borrowed until the next step. */
const struct qb_lot *qb_auctioneer_lot(const struct qb_auctioneer *auctioneer, uint32_t lot);
uint32_t qb_auctioneer_tickets_in_use(const struct qb_auctioneer *auctioneer);
uint32_t qb_auctioneer_held(const struct qb_auctioneer *auctioneer);

/* When the next TICK is wanted, in the ledger's time; INT64_MAX: no need. */
qb_time_us qb_auctioneer_wake_us(const struct qb_auctioneer *auctioneer);

/* What people see of an auction right after one entry: the fields of struct qb_lot that change
 * often. The newest folded state may be ahead of what is durable; this is kept for each entry. */
struct qb_lot_moment {
    uint64_t seq;
    uint32_t epoch;
    uint8_t status;
    uint8_t outcome;
    bool is_buy_now_gone;
    uint32_t bids;
    uint32_t accepted;
    uint32_t extensions;
    qb_id leader;
    qb_id second;
    qb_id winner;
    int64_t m1;
    int64_t m2;
    int64_t price;
    int64_t reserve;
    int64_t final_price;
    qb_time_us ends_at_us;
    qb_time_us hard_end_us;
};

/* The moment of `lot`; and `lot` as it looked at a moment of it. */
struct qb_lot_moment qb_lot_moment_of(const struct qb_lot *lot);
void qb_lot_moment_apply(const struct qb_lot_moment *moment, struct qb_lot *lot);

enum qb_append_outcome {
    QB_APPEND_DONE,      /* in the log at `seq` with `now_us` */
    QB_APPEND_DUPLICATE, /* the bid_id has a place already: `seq` */
    QB_APPEND_REFUSED,   /* the bid_id was refused early before: `refusal` as of `seq` */
    QB_APPEND_MARKED,    /* the early refusal was recorded */
    QB_APPEND_EXPIRED,   /* this call came too late and wrote nothing; the bid_id is not known */
    QB_APPEND_BUSY,      /* a limit of the ledger; nothing was written: ask again later */
    QB_APPEND_FENCED,    /* the ledger is of another epoch: recovery decides */
    QB_APPEND_UNKNOWN,   /* no answer: it may or may not be there */
};

enum qb_event_kind {
    QB_EVENT_COMMAND,  /* somebody asks: answered by one final REPLY, sooner or later */
    QB_EVENT_RESOLVE,  /* what became of a bid_id? Answered likewise */
    QB_EVENT_APPENDED, /* the ledger's answer to an APPEND */
    QB_EVENT_HEARD,    /* the next entry, which another replica appended */
    QB_EVENT_DURABLE,  /* all entries of `lot` up to `seq` are durable */
    QB_EVENT_FOUND,    /* the answer to a LOOKUP */
    QB_EVENT_HALT, /* nothing of `lot` can be trusted to last: it takes no more, what is under way
                      is answered UNAVAILABLE, and it is idle soon */
    QB_EVENT_TICK, /* the time of qb_auctioneer_wake_us() has come */
    QB_EVENT_MORE, /* the effects of the step before did not fit: go on */
};

struct qb_event {
    uint8_t kind;                 /* enum qb_event_kind */
    qb_time_us now_us;            /* the ledger's clock, estimated; never goes back */
    uint32_t lot;                 /* all but APPENDED, FOUND, TICK, MORE */
    uint64_t waiter;              /* COMMAND, RESOLVE: handed back in its REPLYs; 0: nobody waits */
    const struct qb_entry *entry; /* COMMAND: without seq, now, epoch; RESOLVE: bid_id and bidder;
                                     HEARD: whole. Copied, but for OPEN's rules: borrowed until
                                     its REPLY */
    uint32_t ticket;              /* APPENDED, FOUND */
    uint8_t outcome;              /* APPENDED: enum qb_append_outcome */
    uint8_t refusal;              /* APPENDED: of REFUSED */
    uint64_t seq;                 /* APPENDED, DURABLE */
    uint64_t asked;   /* APPENDED: qb_entry_asked() of what has the place; 0: of a DISCARD */
    uint32_t epoch;   /* APPENDED */
    qb_time_us at_us; /* APPENDED: the ledger's stamp */
    const struct qb_verdict *verdict; /* FOUND: null when it is not known */
};

enum qb_effect_kind {
    QB_EFFECT_APPEND,   /* give `entry` to the ledger; answer with APPENDED for `ticket` */
    QB_EFFECT_MARK,     /* give the ledger the early refusal `refusal` as of `seq`; likewise */
    QB_EFFECT_JOURNAL,  /* make `entry`, which has its seq, durable; answer with DURABLE */
    QB_EFFECT_REPLY,    /* tell `waiter` */
    QB_EFFECT_ANNOUNCE, /* a durable entry: tell watchers if verdict->is_public_change */
    QB_EFFECT_OUTBID,   /* tell `user` that the lead is lost */
    QB_EFFECT_HOLD,     /* set the exposure of `user` in `lot` to `amount` as of `seq` */
    QB_EFFECT_LOOKUP,   /* find the verdict of entry `seq`; answer with FOUND for `ticket` */
    QB_EFFECT_OVER,     /* the auction is over and that is durable: announce the result */
};

enum qb_reply_kind {
    QB_REPLY_VERDICT,     /* final: `verdict` of entry `seq` */
    QB_REPLY_REFUSED,     /* final: refused early, as of `seq`: verdict->refusal */
    QB_REPLY_VOID,        /* final: never took effect and never will */
    QB_REPLY_BUSY,        /* failure: ask again with the same key */
    QB_REPLY_UNAVAILABLE, /* failure: likewise; also of all that a halted auction is asked */
    QB_REPLY_PENDING,     /* not final: no verdict yet */
};

struct qb_effect {
    uint8_t kind;    /* enum qb_effect_kind */
    uint8_t reply;   /* REPLY: enum qb_reply_kind */
    uint8_t refusal; /* MARK */
    uint32_t lot;
    uint32_t ticket; /* APPEND, MARK, LOOKUP */
    uint64_t waiter; /* REPLY */
    uint64_t seq;
    qb_id user;            /* OUTBID, HOLD */
    int64_t amount;        /* HOLD: 0 releases */
    qb_time_us expires_us; /* APPEND */
    bool is_heard;         /* ANNOUNCE, OVER: another replica's entry, which tells its people */
    const struct qb_entry *entry; /* APPEND, MARK, JOURNAL, ANNOUNCE (or null: several at once, of
                                     which only the moment is known), REPLY of a verdict; points
                                     into the auctioneer until the next step */
    struct qb_verdict verdict;    /* REPLY, ANNOUNCE, OUTBID, OVER */
    struct qb_lot_moment moment;  /* ANNOUNCE, OVER: after the entry */
};

#define QB_EFFECTS_MAX 256

struct qb_effects {
    size_t count;
    bool is_more; /* step again with MORE before any other event */
    struct qb_effect list[QB_EFFECTS_MAX];
};

/*
 * Takes one event and writes what must be done about it to `effects`, in the order to do it.
 *
 * event     borrowed for the call
 * effects   emptied first; owned by the caller
 * errors    none: what is wrong with a command is a REPLY
 */
void qb_auctioneer_step(struct qb_auctioneer *auctioneer, const struct qb_event *event,
                        struct qb_effects *effects);
