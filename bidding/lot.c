#include "bidding/lot.h"

#include <string.h>

#include "base/assert.h"
#include "bidding/lot_state.h"

#define RESERVE_LEFT_US (INT64_C(12) * 3600 * 1000000)

enum qb_refusal qb_lot_over_refusal(const struct qb_lot *lot)
{
    if (lot->status == QB_STATUS_CANCELLED) return QB_REFUSAL_CANCELLED;
    return qb_lot_is_over(lot) ? QB_REFUSAL_ENDED : QB_REFUSAL_NONE;
}

static size_t blocked_at(const struct qb_lot *lot, qb_id bidder)
{
    size_t at = 0;

    while (at < lot->blocked_count && lot->blocked[at] != bidder) at++;
    return at;
}

/* State and time, in the order of rules.md 6. */
static enum qb_refusal time_refusal(const struct qb_lot *lot, qb_time_us t_us)
{
    enum qb_refusal refusal = qb_lot_over_refusal(lot);

    if (refusal != QB_REFUSAL_NONE) return refusal;
    if (lot->status == QB_STATUS_PAUSED) return QB_REFUSAL_PAUSED;
    if (t_us < lot->rules.starts_at_us) return QB_REFUSAL_NOT_STARTED;
    return t_us >= lot->ends_at_us ? QB_REFUSAL_ENDED : QB_REFUSAL_NONE;
}

static enum qb_refusal amount_refusal(const struct qb_lot *lot, const struct qb_entry *entry)
{
    const struct qb_rules *rules = &lot->rules;

    if (entry->max < 1 || entry->max > rules->cap || entry->max % rules->tick != 0) {
        return QB_REFUSAL_BAD_AMOUNT;
    }
    if (entry->bidder == lot->leader) {
        return entry->max <= lot->m1 ? QB_REFUSAL_NOT_ABOVE_OWN_MAX : QB_REFUSAL_NONE;
    }
    return entry->max < qb_lot_minimum(lot) ? QB_REFUSAL_TOO_LOW : QB_REFUSAL_NONE;
}

static enum qb_refusal buy_now_refusal(const struct qb_lot *lot, const struct qb_entry *entry)
{
    if (!qb_lot_is_buy_now_open(lot)) return QB_REFUSAL_BUY_NOW_GONE;
    return entry->max != lot->rules.buy_now ? QB_REFUSAL_BUY_NOW_PRICE : QB_REFUSAL_NONE;
}

enum qb_refusal qb_lot_judge(const struct qb_lot *lot, const struct qb_entry *entry,
                             qb_time_us t_us)
{
    bool is_buy = entry->type == QB_ENTRY_BUY_NOW;
    enum qb_refusal refusal = time_refusal(lot, t_us);

    QB_ASSERT(is_buy || entry->type == QB_ENTRY_BID);
    if (refusal != QB_REFUSAL_NONE) return refusal;
    if (entry->bidder == lot->rules.seller) return QB_REFUSAL_SELLER;
    if (blocked_at(lot, entry->bidder) < lot->blocked_count) return QB_REFUSAL_BLOCKED;
    if (!qb_currency_is_same(entry->currency, lot->rules.currency)) return QB_REFUSAL_CURRENCY;
    refusal = is_buy ? buy_now_refusal(lot, entry) : amount_refusal(lot, entry);
    if (refusal != QB_REFUSAL_NONE) return refusal;
    bool is_limited = entry->allowance >= 0;
    return is_limited && entry->max > entry->allowance ? QB_REFUSAL_LIMIT : QB_REFUSAL_NONE;
}

qb_time_us qb_lot_effective_time(const struct qb_lot *lot, const struct qb_entry *entry)
{
    qb_time_us t_us = entry->now_us;

    if (entry->recv_us != 0 && entry->recv_us < t_us) {
        qb_time_us earliest_us = entry->now_us - lot->rules.drain_us;
        t_us = entry->recv_us > earliest_us ? entry->recv_us : earliest_us;
    }
    return t_us > lot->accepted_t_us ? t_us : lot->accepted_t_us;
}

