/*
 * Holds what the product's fold shows against the naive model, and against what must hold of every
 * auction whatever the model says (auction-cases.json, invariants; reliability.md 2.5).
 *
 * Single-threaded.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "bidding/lot.h"
#include "tests/property/model.h"

/* One entry, decided by both. */
struct step {
    const struct qb_entry *entry;
    const struct qb_lot *before;
    const struct qb_lot *after;
    const struct qb_bid_record *records; /* the product's, behind the entry */
    size_t record_count;
    struct qb_verdict verdict;
    const struct model *model; /* behind the entry */
    struct model_verdict expected;
};

/* False with `error` set to the first difference. */
bool compare_step(const struct step *step, struct qb_error *error);
