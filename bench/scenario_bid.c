#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "bench/bidders.h"
#include "bench/measure.h"
#include "bench/scenario.h"
#include "bench/swarm.h"

#define LAST_WAIT_US (5 * QB_SECOND_US)

struct run {
    const struct qb_load_options *options;
    struct qb_samples times;
    int64_t begin_us;
    size_t sent;
    size_t answered;
    size_t accepted;
    char refusal[200]; /* the first one, to be read by people */
};

/* When bid `i` is meant to leave. */
static int64_t due_us(const struct run *run, size_t i)
{
    return run->begin_us + (int64_t)((double)i * 1e6 / run->options->rate);
}

static void answered(void *context, struct qb_peer *peer, const char *text, size_t length)
{
    struct run *run = context;
    bool is_good = memmem(text, length, "\"ok\":true", 9) != NULL;
    int64_t id = qb_measure_member(text, length, "\"id\":");

    (void)peer;
    if (memmem(text, length, "\"on\":", 5) != NULL) return;
    if (id < 1) qb_load_fail("an answer to nothing: %.*s", (int)length, text);
    qb_samples_add(&run->times, qb_clock_mono_us() - due_us(run, (size_t)id - 1));
    run->answered++;
    if (is_good)
        run->accepted++;
    else if (run->refusal[0] == '\0')
        (void)snprintf(run->refusal, sizeof run->refusal, "%.*s", (int)length, text);
}

/* Bid i goes to auction i mod K; the next round of an auction comes from another account. */
static void send_bid(struct run *run, struct qb_swarm *swarm)
{
    const struct qb_load_options *options = run->options;
    size_t round = run->sent / options->auction_count;
    size_t peer = (run->sent + round) % swarm->count;
    const struct qb_bench_bid bid = {
        .id = run->sent + 1,
        .auction = options->auctions[run->sent % options->auction_count],
        .max = options->base + (int64_t)(round + 1) * QB_BID_STEP,
        .key = options->base,
    };

    qb_bidder_send(&swarm->peers[peer], &bid);
    run->sent++;
}

static void report(struct run *run, int64_t cpu_us, double wall_us)
{
    (void)printf("{\"sent\":%zu,\"answered\":%zu,\"accepted\":%zu,\"bids_per_s\":%.0f,"
                 "\"cpu_us_per_bid\":%.2f,\"p50_ms\":%.3f,\"p95_ms\":%.3f,\"p99_ms\":%.3f,"
                 "\"max_ms\":%.3f}\n",
                 run->sent, run->answered, run->accepted, (double)run->answered * 1e6 / wall_us,
                 (double)cpu_us / (double)run->answered,
                 (double)qb_samples_at(&run->times, 0.5) / 1e3,
                 (double)qb_samples_at(&run->times, 0.95) / 1e3,
                 (double)qb_samples_at(&run->times, 0.99) / 1e3,
                 (double)qb_samples_at(&run->times, 1) / 1e3);
    if (run->refusal[0] != '\0') (void)fprintf(stderr, "qb_load: refused: %s\n", run->refusal);
}

void qb_scenario_bid(const struct qb_load_options *options)
{
    struct run run = {.options = options};
    struct qb_swarm swarm;
    size_t total = (size_t)(options->rate * options->seconds);

    if (options->token_count == 0 || options->auction_count == 0 || total == 0) {
        qb_load_fail("bid needs --tokens, --auctions and a --rate");
    }
    qb_swarm_init(&swarm, options->token_count, options->ports[0], false);
    swarm.context = &run;
    swarm.frame = answered;
    qb_bidders_sign_in(&swarm, options->tokens, swarm.count);
    int64_t cpu_us = qb_measure_cpu_us(options->pid);
    run.begin_us = qb_clock_mono_us();
    int64_t limit_us = due_us(&run, total) + LAST_WAIT_US;
    while (run.answered < total && qb_clock_mono_us() < limit_us) {
        while (run.sent < total && qb_clock_mono_us() >= due_us(&run, run.sent)) {
            send_bid(&run, &swarm);
        }
        qb_swarm_turn(&swarm, 0);
    }
    double wall_us = (double)(qb_clock_mono_us() - run.begin_us);
    cpu_us = qb_measure_cpu_us(options->pid) - cpu_us;
    if (run.answered == 0) qb_load_fail("no verdict");
    report(&run, cpu_us, wall_us);
    qb_samples_fini(&run.times);
    qb_swarm_fini(&swarm);
    if (run.answered < total) qb_load_fail("%zu of %zu verdicts came", run.answered, total);
}
