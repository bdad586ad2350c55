#include "tests/property/compare.h"

#include <inttypes.h>
#include <string.h>

/* Fails the function with both values unless they are equal. */
#define SAME(what, product, model)                                                                 \
    do {                                                                                           \
        const int64_t product_value = (int64_t)(product);                                          \
        const int64_t model_value = (int64_t)(model);                                              \
        if (product_value != model_value) {                                                        \
            return qb_error_set(error, "%s: the fold has %" PRId64 ", the model %" PRId64, what,   \
                                product_value, model_value);                                       \
        }                                                                                          \
    } while (0)

#define HOLDS(condition, says)                                                                     \
    do {                                                                                           \
        if (!(condition)) return qb_error_set(error, "invariant: %s", says);                       \
    } while (0)

static bool compare_verdict(const struct step *step, struct qb_error *error)
{
    const struct qb_verdict *verdict = &step->verdict;
    const struct model_verdict *expected = &step->expected;
    const struct model *model = step->model;

    SAME("verdict.code", verdict->code, expected->code);
    SAME("verdict.refusal", verdict->refusal, expected->refusal);
    SAME("verdict.t_us", verdict->t_us, expected->t_us);
    SAME("verdict.price", verdict->price, model->view.price);
    SAME("verdict.minimum", verdict->minimum, model_minimum(model));
    SAME("verdict.leader", verdict->leader, model->view.leader);
    SAME("verdict.outbid", verdict->outbid, expected->outbid);
    SAME("verdict.ends_at_us", verdict->ends_at_us, model->ends_at_us);
    SAME("verdict.bids", verdict->bids, model->view.bids);
    SAME("verdict.status", verdict->status, model->status);
    SAME("verdict.is_extended", verdict->is_extended, expected->is_extended);
    SAME("verdict.is_public_change", verdict->is_public_change, expected->is_public_change);
    return true;
}

/* Whether a lowered reserve has cut the maximum of a live bid (rules.md 3). */
static bool has_cut(const struct model *model)
{
    int64_t maxima[MODEL_RECORDS_MAX] = {0};

    model_maxima(model, maxima);
    for (size_t i = 0; i < model->record_count; i++) {
        if (model->records[i].is_live && maxima[i] != model->records[i].max) return true;
    }
    return false;
}

static bool compare_standing(const struct step *step, struct qb_error *error)
{
    const struct qb_lot *lot = step->after;
    const struct model_view *view = &step->model->view;

    SAME("leader", lot->leader, view->leader);
    SAME("price", lot->price, view->price);
    SAME("bids", lot->bids, view->bids);
    SAME("accepted", lot->accepted, step->model->accepted);
    if (view->leader == 0) return true;
    SAME("m1", lot->m1, view->m1);
    SAME("second", lot->second, view->second);
    if (view->second != 0) SAME("m2", lot->m2, view->m2);
    /* Several bids of one bidder may be cut to the same maximum; which of them then counts as the
     * one that set it shows nowhere. */
    if (has_cut(step->model)) return true;
    SAME("m1_seq", lot->m1_seq, view->m1_seq);
    if (view->second != 0) SAME("m2_seq", lot->m2_seq, view->m2_seq);
    return true;
}

static bool compare_state(const struct step *step, struct qb_error *error)
{
    const struct qb_lot *lot = step->after;
    const struct model *model = step->model;

    SAME("status", lot->status, model->status);
    SAME("outcome", lot->outcome, model->outcome);
    SAME("ends_at_us", lot->ends_at_us, model->ends_at_us);
    SAME("hard_end_us", lot->rules.hard_end_us, model->hard_end_us);
    SAME("extensions", lot->extensions, model->extensions);
    SAME("reserve", lot->rules.reserve, model->reserve);
    SAME("reserve state", qb_lot_reserve_state(lot), model_reserve_state(model));
    SAME("buy-now open", qb_lot_is_buy_now_open(lot), model_is_buy_now_open(model));
    SAME("minimum", qb_lot_minimum(lot), model_minimum(model));
    SAME("over", qb_lot_is_over(lot), model_is_over(model));
    SAME("winner", lot->winner, model->winner);
    SAME("final price", lot->final_price, model->final_price);
    SAME("accepted_t_us", lot->accepted_t_us, model->accepted_t_us);
    SAME("remaining_us", lot->remaining_us, model->remaining_us);
    SAME("blocked", lot->blocked_count, model->blocked_count);
    for (size_t i = 0; i < lot->blocked_count; i++) {
        HOLDS(model_is_blocked(model, lot->blocked[i]), "the same bidders are blocked");
    }
    return true;
}

