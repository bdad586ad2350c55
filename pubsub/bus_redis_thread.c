#include "pubsub/bus_redis_thread.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <uv.h>

#include "base/assert.h"

struct bus_thread {
    uv_loop_t loop;
    uv_async_t wake;
    uv_timer_t timer;
    void (*second)(void *);
    void *second_context;
    struct qb_mailbox *mailbox;
    pthread_t thread;
    bool is_running;
};

static void wake(void *context)
{
    struct bus_thread *thread = context;
    (void)uv_async_send(&thread->wake);
}

static void on_wake(uv_async_t *handle)
{
    struct bus_thread *thread = handle->data;
    (void)qb_mailbox_drain(thread->mailbox);
}

struct bus_thread *bus_thread_new(size_t messages_max)
{
    struct bus_thread *thread = calloc(1, sizeof *thread);

    QB_ASSERT(thread != NULL);
    int failed = uv_loop_init(&thread->loop);
    QB_ASSERT(failed == 0);
    failed = uv_async_init(&thread->loop, &thread->wake, on_wake);
    QB_ASSERT(failed == 0);
    (void)uv_timer_init(&thread->loop, &thread->timer);
    thread->wake.data = thread;
    thread->timer.data = thread;
    thread->mailbox = qb_mailbox_new(messages_max, wake, thread);
    return thread;
}

static void on_second(uv_timer_t *handle)
{
    struct bus_thread *thread = handle->data;
    thread->second(thread->second_context);
}

void bus_thread_each_second(struct bus_thread *thread, void (*second)(void *), void *context)
{
    thread->second = second;
    thread->second_context = context;
    (void)uv_timer_start(&thread->timer, on_second, 1000, 1000);
}

static void *run(void *argument)
{
    struct bus_thread *thread = argument;

    (void)uv_run(&thread->loop, UV_RUN_DEFAULT);
    return NULL;
}

void bus_thread_run(struct bus_thread *thread)
{
    int failed = pthread_create(&thread->thread, NULL, run, thread);

    QB_ASSERT(failed == 0);
    (void)pthread_setname_np(thread->thread, "bus");
    thread->is_running = true;
}

void *bus_thread_loop(struct bus_thread *thread)
{
    return &thread->loop;
}

struct qb_mailbox *bus_thread_mailbox(struct bus_thread *thread)
{
    return thread->mailbox;
}

void bus_thread_end(struct bus_thread *thread)
{
    uv_close((uv_handle_t *)&thread->wake, NULL);
    uv_close((uv_handle_t *)&thread->timer, NULL);
}

void bus_thread_free(struct bus_thread **thread)
{
    struct bus_thread *old = *thread;

    *thread = NULL;
    if (old->is_running)
        (void)pthread_join(old->thread, NULL);
    else
        (void)run(old);
    int failed = uv_loop_close(&old->loop);
    QB_ASSERT(failed == 0);
    qb_mailbox_free(&old->mailbox);
    free(old);
}
