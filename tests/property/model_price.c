#include "tests/property/model.h"

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

int64_t model_increment(const struct qb_rules *rules, int64_t amount)
{
    const struct qb_increment_table *table = &rules->table;

    if (table->percent > 0)
        return larger(amount / 100 * table->percent + amount % 100 * table->percent / 100,
                      rules->tick);
    int64_t step = table->rows[0].step;
    for (size_t i = 0; i < table->row_count; i++) {
        if (table->rows[i].from <= amount) step = table->rows[i].step;
    }
    return step;
}

/* To what the reserve lifts the price under a leader's maximum `m1`; 0: not at all. Hidden, it
 * lifts once it is met; `show_max` shows the maximum up to the reserve (rules.md 3). */
static int64_t lift_of(const struct qb_rules *rules, int64_t reserve, int64_t m1)
{
    if (reserve == QB_AMOUNT_NONE) return 0;
    if (m1 >= reserve) return reserve;
    return rules->reserve_style == QB_RESERVE_SHOW_MAX ? m1 : 0;
}

/* The price by competition alone (rules.md 2). */
static int64_t competing(const struct qb_rules *rules, int64_t m1, int64_t m2)
{
    if (m2 == QB_AMOUNT_NONE) return rules->start_price;
    return smaller(m1, m2 + model_increment(rules, m2));
}

int64_t model_price(const struct qb_rules *rules, int64_t reserve, int64_t m1, int64_t m2)
{
    return larger(competing(rules, m1, m2), lift_of(rules, reserve, m1));
}

int64_t model_preview_raise(const struct model *model, qb_id bidder, int64_t max)
{
    if (bidder == 0 || bidder != model->view.leader) return QB_AMOUNT_NONE;
    if (model->rules.reserve_style == QB_RESERVE_SHOW_MAX &&
        model_reserve_state(model) == QB_RESERVE_NOT_MET)
        return larger(model->view.price, max); /* the most: where the reserve is, nobody is told */
    if (model->rules.self_raise == QB_SELF_RAISE_HOLD) return model->view.price;
    return larger(model->view.price, competing(&model->rules, max, model->view.m2));
}

/* Applies record `index` to the maxima: a bid stands as bid; a lowered reserve cuts what would now
 * meet it to one tick below (rules.md 3). */
static void apply_record(const struct model *model, size_t index, int64_t maxima[MODEL_RECORDS_MAX])
{
    const struct model_record *record = &model->records[index];

    maxima[index] = !record->is_reserve && record->is_live ? record->max : 0;
    if (!record->is_reserve) return;
    for (size_t i = 0; i < index; i++) {
        if (maxima[i] >= record->max) maxima[i] = record->max - model->rules.tick;
    }
}

void model_maxima(const struct model *model, int64_t maxima[MODEL_RECORDS_MAX])
{
    for (size_t i = 0; i < model->record_count; i++) apply_record(model, i, maxima);
}

/* The best of the first `count` bids, those of `except` left out: the largest maximum, of equal
 * ones the smaller seq. Returns the index, or `count` for none. */
static size_t best_of(const struct model *model, const int64_t maxima[MODEL_RECORDS_MAX],
                      size_t count, qb_id except)
{
    size_t best = count;

    for (size_t i = 0; i < count; i++) {
        if (maxima[i] == 0 || model->records[i].bidder == except) continue;
        if (best == count || maxima[i] > maxima[best]) best = i;
    }
    return best;
}

/* Who leads whom among the first `count` records; the price is left open. */
static struct model_view standing(const struct model *model,
                                  const int64_t maxima[MODEL_RECORDS_MAX], size_t count)
{
    struct model_view view = {.price = QB_AMOUNT_NONE, .m2 = QB_AMOUNT_NONE};

    for (size_t i = 0; i < count; i++) view.bids += maxima[i] != 0;
    const size_t first = best_of(model, maxima, count, 0);
    if (first == count) return view;
    view.leader = model->records[first].bidder;
    view.m1 = maxima[first];
    view.m1_seq = model->records[first].seq;
    const size_t other = best_of(model, maxima, count, view.leader);
    if (other == count) return view;
    view.second = model->records[other].bidder;
    view.m2 = maxima[other];
    view.m2_seq = model->records[other].seq;
    return view;
}

/* The price under self_raise=hold depends on the path: the live bids are walked in order, and a
 * raise by whoever leads at that point moves the price only as the reserve lifts it. */
static struct model_view walk(const struct model *model)
{
    int64_t maxima[MODEL_RECORDS_MAX] = {0};
    struct model_view view = {.price = QB_AMOUNT_NONE, .m2 = QB_AMOUNT_NONE};
    int64_t reserve = model->rules.reserve;

    for (size_t i = 0; i < model->record_count; i++) {
        const struct model_record *record = &model->records[i];
        const struct model_view before = view;

        apply_record(model, i, maxima);
        if (!record->is_reserve && !record->is_live) continue;
        view = standing(model, maxima, i + 1);
        view.price = view.leader != 0 ? before.price : QB_AMOUNT_NONE;
        if (record->is_reserve) {
            reserve = record->max;
            if (view.leader != 0) view.price = smaller(view.price, view.m1);
        } else if (record->bidder != before.leader) {
            view.price = model_price(&model->rules, reserve, view.m1, view.m2);
        } else {
            view.price = larger(view.price, lift_of(&model->rules, reserve, view.m1));
        }
    }
    return view;
}

struct model_view model_look(const struct model *model)
{
    if (model->rules.self_raise == QB_SELF_RAISE_HOLD) return walk(model);

    int64_t maxima[MODEL_RECORDS_MAX] = {0};
    model_maxima(model, maxima);
    struct model_view view = standing(model, maxima, model->record_count);
    if (view.leader != 0) {
        view.price = model_price(&model->rules, model->reserve, view.m1, view.m2);
    }
    return view;
}
