#include "app/loop.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <uv.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/metrics.h"

#define STALL_US (100 * QB_MS_US)

struct qb_loop {
    uv_loop_t uv;
    uv_async_t wake;
    uv_prepare_t before_sleep;
    uv_timer_t timer;
    uv_timer_t second;
    struct qb_mailbox *mailbox;
    struct qb_loop_handlers handlers;
    int64_t turned_us; /* end of the turn before */
    uint64_t idle_ns;  /* slept by then */
    atomic_bool must_stop;
    _Atomic uint64_t turns;
};

static void wake(void *context)
{
    struct qb_loop *loop = context;
    (void)uv_async_send(&loop->wake);
}

static void on_wake(uv_async_t *handle)
{
    struct qb_loop *loop = handle->data;

    (void)qb_mailbox_drain(loop->mailbox);
    if (atomic_load(&loop->must_stop)) uv_stop(&loop->uv);
}

static void on_before_sleep(uv_prepare_t *handle)
{
    struct qb_loop *loop = handle->data;

    if (loop->handlers.turn != NULL) loop->handlers.turn(loop->handlers.context);
    (void)atomic_fetch_add_explicit(&loop->turns, 1, memory_order_relaxed);
    int64_t now_us = qb_clock_mono_us();
    uint64_t idle_ns = uv_metrics_idle_time(&loop->uv);
    int64_t turn_us = now_us - loop->turned_us - (int64_t)((idle_ns - loop->idle_ns) / 1000);
    loop->turned_us = now_us;
    loop->idle_ns = idle_ns;
    qb_metric_observe(QB_METRIC_loop_turn_us, turn_us);
    if (turn_us > STALL_US) qb_metric_add(QB_METRIC_loop_stalls_total, NULL, 1);
}

static void on_timer(uv_timer_t *handle)
{
    struct qb_loop *loop = handle->data;
    if (loop->handlers.timer != NULL) loop->handlers.timer(loop->handlers.context);
}

static void on_second(uv_timer_t *handle)
{
    struct qb_loop *loop = handle->data;
    if (loop->handlers.second != NULL) loop->handlers.second(loop->handlers.context);
}

struct qb_loop *qb_loop_new(size_t messages_max)
{
    struct qb_loop *loop = calloc(1, sizeof *loop);

    QB_ASSERT(loop != NULL);
    int failed = uv_loop_init(&loop->uv);
    QB_ASSERT(failed == 0);
    failed = uv_async_init(&loop->uv, &loop->wake, on_wake);
    QB_ASSERT(failed == 0);
    (void)uv_prepare_init(&loop->uv, &loop->before_sleep);
    (void)uv_timer_init(&loop->uv, &loop->timer);
    (void)uv_timer_init(&loop->uv, &loop->second);
    loop->wake.data = loop;
    loop->before_sleep.data = loop;
    loop->timer.data = loop;
    loop->second.data = loop;
    (void)uv_loop_configure(&loop->uv, UV_METRICS_IDLE_TIME);
    loop->turned_us = qb_clock_mono_us();
    loop->mailbox = qb_mailbox_new(messages_max, wake, loop);
    return loop;
}

void qb_loop_handle(struct qb_loop *loop, const struct qb_loop_handlers *handlers)
{
    loop->handlers = *handlers;
    (void)uv_prepare_start(&loop->before_sleep, on_before_sleep);
    (void)uv_timer_start(&loop->second, on_second, 1000, 1000);
}

void qb_loop_run(struct qb_loop *loop)
{
    while (!atomic_load(&loop->must_stop)) (void)uv_run(&loop->uv, UV_RUN_DEFAULT);
}

bool qb_loop_wait(struct qb_loop *loop, const bool *is_done, int64_t until_us)
{
    while (!*is_done && qb_clock_mono_us() < until_us) {
        qb_loop_wake_at(loop, until_us);
        (void)uv_run(&loop->uv, UV_RUN_ONCE);
    }
    qb_loop_wake_at(loop, INT64_MAX);
    return *is_done;
}

void qb_loop_stop(struct qb_loop *loop)
{
    atomic_store(&loop->must_stop, true);
    wake(loop);
}

void qb_loop_settle(struct qb_loop *loop)
{
    for (int i = 0; i < 8; i++) (void)uv_run(&loop->uv, UV_RUN_NOWAIT);
}

void qb_loop_free(struct qb_loop **loop)
{
    struct qb_loop *old = *loop;

    *loop = NULL;
    if (old == NULL) return;
    uv_close((uv_handle_t *)&old->wake, NULL);
    uv_close((uv_handle_t *)&old->before_sleep, NULL);
    uv_close((uv_handle_t *)&old->timer, NULL);
    uv_close((uv_handle_t *)&old->second, NULL);
    qb_loop_settle(old);
    (void)uv_loop_close(&old->uv);
    qb_mailbox_free(&old->mailbox);
    free(old);
}

void qb_loop_wake_at(struct qb_loop *loop, int64_t mono_us)
{
    if (mono_us == INT64_MAX) {
        (void)uv_timer_stop(&loop->timer);
        return;
    }
    int64_t wait_us = mono_us - qb_clock_mono_us();
    uint64_t wait_ms = wait_us > 0 ? (uint64_t)(wait_us + QB_MS_US - 1) / (uint64_t)QB_MS_US : 0;
    uv_update_time(&loop->uv);
    (void)uv_timer_start(&loop->timer, on_timer, wait_ms, 0);
}

struct qb_mailbox *qb_loop_mailbox(struct qb_loop *loop)
{
    return loop->mailbox;
}

void *qb_loop_uv(struct qb_loop *loop)
{
    return &loop->uv;
}

uint64_t qb_loop_turns(const struct qb_loop *loop)
{
    return atomic_load_explicit(&loop->turns, memory_order_relaxed);
}
