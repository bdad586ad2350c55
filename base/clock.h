/*
 * The only file that reads time. Wall time is for stamps and people; monotonic time is for
 * deadlines and durations. The two are never compared.
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

/* Processor time of the whole process so far, in microseconds. */
int64_t qb_clock_cpu_us(void);

/* Sleeps for so long at least. Never on an I/O thread. */
void qb_clock_sleep_us(int64_t us);

#define QB_TIME_TEXT_BYTES 32

/* Writes "2026-01-31T12:00:00.000Z" into `text` of QB_TIME_TEXT_BYTES. */
void qb_clock_text(qb_time_us wall_us, char *text);

/* Writes "Sat, 31 Jan 2026 12:00:00 GMT" (RFC 9110) into `text` of QB_TIME_TEXT_BYTES. */
void qb_clock_http_date(qb_time_us wall_us, char *text);
