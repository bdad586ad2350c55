/*
 * The accepted bids and lowered reserves that the product's fold asks for, kept as its runner keeps
 * them: by the fold's own verdicts.
 *
 * Single-threaded.
 */
#pragma once

#include <stddef.h>

#include "bidding/lot.h"

#define RECORDS_MAX 256

struct records {
    struct qb_bid_record rows[RECORDS_MAX];
    size_t count;
};

/* Adds what `entry` leaves behind, if anything. */
void records_keep(struct records *records, const struct qb_entry *entry,
                  const struct qb_verdict *verdict);
