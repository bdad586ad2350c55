/*
 * What the scenarios measure: the server's processor time and memory as the kernel counts them. Any
 * failure ends the process.
 *
 * One thread.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "bench/samples.h"

/* Processor time of all threads of `pid` so far, in microseconds (from nanoseconds, not ticks). */
int64_t qb_measure_cpu_us(int pid);

/* Resident memory of `pid` in bytes. */
int64_t qb_measure_rss(int pid);

/* The integer behind `name` (with its quotes and colon) in a JSON text; -1 without. */
int64_t qb_measure_member(const char *text, size_t length, const char *name);
