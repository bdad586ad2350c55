#include "base/work.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/condition.h"

struct task {
    struct qb_mailbox *mailbox;
    void (*run)(void *job, void *worker);
    void (*done)(void *job);
    void *job;
    int64_t submitted_us;
};

enum state { STATE_NONE, STATE_RUNS, STATE_OVER };

struct worker {
    struct qb_work_pool *pool;
    pthread_t thread;
    pthread_cond_t wanted;
    enum state state; /* OVER: to be joined, at once */
    bool is_idle;     /* in the list */
    struct worker *idler;
};

struct qb_work_pool {
    pthread_mutex_t lock;
    struct qb_work_options options;
    struct task *tasks; /* a ring of options.jobs_max */
    size_t first;
    size_t count;
    unsigned running;
    unsigned running_max;
    unsigned busy;
    struct worker *idle; /* who worked last first */
    bool is_ending;
    unsigned worker_count;   /* some are ending */
    struct worker workers[]; /* worker_count */
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

static void show_threads(const struct qb_work_pool *pool)
{
    qb_metric_set(QB_METRIC_work_threads, pool->options.name, pool->running);
    qb_metric_set(QB_METRIC_work_busy_threads, pool->options.name, pool->busy);
}

static bool take_first(struct qb_work_pool *pool, struct task *task)
{
    if (pool->count == 0) return false;
    *task = pool->tasks[pool->first];
    pool->first = (pool->first + 1) % pool->options.jobs_max;
    pool->count--;
    show_waiting(pool);
    return true;
}

static void leave_idle(struct qb_work_pool *pool, struct worker *worker)
{
    struct worker **at = &pool->idle;

    if (!worker->is_idle) return; /* somebody has called it */
    while (*at != worker) at = &(*at)->idler;
    *at = worker->idler;
    worker->is_idle = false;
}

/* Until it is called. False: it has had nothing to do for long, and is one too many. */
static bool idle(struct qb_work_pool *pool, struct worker *worker)
{
    const struct timespec until = qb_condition_after(pool->options.idle_us);
    int waited = 0;

    worker->idler = pool->idle;
    pool->idle = worker;
    worker->is_idle = true;
    while (worker->is_idle && !pool->is_ending && waited == 0) {
        waited = pool->options.idle_us > 0
                     ? pthread_cond_timedwait(&worker->wanted, &pool->lock, &until)
                     : pthread_cond_wait(&worker->wanted, &pool->lock);
    }
    bool is_called = !worker->is_idle;
    leave_idle(pool, worker);
    return is_called || pool->is_ending || pool->running <= pool->options.threads;
}

/* False: the thread ends. */
static bool next_task(struct qb_work_pool *pool, struct worker *worker, struct task *task)
{
    bool is_found = false;

    (void)pthread_mutex_lock(&pool->lock);
    pool->busy--;
    show_threads(pool);
    while (!(is_found = take_first(pool, task)) && !pool->is_ending) {
        if (!idle(pool, worker)) break;
    }
    if (is_found) {
        pool->busy++;
    } else {
        pool->running--;
    }
    show_threads(pool);
    (void)pthread_mutex_unlock(&pool->lock);
    return is_found;
}

static void *work(void *argument)
{
    struct worker *self = argument;
    struct qb_work_pool *pool = self->pool;
    struct task task;
    void *worker = NULL;

    if (pool->options.worker_begin != NULL) {
        worker = pool->options.worker_begin(pool->options.context);
    }
    while (next_task(pool, self, &task)) {
        int64_t begun_us = qb_clock_mono_us();
        qb_metric_observe(pool->options.wait, begun_us - task.submitted_us);
        task.run(task.job, worker);
        qb_metric_observe(pool->options.duration, qb_clock_mono_us() - begun_us);
        answer(&task);
    }
    if (pool->options.worker_end != NULL) pool->options.worker_end(pool->options.context, worker);
    (void)pthread_mutex_lock(&pool->lock);
    self->state = STATE_OVER;
    (void)pthread_mutex_unlock(&pool->lock);
    return NULL;
}

/* One more thread, if there may be; busy until it looks for a task. Under the lock. */
static void add_worker(struct qb_work_pool *pool)
{
    struct worker *worker = pool->workers;
    const struct worker *end = pool->workers + pool->worker_count;

    if (pool->running >= pool->running_max) return;
    while (worker < end && worker->state == STATE_RUNS) worker++;
    if (worker == end) return;
    if (worker->state == STATE_OVER) (void)pthread_join(worker->thread, NULL);
    worker->state = STATE_NONE;
    /* None to be had: those that run do the work. */
    if (pthread_create(&worker->thread, NULL, work, worker) != 0) {
        QB_ASSERT(pool->running > 0);
        return;
    }
    worker->state = STATE_RUNS;
    pool->running++;
    pool->busy++;
    show_threads(pool);
}

struct qb_work_pool *qb_work_pool_new(const struct qb_work_options *options)
{
    unsigned most =
        options->threads_max > options->threads ? options->threads_max : options->threads;
    struct qb_work_pool *pool = calloc(1, sizeof *pool + 2 * most * sizeof pool->workers[0]);

