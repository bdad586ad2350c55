#include "base/work.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/clock.h"

struct task {
    struct qb_mailbox *mailbox;
    void (*run)(void *job, void *worker);
    void (*done)(void *job);
    void *job;
};

struct qb_work_pool {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct qb_work_options options;
    struct task *tasks; /* a ring of options.jobs_max */
    size_t first;
    size_t count;
    bool is_ending;
    pthread_t threads[];
};

static void deliver(void *done, void *job)
{
    union {
        void *pointer;
        void (*function)(void *job);
    } call = {.pointer = done};
    call.function(job);
}

static void answer(const struct task *task)
{
    union {
        void *pointer;
        void (*function)(void *job);
    } call = {.function = task->done};
    qb_mailbox_post_answer(task->mailbox, deliver, call.pointer, task->job);
}

/* Under the lock. */
static void show_waiting(const struct qb_work_pool *pool)
{
    qb_metric_set(QB_METRIC_work_queue_jobs, pool->options.name, (int64_t)pool->count);
}

static bool next_task(struct qb_work_pool *pool, struct task *task)
{
    (void)pthread_mutex_lock(&pool->lock);
    while (pool->count == 0 && !pool->is_ending) {
        (void)pthread_cond_wait(&pool->changed, &pool->lock);
    }
    bool is_found = pool->count > 0;
    if (is_found) {
        *task = pool->tasks[pool->first];
        pool->first = (pool->first + 1) % pool->options.jobs_max;
        pool->count--;
        show_waiting(pool);
    }
    (void)pthread_mutex_unlock(&pool->lock);
    return is_found;
}

static void *work(void *argument)
{
    struct qb_work_pool *pool = argument;
    struct task task;
    void *worker = NULL;

    if (pool->options.worker_begin != NULL) {
        worker = pool->options.worker_begin(pool->options.context);
    }
    while (next_task(pool, &task)) {
        int64_t begun_us = qb_clock_mono_us();
        task.run(task.job, worker);
        qb_metric_observe(pool->options.duration, qb_clock_mono_us() - begun_us);
        answer(&task);
    }
    if (pool->options.worker_end != NULL) pool->options.worker_end(pool->options.context, worker);
    return NULL;
}

struct qb_work_pool *qb_work_pool_new(const struct qb_work_options *options)
{
    struct qb_work_pool *pool =
        calloc(1, sizeof *pool + options->threads * sizeof pool->threads[0]);

    QB_ASSERT(pool != NULL);
    QB_ASSERT(options->threads > 0);
    QB_ASSERT(options->jobs_max > 0);
    pool->options = *options;
    pool->tasks = calloc(options->jobs_max, sizeof *pool->tasks);
    QB_ASSERT(pool->tasks != NULL);
    (void)pthread_mutex_init(&pool->lock, NULL);
    (void)pthread_cond_init(&pool->changed, NULL);
    for (unsigned i = 0; i < options->threads; i++) {
        int failed = pthread_create(&pool->threads[i], NULL, work, pool);
        QB_ASSERT(failed == 0);
    }
    return pool;
}

void qb_work_pool_stop(struct qb_work_pool *pool)
{
    if (pool == NULL || pool->is_ending) return;
    (void)pthread_mutex_lock(&pool->lock);
    pool->is_ending = true;
    (void)pthread_cond_broadcast(&pool->changed);
    (void)pthread_mutex_unlock(&pool->lock);
    for (unsigned i = 0; i < pool->options.threads; i++) (void)pthread_join(pool->threads[i], NULL);
}

void qb_work_pool_free(struct qb_work_pool **pool)
{
    struct qb_work_pool *old = *pool;

    *pool = NULL;
    if (old == NULL) return;
    qb_work_pool_stop(old);
    (void)pthread_cond_destroy(&old->changed);
    (void)pthread_mutex_destroy(&old->lock);
    free(old->tasks);
    free(old);
}

bool qb_work_submit(struct qb_work_pool *pool, struct qb_mailbox *mailbox,
                    void (*run)(void *job, void *worker), void (*done)(void *job), void *job)
{
    (void)pthread_mutex_lock(&pool->lock);
    bool is_taken = pool->count < pool->options.jobs_max && !pool->is_ending;
    if (is_taken) {
        size_t at = (pool->first + pool->count++) % pool->options.jobs_max;
        pool->tasks[at] = (struct task){mailbox, run, done, job};
        (void)pthread_cond_signal(&pool->changed);
        show_waiting(pool);
    } else {
        qb_metric_add(QB_METRIC_work_refused_total, pool->options.name, 1);
    }
    (void)pthread_mutex_unlock(&pool->lock);
    return is_taken;
}
