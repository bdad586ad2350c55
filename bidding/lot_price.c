#include "base/assert.h"
#include "bidding/lot_state.h"

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* What the reserve makes of a price: met, it lifts; unmet, only show_max reveals the maximum. */
static int64_t with_reserve(const struct qb_rules *rules, int64_t m1, int64_t price)
{
    if (rules->reserve == QB_AMOUNT_NONE) return price;
    if (m1 >= rules->reserve) return larger(price, rules->reserve);
    return rules->reserve_style == QB_RESERVE_SHOW_MAX ? larger(price, m1) : price;
}

static int64_t by_competition(const struct qb_rules *rules, int64_t m1, int64_t m2)
{
    if (m2 == QB_AMOUNT_NONE) return rules->start_price;
    return smaller(m1, m2 + qb_increment_of(&rules->table, m2, rules->tick));
}

int64_t qb_lot_price(const struct qb_rules *rules, int64_t m1, int64_t m2)
{
    QB_ASSERT(m1 >= 0);
    QB_ASSERT(m2 <= m1);
    return with_reserve(rules, m1, by_competition(rules, m1, m2));
}

void qb_lot_apply_bid(struct qb_lot *lot, qb_id bidder, int64_t max, uint64_t seq)
{
    bool is_raise = lot->leader == bidder;

    if (lot->leader == 0 || is_raise) {
        lot->leader = bidder;
        lot->m1 = max;
        lot->m1_seq = seq;
    } else if (max > lot->m1) {
        lot->second = lot->leader;
        lot->m2 = lot->m1;
        lot->m2_seq = lot->m1_seq;
        lot->leader = bidder;
        lot->m1 = max;
        lot->m1_seq = seq;
    } else if (lot->second == 0 || max > lot->m2) {
        lot->second = bidder;
        lot->m2 = max;
        lot->m2_seq = seq;
    }
    int64_t m2 = lot->second != 0 ? lot->m2 : QB_AMOUNT_NONE;
    bool holds = is_raise && lot->rules.self_raise == QB_SELF_RAISE_HOLD;
    lot->price = holds ? with_reserve(&lot->rules, lot->m1, lot->price)
                       : qb_lot_price(&lot->rules, lot->m1, m2);
}

void qb_lot_cut_maximum(struct qb_lot *lot, int64_t reserve)
{
    if (lot->leader == 0 || lot->m1 < reserve) return;
    lot->m1 = reserve - lot->rules.tick;
    if (lot->price > lot->m1) lot->price = lot->m1;
}

void qb_lot_recompute(struct qb_lot *lot, const struct qb_bid_record *records, size_t record_count)
{
    const int64_t reserve = lot->rules.reserve;
    size_t lowerings = 0;

    lot->leader = 0;
    lot->m1 = 0;
    lot->m1_seq = 0;
    lot->second = 0;
    lot->m2 = 0;
    lot->m2_seq = 0;
    lot->price = QB_AMOUNT_NONE;
    lot->bids = 0;
    for (size_t i = 0; i < record_count; i++) lowerings += records[i].type == QB_ENTRY_RESERVE;
    for (size_t i = 0; i < record_count; i++) {
        const struct qb_bid_record *record = &records[i];
        /* A reserve that was lowered later was not met before: no live maximum reached it. */
        lot->rules.reserve = lowerings > 0 ? QB_AMOUNT_MAX : reserve;
        if (reserve == QB_AMOUNT_NONE) lot->rules.reserve = QB_AMOUNT_NONE;
        if (record->type == QB_ENTRY_RESERVE) {
            lowerings--;
            qb_lot_cut_maximum(lot, record->max);
        } else if (record->is_live) {
            qb_lot_apply_bid(lot, record->bidder, record->max, record->seq);
            lot->bids++;
        }
    }
    lot->rules.reserve = reserve;
}

int64_t qb_lot_minimum(const struct qb_lot *lot)
{
    if (qb_lot_is_over(lot)) return QB_AMOUNT_NONE;
    if (lot->price == QB_AMOUNT_NONE) return lot->rules.start_price;
    return lot->price + qb_increment_of(&lot->rules.table, lot->price, lot->rules.tick);
}

int64_t qb_lot_preview_raise(const struct qb_lot *lot, qb_id bidder, int64_t max)
{
    if (lot->leader == 0 || lot->leader != bidder) return QB_AMOUNT_NONE;
    bool is_shown = lot->rules.reserve_style == QB_RESERVE_SHOW_MAX &&
                    qb_lot_reserve_state(lot) == QB_RESERVE_NOT_MET;
    if (is_shown) return larger(lot->price, max);
    if (lot->rules.self_raise == QB_SELF_RAISE_HOLD) return lot->price;
    int64_t m2 = lot->second != 0 ? lot->m2 : QB_AMOUNT_NONE;
    return larger(lot->price, by_competition(&lot->rules, max, m2));
}

enum qb_reserve_state qb_lot_reserve_state(const struct qb_lot *lot)
{
    if (lot->rules.reserve == QB_AMOUNT_NONE) return QB_RESERVE_NONE;
    return lot->leader != 0 && lot->m1 >= lot->rules.reserve ? QB_RESERVE_MET : QB_RESERVE_NOT_MET;
}

bool qb_lot_is_over(const struct qb_lot *lot)
{
    return lot->status >= QB_STATUS_SOLD;
}

bool qb_lot_is_buy_now_open(const struct qb_lot *lot)
{
    return lot->rules.buy_now != QB_AMOUNT_NONE && !lot->is_buy_now_gone && !qb_lot_is_over(lot);
}
