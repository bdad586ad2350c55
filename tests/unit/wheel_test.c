/*
 * The timing wheel: never early, at most a tick late, and safe against what a fired timer does.
 */
#include "base/attributes.h"
#include "base/wheel.h"
#include "tests/kit/test.h"

enum { TICK = 1000 };

struct seen {
    struct qb_wheel *wheel;
    int count;
    struct qb_timer *last;
    struct qb_timer *stops; /* null: none */
    int64_t again_us;       /* 0: not set again */
};

static void fire(void *context, struct qb_timer *timer)
{
    struct seen *seen = context;

    seen->count++;
    seen->last = timer;
    if (seen->stops != NULL && seen->stops != timer) qb_timer_stop(seen->stops);
    if (seen->again_us != 0) qb_wheel_set(seen->wheel, timer, seen->again_us);
}

QB_TEST(deadlines_are_kept)
{
    static const struct {
        const char *says;
        int64_t due_us;
        int64_t early_us; /* not fired by then */
        int64_t late_us;  /* fired by then */
    } rows[] = {
        /* clang-format off */
        {"in the past",     0,                           TICK - 1,                   TICK},
        {"on a tick",       7 * TICK,                    7 * TICK - 1,               7 * TICK},
        {"between ticks",   7 * TICK + 1,                7 * TICK + 999,             8 * TICK},
        {"a round later",   (QB_WHEEL_SLOTS + 3) * TICK, 3 * TICK,                   (QB_WHEEL_SLOTS + 3) * TICK},
        {"after a long gap", 9 * TICK,                   8 * TICK,                   5000 * TICK},
        /* clang-format on */
    };

    for (size_t i = 0; i < QB_COUNT(rows); i++) {
        struct qb_wheel wheel;
        struct qb_timer timer = {0};
        struct seen seen = {.wheel = &wheel};

        qb_wheel_init(&wheel, TICK, 10);
        qb_wheel_set(&wheel, &timer, rows[i].due_us);
        qb_wheel_advance(&wheel, rows[i].early_us, fire, &seen);
        QB_EXPECT_EQ(seen.count, 0, rows[i].says);
        qb_wheel_advance(&wheel, rows[i].late_us, fire, &seen);
        QB_EXPECT_EQ(seen.count, 1, rows[i].says);
        QB_EXPECT(!qb_timer_is_set(&timer), rows[i].says);
    }
}

QB_TEST(a_timer_moves_and_stops)
{
    struct qb_wheel wheel;
    struct qb_timer timers[2] = {0};
    struct seen seen = {.wheel = &wheel};

    qb_wheel_init(&wheel, TICK, 0);
    qb_wheel_set(&wheel, &timers[0], 2 * TICK);
    qb_wheel_set(&wheel, &timers[1], 2 * TICK);
    qb_wheel_set(&wheel, &timers[0], 4 * TICK);
    qb_timer_stop(&timers[1]);
    qb_timer_stop(&timers[1]);
    qb_wheel_advance(&wheel, 3 * TICK, fire, &seen);
    QB_EXPECT_EQ(seen.count, 0, "moved and stopped");
    qb_wheel_advance(&wheel, 4 * TICK, fire, &seen);
    QB_EXPECT_EQ(seen.count, 1, "moved");
}

QB_TEST(a_fired_timer_may_stop_others_and_come_again)
{
    struct qb_wheel wheel;
    struct qb_timer timers[2] = {0};
    struct seen seen = {.wheel = &wheel, .again_us = 5};

    qb_wheel_init(&wheel, TICK, 0);
    qb_wheel_set(&wheel, &timers[0], TICK);
    qb_wheel_set(&wheel, &timers[1], TICK);
    seen.stops = &timers[0];
    qb_wheel_advance(&wheel, TICK, fire, &seen);
    QB_EXPECT(seen.count <= 2, "set again into the past waits for the next advance");
    QB_EXPECT(qb_timer_is_set(seen.last), "it is set again");
}
