/*
 * Samples of times, and their percentiles.
 *
 * One thread.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct qb_samples {
    int64_t *us;
    size_t count;
    size_t room;
};

void qb_samples_add(struct qb_samples *samples, int64_t us);
void qb_samples_fini(struct qb_samples *samples);

/* Sorts; then gives the value below which `part` (0 to 1) of the samples lie; 0 without any. */
int64_t qb_samples_at(struct qb_samples *samples, double part);
