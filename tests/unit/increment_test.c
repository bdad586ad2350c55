/*
 * The step of an amount: bands and their edges, percentages, presets in every currency, and what
 * is refused as a table (rules.md 1.3).
 */
#include "base/attributes.h"
#include "bidding/rules.h"
#include "tests/kit/rules.h"
#include "tests/kit/test.h"

static const struct {
    const char *says;
    const char *preset;
    int64_t amount;
    int64_t step;
} bands[] = {
    /* clang-format off */
    {"below the first row",  "EBAY_US",         0,     5},
    {"first band",           "EBAY_US",         1,     5},
    {"a cent below 1.00",    "EBAY_US",        99,     5},
    {"at 1.00",              "EBAY_US",       100,    25},
    {"a cent below 5.00",    "EBAY_US",       499,    25},
    {"at 5.00",              "EBAY_US",       500,    50},
    {"a cent below 25.00",   "EBAY_US",      2499,    50},
    {"at 25.00",             "EBAY_US",      2500,   100},
    {"a cent below 100.00",  "EBAY_US",      9999,   100},
    {"at 100.00",            "EBAY_US",     10000,   250},
    {"at 250.00",            "EBAY_US",     25000,   500},
    {"at 500.00",            "EBAY_US",     50000,  1000},
    {"at 1,000",             "EBAY_US",    100000,  2500},
    {"at 2,500",             "EBAY_US",    250000,  5000},
    {"a cent below 5,000",   "EBAY_US",    499999,  5000},
    {"at 5,000",             "EBAY_US",    500000, 10000},
    {"the largest amount",   "EBAY_US", QB_AMOUNT_MAX, 10000},
    {"from 1",               "WHATNOT",       100,   100},
    {"a cent below 30",      "WHATNOT",      2999,   100},
    {"at 30",                "WHATNOT",      3000,   200},
    {"at 50",                "WHATNOT",      5000,   300},
    {"at 100",               "WHATNOT",     10000,   500},
    {"at 300",               "WHATNOT",     30000,  1000},
    {"at 1,000",             "WHATNOT",    100000,  2000},
    {"at 2,000",             "WHATNOT",    200000,  5000},
    {"lowest",               "COPART",          1,   100},
    {"highest",              "COPART",    2000000, 25000},
    {"lowest",               "TRADE_ME",        1,    50},
    {"lowest",               "MAXSOLD",         1,   100},
    /* clang-format on */
};

QB_TEST(a_preset_steps_as_its_house_publishes)
{
    for (size_t i = 0; i < QB_COUNT(bands); i++) {
        struct qb_increment_table table;
        bool is_known = qb_increment_preset(bands[i].preset, 2, &table);
        QB_EXPECT(is_known, bands[i].preset);
        if (!is_known) continue;
        QB_EXPECT_EQ(qb_increment_of(&table, bands[i].amount, 1), bands[i].step, bands[i].says);
    }
}

static const struct {
    const char *says;
    uint8_t percent;
    int64_t tick;
    int64_t amount;
    int64_t step;
} percents[] = {
    /* clang-format off */
    {"exact",                   5,   1,   10000,   500},
    {"rounded down",            5,   1,     119,     5},
    {"less than one",           5,   1,      19,     1},
    {"nothing",                 5,   1,       0,     1},
    {"at least the tick",       5, 100,    1000,   100},
    {"all of it",             100,   1,     777,   777},
    {"remainders add up",      33,   1,     199,    65},
    {"no overflow",           100,   1, QB_AMOUNT_MAX, QB_AMOUNT_MAX},
    /* clang-format on */
};

QB_TEST(a_percentage_is_rounded_down_and_at_least_the_tick)
{
    for (size_t i = 0; i < QB_COUNT(percents); i++) {
        struct qb_increment_table table = {.percent = percents[i].percent};
        QB_EXPECT_EQ(qb_increment_of(&table, percents[i].amount, percents[i].tick),
                     percents[i].step, percents[i].says);
    }
}

QB_TEST(a_flat_step_is_the_same_everywhere)
{
    const struct qb_increment_table table = {.row_count = 1, .rows = {{1000, 70}}};

    QB_EXPECT_EQ(qb_increment_of(&table, 0, 1), 70, "below its row");
    QB_EXPECT_EQ(qb_increment_of(&table, 1000, 1), 70, "at its row");
    QB_EXPECT_EQ(qb_increment_of(&table, QB_AMOUNT_MAX, 1), 70, "far above");
}

