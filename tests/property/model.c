#include "tests/property/model.h"

#include <string.h>

#define HOUR_US INT64_C(3600000000)

bool model_is_over(const struct model *model)
{
    return model->status == QB_STATUS_SOLD || model->status == QB_STATUS_UNSOLD ||
           model->status == QB_STATUS_CANCELLED;
}

int64_t model_minimum(const struct model *model)
{
    if (model_is_over(model)) return QB_AMOUNT_NONE;
    if (model->view.price == QB_AMOUNT_NONE) return model->rules.start_price;
    return model->view.price + model_increment(&model->rules, model->view.price);
}

enum qb_reserve_state model_reserve_state(const struct model *model)
{
    if (model->reserve == QB_AMOUNT_NONE) return QB_RESERVE_NONE;
    return model->view.leader != 0 && model->view.m1 >= model->reserve ? QB_RESERVE_MET
                                                                       : QB_RESERVE_NOT_MET;
}

bool model_is_buy_now_open(const struct model *model)
{
    return model->rules.buy_now != QB_AMOUNT_NONE && !model->is_buy_now_gone &&
           !model_is_over(model);
}

bool model_is_blocked(const struct model *model, qb_id bidder)
{
    for (size_t i = 0; i < model->blocked_count; i++) {
        if (model->blocked[i] == bidder) return true;
    }
    return false;
}

/* rules.md 5.2. */
qb_time_us model_effective_time(const struct model *model, const struct qb_entry *entry)
{
    qb_time_us t_us = entry->now_us;

    if ((entry->type == QB_ENTRY_BID || entry->type == QB_ENTRY_BUY_NOW) && entry->recv_us != 0) {
        t_us = entry->recv_us;
        if (t_us < entry->now_us - model->rules.drain_us) {
            t_us = entry->now_us - model->rules.drain_us;
        }
        if (t_us > entry->now_us) t_us = entry->now_us;
    }
    return t_us > model->accepted_t_us ? t_us : model->accepted_t_us;
}

static enum qb_refusal refusal_if_over(const struct model *model)
{
    if (model->status == QB_STATUS_CANCELLED) return QB_REFUSAL_CANCELLED;
    return model_is_over(model) ? QB_REFUSAL_ENDED : QB_REFUSAL_NONE;
}

/* State and time of rules.md 6. */
static enum qb_refusal refusal_of_time(const struct model *model, qb_time_us t_us)
{
    if (model_is_over(model)) return refusal_if_over(model);
    if (model->status == QB_STATUS_PAUSED) return QB_REFUSAL_PAUSED;
    if (t_us < model->rules.starts_at_us) return QB_REFUSAL_NOT_STARTED;
    return t_us >= model->ends_at_us ? QB_REFUSAL_ENDED : QB_REFUSAL_NONE;
}

/* What rules.md 6 asks of a bid and of a buy-now alike. */
static enum qb_refusal refusal_of_bidder(const struct model *model, const struct qb_entry *entry,
                                         qb_time_us t_us)
{
    enum qb_refusal refusal = refusal_of_time(model, t_us);

    if (refusal != QB_REFUSAL_NONE) return refusal;
    if (entry->bidder == model->rules.seller) return QB_REFUSAL_SELLER;
    if (model_is_blocked(model, entry->bidder)) return QB_REFUSAL_BLOCKED;
    return strcmp(entry->currency, model->rules.currency) != 0 ? QB_REFUSAL_CURRENCY
                                                               : QB_REFUSAL_NONE;
}

static enum qb_refusal fold_bid(struct model *model, const struct qb_entry *entry, qb_time_us t_us)
{
    enum qb_refusal refusal = refusal_of_bidder(model, entry, t_us);

    if (refusal != QB_REFUSAL_NONE) return refusal;
    if (entry->max <= 0 || entry->max % model->rules.tick != 0 || entry->max > model->rules.cap) {
        return QB_REFUSAL_BAD_AMOUNT;
    }
    if (entry->bidder == model->view.leader) {
        if (entry->max <= model->view.m1) return QB_REFUSAL_NOT_ABOVE_OWN_MAX;
    } else if (entry->max < model_minimum(model)) {
        return QB_REFUSAL_TOO_LOW;
    }
    if (entry->allowance != -1 && entry->max > entry->allowance) return QB_REFUSAL_LIMIT;

    model->records[model->record_count++] = (struct model_record){
        .seq = entry->seq,
        .is_live = true,
        .bidder = entry->bidder,
        .max = entry->max,
        .t_us = t_us,
    };
    model->accepted++;
    return QB_REFUSAL_NONE;
}

