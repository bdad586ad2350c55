/*
 * Randomness of two kinds: secrets from the kernel, and a seeded generator (xoshiro256**) for
 * tests, simulations and jitter, which repeats its numbers for a seed.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/attributes.h"

/* Fills `bytes` from getrandom(). Any thread. A kernel that refuses ends the process. */
void qb_random_secret(void *bytes, size_t length);

struct qb_random {
    uint64_t state[4];
};

void qb_random_seed(struct qb_random *random, uint64_t seed);
uint64_t qb_random_next(struct qb_random *random);

/* A number in [0, below); `below` is at least 1. */
uint64_t qb_random_below(struct qb_random *random, uint64_t below);
