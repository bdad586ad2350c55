/*
 * What the scenarios measure: the server's processor time and memory as the kernel counts them, and
 * samples of times with their percentiles. Any failure ends the process.
 *
 * One thread.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Processor time of all threads of `pid` so far, in microseconds (from nanoseconds, not ticks). */
int64_t qb_measure_cpu_us(int pid);

/* Resident memory of `pid` in bytes. */
int64_t qb_measure_rss(int pid);

struct qb_samples {
    int64_t *us;
    size_t count;
    size_t room;
};

void qb_samples_add(struct qb_samples *samples, int64_t us);
void qb_samples_fini(struct qb_samples *samples);

/* Sorts; then gives the value below which `part` (0 to 1) of the samples lie; 0 without any. */
int64_t qb_samples_at(struct qb_samples *samples, double part);

/* The integer behind `name` (with its quotes and colon) in a JSON text; -1 without. */
int64_t qb_measure_member(const char *text, size_t length, const char *name);
