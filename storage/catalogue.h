/*
 * A cache of what the catalogue says about an auction: texts that hardly ever change and that many
 * ask for at once. Of several who ask for the same one, one loads it and the others wait for that.
 *
 * Any thread that may block: worker threads. Time comes in.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attributes.h"
#include "base/frame.h"

struct qb_catalogue;

struct qb_catalogue_options {
    size_t entries_max; /* beyond, the one that nobody asked for longest goes */
    int64_t life_us;    /* from its load on */
};

struct qb_catalogue *qb_catalogue_new(const struct qb_catalogue_options *options);
/* When nobody asks any more. */
void qb_catalogue_free(struct qb_catalogue **catalogue);

/* What is said about `auction`, whose holder the caller becomes; null when it cannot be said, which
 * `context` knows. `do_keep` starts true; false: not to be said to those who ask later. */
typedef struct qb_frame *qb_catalogue_load(void *context, qb_id auction, bool *do_keep);

/*
 * What is said about `auction`, from the cache or by `load`. The caller holds the frame.
 *
 * now_us    monotonic
 * returns   null when the caller's own `load` gave none: another's failure is never handed on
 */
struct qb_frame *qb_catalogue_get(struct qb_catalogue *catalogue, qb_id auction, int64_t now_us,
                                  qb_catalogue_load *load, void *context);

/* It has changed: who asks from now on gets it anew, also while a load is under way. */
void qb_catalogue_forget(struct qb_catalogue *catalogue, qb_id auction);
