#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "storage/archiver.h"

#define RETRY_US    (QB_SECOND_US / 2)
#define DUE_ENTRIES 5000

struct qb_archiver {
    struct qb_archive *archive;
    pthread_t thread;
    atomic_bool is_ending;
};

static void *archive_all(void *argument)
{
    struct qb_archiver *archiver = argument;
    struct qb_archive *archive = archiver->archive;
    size_t count = 1;
    size_t since_due = 0;

    while (!atomic_load(&archiver->is_ending) || count > 0) {
        struct qb_error error = {""};
        bool is_done = qb_archive_batch(archive, RETRY_US, &count, &error);
        if (!is_done) {
            qb_log(QB_LOG_ERROR, "archive.failed", QB_TEXT("error", error.text));
            qb_metric_add(QB_METRIC_archive_failures_total, NULL, 1);
            if (atomic_load(&archiver->is_ending)) break; /* the next start goes on */
            qb_clock_sleep_us(RETRY_US);
        }
        since_due += count;
        bool is_due = since_due > 0 && (count == 0 || since_due >= DUE_ENTRIES);
        qb_archive_tend(archive, is_due);
        if (is_due) since_due = 0;
    }
    return NULL;
}

struct qb_archiver *qb_archiver_new(struct qb_archive *archive)
{
    struct qb_archiver *archiver = calloc(1, sizeof *archiver);

    QB_ASSERT(archiver != NULL);
    archiver->archive = archive;
    int failed = pthread_create(&archiver->thread, NULL, archive_all, archiver);
    QB_ASSERT(failed == 0);
    return archiver;
}

void qb_archiver_free(struct qb_archiver **archiver)
{
    struct qb_archiver *old = *archiver;

    *archiver = NULL;
    if (old == NULL) return;
    atomic_store(&old->is_ending, true);
    (void)pthread_join(old->thread, NULL);
    free(old);
}
