/*
 * One I/O thread's loop: libuv, a way to wake it from other threads, a timer, and a call at the
 * end of every turn. libuv is seen only here and in ws/'s server.
 *
 * Thread    its own, except where said.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/mailbox.h"

struct qb_loop;

struct qb_loop_handlers {
    /* At the end of each turn, before the loop may sleep. */
    void (*turn)(void *context);
    /* The time of qb_loop_wake_at() has come. */
    void (*timer)(void *context);
    /* Each second. */
    void (*second)(void *context);
    void *context;
};

/* `messages_max`: of its mailbox, which it drains by itself. */
struct qb_loop *qb_loop_new(size_t messages_max);
void qb_loop_handle(struct qb_loop *loop, const struct qb_loop_handlers *handlers);
void qb_loop_free(struct qb_loop **loop);

/* Turns until qb_loop_stop(). */
void qb_loop_run(struct qb_loop *loop);
/* Turns until `*is_done` or that monotonic time: for a thread that waits for one thing. Returns
 * *is_done. Not beside qb_loop_run(). */
bool qb_loop_wait(struct qb_loop *loop, const bool *is_done, int64_t until_us);
/* Any thread. */
void qb_loop_stop(struct qb_loop *loop);
/* Turns a few times without sleeping, for handles that close. */
void qb_loop_settle(struct qb_loop *loop);

/* Calls `timer` at that monotonic time; replaces the time before. INT64_MAX: never. */
void qb_loop_wake_at(struct qb_loop *loop, int64_t mono_us);

/* Of any thread. */
struct qb_mailbox *qb_loop_mailbox(struct qb_loop *loop);

/* The uv_loop_t. */
void *qb_loop_uv(struct qb_loop *loop);

/* Turns so far; for the watchdog. Any thread. */
uint64_t qb_loop_turns(const struct qb_loop *loop);
