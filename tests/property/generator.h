/*
 * Random auctions from a seed, swarm style: each one draws its own settings, its own few kinds of
 * commands and its own habits, and aims amounts and times at the edges of the rules (rules.md).
 *
 * Single-threaded. The same seed and auction number give the same entries, whatever ran before.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/random.h"
#include "bidding/entry.h"
#include "bidding/rules.h"
#include "tests/property/model.h"

#define GENERATOR_BIDDERS_MAX 6
#define GENERATOR_SELLER      1

struct generator {
    struct qb_random random;
    struct qb_rules rules;
    size_t length;                         /* entries to make, OPEN included */
    unsigned bidder_count;                 /* bidders are GENERATOR_SELLER + 1 and up */
    unsigned weights[QB_ENTRY_TYPE_COUNT]; /* how often each type comes; 0: never here */
    unsigned jump_percent;                 /* how often time jumps to an edge */
    bool is_crowded;                       /* blocks hundreds of accounts */
    bool is_stamped;                       /* bids carry the edge's stamp */
    int64_t spread;                        /* amounts vary by this */
};

/* The seed of auction `number` of a run. */
uint64_t generator_seed(uint64_t run_seed, uint64_t number);

void generator_init(struct generator *generator, uint64_t seed);

/* The next entry of the auction as `model` stands; the OPEN if nothing is folded yet. `last` is
 * the entry before, or null. */
struct qb_entry generator_next(struct generator *generator, const struct model *model,
                               const struct qb_entry *last);

/* Settings alone (generator_rules.c): such as qb_rules_problem() lets through. */
struct qb_rules generator_rules(struct qb_random *random);

/* True `percent` times in a hundred. */
bool generator_chance(struct qb_random *random, unsigned percent);
/* A number of [from, to]. */
int64_t generator_between(struct qb_random *random, int64_t from, int64_t to);
