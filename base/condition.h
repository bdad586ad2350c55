/*
 * A condition whose timed waits go by the monotonic clock: whoever sets the wall clock neither cuts
 * a wait short nor makes it last.
 */
#pragma once

#include <pthread.h>
#include <time.h>

#include "base/clock.h"

/* In place of pthread_cond_init(). */
static inline void qb_condition_init(pthread_cond_t *condition)
{
    pthread_condattr_t attributes;

    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(condition, &attributes);
    (void)pthread_condattr_destroy(&attributes);
}

/* What pthread_cond_timedwait() takes for so long from now. */
static inline struct timespec qb_condition_after(int64_t us)
{
    int64_t at_us = qb_clock_mono_us() + us;

    return (struct timespec){.tv_sec = (time_t)(at_us / QB_SECOND_US),
                             .tv_nsec = (long)(at_us % QB_SECOND_US * 1000)};
}
