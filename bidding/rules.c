#include "bidding/rules.h"

#include <string.h>

#include "base/assert.h"

#define PERCENT_LEAST_BUY_NOW 130

/* Presets in hundredths of a whole unit, scaled to the currency's decimals. Sources: rules.md 1. */
static const struct {
    const char *name;
    uint8_t row_count;
    struct qb_increment_row rows[10];
} presets[] = {
    /* clang-format off */
    {"EBAY_US", 10, {{1, 5}, {100, 25}, {500, 50}, {2500, 100}, {10000, 250}, {25000, 500},
                     {50000, 1000}, {100000, 2500}, {250000, 5000}, {500000, 10000}}},
    {"TRADE_ME", 5, {{0, 50}, {2000, 100}, {10000, 200}, {50000, 500}, {100000, 1000}}},
    {"MAXSOLD", 6, {{0, 100}, {2500, 250}, {10000, 500}, {25000, 1000}, {50000, 2500},
                    {100000, 5000}}},
    {"WHATNOT", 7, {{0, 100}, {3000, 200}, {5000, 300}, {10000, 500}, {30000, 1000},
                    {100000, 2000}, {200000, 5000}}},
    {"COPART", 7, {{0, 100}, {500, 500}, {10000, 1000}, {100000, 2500}, {250000, 5000},
                   {500000, 10000}, {1000000, 25000}}},
    /* clang-format on */
};

int64_t qb_increment_of(const struct qb_increment_table *table, int64_t amount, int64_t tick)
{
    int64_t step = tick;

    QB_ASSERT(amount >= 0);
    QB_ASSERT(amount <= QB_AMOUNT_MAX);
    QB_ASSERT(tick >= 1);
    if (table->percent > 0) {
        int64_t part = amount / 100 * table->percent + amount % 100 * table->percent / 100;
        return part > tick ? part : tick;
    }
    for (size_t i = 0; i < table->row_count; i++) {
        if (i == 0 || table->rows[i].from <= amount) step = table->rows[i].step;
    }
    QB_ASSERT(step >= 1);
    return step;
}

static bool is_name(const char *a, const char *b)
{
    size_t at = 0;

    while (a[at] != '\0' && a[at] == b[at]) at++;
    return a[at] == b[at];
}

/* Hundredths to minor units; at least `least`. */
static int64_t scaled(int64_t hundredths, int decimals, int64_t least)
{
    int64_t amount = hundredths;

    if (decimals == 0) amount = hundredths / 100;
    if (decimals == 3) amount = hundredths * 10;
    return amount > least ? amount : least;
}

bool qb_increment_preset(const char *name, int decimals, struct qb_increment_table *table)
{
    for (size_t i = 0; i < QB_COUNT(presets); i++) {
        if (!is_name(name, presets[i].name)) continue;
        (void)memset(table, 0, sizeof *table);
        for (size_t row = 0; row < presets[i].row_count; row++) {
            struct qb_increment_row scaled_row = {
                .from = scaled(presets[i].rows[row].from, decimals, 0),
                .step = scaled(presets[i].rows[row].step, decimals, 1),
            };
            /* Rows that fall together in a currency without decimals are one. */
            size_t at = table->row_count;
            if (at > 0 && table->rows[at - 1].from == scaled_row.from)
                at--;
            else
                table->row_count++;
            table->rows[at] = scaled_row;
        }
        return true;
    }
    return false;
}

const char *qb_increment_preset_name(size_t index)
{
    return index < QB_COUNT(presets) ? presets[index].name : NULL;
}

static const char *table_problem(const struct qb_increment_table *table)
{
    if (table->percent > 0) {
        return table->percent > 100 || table->row_count > 0
                   ? "A percentage stands alone and is at most 100."
                   : NULL;
    }
    if (table->row_count == 0 || table->row_count > QB_INCREMENT_ROWS_MAX) {
        return "Give 1 to 24 increment rows, or a percentage.";
    }
    for (size_t i = 0; i < table->row_count; i++) {
        const struct qb_increment_row *row = &table->rows[i];
        bool is_in_range = row->from >= 0 && row->from <= QB_AMOUNT_MAX && row->step >= 1 &&
                           row->step <= QB_AMOUNT_MAX / 2;
        if (!is_in_range) return "Increments are positive and within the largest amount.";
        if (i == 0) continue;
        if (row->from <= row[-1].from) return "Increment rows come in rising order of amounts.";
        if (row->step < row[-1].step) return "Steps must not fall as amounts rise.";
    }
    return NULL;
}

static bool is_amount(const struct qb_rules *rules, int64_t amount)
{
    return amount >= 1 && amount <= rules->cap && amount % rules->tick == 0;
}

