/*
 * The only file that reads time. Wall time is for stamps and people; monotonic time is for
 * deadlines and durations; the even clock is for what people agreed to do by a time of day. They
 * are never compared.
 *
 * Any thread.
 */
#pragma once

#include <stddef.h>

#include "base/attributes.h"

#define QB_SECOND_US INT64_C(1000000)
#define QB_MS_US     INT64_C(1000)

/* Wall clock: microseconds since 1970-01-01 UTC. */
qb_time_us qb_clock_wall_us(void);

/* Monotonic clock: microseconds since some moment of this machine. */
int64_t qb_clock_mono_us(void);

/*
 * An even clock: set by the wall clock once, then run by the time that passes (also while the
 * machine sleeps) and led toward the wall clock slowly, so that a step of that one neither skips
 * nor freezes anything. It may go back by as much as one steering.
 */
struct qb_even_clock {
    _Atomic int64_t offset_us; /* to the time since the machine started; 0: not set */
};

/* The most that it is led by in one steering: once a second makes half a percent. */
#define QB_EVEN_STEER_US (5 * QB_MS_US)

qb_time_us qb_even_clock_read(struct qb_even_clock *clock, int64_t passed_us, qb_time_us wall_us);
/* Leads it toward the wall clock; returns how far that one was ahead (below 0: behind). */
int64_t qb_even_clock_steer(struct qb_even_clock *clock, int64_t passed_us, qb_time_us wall_us);

/* The process's own, as microseconds since 1970-01-01 UTC; steered once a second, by one thread. */
qb_time_us qb_clock_even_us(void);
int64_t qb_clock_even_steer(void);

/* Processor time of the whole process so far, in microseconds. */
int64_t qb_clock_cpu_us(void);

/* Sleeps for so long at least. Never on an I/O thread. */
void qb_clock_sleep_us(int64_t us);

#define QB_TIME_TEXT_BYTES 32

/* Writes "2026-01-31T12:00:00.000Z" into `text` of QB_TIME_TEXT_BYTES. */
void qb_clock_text(qb_time_us wall_us, char *text);

/* Writes "Sat, 31 Jan 2026 12:00:00 GMT" (RFC 9110) into `text` of QB_TIME_TEXT_BYTES. */
void qb_clock_http_date(qb_time_us wall_us, char *text);