    QB_ASSERT(pool != NULL);
    QB_ASSERT(options->threads > 0);
    QB_ASSERT(options->jobs_max > 0);
    pool->options = *options;
    pool->running_max = most;
    pool->worker_count = 2 * most;
    pool->tasks = calloc(options->jobs_max, sizeof *pool->tasks);
    QB_ASSERT(pool->tasks != NULL);
    (void)pthread_mutex_init(&pool->lock, NULL);
    for (unsigned i = 0; i < pool->worker_count; i++) {
        pool->workers[i].pool = pool;
        qb_condition_init(&pool->workers[i].wanted);
    }
    (void)pthread_mutex_lock(&pool->lock);
    for (unsigned i = 0; i < options->threads; i++) add_worker(pool);
    (void)pthread_mutex_unlock(&pool->lock);
    return pool;
}

void qb_work_pool_stop(struct qb_work_pool *pool)
{
    if (pool == NULL || pool->is_ending) return;
    (void)pthread_mutex_lock(&pool->lock);
    pool->is_ending = true;
    for (struct worker *worker = pool->idle; worker != NULL; worker = worker->idler) {
        (void)pthread_cond_signal(&worker->wanted);
    }
    (void)pthread_mutex_unlock(&pool->lock);
    /* None is added any more. */
    for (unsigned i = 0; i < pool->worker_count; i++) {
        (void)pthread_mutex_lock(&pool->lock);
        bool has_thread = pool->workers[i].state != STATE_NONE;
        (void)pthread_mutex_unlock(&pool->lock);
        if (has_thread) (void)pthread_join(pool->workers[i].thread, NULL);
    }
}

void qb_work_pool_free(struct qb_work_pool **pool)
{
    struct qb_work_pool *old = *pool;

    *pool = NULL;
    if (old == NULL) return;
    qb_work_pool_stop(old);
    for (unsigned i = 0; i < old->worker_count; i++)
        (void)pthread_cond_destroy(&old->workers[i].wanted);
    (void)pthread_mutex_destroy(&old->lock);
    free(old->tasks);
    free(old);
}

/* For a task that waits: the idle one that worked last, or one more. Under the lock. */
static void call_worker(struct qb_work_pool *pool)
{
    struct worker *worker = pool->idle;

    if (worker == NULL) {
        add_worker(pool);
        return;
    }
    pool->idle = worker->idler;
    worker->is_idle = false;
    (void)pthread_cond_signal(&worker->wanted);
}

bool qb_work_submit(struct qb_work_pool *pool, struct qb_mailbox *mailbox,
                    void (*run)(void *job, void *worker), void (*done)(void *job), void *job)
{
    (void)pthread_mutex_lock(&pool->lock);
    bool is_taken = pool->count < pool->options.jobs_max && !pool->is_ending;
    if (is_taken) {
        size_t at = (pool->first + pool->count++) % pool->options.jobs_max;
        pool->tasks[at] = (struct task){mailbox, run, done, job, qb_clock_mono_us()};
        call_worker(pool);
        show_waiting(pool);
    } else {
        qb_metric_add(QB_METRIC_work_refused_total, pool->options.name, 1);
    }
    (void)pthread_mutex_unlock(&pool->lock);
    return is_taken;
}

void qb_work_expire(struct qb_work_pool *pool)
{
    const int64_t begun_us = qb_clock_mono_us();
    bool is_found = true;

    while (is_found) {
        struct task task;
        (void)pthread_mutex_lock(&pool->lock);
        is_found = pool->options.wait_us > 0 && pool->count > 0 &&
                   begun_us - pool->tasks[pool->first].submitted_us > pool->options.wait_us &&
                   take_first(pool, &task);
        (void)pthread_mutex_unlock(&pool->lock);
        if (!is_found) break;
        qb_metric_add(QB_METRIC_work_expired_total, pool->options.name, 1);
        qb_metric_observe(pool->options.wait, begun_us - task.submitted_us);
        task.run(task.job, NULL);
        answer(&task);
    }
}
