/*
 * The fold: what each entry of an auction's log does to the auction. The rules of rules.md exist
 * here and nowhere else; the same bytes decide in the server, the archiver, replay and simulator.
 *
 * Pure. Reads no clock, does no I/O, allocates nothing, keeps nothing beside the lot. Any thread,
 * as long as nobody changes the lot meanwhile.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attributes.h"
#include "bidding/entry.h"
#include "bidding/money.h"
#include "bidding/refusal.h"
#include "bidding/rules.h"

#define QB_BLOCKED_MAX 64

enum qb_status {                 /* numbers are part of the hash chain: only ever appended */
                 QB_STATUS_NONE, /* no OPEN folded yet */
                 QB_STATUS_OPEN, /* SCHEDULED until starts_at, CLOSING from ends_at: by the clock,
                                    not here */
                 QB_STATUS_PAUSED,
                 QB_STATUS_SOLD,
                 QB_STATUS_UNSOLD,
                 QB_STATUS_CANCELLED,
};

enum qb_outcome {
    QB_OUTCOME_NONE,
    QB_OUTCOME_HIGH_BID,
    QB_OUTCOME_BUY_NOW,
    QB_OUTCOME_NO_BIDS,
    QB_OUTCOME_RESERVE_NOT_MET,
    QB_OUTCOME_CANCELLED,
};

/* The compact state. Zero-filled is "no entry folded"; written to the store as it is encoded by
 * qb_lot_encode(). */
struct qb_lot {
    struct qb_rules rules; /* as opened; `reserve` as lowered, `hard_end_us` as moved */
    qb_id auction;
    uint64_t seq;    /* entries folded */
    uint32_t epoch;  /* of the newest entry */
    uint8_t status;  /* enum qb_status */
    uint8_t outcome; /* enum qb_outcome */
    qb_id leader;    /* 0: no live bid */
    int64_t m1;      /* the leader's live maximum */
    uint64_t m1_seq; /* seq of the bid that set it: its priority */
    qb_id second;    /* best of the others; 0: none */
    int64_t m2;
    uint64_t m2_seq;
    int64_t price;     /* QB_AMOUNT_NONE: no live bid */
    uint32_t bids;     /* live accepted bids: the public count */
    uint32_t accepted; /* accepted bids ever */
    bool is_buy_now_gone;
    qb_time_us ends_at_us;
    uint32_t extensions;
    qb_time_us accepted_t_us; /* effective time of the last accepted entry */
    qb_time_us now_us;        /* `now` of the newest entry */
    int64_t remaining_us;     /* while paused */
    qb_id winner;             /* once sold */
    int64_t final_price;      /* once sold; else QB_AMOUNT_NONE */
    uint16_t blocked_count;
    qb_id blocked[QB_BLOCKED_MAX];
    uint8_t chain[QB_SHA256_BYTES];
};

enum qb_verdict_code { /* numbers are part of the hash chain: only ever appended */
                       QB_VERDICT_NONE,
                       QB_VERDICT_LEADING, /* accepted: leads */
                       QB_VERDICT_OUTBID,  /* accepted: a standing maximum keeps the lead */
                       QB_VERDICT_RAISED,  /* accepted: the leader raised the own maximum */
                       QB_VERDICT_BOUGHT,  /* BUY_NOW with effect */
                       QB_VERDICT_DONE,    /* any other command with effect */
                       QB_VERDICT_REFUSED, /* no effect: `refusal` says why */
                       QB_VERDICT_VOID,    /* DISCARD: the id never takes effect */
};

struct qb_verdict {
    uint8_t code;    /* enum qb_verdict_code */
    uint8_t refusal; /* enum qb_refusal */
    qb_time_us t_us; /* effective time of the entry (rules.md 5.2) */
    int64_t price;   /* after the entry; QB_AMOUNT_NONE: none */
    int64_t minimum; /* what a non-leader must bid after it; QB_AMOUNT_NONE: over */
    qb_id leader;    /* after it */
    qb_id outbid;    /* who lost the lead by it; 0: nobody */
    qb_time_us ends_at_us;
    uint32_t bids;
    uint8_t status;
    bool is_extended;      /* the end moved */
    bool is_maximum_cut;   /* the leader's maximum fell with the reserve; not archived */
    bool is_public_change; /* price, leader, count, end, status or reserve changed: announce */
};

/* What VOID and RETRACT need beside the state: the auction's accepted bids and RESERVE entries
 * with effect, in order of seq (rules.md, notes for the core). */
struct qb_bid_record {
    uint64_t seq;
    uint8_t type; /* QB_ENTRY_BID or QB_ENTRY_RESERVE */
    bool is_live; /* BID: not voided or retracted */
    qb_id bidder;
    int64_t max; /* BID: the maximum as bid; RESERVE: the new reserve */
    qb_time_us t_us;
};