static const char *amounts_problem(const struct qb_rules *rules, const char **field)
{
    *field = "tick";
    if (rules->tick < 1 || rules->tick > QB_AMOUNT_MAX) return "The tick is at least 1.";
    *field = "cap";
    if (rules->cap < 1 || rules->cap > QB_AMOUNT_MAX) return "The cap is within 2^53 - 1.";
    *field = "start_price";
    if (!is_amount(rules, rules->start_price)) {
        return "The start price is a positive multiple of the tick, not above the largest amount.";
    }
    *field = "reserve";
    bool has_reserve = rules->reserve != QB_AMOUNT_NONE;
    if (has_reserve && !is_amount(rules, rules->reserve)) {
        return "The reserve is a positive multiple of the tick, not above the largest amount.";
    }
    if (has_reserve && rules->reserve < rules->start_price) {
        return "The reserve is not below the start price; leave it out if you want none.";
    }
    if (has_reserve && rules->is_without_reserve) {
        return "An auction without reserve cannot have one.";
    }
    *field = "buy_now";
    if (rules->buy_now == QB_AMOUNT_NONE) return NULL;
    if (!is_amount(rules, rules->buy_now)) {
        return "The buy-now price is a positive multiple of the tick, not above the largest "
               "amount.";
    }
    /* Amounts are below 2^53, so that a factor of 130 cannot overflow. */
    if (rules->buy_now * 100 < rules->start_price * PERCENT_LEAST_BUY_NOW) {
        return "The buy-now price is at least 130 % of the start price.";
    }
    if (has_reserve && rules->buy_now < rules->reserve) {
        return "The buy-now price is not below the reserve.";
    }
    return NULL;
}

static const char *times_problem(const struct qb_rules *rules, const char **field)
{
    static const int64_t longest_us = INT64_C(366) * 24 * 3600 * 1000000;

    *field = "ends_at_ms";
    if (rules->starts_at_us < 0 || rules->ends_at_us <= rules->starts_at_us) {
        return "The end comes after the start.";
    }
    if (rules->ends_at_us - rules->starts_at_us > longest_us) {
        return "An auction lasts a year at most.";
    }
    if (rules->ends_at_us > QB_TIME_US_MAX) return "The end is too far in the future.";
    *field = "soft_close";
    if (rules->soft_window_us < 0 || rules->soft_window_us > longest_us ||
        rules->soft_extend_us < 0 || rules->soft_extend_us > longest_us) {
        return "Soft close window and extension are not negative.";
    }
    if (rules->hard_end_us != 0 && rules->hard_end_us < rules->ends_at_us) {
        return "The hard end is not before the end.";
    }
    if (rules->hard_end_us > QB_TIME_US_MAX) return "The hard end is too far in the future.";
    *field = "drain";
    if (rules->drain_us < 0 || rules->drain_us > 60 * INT64_C(1000000)) {
        return "The drain is 0 to 60 seconds.";
    }
    *field = "min_resume";
    if (rules->min_resume_us < 0 || rules->min_resume_us > longest_us) {
        return "The time after a resume is not negative.";
    }
    return NULL;
}

const char *qb_rules_problem(const struct qb_rules *rules, const char **field)
{
    *field = "currency";
    if (rules->currency[0] == '\0' || rules->currency[QB_CURRENCY_BYTES - 1] != '\0') {
        return "Give a currency of three letters.";
    }
    *field = "kind";
    if (rules->version < 1 || rules->version > QB_RULES_VERSION) {
        return "This version does not know these rules.";
    }
    if (rules->kind != QB_AUCTION_ENGLISH) return "Only English auctions are offered.";
    *field = "self_raise";
    if (rules->self_raise > QB_SELF_RAISE_HOLD) return "self_raise is complete or hold.";
    *field = "retraction";
    if (rules->retraction > QB_RETRACTION_NO_REVIVE) return "retraction is reinstate or no_revive.";
    *field = "reserve_style";
    if (rules->reserve_style > QB_RESERVE_SHOW_MAX) return "reserve_style is hidden or show_max.";
    *field = "seller";
    if (rules->seller == 0) return "An auction has a seller.";
    const char *problem = amounts_problem(rules, field);
    if (problem != NULL) return problem;
    *field = "increments";
    problem = table_problem(&rules->table);
    return problem != NULL ? problem : times_problem(rules, field);
}

bool qb_rules_are_foldable(const struct qb_rules *rules)
{
    const char *field = NULL;

    return rules->version >= 1 && rules->version <= QB_RULES_VERSION &&
           rules->currency[QB_CURRENCY_BYTES - 1] == '\0' &&
           amounts_problem(rules, &field) == NULL && table_problem(&rules->table) == NULL &&
           times_problem(rules, &field) == NULL;
}
