/*
 * Worker threads for what may block: store queries, password hashes. A bounded queue of jobs; the
 * answer comes back through the mailbox of the one who asked. More threads come when all are busy,
 * and end when they have had nothing to do for a while; those that worked last are asked first.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attributes.h"
#include "base/mailbox.h"
#include "base/metrics.h"

struct qb_work_pool;

struct qb_work_options {
    const char *name;        /* the label of its metrics; a literal */
    enum qb_metric duration; /* histogram of one job's time */
    enum qb_metric wait;     /* histogram of the time before that */
    unsigned threads;        /* that stay */
    unsigned threads_max;    /* at most; 0: no more than those */
    int64_t idle_us;         /* after which one of the others ends */
    int64_t wait_us;         /* of a job, see qb_work_expire(); 0: any time */
    size_t jobs_max;         /* waiting; one more is refused */
    /* Made and ended on each worker: what a job gets as `worker` (a store connection). May be null.
     */
    void *(*worker_begin)(void *context);
    void (*worker_end)(void *context, void *worker);
    void *context;
};

struct qb_work_pool *qb_work_pool_new(const struct qb_work_options *options);

/* Finishes the jobs that wait, ends the threads and refuses new jobs. Answers may still arrive in
 * mailboxes, and whoever gets one may still submit. One thread, once; null is fine. */
void qb_work_pool_stop(struct qb_work_pool *pool);

/* Stops the pool unless it is stopped, and frees it. */
void qb_work_pool_free(struct qb_work_pool **pool);

/* Runs run(job, worker) on a worker, then posts done(job) to `mailbox`. `job` is kept. False when
 * the queue is full: nothing was taken. Any thread. */
QB_MUST_USE bool qb_work_submit(struct qb_work_pool *pool, struct qb_mailbox *mailbox,
                                void (*run)(void *job, void *worker), void (*done)(void *job),
                                void *job);

/* Gives jobs that have waited longer than wait_us to their run() without a worker (null), on the
 * calling thread: they do no more than say so. For all workers may hang. Any thread; each second.
 */
void qb_work_expire(struct qb_work_pool *pool);
