#include "app/watchdog.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>

#include "app/fatal.h"
#include "base/assert.h"
#include "base/clock.h"

struct watched {
    struct qb_loop *loop;
    uint64_t turns;
    int64_t turned_us;
};

struct qb_watchdog {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t ended;
    bool is_ending;
    int64_t limit_us;
    unsigned count;
    struct watched watched[];
};

static void look(struct qb_watchdog *watchdog)
{
    int64_t now_us = qb_clock_mono_us();

    for (unsigned i = 0; i < watchdog->count; i++) {
        struct watched *watched = &watchdog->watched[i];
        uint64_t turns = qb_loop_turns(watched->loop);
        if (turns != watched->turns) watched->turned_us = now_us;
        watched->turns = turns;
        if (now_us - watched->turned_us > watchdog->limit_us) {
            qb_fatal("watchdog.stalled", "an I/O thread has not turned for longer than "
                                         "watchdog_ms; the process ends, to be started anew");
        }
    }
}

static void *watch(void *argument)
{
    struct qb_watchdog *watchdog = argument;

    (void)pthread_mutex_lock(&watchdog->lock);
    while (!watchdog->is_ending) {
        struct timespec until;
        (void)clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec += 1;
        (void)pthread_cond_timedwait(&watchdog->ended, &watchdog->lock, &until);
        look(watchdog);
    }
    (void)pthread_mutex_unlock(&watchdog->lock);
    return NULL;
}

struct qb_watchdog *qb_watchdog_new(struct qb_loop *const *loops, unsigned count, int64_t limit_us)
{
    struct qb_watchdog *watchdog =
        calloc(1, sizeof *watchdog + count * sizeof watchdog->watched[0]);

    QB_ASSERT(watchdog != NULL);
    watchdog->count = count;
    watchdog->limit_us = limit_us;
    for (unsigned i = 0; i < count; i++) {
        watchdog->watched[i] = (struct watched){loops[i], 0, qb_clock_mono_us()};
    }
    (void)pthread_mutex_init(&watchdog->lock, NULL);
    (void)pthread_cond_init(&watchdog->ended, NULL);
    int failed = pthread_create(&watchdog->thread, NULL, watch, watchdog);
    QB_ASSERT(failed == 0);
    return watchdog;
}

void qb_watchdog_free(struct qb_watchdog **watchdog)
{
    struct qb_watchdog *old = *watchdog;

    *watchdog = NULL;
    if (old == NULL) return;
    (void)pthread_mutex_lock(&old->lock);
    old->is_ending = true;
    (void)pthread_cond_signal(&old->ended);
    (void)pthread_mutex_unlock(&old->lock);
    (void)pthread_join(old->thread, NULL);
    (void)pthread_cond_destroy(&old->ended);
    (void)pthread_mutex_destroy(&old->lock);
    free(old);
}
