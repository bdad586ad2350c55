/*
 * The thread of the bus on Redis: a libuv loop that others reach through a mailbox. Private to
 * pubsub/bus_redis*.c.
 */
#pragma once

#include "base/mailbox.h"

struct bus_thread;

/* Not running yet; until it does, its loop belongs to the caller. */
struct bus_thread *bus_thread_new(size_t messages_max);
/* Called each second on the thread. Before it runs. */
void bus_thread_each_second(struct bus_thread *thread, void (*second)(void *), void *context);
void bus_thread_run(struct bus_thread *thread);

/* The uv_loop_t. */
void *bus_thread_loop(struct bus_thread *thread);
/* Of any thread. */
struct qb_mailbox *bus_thread_mailbox(struct bus_thread *thread);

/* On the thread: no more mail. It ends when every other handle of its loop has closed. */
void bus_thread_end(struct bus_thread *thread);
/* Waits for the end; runs it out here if it never ran. */
void bus_thread_free(struct bus_thread **thread);
