/*
 * The rules of one auction, fixed by its OPEN entry: what rules.md calls settings. Everything that
 * the fold may know beside the entries themselves. Pure; any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attributes.h"
#include "bidding/money.h"

/* The version of the rules that this program writes; it decides all versions from 1 up to it. */
#define QB_RULES_VERSION 1

/* No time in rules, entries or state is later: sums of a few cannot overflow. */
#define QB_TIME_US_MAX (INT64_MAX / 4)

static inline bool qb_time_is_in_range(qb_time_us time_us)
{
    return time_us >= 0 && time_us <= QB_TIME_US_MAX;
}

#define QB_INCREMENT_ROWS_MAX 24
#define QB_SECRET_BYTES       32

/* step applies to amounts >= from, until the next row; for below the first row its step. */
struct qb_increment_row {
    int64_t from;
    int64_t step;
};

struct qb_increment_table {
    uint8_t row_count; /* 1 to QB_INCREMENT_ROWS_MAX; 0 with `percent` set */
    uint8_t percent;   /* whole percent of the amount, rounded down, at least the tick; 0: rows */
    struct qb_increment_row rows[QB_INCREMENT_ROWS_MAX];
};

enum qb_auction_kind { QB_AUCTION_ENGLISH = 1 }; /* sealed-bid and Dutch may come */
enum qb_self_raise { QB_SELF_RAISE_COMPLETE, QB_SELF_RAISE_HOLD };
enum qb_retraction { QB_RETRACTION_REINSTATE, QB_RETRACTION_NO_REVIVE };
enum qb_reserve_style { QB_RESERVE_HIDDEN, QB_RESERVE_SHOW_MAX };

struct qb_rules {
    uint16_t version; /* QB_RULES_VERSION */
    uint8_t kind;     /* enum qb_auction_kind */
    uint8_t self_raise;
    uint8_t retraction;
    uint8_t reserve_style;
    bool is_without_reserve; /* cannot be withdrawn by the seller after the first bid */
    char currency[QB_CURRENCY_BYTES];
    qb_id seller;
    int64_t tick;        /* at least 1 */
    int64_t cap;         /* largest bid; at most QB_AMOUNT_MAX */
    int64_t start_price; /* at least 1 */
    int64_t reserve;     /* QB_AMOUNT_NONE: none */
    int64_t buy_now;     /* QB_AMOUNT_NONE: none */
    qb_time_us starts_at_us;
    qb_time_us ends_at_us;
    int64_t soft_window_us; /* 0: sudden death */
    int64_t soft_extend_us;
    uint32_t max_extensions; /* 0: no cap */
    qb_time_us hard_end_us;  /* 0: none */
    int64_t drain_us;        /* default 250 ms */
    int64_t min_resume_us;   /* default 2 min */
    uint8_t secret[QB_SECRET_BYTES];
    struct qb_increment_table table;
};

/* The step of `table` at `amount`; at least 1. Checked arithmetic: never above QB_AMOUNT_MAX. */
int64_t qb_increment_of(const struct qb_increment_table *table, int64_t amount, int64_t tick);

/* A preset by its name ("EBAY_US", "TRADE_ME", "MAXSOLD", "WHATNOT", "COPART"), for a currency
 * with `decimals`. False if there is none of that name. */
QB_MUST_USE bool qb_increment_preset(const char *name, int decimals,
                                     struct qb_increment_table *table);
/* Name of preset `index`, or null behind the last. */
const char *qb_increment_preset_name(size_t index);

/*
 * Null if the rules may open an auction, else a sentence that says what is wrong and what would
 * do, with the name of the wire's field in `*field` (rules.md 1 to 5: steps that do not fall,
 * buy-now of 130 % of start and at least the reserve, start before end, amounts within 2^53).
 */
const char *qb_rules_problem(const struct qb_rules *rules, const char **field);

/* Whether the fold can work by these rules without breaking what it asserts: asked of rules that
 * come as bytes. Weaker than qb_rules_problem(), which says what may be opened today. */
bool qb_rules_are_foldable(const struct qb_rules *rules);