static bool compare_records(const struct step *step, struct qb_error *error)
{
    SAME("records", step->record_count, step->model->record_count);
    for (size_t i = 0; i < step->record_count; i++) {
        const struct model_record *record = &step->model->records[i];
        SAME("record.seq", step->records[i].seq, record->seq);
        if (record->is_reserve) continue;
        SAME("record.is_live", step->records[i].is_live, record->is_live);
        SAME("record.t_us", step->records[i].t_us, record->t_us);
    }
    return true;
}

/* Left out: a cancelled auction, of which rules.md 12 says nothing. */
static bool compare_second_chance(const struct step *step, struct qb_error *error)
{
    int64_t offer = 0;
    int64_t expected_offer = 0;

    if (!model_is_over(step->model) || step->model->status == QB_STATUS_CANCELLED) return true;
    const qb_id expected = model_second_chance(step->model, &expected_offer);
    const qb_id seen = qb_lot_second_chance(step->after, step->records, step->record_count, &offer);
    SAME("second chance", seen, expected);
    if (expected != 0) SAME("second chance's offer", offer, expected_offer);
    return true;
}

/* The price that a leader is shown before a raise, and nobody else. */
static bool compare_preview(const struct step *step, struct qb_error *error)
{
    const struct model *model = step->model;

    for (int64_t more = 1; more <= 64; more *= 4) {
        const int64_t max = model->view.m1 + more * model->rules.tick;
        SAME("preview", qb_lot_preview_raise(step->after, model->view.leader, max),
             model_preview_raise(model, model->view.leader, max));
        SAME("preview of another", qb_lot_preview_raise(step->after, model->view.second, max),
             model_preview_raise(model, model->view.second, max));
    }
    return true;
}

/* A refused entry changes nothing but seq, epoch, now and chain. */
static bool check_no_effect(const struct step *step, struct qb_error *error)
{
    uint8_t seen[QB_LOT_BYTES_MAX];
    uint8_t expected[QB_LOT_BYTES_MAX];
    struct qb_lot untouched = *step->before;

    if (step->verdict.code != QB_VERDICT_REFUSED && step->verdict.code != QB_VERDICT_VOID) {
        return true;
    }
    untouched.seq = step->after->seq;
    untouched.epoch = step->after->epoch;
    untouched.now_us = step->after->now_us;
    memcpy(untouched.chain, step->after->chain, sizeof untouched.chain);
    const size_t length = qb_lot_encode(step->after, seen);
    SAME("length of the state after a refusal", length, qb_lot_encode(&untouched, expected));
    HOLDS(memcmp(seen, expected, length) == 0, "a refused entry changes nothing");
    return true;
}

static bool is_end(const struct qb_lot *lot)
{
    return lot->status >= QB_STATUS_SOLD;
}

/* I4: one entry ends an auction, and a final state is final. */
static bool check_ending(const struct step *step, struct qb_error *error)
{
    const uint8_t type = step->entry->type;

    if (is_end(step->before)) {
        HOLDS(step->verdict.code == QB_VERDICT_REFUSED || step->verdict.code == QB_VERDICT_VOID,
              "nothing has effect behind the end");
        return true;
    }
    if (!is_end(step->after)) return true;
    HOLDS(type == QB_ENTRY_CLOSE || type == QB_ENTRY_BUY_NOW || type == QB_ENTRY_CANCEL,
          "only CLOSE, BUY_NOW and CANCEL end an auction");
    HOLDS((step->after->status == QB_STATUS_SOLD) == (step->after->winner != 0),
          "sold has a winner, nothing else has");
    return true;
}

