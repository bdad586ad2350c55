#include "base/metrics.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"

#define LABELS_MAX 64

enum kind { COUNTER, GAUGE, HISTOGRAM, SECONDS, KINDS };

/* As Prometheus names them. */
static const char *const kind_names[KINDS] = {"counter", "gauge", "histogram", "histogram"};

static const struct {
    enum kind kind;
    const char *name;
    const char *label;
    const char *unit;
    const char *help;
} rows[] = {
#define QB_METRIC(kind, name, label, unit, help) {kind, #name, label, unit, help},
#include "base/metrics.def"
};

/* Upper bounds of the buckets: 1-2.5-5 steps, wide enough for microseconds, entries and bytes. */
static const int64_t bounds[] = {1,      5,      10,     25,      50,      100,     250,
                                 500,    1000,   2500,   5000,    10000,   25000,   50000,
                                 100000, 250000, 500000, 1000000, 2500000, 5000000, 10000000};

/* Those of a histogram of seconds, in us: for what a person waits for. */
static const int64_t second_bounds[] = {100000,   250000,    500000,    1000000,   2500000,
                                        5000000,  7500000,   10000000,  15000000,  30000000,
                                        60000000, 120000000, 300000000, 600000000, 1800000000};

/* Values by label in order of first use; a histogram uses the same cells as buckets. */
static struct {
    _Atomic(const char *) labels[LABELS_MAX];
    _Atomic int64_t values[LABELS_MAX];
    _Atomic int64_t sum;
} cells[QB_METRIC_COUNT];

_Static_assert(QB_COUNT(bounds) < LABELS_MAX && QB_COUNT(second_bounds) < LABELS_MAX,
               "a histogram needs a cell for each bound and +Inf");

/* The bounds of a histogram's buckets, ascending. */
static const int64_t *bounds_of(size_t metric, size_t *count)
{
    bool is_seconds = rows[metric].kind == SECONDS;

    *count = is_seconds ? QB_COUNT(second_bounds) : QB_COUNT(bounds);
    return is_seconds ? second_bounds : bounds;
}

/* The cell of `label`: found, or taken. The last cell gathers what finds no room. */
static size_t cell_of(enum qb_metric metric, const char *label)
{
    size_t at = 0;

    if (label == NULL) return 0;
    for (; at < LABELS_MAX - 1; at++) {
        const char *seen = atomic_load_explicit(&cells[metric].labels[at], memory_order_acquire);
        if (seen == NULL) {
            if (atomic_compare_exchange_strong(&cells[metric].labels[at], &seen, label)) return at;
        }
        if (seen == label || strcmp(seen, label) == 0) return at;
    }
    return at;
}

void qb_metric_add(enum qb_metric metric, const char *label, int64_t amount)
{
    (void)atomic_fetch_add_explicit(&cells[metric].values[cell_of(metric, label)], amount,
                                    memory_order_relaxed);
}

void qb_metric_set(enum qb_metric metric, const char *label, int64_t value)
{
    atomic_store_explicit(&cells[metric].values[cell_of(metric, label)], value,
                          memory_order_relaxed);
}

void qb_metric_observe(enum qb_metric metric, int64_t value)
{
    size_t count = 0;
    const int64_t *bound = bounds_of(metric, &count);
    size_t at = 0;

    QB_ASSERT(rows[metric].kind == HISTOGRAM || rows[metric].kind == SECONDS);
    while (at < count && value > bound[at]) at++;
    (void)atomic_fetch_add_explicit(&cells[metric].values[at], 1, memory_order_relaxed);
    (void)atomic_fetch_add_explicit(&cells[metric].sum, value, memory_order_relaxed);
}

int64_t qb_metric_value(enum qb_metric metric, const char *label)
{
    int64_t sum = 0;

    if (label != NULL) return atomic_load(&cells[metric].values[cell_of(metric, label)]);
    for (size_t i = 0; i < LABELS_MAX; i++) sum += atomic_load(&cells[metric].values[i]);
    return sum;
}

/* A value of a histogram, or a bound; seconds have all their digits and no zeros behind them. */
static void amount_text(struct qb_text *text, size_t metric, int64_t value)
{
    char digits[8];
    size_t length = 6;

    if (rows[metric].kind != SECONDS) {
        qb_text_format(text, "%lld", (long long)value);
        return;
    }
    (void)snprintf(digits, sizeof digits, "%06lld", (long long)(value % 1000000));
    while (length > 0 && digits[length - 1] == '0') length--;
    qb_text_format(text, "%lld%s%.*s", (long long)(value / 1000000), length > 0 ? "." : "",
                   (int)length, digits);
}

static void histogram_text(struct qb_text *text, size_t metric)
{
    size_t bound_count = 0;
    const int64_t *bound = bounds_of(metric, &bound_count);
    int64_t count = 0;

    for (size_t i = 0; i < bound_count; i++) {
        count += atomic_load(&cells[metric].values[i]);
        qb_text_format(text, "quickbid_%s_bucket{le=\"", rows[metric].name);
        amount_text(text, metric, bound[i]);
        qb_text_format(text, "\"} %lld\n", (long long)count);
    }
    count += atomic_load(&cells[metric].values[bound_count]);
    qb_text_format(text, "quickbid_%s_bucket{le=\"+Inf\"} %lld\nquickbid_%s_sum ",
                   rows[metric].name, (long long)count, rows[metric].name);
    amount_text(text, metric, atomic_load(&cells[metric].sum));
    qb_text_format(text, "\nquickbid_%s_count %lld\n", rows[metric].name, (long long)count);
}

static void values_text(struct qb_text *text, size_t metric)
{
    if (rows[metric].label[0] == '\0') {
        qb_text_format(text, "quickbid_%s %lld\n", rows[metric].name,
                       (long long)atomic_load(&cells[metric].values[0]));
        return;
    }
    for (size_t i = 0; i < LABELS_MAX; i++) {
        const char *label = atomic_load(&cells[metric].labels[i]);
        int64_t value = atomic_load(&cells[metric].values[i]);
        if (label == NULL && value == 0) continue;
        qb_text_format(text, "quickbid_%s{%s=\"%s\"} %lld\n", rows[metric].name, rows[metric].label,
                       label != NULL ? label : "other", (long long)value);
    }
}

void qb_metrics_text(struct qb_text *text)
{
    for (size_t i = 0; i < QB_METRIC_COUNT; i++) {
        qb_text_format(text, "# HELP quickbid_%s %s\n# TYPE quickbid_%s %s\n", rows[i].name,
                       rows[i].help, rows[i].name, kind_names[rows[i].kind]);
        if (rows[i].kind == HISTOGRAM || rows[i].kind == SECONDS)
            histogram_text(text, i);
        else
            values_text(text, i);
    }
}

void qb_metrics_docs(struct qb_text *text)
{
    qb_text_string(text,
                   "| metric | kind | label | unit | what it counts |\n|---|---|---|---|---|\n");
    for (size_t i = 0; i < QB_METRIC_COUNT; i++) {
        qb_text_format(text, "| `quickbid_%s` | %s | %s | %s | %s |\n", rows[i].name,
                       kind_names[rows[i].kind], rows[i].label, rows[i].unit, rows[i].help);
    }
}