/* What folding `entry` with `verdict` leaves for a later VOID or RETRACT. False: nothing. */
QB_MUST_USE bool qb_bid_record_of(const struct qb_entry *entry, const struct qb_verdict *verdict,
                                  struct qb_bid_record *record);

/* Whether folding `entry` needs the records. */
bool qb_entry_needs_records(const struct qb_entry *entry);

/*
 * Folds `entry` into `lot`, judges it and extends the chain (rules.md 2 to 10; the order of
 * refusals is rules.md 6).
 *
 * lot      satisfies qb_lot_check(); entry->seq is lot->seq + 1; the first entry is an OPEN
 * records  for VOID and RETRACT, else may be null; bids struck out get is_live = false
 * returns  a verdict valid in all fields
 */
struct qb_verdict qb_lot_fold(struct qb_lot *lot, const struct qb_entry *entry,
                              struct qb_bid_record *records, size_t record_count);

/*
 * Early judgement: what would refuse this BID or BUY_NOW at effective time `t_us` as things stand
 * (NONE: nothing). The same function that the fold uses.
 */
enum qb_refusal qb_lot_judge(const struct qb_lot *lot, const struct qb_entry *entry,
                             qb_time_us t_us);

/* clamp(recv, auth - drain, auth), then not before the last accepted entry (rules.md 5.2). */
qb_time_us qb_lot_effective_time(const struct qb_lot *lot, const struct qb_entry *entry);

/* The smallest bid a non-leader can make; QB_AMOUNT_NONE once over (rules.md 2). */
int64_t qb_lot_minimum(const struct qb_lot *lot);

enum qb_reserve_state { QB_RESERVE_NONE, QB_RESERVE_NOT_MET, QB_RESERVE_MET };
enum qb_reserve_state qb_lot_reserve_state(const struct qb_lot *lot);

bool qb_lot_is_buy_now_open(const struct qb_lot *lot);
bool qb_lot_is_over(const struct qb_lot *lot);

/* The price if `bidder` (the leader) raised to `max`, by competition alone: never by the reserve,
 * which a preview must not disclose; with `show_max` below the reserve, the most that it can be:
 * the maximum. QB_AMOUNT_NONE if the bidder does not lead. */
int64_t qb_lot_preview_raise(const struct qb_lot *lot, qb_id bidder, int64_t max);

/* The price for two best maxima (rules.md 2): m2 QB_AMOUNT_NONE: one bidder. */
int64_t qb_lot_price(const struct qb_rules *rules, int64_t m1, int64_t m2);

/* The first eligible runner-up of an auction that is over, and the price to offer: the own highest
 * maximum (rules.md 12). 0 if none. Skips the winner and blocked bidders; needs the records. */
qb_id qb_lot_second_chance(const struct qb_lot *lot, const struct qb_bid_record *records,
                           size_t record_count, int64_t *offer);

#define QB_VERDICT_FORM_BYTES_MAX 64

/*
 * What the chain takes of a verdict, so that anybody can check it: code and refusal (1 byte each),
 * price (8), the hidden leader (32, zero without one), bids (4), end in us (8), status (1),
 * integers little-endian. The chain after an entry is SHA-256(chain before it, SHA-256(the entry's
 * public form), these bytes); before the first entry it is 32 zero bytes.
 *
 * bytes    room for QB_VERDICT_FORM_BYTES_MAX
 * returns  the length
 */
size_t qb_verdict_public_form(const struct qb_verdict *verdict,
                              const uint8_t secret[QB_SECRET_BYTES], uint8_t *bytes);

#define QB_LOT_BYTES_MAX 4096

/* The state as bytes of a version, for snapshots. Returns the length; room QB_LOT_BYTES_MAX.
 * Bytes that are not the whole of a lot whose invariants hold, and from which the fold can go on,
 * are refused: false. */
size_t qb_lot_encode(const struct qb_lot *lot, uint8_t *bytes);
QB_MUST_USE bool qb_lot_decode(const uint8_t *bytes, size_t length, struct qb_lot *lot);

/* The invariant of `lot` that does not hold, in words, or NULL. */
const char *qb_lot_broken(const struct qb_lot *lot);

/* Aborts unless every invariant of `lot` holds. Cheap; called wherever a lot enters or changes. */
void qb_lot_check(const struct qb_lot *lot);

/* Words for the wire: "leading", "outbid", "raised", "bought", "done", "refused", "void". */
const char *qb_verdict_name(enum qb_verdict_code code);
/* "high_bid", "buy_now", "no_bids", "reserve_not_met", "cancelled"; null for NONE. */
const char *qb_outcome_name(enum qb_outcome outcome);
/* "none", "not_met", "met". */
const char *qb_reserve_state_name(enum qb_reserve_state state);

/* The status as shown at `now_us` of the ledger's clock: "scheduled", "open", "closing", "paused",
 * "sold", "unsold", "cancelled". */
const char *qb_lot_status_name(const struct qb_lot *lot, qb_time_us now_us);
