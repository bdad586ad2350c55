#include "app/state_json.h"

#include "base/clock.h"

static void amount(struct qb_text *text, const char *name, int64_t value)
{
    if (value == QB_AMOUNT_NONE)
        qb_text_json_null(text, name);
    else
        qb_text_json_int(text, name, value);
}

static void label(struct qb_text *text, const char *name, const struct qb_lot *lot, qb_id bidder)
{
    char shown[QB_LABEL_BYTES];

    if (bidder != 0) qb_bidder_label(lot->rules.secret, bidder, shown);
    qb_text_json_text(text, name, bidder != 0 ? shown : NULL);
}

static const char *kind_of(const struct qb_state_event *event)
{
    static const char *const kinds[QB_ENTRY_TYPE_COUNT] = {
        [QB_ENTRY_OPEN] = "open",       [QB_ENTRY_BID] = "bid",
        [QB_ENTRY_BUY_NOW] = "buy_now", [QB_ENTRY_RETRACT] = "retract",
        [QB_ENTRY_VOID] = "void",       [QB_ENTRY_BLOCK] = "block",
        [QB_ENTRY_UNBLOCK] = "unblock", [QB_ENTRY_RESERVE] = "reserve",
        [QB_ENTRY_EXTEND] = "extend",   [QB_ENTRY_PAUSE] = "pause",
        [QB_ENTRY_RESUME] = "resume",   [QB_ENTRY_CLOSE] = "close",
        [QB_ENTRY_CANCEL] = "cancel",
    };

    if (event->verdict.code == QB_VERDICT_RAISED) return "raise";
    return event->type < QB_ENTRY_TYPE_COUNT ? kinds[event->type] : NULL;
}

void qb_state_event_json(struct qb_text *text, const struct qb_lot *lot,
                         const struct qb_state_event *event)
{
    qb_text_string(text, "{");
    qb_text_json_int(text, "seq", (int64_t)event->seq);
    qb_text_json_int(text, "t_ms", event->verdict.t_us / QB_MS_US);
    qb_text_json_text(text, "kind", kind_of(event));
    label(text, "label", lot, event->bidder);
    amount(text, "price",
           event->verdict.code == QB_VERDICT_BOUGHT ? lot->final_price : event->verdict.price);
    qb_text_json_int(text, "bids", event->verdict.bids);
    qb_text_string(text, "}");
}

static void result_json(struct qb_text *text, const struct qb_lot *lot)
{
    qb_text_json_text(text, "outcome", qb_outcome_name((enum qb_outcome)lot->outcome));
    label(text, "winner", lot, lot->winner);
    amount(text, "final_price", lot->final_price);
}

void qb_state_json(struct qb_text *text, const struct qb_lot *lot, const struct qb_state_view *view)
{
    const struct qb_rules *rules = &lot->rules;
    qb_time_us now_us = view->now_us;

    qb_text_string(text, "{");
    qb_text_json_id(text, "auction", lot->auction);
    qb_text_json_int(text, "epoch", view->epoch);
    qb_text_json_int(text, "seq", (int64_t)lot->seq);
    qb_text_json_int(text, "dur", (int64_t)view->dur);
    qb_text_json_text(text, "status", qb_lot_status_name(lot, now_us));
    amount(text, "price", lot->price);
    label(text, "leader", lot, lot->leader);
    qb_text_json_int(text, "bids", lot->bids);
    qb_text_json_int(text, "watchers", (int64_t)view->watchers);
    amount(text, "minimum", qb_lot_minimum(lot));
    qb_text_json_text(text, "reserve", qb_reserve_state_name(qb_lot_reserve_state(lot)));
    amount(text, "buy_now", qb_lot_is_buy_now_open(lot) ? rules->buy_now : QB_AMOUNT_NONE);
    qb_text_json_int(text, "starts_at_ms", rules->starts_at_us / QB_MS_US);
    qb_text_json_int(text, "ends_at_ms", lot->ends_at_us / QB_MS_US);
    qb_text_json_int(text, "extensions", lot->extensions);
    qb_text_json_text(text, "currency", rules->currency);
    qb_text_json_int(text, "now_ms", now_us / QB_MS_US);
    if (qb_lot_is_over(lot)) result_json(text, lot);
    qb_text_json_name(text, "last");
    if (view->last != NULL)
        qb_state_event_json(text, lot, view->last);
    else
        qb_text_string(text, "null");
    qb_text_string(text, "}");
}

void qb_state_archived_json(struct qb_text *text, const struct qb_lot *lot)
{
    const struct qb_state_view view = {.epoch = lot->epoch, .dur = lot->seq, .now_us = lot->now_us};

    qb_state_json(text, lot, &view);
}
