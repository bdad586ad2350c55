/*
 * How often each of many keys (addresses) did something in a window, over all replicas, decided
 * without asking anybody (security.md S48): every replica counts what it lets through and exchanges
 * that with the others many times a second (tally_redis.h). This is the table and its arithmetic;
 * time comes in.
 *
 * Between two exchanges a replica lets through no more than its share of what is left: with R
 * replicas a 3R-th part, so that what all of them let through before they hear of each other fits.
 * When less than 3R are left they are granted one by one with the exchanges, and whoever comes
 * without a grant is told to try again in a moment. Keys that used half of their limit are told to
 * all (`hear`). So nothing is let through beyond the limit while replicas hear of each other in
 * time, but for a hundredth: less than that, of all replicas together, is not told, so that
 * visitors cost no exchange. A key that uses up half of its limit within that time may get a
 * quarter more elsewhere.
 *
 * Without the others the limit is divided by their number (S52); and never more than the limit is
 * let through here, whatever they say.
 *
 * Bounded (S53): room is made of what is idle, or has used less than a hundredth of the limit, so
 * that a flood of new keys sets nothing back that is worth it; a key that finds no room shares one
 * count with others like it. Any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attributes.h"

#define QB_TALLY_KEY_BYTES 16

struct qb_tally;

struct qb_tally_options {
    uint32_t limit; /* in any window */
    int64_t window_us;
    uint32_t keys_max;
    bool is_alone; /* nobody to exchange with, ever */
};

struct qb_tally *qb_tally_new(const struct qb_tally_options *options);
void qb_tally_free(struct qb_tally **tally);

uint32_t qb_tally_limit(const struct qb_tally *tally);
int64_t qb_tally_window_us(const struct qb_tally *tally);

/* Counts one and returns 0, or returns the time to wait in us. */
int64_t qb_tally_admit(struct qb_tally *tally, const uint8_t key[QB_TALLY_KEY_BYTES],
                       int64_t mono_us);

/* --- for the exchange --- */

/* What the others do not know yet of a key. */
struct qb_tally_part {
    uint8_t key[QB_TALLY_KEY_BYTES];
    uint32_t added;
    bool is_wanted; /* somebody asked for one and had none left */
};

/* The next of them, at most `max`; each must be answered or given back. Returns how many. */
size_t qb_tally_collect(struct qb_tally *tally, struct qb_tally_part *list, size_t max);
/* It was not exchanged, or nobody knows: it counts again. */
void qb_tally_give_back(struct qb_tally *tally, const struct qb_tally_part *count);

struct qb_tally_sum {
    uint64_t total;   /* of all replicas, with what was added and granted */
    uint32_t granted; /* to this one */
    int64_t wait_us;  /* until one more fits; 0: now */
};

/* The answer to `count`. */
void qb_tally_take(struct qb_tally *tally, const struct qb_tally_part *count,
                   const struct qb_tally_sum *sum, int64_t mono_us);
/* The total of a key that used half of its limit or more. */
void qb_tally_hear(struct qb_tally *tally, const uint8_t key[QB_TALLY_KEY_BYTES], uint64_t total,
                   int64_t mono_us);
/* So many replicas exchange; as of that time all that they told until then is known here. */
void qb_tally_reached(struct qb_tally *tally, unsigned replicas, int64_t mono_us);
