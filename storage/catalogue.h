/*
 * A cache of what the catalogue says about an auction: texts that hardly ever change and that many
 * ask for at once. Of several who ask for the same one, one loads it and the others wait for that.
 *
 * Any thread that may block: worker threads; the others' are named. Time comes in.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attributes.h"
#include "base/frame.h"

struct qb_catalogue;

struct qb_catalogue_options {
    size_t entries_max; /* beyond, the one that nobody asked for longest goes; a change takes one */
    int64_t life_us;    /* from its load on */
};

struct qb_catalogue *qb_catalogue_new(const struct qb_catalogue_options *options);
/* When nobody asks any more. */
void qb_catalogue_free(struct qb_catalogue **catalogue);

/* What is said about `auction`, whose holder the caller becomes; null when it cannot be said, which
 * `context` knows. `version` gets the entry of the auction's log that it is as of; left at 0: not
 * to be said to those who ask later. */
typedef struct qb_frame *qb_catalogue_load(void *context, qb_id auction, uint64_t *version);

/*
 * What is said about `auction`, from the cache or by `load`. The caller holds the frame.
 *
 * now_us    monotonic
 * age_us    gets how long ago it was loaded; -1: it may lack a change that is known of
 * returns   null when the caller's own `load` gave none: another's failure is never handed on
 */
struct qb_frame *qb_catalogue_get(struct qb_catalogue *catalogue, qb_id auction, int64_t now_us,
                                  int64_t *age_us, qb_catalogue_load *load, void *context);

/* The same from the cache alone, without waiting; null: it is not there. Any thread, loops too. */
struct qb_frame *qb_catalogue_find(struct qb_catalogue *catalogue, qb_id auction, int64_t now_us,
                                   int64_t *age_us);

/* It has changed with entry `version`: what is older is told no more, and not kept when a load
 * brings it, as long as the cache has a place for knowing that. Any thread, loops too. */
void qb_catalogue_forget(struct qb_catalogue *catalogue, qb_id auction, uint64_t version);

/* Anything may have changed. Any thread, loops too. */
void qb_catalogue_forget_all(struct qb_catalogue *catalogue);
