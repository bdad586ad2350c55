#include <stdio.h>

#include "base/clock.h"
#include "bench/measure.h"
#include "bench/scenario.h"
#include "bench/swarm.h"

struct run {
    char request[512];
    size_t request_length;
    uint64_t answers;
    size_t body_bytes;
    struct qb_samples times;
};

static void ask(struct run *run, struct qb_peer *peer)
{
    peer->sent_us = qb_clock_mono_us();
    qb_peer_send_raw(peer, run->request, run->request_length);
}

static void answered(void *context, struct qb_peer *peer, const char *text, size_t length)
{
    struct run *run = context;

    (void)text;
    run->answers++;
    run->body_bytes = length;
    qb_samples_add(&run->times, qb_clock_mono_us() - peer->sent_us);
    ask(run, peer);
}

void qb_scenario_http(const struct qb_load_options *options)
{
    struct qb_swarm swarm;
    struct run run = {0};

    int written = snprintf(run.request, sizeof run.request,
                           "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", options->path);
    if (written < 0 || (size_t)written >= sizeof run.request) qb_load_fail("a path too long");
    run.request_length = (size_t)written;
    qb_swarm_init(&swarm, options->connections, options->ports[0], true);
    swarm.context = &run;
    swarm.frame = answered;
    qb_swarm_open(&swarm, 0, swarm.count);
    int64_t begin_us = qb_clock_mono_us();
    int64_t cpu_us = qb_measure_cpu_us(options->pid);
    for (size_t i = 0; i < swarm.count; i++) ask(&run, &swarm.peers[i]);
    while (qb_clock_mono_us() - begin_us < (int64_t)(options->seconds * 1e6)) {
        qb_swarm_turn(&swarm, 0);
    }
    double wall_us = (double)(qb_clock_mono_us() - begin_us);
    cpu_us = qb_measure_cpu_us(options->pid) - cpu_us;
    if (run.answers == 0) qb_load_fail("no answer within %g s", options->seconds);
    (void)printf("{\"requests_per_s\":%.0f,\"cpu_us_per_request\":%.2f,\"p50_ms\":%.3f,"
                 "\"p99_ms\":%.3f,\"body_bytes\":%zu}\n",
                 (double)run.answers * 1e6 / wall_us, (double)cpu_us / (double)run.answers,
                 (double)qb_samples_at(&run.times, 0.5) / 1e3,
                 (double)qb_samples_at(&run.times, 0.99) / 1e3, run.body_bytes);
    qb_samples_fini(&run.times);
    qb_swarm_fini(&swarm);
}