static enum qb_refusal fold_buy_now(struct model *model, const struct qb_entry *entry,
                                    qb_time_us t_us)
{
    enum qb_refusal refusal = refusal_of_bidder(model, entry, t_us);

    if (refusal != QB_REFUSAL_NONE) return refusal;
    if (!model_is_buy_now_open(model)) return QB_REFUSAL_BUY_NOW_GONE;
    if (entry->max != model->rules.buy_now) return QB_REFUSAL_BUY_NOW_PRICE;
    if (entry->allowance != -1 && model->rules.buy_now > entry->allowance) return QB_REFUSAL_LIMIT;
    model->status = QB_STATUS_SOLD;
    model->outcome = QB_OUTCOME_BUY_NOW;
    model->winner = entry->bidder;
    model->final_price = model->rules.buy_now;
    return QB_REFUSAL_NONE;
}

/* The last live bid of `bidder`, or null. */
static struct model_record *last_bid(struct model *model, qb_id bidder)
{
    struct model_record *last = NULL;

    for (size_t i = 0; i < model->record_count; i++) {
        if (model->records[i].is_live && model->records[i].bidder == bidder) {
            last = &model->records[i];
        }
    }
    return last;
}

static void strike_all(struct model *model, qb_id bidder)
{
    for (size_t i = 0; i < model->record_count; i++) {
        if (model->records[i].bidder == bidder) model->records[i].is_live = false;
    }
}

static void strike_before(struct model *model, uint64_t seq)
{
    for (size_t i = 0; i < model->record_count; i++) {
        if (model->records[i].seq < seq) model->records[i].is_live = false;
    }
}

/* Time left: a pause keeps it. */
static int64_t left_us(const struct model *model, qb_time_us t_us)
{
    return model->status == QB_STATUS_PAUSED ? model->remaining_us : model->ends_at_us - t_us;
}

static enum qb_refusal fold_retract(struct model *model, const struct qb_entry *entry,
                                    qb_time_us t_us)
{
    if (model_is_over(model)) return refusal_if_over(model);
    if (left_us(model, t_us) <= 0) return QB_REFUSAL_ENDED;
    struct model_record *last = last_bid(model, entry->bidder);
    if (last == NULL) return QB_REFUSAL_NOTHING_TO_DO;
    const uint64_t last_seq = last->seq;

    /* The windows bind bidders; seller and admin may always (rules.md 8). */
    if (entry->by != QB_ACTOR_BIDDER || left_us(model, t_us) > 12 * HOUR_US) {
        strike_all(model, entry->bidder);
    } else {
        if (t_us - last->t_us > HOUR_US) return QB_REFUSAL_RETRACT_WINDOW;
        last->is_live = false;
    }
    if (model->rules.retraction == QB_RETRACTION_NO_REVIVE) strike_before(model, last_seq);
    return QB_REFUSAL_NONE;
}

static enum qb_refusal fold_void(struct model *model, const struct qb_entry *entry)
{
    if (model_is_over(model)) return refusal_if_over(model);
    if (entry->target_seq == 0) {
        if (last_bid(model, entry->bidder) == NULL) return QB_REFUSAL_NOTHING_TO_DO;
        strike_all(model, entry->bidder);
        return QB_REFUSAL_NONE;
    }
    for (size_t i = 0; i < model->record_count; i++) {
        struct model_record *record = &model->records[i];
        if (record->seq != entry->target_seq || !record->is_live) continue;
        if (entry->bidder != 0 && entry->bidder != record->bidder) continue;
        record->is_live = false;
        return QB_REFUSAL_NONE;
    }
    return QB_REFUSAL_NOTHING_TO_DO;
}

static enum qb_refusal fold_block(struct model *model, const struct qb_entry *entry)
{
    if (model_is_over(model)) return refusal_if_over(model);
    if (model_is_blocked(model, entry->bidder)) return QB_REFUSAL_NOTHING_TO_DO;
    if (model->blocked_count == QB_BLOCKED_MAX) return QB_REFUSAL_FULL;
    model->blocked[model->blocked_count++] = entry->bidder;
    return QB_REFUSAL_NONE;
}

static enum qb_refusal fold_unblock(struct model *model, const struct qb_entry *entry)
{
    if (model_is_over(model)) return refusal_if_over(model);
    for (size_t i = 0; i < model->blocked_count; i++) {
        if (model->blocked[i] != entry->bidder) continue;
        model->blocked[i] = model->blocked[--model->blocked_count];
        return QB_REFUSAL_NONE;
    }
    return QB_REFUSAL_NOTHING_TO_DO;
}

