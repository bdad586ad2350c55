/*
 * What every ledger must do. The subject says how to make one and how to let it work until it is
 * quiet.
 */
#pragma once

#include "storage/ledger.h"

struct ledger_subject {
    const char *name;
    /* A ledger of epoch 3 that remembers `marks_max` early refusals an auction and lets
     * `unconfirmed_max` entries of one wait. */
    struct qb_ledger *(*make)(uint32_t marks_max, uint64_t unconfirmed_max);
    void (*settle)(struct qb_ledger *ledger);
    void (*set_clock)(qb_time_us now_us); /* where a test can; else null */
};

void ledger_contract(const struct ledger_subject *subject);
