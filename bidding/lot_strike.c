#include "base/assert.h"
#include "bidding/lot_state.h"

#define HOUR_US         (INT64_C(3600) * 1000000)
#define RETRACT_ALL_US  (12 * HOUR_US)
#define RETRACT_LAST_US HOUR_US

bool qb_bid_record_of(const struct qb_entry *entry, const struct qb_verdict *verdict,
                      struct qb_bid_record *record)
{
    bool is_bid = entry->type == QB_ENTRY_BID && verdict->code >= QB_VERDICT_LEADING &&
                  verdict->code <= QB_VERDICT_RAISED;
    bool is_reserve = entry->type == QB_ENTRY_RESERVE && verdict->code == QB_VERDICT_DONE;

    if (!is_bid && !is_reserve) return false;
    *record = (struct qb_bid_record){
        .seq = entry->seq,
        .type = entry->type,
        .is_live = is_bid,
        .bidder = entry->bidder,
        .max = entry->max,
        .t_us = verdict->t_us,
    };
    return true;
}

bool qb_entry_needs_records(const struct qb_entry *entry)
{
    return entry->type == QB_ENTRY_VOID || entry->type == QB_ENTRY_RETRACT;
}

/* Strikes out the live bids that match; how many. `seq` 0: all of the bidder; `bidder` 0: anybody.
 */
static size_t strike(struct qb_bid_record *records, size_t record_count, qb_id bidder, uint64_t seq)
{
    size_t struck = 0;

    for (size_t i = 0; i < record_count; i++) {
        struct qb_bid_record *record = &records[i];
        bool is_match = record->type == QB_ENTRY_BID && record->is_live &&
                        (bidder == 0 || record->bidder == bidder) &&
                        (seq == 0 || record->seq == seq);
        if (!is_match) continue;
        record->is_live = false;
        struck++;
    }
    return struck;
}

enum qb_refusal qb_lot_void(struct qb_lot *lot, const struct qb_entry *entry,
                            struct qb_bid_record *records, size_t record_count)
{
    enum qb_refusal refusal = qb_lot_over_refusal(lot);

    if (refusal != QB_REFUSAL_NONE) return refusal;
    bool names_bids = entry->bidder != 0 || entry->target_seq != 0;
    if (!names_bids || strike(records, record_count, entry->bidder, entry->target_seq) == 0) {
        return QB_REFUSAL_NOTHING_TO_DO;
    }
    qb_lot_recompute(lot, records, record_count);
    return QB_REFUSAL_NONE;
}

static const struct qb_bid_record *last_live(const struct qb_bid_record *records,
                                             size_t record_count, qb_id bidder)
{
    for (size_t i = record_count; i > 0; i--) {
        const struct qb_bid_record *record = &records[i - 1];
        if (record->type == QB_ENTRY_BID && record->is_live && record->bidder == bidder) {
            return record;
        }
    }
    return NULL;
}

enum qb_refusal qb_lot_retract(struct qb_lot *lot, const struct qb_entry *entry, qb_time_us t_us,
                               struct qb_bid_record *records, size_t record_count)
{
    enum qb_refusal refusal = qb_lot_over_refusal(lot);
    bool is_paused = lot->status == QB_STATUS_PAUSED;
    int64_t left_us = is_paused ? lot->remaining_us : lot->ends_at_us - t_us;

    if (refusal != QB_REFUSAL_NONE) return refusal;
    if (left_us <= 0) return QB_REFUSAL_ENDED;
    const struct qb_bid_record *last = last_live(records, record_count, entry->bidder);
    if (last == NULL) return QB_REFUSAL_NOTHING_TO_DO;
    uint64_t last_seq = last->seq;
    bool is_bidders = entry->by == QB_ACTOR_BIDDER;
    if (!is_bidders || left_us > RETRACT_ALL_US) {
        (void)strike(records, record_count, entry->bidder, 0);
    } else if (t_us - last->t_us <= RETRACT_LAST_US) {
        (void)strike(records, record_count, entry->bidder, last_seq);
    } else {
        return QB_REFUSAL_RETRACT_WINDOW;
    }
    if (lot->rules.retraction == QB_RETRACTION_NO_REVIVE) { /* earlier bids fall away too */
        for (size_t i = 0; i < record_count && records[i].seq < last_seq; i++) {
            if (records[i].type == QB_ENTRY_BID) records[i].is_live = false;
        }
    }
    qb_lot_recompute(lot, records, record_count);
    return QB_REFUSAL_NONE;
}

static bool is_blocked(const struct qb_lot *lot, qb_id bidder)
{
    for (size_t i = 0; i < lot->blocked_count; i++) {
        if (lot->blocked[i] == bidder) return true;
    }
    return false;
}

qb_id qb_lot_second_chance(const struct qb_lot *lot, const struct qb_bid_record *records,
                           size_t record_count, int64_t *offer)
{
    int64_t cap = QB_AMOUNT_MAX;
    qb_id best = 0;

    *offer = QB_AMOUNT_NONE;
    for (size_t i = record_count; i > 0; i--) { /* backwards: a lowering cuts the bids before it */
        const struct qb_bid_record *record = &records[i - 1];
        if (record->type == QB_ENTRY_RESERVE) {
            int64_t below = record->max - lot->rules.tick;
            if (below < cap) cap = below;
            continue;
        }
        bool is_eligible =
            record->is_live && record->bidder != lot->winner && !is_blocked(lot, record->bidder);
        if (!is_eligible) continue;
        int64_t own = record->max < cap ? record->max : cap;
        if (own < *offer) continue; /* of equal maxima the earlier bid, which comes later here */
        best = record->bidder;
        *offer = own;
    }
    return best;
}