static enum qb_refusal fold_reserve(struct model *model, const struct qb_entry *entry,
                                    qb_time_us t_us)
{
    if (model_is_over(model)) return refusal_if_over(model);
    if (model->reserve == QB_AMOUNT_NONE) return QB_REFUSAL_NOTHING_TO_DO;
    if (model_reserve_state(model) == QB_RESERVE_MET) return QB_REFUSAL_RESERVE_MET;
    if (entry->max >= model->reserve || entry->max < model_minimum(model) ||
        entry->max % model->rules.tick != 0) {
        return QB_REFUSAL_RESERVE_AMOUNT;
    }
    if (left_us(model, t_us) < 12 * HOUR_US) return QB_REFUSAL_RESERVE_WINDOW;

    model->reserve = entry->max;
    model->records[model->record_count++] = (struct model_record){
        .seq = entry->seq,
        .is_reserve = true,
        .max = entry->max,
        .t_us = t_us,
    };
    return QB_REFUSAL_NONE;
}

/* EXTEND and RESUME move the hard end by as much as the end (rules.md 5.6). */
static void move_end(struct model *model, qb_time_us end_us)
{
    if (model->hard_end_us != 0) model->hard_end_us += end_us - model->ends_at_us;
    model->ends_at_us = end_us;
}

/* Allowed behind the end too, as long as no CLOSE was folded: after an outage (rules.md 9). */
static enum qb_refusal fold_extend(struct model *model, const struct qb_entry *entry)
{
    if (model_is_over(model)) return refusal_if_over(model);
    if (model->status == QB_STATUS_PAUSED) return QB_REFUSAL_PAUSED;
    if (entry->end_us <= model->ends_at_us) return QB_REFUSAL_NOTHING_TO_DO;
    move_end(model, entry->end_us);
    return QB_REFUSAL_NONE;
}

static enum qb_refusal fold_pause(struct model *model, qb_time_us t_us)
{
    if (model_is_over(model)) return refusal_if_over(model);
    if (model->status == QB_STATUS_PAUSED) return QB_REFUSAL_PAUSED;
    if (left_us(model, t_us) <= 0) return QB_REFUSAL_ENDED;
    model->status = QB_STATUS_PAUSED;
    model->remaining_us = model->ends_at_us - t_us;
    return QB_REFUSAL_NONE;
}

static enum qb_refusal fold_resume(struct model *model, qb_time_us t_us)
{
    int64_t left = model->remaining_us;

    if (model_is_over(model)) return refusal_if_over(model);
    if (model->status != QB_STATUS_PAUSED) return QB_REFUSAL_NOT_PAUSED;
    if (left < model->rules.min_resume_us) left = model->rules.min_resume_us;
    model->status = QB_STATUS_OPEN;
    model->remaining_us = 0;
    move_end(model, t_us + left);
    return QB_REFUSAL_NONE;
}

static enum qb_refusal fold_close(struct model *model, const struct qb_entry *entry)
{
    if (model_is_over(model)) return refusal_if_over(model);
    if (model->status == QB_STATUS_PAUSED) return QB_REFUSAL_PAUSED;
    if (entry->now_us < model->ends_at_us + model->rules.drain_us) return QB_REFUSAL_NOT_DUE;

    model->status = QB_STATUS_UNSOLD;
    if (model->view.leader == 0) {
        model->outcome = QB_OUTCOME_NO_BIDS;
    } else if (model_reserve_state(model) == QB_RESERVE_NOT_MET) {
        model->outcome = QB_OUTCOME_RESERVE_NOT_MET;
    } else {
        model->status = QB_STATUS_SOLD;
        model->outcome = QB_OUTCOME_HIGH_BID;
        model->winner = model->view.leader;
        model->final_price = model->view.price;
    }
    return QB_REFUSAL_NONE;
}

static enum qb_refusal fold_cancel(struct model *model, const struct qb_entry *entry)
{
    if (model_is_over(model)) return refusal_if_over(model);
    if (entry->by == QB_ACTOR_SELLER && model->rules.is_without_reserve && model->accepted > 0) {
        return QB_REFUSAL_WITHOUT_RESERVE;
    }
    model->status = QB_STATUS_CANCELLED;
    model->outcome = QB_OUTCOME_CANCELLED;
    model->remaining_us = 0;
    return QB_REFUSAL_NONE;
}

static void fold_open(struct model *model, const struct qb_entry *entry)
{
    *model = (struct model){
        .rules = *entry->rules,
        .reserve = entry->rules->reserve,
        .ends_at_us = entry->rules->ends_at_us,
        .hard_end_us = entry->rules->hard_end_us,
        .status = QB_STATUS_OPEN,
        .final_price = QB_AMOUNT_NONE,
    };
}

