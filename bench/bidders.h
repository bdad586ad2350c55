/*
 * The peers of a swarm that bid: signing them in, and the text of a bid.
 *
 * One thread.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "bench/swarm.h"

/* Twice the largest step of the default table: a bid so much above the last one always leads. */
#define QB_BID_STEP 20000

/* Opens all peers and signs in the first `count`, each with its token. `swarm->frame` hears nothing
 * of that. */
void qb_bidders_sign_in(struct qb_swarm *swarm, const char *const *tokens, size_t count);

struct qb_bench_bid {
    size_t id; /* what the answer will name; from 1 */
    const char *auction;
    int64_t max;
    int64_t key; /* with `id` unique for the account */
};

void qb_bidder_send(struct qb_peer *peer, const struct qb_bench_bid *bid);
