/*
 * A timing wheel: many deadlines a thread, each set and moved in O(1), fired once within a tick
 * after their time. The one timer of the loop advances it.
 *
 * Thread    one for a wheel and its timers.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Embedded in whoever waits; zero-filled is one that is not set. */
struct qb_timer {
    struct qb_timer *next;
    struct qb_timer **link; /* what points to it; null: not set */
    int64_t due_us;
};

#define QB_WHEEL_SLOTS 512

/* Later deadlines than QB_WHEEL_SLOTS ticks stay in their slot for more rounds. */
struct qb_wheel {
    struct qb_timer *slots[QB_WHEEL_SLOTS];
    struct qb_timer *due; /* what qb_wheel_advance() is firing */
    int64_t tick_us;
    int64_t now_ticks;
};

/* tick_us > 0; now_us is monotonic. The wheel may not move in memory while timers are set. */
void qb_wheel_init(struct qb_wheel *wheel, int64_t tick_us, int64_t now_us);

/* Sets the timer, or moves it. One in the past is fired at the next advance. */
void qb_wheel_set(struct qb_wheel *wheel, struct qb_timer *timer, int64_t due_us);

/* Does nothing to one that is not set. */
void qb_timer_stop(struct qb_timer *timer);
bool qb_timer_is_set(const struct qb_timer *timer);

/* Fires what is due, in no order within a tick. `fire` may set and stop any timer, this one too,
 * and free its owner. */
void qb_wheel_advance(struct qb_wheel *wheel, int64_t now_us,
                      void (*fire)(void *context, struct qb_timer *timer), void *context);
