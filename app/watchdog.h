/*
 * Ends the process when a loop no longer turns, so that it is started anew: a hang that a client
 * or a library caused becomes a short break.
 */
#pragma once

#include <stdint.h>

#include "app/loop.h"

struct qb_watchdog;

/* Watches `count` loops, which turn at least once a second; `limit_us` without a turn aborts. */
struct qb_watchdog *qb_watchdog_new(struct qb_loop *const *loops, unsigned count, int64_t limit_us);
void qb_watchdog_free(struct qb_watchdog **watchdog);