/* Rules that open an auction, but for the table. */
static struct qb_rules good_rules(void)
{
    return qb_test_rules(9, 100, 0, QB_SECOND_US);
}

QB_TEST(every_preset_may_open_an_auction_in_every_currency)
{
    for (size_t i = 0; qb_increment_preset_name(i) != NULL; i++) {
        for (int decimals = 0; decimals <= 3; decimals++) {
            struct qb_rules rules = good_rules();
            const char *name = qb_increment_preset_name(i);
            const char *field = NULL;
            QB_EXPECT(qb_increment_preset(name, decimals, &rules.table), name);
            QB_EXPECT(qb_rules_problem(&rules, &field) == NULL, name);
        }
    }
    QB_EXPECT(qb_increment_preset_name(4) != NULL, "five presets");
    QB_EXPECT(qb_increment_preset_name(5) == NULL, "and no more");
}

QB_TEST(a_preset_is_worth_the_same_in_other_decimals)
{
    struct qb_increment_table table = {0};

    QB_EXPECT(qb_increment_preset("EBAY_US", 3, &table), "fils");
    QB_EXPECT_EQ(qb_increment_of(&table, 99999, 1), 1000, "99.999 steps by 1.000");
    QB_EXPECT_EQ(qb_increment_of(&table, 100000, 1), 2500, "100.000 steps by 2.500");
    QB_EXPECT(qb_increment_preset("EBAY_US", 0, &table), "yen");
    QB_EXPECT_EQ(qb_increment_of(&table, 1, 1), 1, "a step is never 0");
    QB_EXPECT_EQ(qb_increment_of(&table, 5000, 1), 100, "5,000 steps by 100");
}

QB_TEST(an_unknown_preset_is_refused)
{
    static const char *const names[] = {"", "EBAY", "EBAY_US_", "ebay_us"};
    struct qb_increment_table table;

    for (size_t i = 0; i < QB_COUNT(names); i++) {
        QB_EXPECT(!qb_increment_preset(names[i], 2, &table), names[i]);
    }
}

static const struct {
    const char *says;
    bool is_good;
    struct qb_increment_table table;
} tables[] = {
    /* clang-format off */
    {"one row",              true,  {.row_count = 1, .rows = {{0, 1}}}},
    {"rising",               true,  {.row_count = 2, .rows = {{0, 1}, {1, 2}}}},
    {"the same step",        true,  {.row_count = 2, .rows = {{0, 5}, {9, 5}}}},
    {"a percentage",         true,  {.percent = 100}},
    {"nothing",              false, {.row_count = 0}},
    {"too many rows",        false, {.row_count = QB_INCREMENT_ROWS_MAX + 1}},
    {"over 100 percent",     false, {.percent = 101}},
    {"percentage and rows",  false, {.percent = 5, .row_count = 1, .rows = {{0, 1}}}},
    {"steps fall",           false, {.row_count = 2, .rows = {{0, 2}, {1, 1}}}},
    {"amounts fall",         false, {.row_count = 2, .rows = {{5, 1}, {4, 2}}}},
    {"an amount twice",      false, {.row_count = 2, .rows = {{5, 1}, {5, 2}}}},
    {"no step",              false, {.row_count = 1, .rows = {{0, 0}}}},
    {"a step down",          false, {.row_count = 1, .rows = {{0, -1}}}},
    {"from below nothing",   false, {.row_count = 1, .rows = {{-1, 1}}}},
    {"an endless step",      false, {.row_count = 1, .rows = {{0, QB_AMOUNT_MAX}}}},
    /* clang-format on */
};

QB_TEST(a_table_that_could_move_a_price_backwards_is_refused)
{
    for (size_t i = 0; i < QB_COUNT(tables); i++) {
        struct qb_rules rules = good_rules();
        const char *field = NULL;
        rules.table = tables[i].table;
        const char *problem = qb_rules_problem(&rules, &field);
        QB_EXPECT_EQ(problem == NULL, tables[i].is_good, tables[i].says);
        if (problem != NULL) QB_EXPECT_TEXT(field, "increments", tables[i].says);
    }
}