static enum qb_refusal decide(struct model *model, const struct qb_entry *entry, qb_time_us t_us)
{
    switch ((enum qb_entry_type)entry->type) {
    case QB_ENTRY_OPEN:
        fold_open(model, entry);
        return QB_REFUSAL_NONE;
    case QB_ENTRY_BID:
        return fold_bid(model, entry, t_us);
    case QB_ENTRY_BUY_NOW:
        return fold_buy_now(model, entry, t_us);
    case QB_ENTRY_RETRACT:
        return fold_retract(model, entry, t_us);
    case QB_ENTRY_VOID:
        return fold_void(model, entry);
    case QB_ENTRY_BLOCK:
        return fold_block(model, entry);
    case QB_ENTRY_UNBLOCK:
        return fold_unblock(model, entry);
    case QB_ENTRY_RESERVE:
        return fold_reserve(model, entry, t_us);
    case QB_ENTRY_EXTEND:
        return fold_extend(model, entry);
    case QB_ENTRY_PAUSE:
        return fold_pause(model, t_us);
    case QB_ENTRY_RESUME:
        return fold_resume(model, t_us);
    case QB_ENTRY_CLOSE:
        return fold_close(model, entry);
    case QB_ENTRY_CANCEL:
        return fold_cancel(model, entry);
    case QB_ENTRY_DISCARD:
    case QB_ENTRY_TYPE_COUNT:
        break;
    }
    return QB_REFUSAL_NONE;
}

/* Soft close, rules.md 5.5: `before` is the view in front of an accepted bid. */
static void extend_softly(struct model *model, const struct model_view *before, qb_id bidder,
                          qb_time_us t_us)
{
    const struct qb_rules *rules = &model->rules;
    qb_time_us end_us = t_us + rules->soft_extend_us;

    if (rules->soft_window_us == 0 || bidder == before->leader) return;
    if (model->view.price == before->price && model->view.leader == before->leader) return;
    if (t_us < model->ends_at_us - rules->soft_window_us) return;
    if (rules->max_extensions != 0 && model->extensions >= rules->max_extensions) return;
    if (model->hard_end_us != 0 && end_us > model->hard_end_us) end_us = model->hard_end_us;
    if (end_us <= model->ends_at_us) return;
    model->ends_at_us = end_us;
    model->extensions++;
}

static enum qb_verdict_code code_of(const struct model *model, const struct model_view *before,
                                    const struct qb_entry *entry)
{
    if (entry->type == QB_ENTRY_BUY_NOW) return QB_VERDICT_BOUGHT;
    if (entry->type != QB_ENTRY_BID) return QB_VERDICT_DONE;
    if (entry->bidder == before->leader) return QB_VERDICT_RAISED;
    return entry->bidder == model->view.leader ? QB_VERDICT_LEADING : QB_VERDICT_OUTBID;
}

static bool is_public_change(const struct model *before, const struct model *after)
{
    return before->view.price != after->view.price || before->view.leader != after->view.leader ||
           before->view.bids != after->view.bids || before->ends_at_us != after->ends_at_us ||
           before->status != after->status ||
           model_reserve_state(before) != model_reserve_state(after);
}

struct model_verdict model_fold(struct model *model, const struct qb_entry *entry)
{
    struct model before = *model;
    struct model_verdict verdict = {.t_us = model_effective_time(model, entry)};

    if (entry->type == QB_ENTRY_DISCARD) {
        verdict.code = QB_VERDICT_VOID;
        return verdict;
    }
    verdict.refusal = decide(model, entry, verdict.t_us);
    if (verdict.refusal != QB_REFUSAL_NONE) {
        verdict.code = QB_VERDICT_REFUSED;
        return verdict;
    }
    if (!model_is_over(model)) model->accepted_t_us = verdict.t_us;
    model->view = model_look(model);
    if (model->view.leader != 0 && model_reserve_state(model) != QB_RESERVE_NOT_MET) {
        model->is_buy_now_gone = true;
    }
    if (entry->type == QB_ENTRY_BID) {
        extend_softly(model, &before.view, entry->bidder, verdict.t_us);
    }
    verdict.code = code_of(model, &before.view, entry);
    if (model->view.leader != before.view.leader || verdict.code == QB_VERDICT_BOUGHT) {
        verdict.outbid = before.view.leader;
    }
    if (verdict.outbid == model->winner) verdict.outbid = 0;
    verdict.is_extended = before.status != QB_STATUS_NONE && model->ends_at_us != before.ends_at_us;
    verdict.is_public_change = is_public_change(&before, model);
    return verdict;
}

qb_id model_second_chance(const struct model *model, int64_t *offer)
{
    int64_t maxima[MODEL_RECORDS_MAX] = {0};
    size_t best = model->record_count;

    *offer = QB_AMOUNT_NONE;
    if (model->status != QB_STATUS_SOLD && model->status != QB_STATUS_UNSOLD) return 0;
    model_maxima(model, maxima);
    for (size_t i = 0; i < model->record_count; i++) {
        const qb_id bidder = model->records[i].bidder;
        if (maxima[i] == 0 || bidder == model->winner || model_is_blocked(model, bidder)) continue;
        if (best == model->record_count || maxima[i] > maxima[best]) best = i;
    }
    if (best == model->record_count) return 0;
    *offer = maxima[best];
    return model->records[best].bidder;
}
