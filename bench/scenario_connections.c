#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "bench/measure.h"
#include "bench/scenario.h"
#include "bench/swarm.h"

#define HANDSHAKES 1000 /* beyond those that stay, for each measurement */
#define WARM_UP    50
#define PINGS      1000
#define PING_US    1000 /* between two of them: 1,000 a second, as findings of the kind have it */
#define STAGES     3

struct stage {
    size_t connections;
    double handshakes_per_s;
    double cpu_us_per_handshake;
    double cpu_us_per_message;
};

static void count_answer(void *context, struct qb_peer *peer, const char *text, size_t length)
{
    size_t *answers = context;

    (void)peer;
    (void)text;
    (void)length;
    (*answers)++;
}

/* Waits until the server is done with what was begun: no processor time in 20 ms. */
static void wait_until_quiet(struct qb_swarm *swarm, int pid)
{
    int64_t limit_us = qb_clock_mono_us() + 5 * QB_SECOND_US;
    int64_t before = 0;
    int64_t after = qb_measure_cpu_us(pid);

    do {
        before = after;
        int64_t pause_us = qb_clock_mono_us() + 20 * QB_MS_US;
        while (qb_clock_mono_us() < pause_us) qb_swarm_turn(swarm, 1);
        after = qb_measure_cpu_us(pid);
    } while (after - before > 1000 && qb_clock_mono_us() < limit_us);
}

static void measure_handshakes(struct qb_swarm *swarm, int pid, struct stage *stage)
{
    size_t from = swarm->count - HANDSHAKES;
    int64_t cpu_us = qb_measure_cpu_us(pid);
    int64_t begin_us = qb_clock_mono_us();

    qb_swarm_open(swarm, from, swarm->count);
    double wall_us = (double)(qb_clock_mono_us() - begin_us);
    cpu_us = qb_measure_cpu_us(pid) - cpu_us;
    stage->handshakes_per_s = HANDSHAKES * 1e6 / wall_us;
    stage->cpu_us_per_handshake = (double)cpu_us / HANDSHAKES;
}

/* One of the connections that measured handshakes asks for the time, at a steady pace. */
static void measure_messages(struct qb_swarm *swarm, int pid, struct stage *stage)
{
    static const char ping[] = "{\"id\":1,\"do\":\"ping\"}";
    struct qb_peer *peer = &swarm->peers[swarm->count - 1];
    size_t answers = 0;
    size_t sent = 0;

    /* cppcheck-suppress autoVariables ; the swarm does not outlive this function */
    swarm->context = &answers;
    swarm->frame = count_answer;
    int64_t begin_us = qb_clock_mono_us();
    int64_t cpu_us = qb_measure_cpu_us(pid);
    while (answers < PINGS) {
        int64_t now_us = qb_clock_mono_us();
        if (sent < PINGS && now_us >= begin_us + (int64_t)sent * PING_US) {
            qb_peer_send(peer, ping, strlen(ping));
            sent++;
        }
        qb_swarm_turn(swarm, 0);
        if (now_us - begin_us > 10 * QB_SECOND_US) qb_load_fail("%zu pings answered", answers);
    }
    cpu_us = qb_measure_cpu_us(pid) - cpu_us;
    stage->cpu_us_per_message = (double)cpu_us / PINGS;
    swarm->frame = NULL;
}

void qb_scenario_connections(const struct qb_load_options *options)
{
    struct qb_swarm swarm;
    struct stage stages[STAGES];
    size_t open = 0;

    qb_swarm_init(&swarm, options->connections + HANDSHAKES, options->ports[0], false);
    /* What the first few make the server take once is no part of what each one costs. */
    qb_swarm_open(&swarm, swarm.count - WARM_UP, swarm.count);
    qb_swarm_close(&swarm, swarm.count - WARM_UP, swarm.count);
    wait_until_quiet(&swarm, options->pid);
    int64_t rss = qb_measure_rss(options->pid);
    int64_t grown = 0;
    for (size_t i = 0; i < STAGES; i++) {
        size_t target = options->connections * i / (STAGES - 1);
        stages[i].connections = target;
        qb_swarm_open(&swarm, open, target);
        open = target;
        wait_until_quiet(&swarm, options->pid);
        measure_handshakes(&swarm, options->pid, &stages[i]);
        grown = qb_measure_rss(options->pid) - rss; /* in the last stage all are open now */
        measure_messages(&swarm, options->pid, &stages[i]);
        qb_swarm_close(&swarm, swarm.count - HANDSHAKES, swarm.count);
        wait_until_quiet(&swarm, options->pid);
    }
    (void)printf("{\"bytes_per_connection\":%.0f,\"stages\":[",
                 (double)grown / (double)swarm.count);
    for (size_t i = 0; i < STAGES; i++) {
        (void)printf("%s{\"connections\":%zu,\"handshakes_per_s\":%.0f,"
                     "\"cpu_us_per_handshake\":%.2f,\"cpu_us_per_message\":%.2f}",
                     i > 0 ? "," : "", stages[i].connections, stages[i].handshakes_per_s,
                     stages[i].cpu_us_per_handshake, stages[i].cpu_us_per_message);
    }
    (void)puts("]}");
    qb_swarm_fini(&swarm);
}