/* A bid of somebody who does not lead, close to the end, moves it (rules.md 5.5). */
static void extend_softly(struct qb_lot *lot, qb_time_us t_us)
{
    const struct qb_rules *rules = &lot->rules;
    qb_time_us end_us = t_us + rules->soft_extend_us;

    if (rules->soft_window_us == 0 || t_us < lot->ends_at_us - rules->soft_window_us) return;
    if (rules->max_extensions != 0 && lot->extensions >= rules->max_extensions) return;
    if (rules->hard_end_us != 0 && end_us > rules->hard_end_us) end_us = rules->hard_end_us;
    if (end_us <= lot->ends_at_us) return;
    lot->ends_at_us = end_us;
    lot->extensions++;
}

static enum qb_refusal fold_bid(struct qb_lot *lot, const struct qb_entry *entry, qb_time_us t_us,
                                enum qb_verdict_code *code)
{
    enum qb_refusal refusal = qb_lot_judge(lot, entry, t_us);
    bool is_raise = lot->leader == entry->bidder;
    qb_id leader = lot->leader;
    int64_t price = lot->price;

    if (refusal != QB_REFUSAL_NONE) return refusal;
    qb_lot_apply_bid(lot, entry->bidder, entry->max, entry->seq);
    lot->bids++;
    lot->accepted++;
    if (qb_lot_reserve_state(lot) != QB_RESERVE_NOT_MET) lot->is_buy_now_gone = true;
    *code = is_raise                       ? QB_VERDICT_RAISED
            : lot->leader == entry->bidder ? QB_VERDICT_LEADING
                                           : QB_VERDICT_OUTBID;
    bool has_moved = lot->leader != leader || lot->price != price;
    if (!is_raise && has_moved) extend_softly(lot, t_us);
    return QB_REFUSAL_NONE;
}

static enum qb_refusal fold_buy_now(struct qb_lot *lot, const struct qb_entry *entry,
                                    qb_time_us t_us, enum qb_verdict_code *code)
{
    enum qb_refusal refusal = qb_lot_judge(lot, entry, t_us);

    if (refusal != QB_REFUSAL_NONE) return refusal;
    lot->status = QB_STATUS_SOLD;
    lot->outcome = QB_OUTCOME_BUY_NOW;
    lot->winner = entry->bidder;
    lot->final_price = lot->rules.buy_now;
    lot->is_buy_now_gone = true;
    *code = QB_VERDICT_BOUGHT;
    return QB_REFUSAL_NONE;
}

static enum qb_refusal fold_block(struct qb_lot *lot, const struct qb_entry *entry)
{
    size_t at = blocked_at(lot, entry->bidder);
    bool is_blocked = at < lot->blocked_count;

    if (entry->type == QB_ENTRY_UNBLOCK) {
        if (!is_blocked) return QB_REFUSAL_NOTHING_TO_DO;
        lot->blocked_count--;
        for (; at < lot->blocked_count; at++) lot->blocked[at] = lot->blocked[at + 1];
        lot->blocked[lot->blocked_count] = 0;
        return QB_REFUSAL_NONE;
    }
    if (is_blocked || entry->bidder == 0) return QB_REFUSAL_NOTHING_TO_DO;
    if (lot->blocked_count == QB_BLOCKED_MAX) return QB_REFUSAL_FULL;
    lot->blocked[lot->blocked_count++] = entry->bidder;
    return QB_REFUSAL_NONE;
}

static enum qb_refusal fold_reserve(struct qb_lot *lot, const struct qb_entry *entry,
                                    qb_time_us t_us)
{
    struct qb_rules *rules = &lot->rules;
    bool is_paused = lot->status == QB_STATUS_PAUSED;
    int64_t left_us = is_paused ? lot->remaining_us : lot->ends_at_us - t_us;

    if (rules->reserve == QB_AMOUNT_NONE) return QB_REFUSAL_NOTHING_TO_DO;
    if (qb_lot_reserve_state(lot) == QB_RESERVE_MET) return QB_REFUSAL_RESERVE_MET;
    if (entry->max >= rules->reserve || entry->max < qb_lot_minimum(lot) ||
        entry->max % rules->tick != 0) {
        return QB_REFUSAL_RESERVE_AMOUNT;
    }
    if (left_us < RESERVE_LEFT_US) return QB_REFUSAL_RESERVE_WINDOW;
    rules->reserve = entry->max;
    qb_lot_cut_maximum(lot, rules->reserve);
    return QB_REFUSAL_NONE;
}

/* The end, and with it the hard end, moves to `end_us`. */
static void move_end(struct qb_lot *lot, qb_time_us end_us)
{
    if (lot->rules.hard_end_us != 0) lot->rules.hard_end_us += end_us - lot->ends_at_us;
    lot->ends_at_us = end_us;
}