/* I5 and I11: what an accepted bid had to satisfy. */
static bool check_accepted(const struct step *step, struct qb_error *error)
{
    const struct qb_lot *before = step->before;
    const struct qb_entry *entry = step->entry;

    if (entry->type != QB_ENTRY_BID || step->verdict.code == QB_VERDICT_REFUSED) return true;
    HOLDS(before->status == QB_STATUS_OPEN, "a bid is accepted in an open auction only");
    HOLDS(entry->bidder != before->rules.seller, "the seller does not bid");
    HOLDS(step->verdict.t_us >= before->rules.starts_at_us, "accepted from the start on");
    HOLDS(step->verdict.t_us < before->ends_at_us, "accepted before the end");
    HOLDS(step->verdict.t_us >= before->accepted_t_us, "t never falls along accepted entries");
    HOLDS(step->verdict.t_us <= entry->now_us, "t is not in the future");
    if (entry->bidder == before->leader) {
        HOLDS(entry->max > before->m1, "a leader raises");
    } else {
        HOLDS(entry->max >= qb_lot_minimum(before), "a challenger bids the minimum or more");
    }
    return true;
}

static bool check_price(const struct step *step, struct qb_error *error)
{
    const struct qb_lot *before = step->before;
    const struct qb_lot *after = step->after;
    const uint8_t type = step->entry->type;

    HOLDS((after->leader == 0) == (after->price == QB_AMOUNT_NONE), "a price has a leader");
    if (after->leader == 0) return true;
    HOLDS(after->price >= after->rules.start_price, "start <= price");
    HOLDS(after->price <= after->m1, "price <= leader's maximum");
    if (type != QB_ENTRY_VOID && type != QB_ENTRY_RETRACT && type != QB_ENTRY_RESERVE) {
        HOLDS(after->price >= before->price || before->price == QB_AMOUNT_NONE,
              "the price never falls but by VOID, RETRACT and RESERVE");
    }
    if (after->rules.self_raise == QB_SELF_RAISE_COMPLETE) {
        const int64_t m2 = after->second != 0 ? after->m2 : QB_AMOUNT_NONE;
        SAME("price of the maxima", qb_lot_price(&after->rules, after->m1, m2), after->price);
    }
    return true;
}

/* I3, I8 and the end's own rule. */
static bool check_order(const struct step *step, struct qb_error *error)
{
    const struct qb_lot *before = step->before;
    const struct qb_lot *after = step->after;
    const uint8_t type = step->entry->type;

    SAME("seq", after->seq, step->entry->seq);
    SAME("seq without gap", after->seq, before->seq + 1);
    SAME("epoch", after->epoch, step->entry->epoch);
    SAME("now", after->now_us, step->entry->now_us);
    HOLDS(memcmp(before->chain, after->chain, sizeof after->chain) != 0, "the chain goes on");
    if (type == QB_ENTRY_OPEN || after->ends_at_us == before->ends_at_us) return true;
    HOLDS(after->ends_at_us > before->ends_at_us || type == QB_ENTRY_EXTEND, "the end never falls");
    HOLDS(type == QB_ENTRY_BID || type == QB_ENTRY_RESUME || type == QB_ENTRY_EXTEND,
          "only BID, RESUME and EXTEND move the end");
    HOLDS(step->verdict.code != QB_VERDICT_RAISED, "a leader's raise does not move the end");
    return true;
}

bool compare_step(const struct step *step, struct qb_error *error)
{
    QB_TRY(compare_verdict(step, error));
    QB_TRY(compare_standing(step, error));
    QB_TRY(compare_state(step, error));
    QB_TRY(compare_records(step, error));
    QB_TRY(compare_second_chance(step, error));
    QB_TRY(compare_preview(step, error));
    QB_TRY(check_no_effect(step, error));
    QB_TRY(check_ending(step, error));
    QB_TRY(check_accepted(step, error));
    QB_TRY(check_price(step, error));
    QB_TRY(check_order(step, error));
    return true;
}
