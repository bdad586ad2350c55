/*
 * A second, naive model of an auction, written from rules.md alone, to hold the product's fold
 * against. It keeps every accepted bid and lowered reserve, and finds leader, maxima and price from
 * that whole list after each entry. Slow and plain on purpose; it shares only names and numbers of
 * codes with the product, no function.
 *
 * Single-threaded; a model owns nothing outside itself.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bidding/entry.h"
#include "bidding/lot.h"

#define MODEL_RECORDS_MAX 256

/* An accepted bid, or a reserve that was lowered, in its place. */
struct model_record {
    uint64_t seq;
    bool is_reserve;
    bool is_live; /* a bid that is neither voided nor retracted */
    qb_id bidder;
    int64_t max; /* the maximum as bid, or the new reserve */
    qb_time_us t_us;
};

/* What follows from the records: found anew after each entry. */
struct model_view {
    qb_id leader;
    int64_t m1;
    uint64_t m1_seq;
    qb_id second;
    int64_t m2;
    uint64_t m2_seq;
    int64_t price;
    uint32_t bids;
};

struct model {
    struct qb_rules rules; /* as opened, never changed */
    int64_t reserve;       /* as lowered */
    qb_time_us ends_at_us;
    qb_time_us hard_end_us;
    enum qb_status status;
    enum qb_outcome outcome;
    int64_t remaining_us;
    uint32_t extensions;
    uint32_t accepted;
    bool is_buy_now_gone;
    qb_time_us accepted_t_us;
    qb_id winner;
    int64_t final_price;
    qb_id blocked[QB_BLOCKED_MAX];
    size_t blocked_count;
    struct model_record records[MODEL_RECORDS_MAX];
    size_t record_count;
    struct model_view view;
};

struct model_verdict {
    enum qb_verdict_code code;
    enum qb_refusal refusal;
    qb_time_us t_us;
    qb_id outbid;
    bool is_extended;
    bool is_public_change;
};

/* Decides `entry`. The first entry of a zero-filled model is an OPEN. */
struct model_verdict model_fold(struct model *model, const struct qb_entry *entry);

qb_time_us model_effective_time(const struct model *model, const struct qb_entry *entry);
/* QB_AMOUNT_NONE once over. */
int64_t model_minimum(const struct model *model);
enum qb_reserve_state model_reserve_state(const struct model *model);
bool model_is_buy_now_open(const struct model *model);
bool model_is_over(const struct model *model);
bool model_is_blocked(const struct model *model, qb_id bidder);
/* The first eligible runner-up of an auction that is over, or 0. */
qb_id model_second_chance(const struct model *model, int64_t *offer);

/* model_price.c: what follows from amounts alone. */
int64_t model_increment(const struct qb_rules *rules, int64_t amount);
/* The price of rules.md 2 and 3; m2 QB_AMOUNT_NONE: one bidder. */
int64_t model_price(const struct qb_rules *rules, int64_t reserve, int64_t m1, int64_t m2);
/* The price if `bidder` raised to `max`, by competition alone; QB_AMOUNT_NONE unless it leads. */
int64_t model_preview_raise(const struct model *model, qb_id bidder, int64_t max);
/* Leader, maxima, price and count from the list of records. */
struct model_view model_look(const struct model *model);
/* The maxima that stand behind the records after every cut; 0 for what is not a live bid. */
void model_maxima(const struct model *model, int64_t maxima[MODEL_RECORDS_MAX]);
