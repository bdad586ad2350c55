/*
 * Limits on sign-ups and logins, asked before any hash (security.md S21, S50): attempts of an
 * address in 15 minutes, and wrong passwords of an account, after which a delay grows.
 *
 * Bounded tables: only what is idle makes room (S53). When there is nothing idle, all further
 * addresses (or accounts) share one counter. Any thread.
 */
#pragma once

#include <stdint.h>

#include "base/attributes.h"

#define QB_AUTH_WINDOW_US      (INT64_C(15) * 60 * 1000000)
#define QB_AUTH_DELAY_FIRST_US (INT64_C(30) * 1000000)
#define QB_AUTH_ADDRESS_BYTES  16

struct qb_auth_limits;
struct qb_tally; /* storage/tally.h */

struct qb_auth_limits_options {
    uint32_t attempts_max; /* of an address in the window */
    uint32_t failures_max; /* of an account before the delay grows */
    uint32_t addresses_max;
    uint32_t accounts_max;
    struct qb_tally *attempts; /* kept: counts those of addresses over all replicas; null: here */
};

struct qb_auth_limits *qb_auth_limits_new(const struct qb_auth_limits_options *options);
void qb_auth_limits_free(struct qb_auth_limits **limits);

/* Counts an attempt from an address. Returns 0 when let through, else the time to wait in us. */
int64_t qb_auth_limits_address(struct qb_auth_limits *limits,
                               const uint8_t key[QB_AUTH_ADDRESS_BYTES], int64_t mono_us);

/*
 * Counts an attempt on an account (`email` in lower case) as a failure until it is known to be
 * none, so that attempts at the same time count too. Returns 0 when let through, else the time to
 * wait in us: 30 s after the last one allowed, twice as long after each further failure, at most
 * 15 minutes.
 */
int64_t qb_auth_limits_account(struct qb_auth_limits *limits, const char *email, int64_t mono_us);

/* The password was right: the account's failures are forgotten. */
void qb_auth_limits_success(struct qb_auth_limits *limits, const char *email);

/* The attempt was never judged (the server was busy): it counts no longer. */
void qb_auth_limits_undo(struct qb_auth_limits *limits, const char *email);
