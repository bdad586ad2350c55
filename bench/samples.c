#include "bench/samples.h"

#include <stdlib.h>

#include "base/assert.h"

void qb_samples_add(struct qb_samples *samples, int64_t us)
{
    if (samples->count == samples->room) {
        samples->room = samples->room == 0 ? 4096 : samples->room * 2;
        samples->us = realloc(samples->us, samples->room * sizeof *samples->us);
        QB_ASSERT(samples->us != NULL);
    }
    samples->us[samples->count++] = us;
}

void qb_samples_fini(struct qb_samples *samples)
{
    free(samples->us);
    *samples = (struct qb_samples){0};
}

static int compare(const void *left, const void *right)
{
    const int64_t *a = left;
    const int64_t *b = right;

    return (*a > *b) - (*a < *b);
}

int64_t qb_samples_at(struct qb_samples *samples, double part)
{
    if (samples->count == 0) return 0;
    qsort(samples->us, samples->count, sizeof *samples->us, compare);
    return samples->us[(size_t)(part * (double)(samples->count - 1))];
}
