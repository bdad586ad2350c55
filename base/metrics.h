/*
 * Every figure that the server counts, one row each in metrics.def, written out in Prometheus'
 * text format. A metric has at most one label, whose values are few and made by the program.
 *
 * Any thread; adding costs one atomic operation and, with a label, a look at a short list.
 */
#pragma once

#include <stdint.h>

#include "base/text.h"

enum qb_metric {
#define QB_METRIC(kind, name, label, unit, help) QB_METRIC_##name,
#include "base/metrics.def"
    QB_METRIC_COUNT
};

/* Adds to a counter or gauge. `label` is null for a metric without one; must outlive the process
 * (a literal or a table's text). */
void qb_metric_add(enum qb_metric metric, const char *label, int64_t amount);
void qb_metric_set(enum qb_metric metric, const char *label, int64_t value);

/* One observation of a histogram, in the unit of its row (us or bytes); in us also when it is shown
 * in seconds. */
void qb_metric_observe(enum qb_metric metric, int64_t value);

/* The value so far, of the sum over labels when `label` is null. For tests and benchmarks. */
int64_t qb_metric_value(enum qb_metric metric, const char *label);

/* All metrics as `quickbid_<name>`, in the text format 0.0.4. */
void qb_metrics_text(struct qb_text *text);

/* The same table for people: a Markdown table, for the docs. */
void qb_metrics_docs(struct qb_text *text);