static enum qb_refusal fold_extend(struct qb_lot *lot, const struct qb_entry *entry)
{
    if (lot->status == QB_STATUS_PAUSED) return QB_REFUSAL_PAUSED;
    if (entry->end_us <= lot->ends_at_us) return QB_REFUSAL_NOTHING_TO_DO;
    move_end(lot, entry->end_us);
    return QB_REFUSAL_NONE;
}

static enum qb_refusal fold_pause(struct qb_lot *lot, qb_time_us t_us)
{
    if (lot->status == QB_STATUS_PAUSED) return QB_REFUSAL_PAUSED;
    if (t_us >= lot->ends_at_us) return QB_REFUSAL_ENDED;
    lot->status = QB_STATUS_PAUSED;
    lot->remaining_us = lot->ends_at_us - t_us;
    return QB_REFUSAL_NONE;
}

static enum qb_refusal fold_resume(struct qb_lot *lot, qb_time_us t_us)
{
    int64_t left_us = lot->remaining_us;

    if (lot->status != QB_STATUS_PAUSED) return QB_REFUSAL_NOT_PAUSED;
    if (left_us < lot->rules.min_resume_us) left_us = lot->rules.min_resume_us;
    move_end(lot, t_us + left_us);
    lot->status = QB_STATUS_OPEN;
    lot->remaining_us = 0;
    return QB_REFUSAL_NONE;
}

static enum qb_refusal fold_close(struct qb_lot *lot, const struct qb_entry *entry)
{
    if (lot->status == QB_STATUS_PAUSED) return QB_REFUSAL_PAUSED;
    if (entry->now_us < lot->ends_at_us + lot->rules.drain_us) return QB_REFUSAL_NOT_DUE;
    bool is_sold = lot->leader != 0 && qb_lot_reserve_state(lot) != QB_RESERVE_NOT_MET;
    lot->status = is_sold ? QB_STATUS_SOLD : QB_STATUS_UNSOLD;
    lot->outcome = QB_OUTCOME_HIGH_BID;
    if (!is_sold) lot->outcome = lot->leader == 0 ? QB_OUTCOME_NO_BIDS : QB_OUTCOME_RESERVE_NOT_MET;
    if (!is_sold) return QB_REFUSAL_NONE;
    lot->winner = lot->leader;
    lot->final_price = lot->price;
    return QB_REFUSAL_NONE;
}

static enum qb_refusal fold_cancel(struct qb_lot *lot, const struct qb_entry *entry)
{
    bool is_sellers = entry->by == QB_ACTOR_SELLER;

    if (is_sellers && lot->rules.is_without_reserve && lot->accepted > 0) {
        return QB_REFUSAL_WITHOUT_RESERVE;
    }
    lot->status = QB_STATUS_CANCELLED;
    lot->outcome = QB_OUTCOME_CANCELLED;
    lot->remaining_us = 0;
    return QB_REFUSAL_NONE;
}

static enum qb_refusal fold_open(struct qb_lot *lot, const struct qb_entry *entry)
{
    if (lot->status != QB_STATUS_NONE) return QB_REFUSAL_NOTHING_TO_DO;
    QB_ASSERT(entry->rules != NULL);
    lot->rules = *entry->rules;
    lot->auction = entry->auction;
    lot->status = QB_STATUS_OPEN;
    lot->price = QB_AMOUNT_NONE;
    lot->final_price = QB_AMOUNT_NONE;
    lot->ends_at_us = entry->rules->ends_at_us;
    return QB_REFUSAL_NONE;
}

static enum qb_refusal fold_kind(struct qb_lot *lot, const struct qb_entry *entry, qb_time_us t_us,
                                 struct qb_bid_record *records, size_t record_count,
                                 enum qb_verdict_code *code)
{
    enum qb_refusal over = qb_lot_over_refusal(lot);

