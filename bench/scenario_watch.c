#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "bench/measure.h"
#include "bench/scenario.h"
#include "bench/swarm.h"

#define STEP          20000 /* twice the largest step of the default table: every bid leads */
#define ROUND_WAIT_US (5 * QB_SECOND_US)

/* The last `token_count` peers are bidders, all others watch. */
struct run {
    const struct qb_load_options *options;
    struct qb_swarm swarm;
    struct qb_samples times;
    size_t watchers;
    size_t answered; /* commands of the preparation */
    bool is_running;
    uint64_t deliveries;
    uint64_t bytes;
    uint64_t target; /* seq of the newest verdict */
    size_t behind;   /* watchers that have seen less */
    size_t bids;
    size_t verdicts;
    int64_t sent_us; /* of the newest bid */
};

static void count_behind(struct run *run)
{
    run->behind = 0;
    for (size_t i = 0; i < run->watchers; i++) {
        run->behind += run->swarm.peers[i].seq < run->target;
    }
}

static void take_update(struct run *run, struct qb_peer *peer, const char *text, size_t length)
{
    uint64_t seq = (uint64_t)qb_measure_member(text, length, "\"seq\":");

    run->deliveries++;
    run->bytes += length;
    qb_samples_add(&run->times, qb_clock_mono_us() - run->sent_us);
    if (run->verdicts == run->bids && peer->seq < run->target && seq >= run->target) run->behind--;
    peer->seq = seq;
}

static void frame_came(void *context, struct qb_peer *peer, const char *text, size_t length)
{
    static const char update[] = "{\"on\":\"update\"";
    struct run *run = context;
    bool is_push = length > 6 && strncmp(text, "{\"on\":", 6) == 0;

    if (length >= sizeof update - 1 && strncmp(text, update, sizeof update - 1) == 0) {
        if (run->is_running && peer->index < run->watchers) take_update(run, peer, text, length);
        return;
    }
    if (is_push) return;
    if (memmem(text, length, "\"ok\":true", 9) == NULL) {
        qb_load_fail("refused: %.*s", (int)length, text);
    }
    if (!run->is_running) {
        run->answered++;
        return;
    }
    run->target = (uint64_t)qb_measure_member(text, length, "\"seq\":");
    run->verdicts++;
    count_behind(run);
}

static void prepare(struct run *run)
{
    const struct qb_load_options *options = run->options;
    int64_t limit_us = qb_clock_mono_us() + 20 * QB_SECOND_US;
    char text[1024];

    qb_swarm_open(&run->swarm, 0, run->swarm.count);
    for (size_t i = 0; i < run->swarm.count; i++) {
        int length =
            i < run->watchers
                ? snprintf(text, sizeof text, "{\"id\":1,\"do\":\"watch\",\"auction\":\"%s\"}",
                           options->auctions[0])
                : snprintf(text, sizeof text, "{\"id\":1,\"do\":\"auth\",\"token\":\"%s\"}",
                           options->tokens[i - run->watchers]);
        qb_peer_send(&run->swarm.peers[i], text, (size_t)length);
        if (i % 64 == 0) qb_swarm_turn(&run->swarm, 0);
    }
    while (run->answered < run->swarm.count) {
        qb_swarm_turn(&run->swarm, 10);
        if (qb_clock_mono_us() > limit_us) qb_load_fail("%zu are ready", run->answered);
    }
}

static void send_bid(struct run *run)
{
    const struct qb_load_options *options = run->options;
    size_t peer = run->watchers + run->bids % options->token_count;
    char text[256];

    run->bids++;
    long long max = options->base + (long long)run->bids * STEP;
    int length =
        snprintf(text, sizeof text,
                 "{\"id\":%zu,\"do\":\"bid\",\"auction\":\"%s\",\"max\":%lld,"
                 "\"currency\":\"USD\",\"key\":\"w%lld-%zu\"}",
                 run->bids, options->auctions[0], max, (long long)options->base, run->bids);
    run->sent_us = qb_clock_mono_us();
    qb_peer_send(&run->swarm.peers[peer], text, (size_t)length);
}

static bool is_round_over(const struct run *run)
{
    return run->verdicts == run->bids && run->behind == 0;
}

static void wait_for_round(struct run *run)
{
    while (!is_round_over(run)) {
        qb_swarm_turn(&run->swarm, 0);
        if (qb_clock_mono_us() - run->sent_us > ROUND_WAIT_US) {
            qb_load_fail("%zu watchers without the update after 5 s", run->behind);
        }
    }
}

/* One update in flight, or a bid at every tick of the rate if the one before is done. */
static void drive(struct run *run)
{
    int64_t begin_us = qb_clock_mono_us();
    int64_t end_us = begin_us + (int64_t)(run->options->seconds * 1e6);
    double period_us = run->options->rate > 0 ? 1e6 / run->options->rate : 0;

    while (qb_clock_mono_us() < end_us) {
        int64_t due_us = begin_us + (int64_t)((double)run->bids * period_us);
        while (qb_clock_mono_us() < due_us) qb_swarm_turn(&run->swarm, 0);
        send_bid(run);
        wait_for_round(run);
    }
}

void qb_scenario_watch(const struct qb_load_options *options)
{
    struct run run = {.options = options, .watchers = options->connections};

    if (options->token_count < 2 || options->auction_count != 1) {
        qb_load_fail("watch needs two --tokens and one auction in --auctions");
    }
    qb_swarm_init(&run.swarm, run.watchers + options->token_count, options->ports[0], false);
    run.swarm.context = &run;
    run.swarm.frame = frame_came;
    prepare(&run);
    run.is_running = true;
    int64_t cpu_us = qb_measure_cpu_us(options->pid);
    int64_t begin_us = qb_clock_mono_us();
    drive(&run);
    double wall_us = (double)(qb_clock_mono_us() - begin_us);
    cpu_us = qb_measure_cpu_us(options->pid) - cpu_us;
    if (run.deliveries == 0) qb_load_fail("no update came");
    (void)printf(
        "{\"deliveries\":%llu,\"bids\":%zu,\"deliveries_per_s\":%.0f,"
        "\"cpu_us_per_delivery\":%.3f,\"bytes\":%.0f,\"p50_ms\":%.3f,\"p99_ms\":%.3f,"
        "\"max_ms\":%.3f}\n",
        (unsigned long long)run.deliveries, run.bids, (double)run.deliveries * 1e6 / wall_us,
        (double)cpu_us / (double)run.deliveries, (double)run.bytes / (double)run.deliveries,
        (double)qb_samples_at(&run.times, 0.5) / 1e3, (double)qb_samples_at(&run.times, 0.99) / 1e3,
        (double)qb_samples_at(&run.times, 1) / 1e3);
    qb_samples_fini(&run.times);
    qb_swarm_fini(&run.swarm);
}
