#include "base/wheel.h"

#include <stddef.h>

#include "base/assert.h"

void qb_wheel_init(struct qb_wheel *wheel, int64_t tick_us, int64_t now_us)
{
    QB_ASSERT(tick_us > 0);
    *wheel = (struct qb_wheel){.tick_us = tick_us, .now_ticks = now_us / tick_us};
}

static void link_to(struct qb_timer **list, struct qb_timer *timer)
{
    timer->next = *list;
    timer->link = list;
    if (timer->next != NULL) timer->next->link = &timer->next;
    *list = timer;
}

void qb_timer_stop(struct qb_timer *timer)
{
    if (timer->link == NULL) return;
    *timer->link = timer->next;
    if (timer->next != NULL) timer->next->link = timer->link;
    timer->link = NULL;
    timer->next = NULL;
}

bool qb_timer_is_set(const struct qb_timer *timer)
{
    return timer->link != NULL;
}

/* The slot of the tick that begins at or after the deadline, so that none is fired early. */
void qb_wheel_set(struct qb_wheel *wheel, struct qb_timer *timer, int64_t due_us)
{
    int64_t ticks = due_us / wheel->tick_us + (due_us % wheel->tick_us > 0 ? 1 : 0);

    if (ticks <= wheel->now_ticks) ticks = wheel->now_ticks + 1;
    qb_timer_stop(timer);
    timer->due_us = due_us;
    link_to(&wheel->slots[(uint64_t)ticks % QB_WHEEL_SLOTS], timer);
}

static void collect(struct qb_wheel *wheel, struct qb_timer **slot, int64_t now_us)
{
    for (struct qb_timer *timer = *slot; timer != NULL;) {
        struct qb_timer *next = timer->next;
        if (timer->due_us <= now_us) {
            qb_timer_stop(timer);
            link_to(&wheel->due, timer);
        }
        timer = next;
    }
}

void qb_wheel_advance(struct qb_wheel *wheel, int64_t now_us,
                      void (*fire)(void *context, struct qb_timer *timer), void *context)
{
    int64_t now_ticks = now_us / wheel->tick_us;
    int64_t slots = now_ticks - wheel->now_ticks;

    /* After a long standstill one round visits every slot there is. */
    if (slots > QB_WHEEL_SLOTS) slots = QB_WHEEL_SLOTS;
    for (int64_t i = 0; i < slots; i++) {
        collect(wheel, &wheel->slots[(uint64_t)(now_ticks - i) % QB_WHEEL_SLOTS], now_us);
    }
    if (now_ticks > wheel->now_ticks) wheel->now_ticks = now_ticks;
    while (wheel->due != NULL) {
        struct qb_timer *timer = wheel->due;
        qb_timer_stop(timer);
        fire(context, timer);
    }
}