    *code = QB_VERDICT_DONE;
    if (entry->type == QB_ENTRY_BID) return fold_bid(lot, entry, t_us, code);
    if (entry->type == QB_ENTRY_BUY_NOW) return fold_buy_now(lot, entry, t_us, code);
    if (entry->type == QB_ENTRY_DISCARD) *code = QB_VERDICT_VOID;
    if (entry->type == QB_ENTRY_DISCARD) return QB_REFUSAL_NONE;
    if (over != QB_REFUSAL_NONE) return over;
    switch ((enum qb_entry_type)entry->type) {
    case QB_ENTRY_OPEN:
        return fold_open(lot, entry);
    case QB_ENTRY_RETRACT:
        return qb_lot_retract(lot, entry, t_us, records, record_count);
    case QB_ENTRY_VOID:
        return qb_lot_void(lot, entry, records, record_count);
    case QB_ENTRY_BLOCK:
    case QB_ENTRY_UNBLOCK:
        return fold_block(lot, entry);
    case QB_ENTRY_RESERVE:
        return fold_reserve(lot, entry, t_us);
    case QB_ENTRY_EXTEND:
        return fold_extend(lot, entry);
    case QB_ENTRY_PAUSE:
        return fold_pause(lot, t_us);
    case QB_ENTRY_RESUME:
        return fold_resume(lot, t_us);
    case QB_ENTRY_CLOSE:
        return fold_close(lot, entry);
    case QB_ENTRY_CANCEL:
        return fold_cancel(lot, entry);
    case QB_ENTRY_BID:
    case QB_ENTRY_BUY_NOW:
    case QB_ENTRY_DISCARD:
    case QB_ENTRY_TYPE_COUNT:
        break;
    }
    return QB_REFUSAL_NOTHING_TO_DO;
}

/* What everybody may see of a lot, to tell whether an entry changed it. */
struct seen {
    qb_id leader;
    int64_t price;
    uint32_t bids;
    qb_time_us ends_at_us;
    uint8_t status;
    enum qb_reserve_state reserve;
    bool is_buy_now_open;
};

static struct seen see(const struct qb_lot *lot)
{
    return (struct seen){
        .leader = lot->leader,
        .price = lot->price,
        .bids = lot->bids,
        .ends_at_us = lot->ends_at_us,
        .status = lot->status,
        .reserve = qb_lot_reserve_state(lot),
        .is_buy_now_open = qb_lot_is_buy_now_open(lot),
    };
}

static bool is_same(const struct seen *a, const struct seen *b)
{
    return a->leader == b->leader && a->price == b->price && a->bids == b->bids &&
           a->ends_at_us == b->ends_at_us && a->status == b->status && a->reserve == b->reserve &&
           a->is_buy_now_open == b->is_buy_now_open;
}

struct qb_verdict qb_lot_fold(struct qb_lot *lot, const struct qb_entry *entry,
                              struct qb_bid_record *records, size_t record_count)
{
    enum qb_verdict_code code = QB_VERDICT_DONE;

    QB_ASSERT(entry->seq == lot->seq + 1);
    QB_ASSERT((entry->seq == 1) == (lot->status == QB_STATUS_NONE));
    QB_ASSERT(entry->seq != 1 || entry->type == QB_ENTRY_OPEN);
    const qb_time_us t_us = qb_lot_effective_time(lot, entry);
    const struct seen before = see(lot);
    const int64_t m1 = lot->m1;
    enum qb_refusal refusal = fold_kind(lot, entry, t_us, records, record_count, &code);
    if (refusal != QB_REFUSAL_NONE) code = QB_VERDICT_REFUSED;
    bool has_effect = code != QB_VERDICT_REFUSED && code != QB_VERDICT_VOID;
    if (has_effect && !qb_lot_is_over(lot)) lot->accepted_t_us = t_us; /* nothing follows an end */
    lot->seq = entry->seq;
    lot->epoch = entry->epoch;
    if (entry->now_us > lot->now_us) lot->now_us = entry->now_us;
    const struct seen after = see(lot);
    bool has_lost = before.leader != 0 && before.leader != lot->leader;
    bool is_bought_away = code == QB_VERDICT_BOUGHT && before.leader != entry->bidder;
    struct qb_verdict verdict = {
        .code = (uint8_t)code,
        .refusal = (uint8_t)refusal,
        .t_us = t_us,
        .price = lot->price,
        .minimum = qb_lot_minimum(lot),
        .leader = lot->leader,
        .outbid = has_lost || is_bought_away ? before.leader : 0,
        .ends_at_us = lot->ends_at_us,
        .bids = lot->bids,
        .status = lot->status,
        .is_extended = entry->seq > 1 && after.ends_at_us != before.ends_at_us,
        .is_maximum_cut = entry->type == QB_ENTRY_RESERVE && lot->m1 < m1,
        .is_public_change = has_effect && !is_same(&before, &after),
    };
    qb_lot_chain(lot, entry, &verdict);
    qb_lot_check(lot);
    return verdict;
}
