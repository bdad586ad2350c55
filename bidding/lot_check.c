#include <stddef.h>

#include "base/assert.h"
#include "bidding/lot_state.h"

/* For a list of invariants: leaves with the first that does not hold, in words. */
#define HOLDS(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) return #condition;                                                       \
    } while (0)

static const char *broken_of_leader(const struct qb_lot *lot)
{
    HOLDS((lot->leader == 0) == (lot->price == QB_AMOUNT_NONE));
    HOLDS((lot->leader == 0) == (lot->bids == 0));
    if (lot->leader == 0) {
        HOLDS(lot->second == 0);
        return NULL;
    }
    HOLDS(lot->leader != lot->rules.seller);
    HOLDS(lot->leader != lot->second);
    HOLDS(lot->m1 <= lot->rules.cap);
    HOLDS(lot->price <= lot->m1);
    HOLDS(lot->price >= 1);
    HOLDS(lot->m1_seq >= 2);
    HOLDS(lot->m1_seq <= lot->seq);
    if (lot->second == 0) return NULL;
    HOLDS(lot->m2 >= 1);
    HOLDS(lot->m2 <= lot->m1);
    HOLDS(lot->price >= lot->m2);
    return NULL;
}

const char *qb_lot_broken(const struct qb_lot *lot)
{
    HOLDS(lot->status != QB_STATUS_NONE);
    HOLDS(lot->status <= QB_STATUS_CANCELLED);
    HOLDS(lot->seq >= 1);
    HOLDS(lot->rules.version >= 1);
    HOLDS(lot->rules.version <= QB_RULES_VERSION);
    HOLDS(lot->rules.tick >= 1);
    HOLDS(lot->rules.cap <= QB_AMOUNT_MAX);
    HOLDS(lot->ends_at_us >= lot->rules.ends_at_us);
    HOLDS(lot->bids <= lot->accepted);
    HOLDS(lot->blocked_count <= QB_BLOCKED_MAX);
    HOLDS((lot->status == QB_STATUS_SOLD) == (lot->winner != 0));
    HOLDS((lot->winner != 0) == (lot->final_price != QB_AMOUNT_NONE));
    HOLDS(qb_lot_is_over(lot) == (lot->outcome != QB_OUTCOME_NONE));
    return broken_of_leader(lot);
}

void qb_lot_check(const struct qb_lot *lot)
{
    const char *broken = qb_lot_broken(lot);

    if (broken != NULL) qb_assert_failed(broken, __FILE__, __LINE__);
}

static const char *const verdict_names[] = {
    [QB_VERDICT_NONE] = "none",       [QB_VERDICT_LEADING] = "leading",
    [QB_VERDICT_OUTBID] = "outbid",   [QB_VERDICT_RAISED] = "raised",
    [QB_VERDICT_BOUGHT] = "bought",   [QB_VERDICT_DONE] = "done",
    [QB_VERDICT_REFUSED] = "refused", [QB_VERDICT_VOID] = "void",
};

const char *qb_verdict_name(enum qb_verdict_code code)
{
    QB_ASSERT(code <= QB_VERDICT_VOID);
    return verdict_names[code];
}

const char *qb_outcome_name(enum qb_outcome outcome)
{
    static const char *const names[] = {
        [QB_OUTCOME_NONE] = NULL,
        [QB_OUTCOME_HIGH_BID] = "high_bid",
        [QB_OUTCOME_BUY_NOW] = "buy_now",
        [QB_OUTCOME_NO_BIDS] = "no_bids",
        [QB_OUTCOME_RESERVE_NOT_MET] = "reserve_not_met",
        [QB_OUTCOME_CANCELLED] = "cancelled",
    };

    QB_ASSERT(outcome <= QB_OUTCOME_CANCELLED);
    return names[outcome];
}

const char *qb_reserve_state_name(enum qb_reserve_state state)
{
    static const char *const names[] = {"none", "not_met", "met"};

    QB_ASSERT(state <= QB_RESERVE_MET);
    return names[state];
}

const char *qb_lot_status_name(const struct qb_lot *lot, qb_time_us now_us)
{
    switch ((enum qb_status)lot->status) {
    case QB_STATUS_PAUSED:
        return "paused";
    case QB_STATUS_SOLD:
        return "sold";
    case QB_STATUS_UNSOLD:
        return "unsold";
    case QB_STATUS_CANCELLED:
        return "cancelled";
    case QB_STATUS_NONE:
    case QB_STATUS_OPEN:
        break;
    }
    if (now_us < lot->rules.starts_at_us) return "scheduled";
    return now_us >= lot->ends_at_us ? "closing" : "open";
}
