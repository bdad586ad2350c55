#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "bench/bidders.h"
#include "bench/measure.h"
#include "bench/scenario.h"

#define AGAIN_US (100 * QB_MS_US) /* between a refusal and the next attempt */
#define LIMIT_US (120 * QB_SECOND_US)

struct attempt {
    int64_t next_us; /* when to bid again */
    uint32_t peer;
    bool is_under_way;
    bool is_accepted;
};

struct run {
    const struct qb_load_options *options;
    struct qb_swarm swarm;
    struct qb_samples times; /* of each auction: until its bid was accepted */
    struct attempt *attempts;
    size_t bids; /* sent, again or not */
    int64_t begin_us;
};

/* The id of a bid is its auction's index plus 1: one is under way at a time. */
static void answered(void *context, struct qb_peer *peer, const char *text, size_t length)
{
    struct run *run = context;
    int64_t id = qb_measure_member(text, length, "\"id\":");

    (void)peer;
    if (memmem(text, length, "\"on\":", 5) != NULL) return;
    if (id < 1 || (size_t)id > run->options->auction_count)
        qb_load_fail("answers nothing: %.*s", (int)length, text);
    struct attempt *attempt = &run->attempts[id - 1];
    int64_t now_us = qb_clock_mono_us();
    attempt->is_under_way = false;
    if (memmem(text, length, "\"ok\":true", 9) != NULL) {
        attempt->is_accepted = true;
        qb_samples_add(&run->times, now_us - run->begin_us);
        return;
    }
    if (memmem(text, length, "\"temporary\":true", 16) == NULL)
        qb_load_fail("refused for good: %.*s", (int)length, text);
    attempt->next_us = now_us + AGAIN_US;
}

/* The same key again: should the one before count after all, this one does not. */
static void bid(struct run *run, size_t i)
{
    const struct qb_load_options *options = run->options;
    const struct qb_bench_bid out = {.id = i + 1,
                                     .auction = options->auctions[i],
                                     .max = options->base + QB_BID_STEP,
                                     .key = options->base};

    run->attempts[i].is_under_way = true;
    run->bids++;
    qb_bidder_send(&run->swarm.peers[run->attempts[i].peer], &out);
}

static void drive(struct run *run)
{
    size_t count = run->options->auction_count;

    while (run->times.count < count) {
        int64_t now_us = qb_clock_mono_us();
        if (now_us - run->begin_us > LIMIT_US) return;
        for (size_t i = 0; i < count; i++) {
            struct attempt *attempt = &run->attempts[i];
            if (!attempt->is_accepted && !attempt->is_under_way && attempt->next_us <= now_us)
                bid(run, i);
        }
        qb_swarm_turn(&run->swarm, 5);
    }
}

/* Says on standard output when all are connected and waits for a line: then the clock begins. */
static void wait_for_start(struct run *run)
{
    char line[8];

    (void)puts("ready");
    (void)fflush(stdout);
    if (fgets(line, sizeof line, stdin) == NULL) qb_load_fail("nobody said when to begin");
    run->begin_us = qb_clock_mono_us();
}

void qb_scenario_comeback(const struct qb_load_options *options)
{
    struct run run = {.options = options};

    if (options->token_count == 0 || options->auction_count == 0)
        qb_load_fail("comeback needs --tokens and --auctions");
    run.attempts = calloc(options->auction_count, sizeof *run.attempts);
    if (run.attempts == NULL) qb_load_fail("no memory");
    for (size_t i = 0; i < options->auction_count; i++)
        run.attempts[i].peer = (uint32_t)(i % options->token_count);
    qb_swarm_init(&run.swarm, options->token_count, options->ports[0], false);
    for (size_t i = 1; i < options->port_count; i++)
        qb_swarm_add_port(&run.swarm, options->ports[i]);
    run.swarm.context = &run;
    run.swarm.frame = answered;
    qb_bidders_sign_in(&run.swarm, options->tokens, options->token_count);
    wait_for_start(&run);
    drive(&run);
    (void)printf("{\"auctions\":%zu,\"accepted\":%zu,\"bids\":%zu,\"first_ms\":%.0f,"
                 "\"p50_ms\":%.0f,\"last_ms\":%.0f}\n",
                 options->auction_count, run.times.count, run.bids,
                 (double)qb_samples_at(&run.times, 0) / 1e3,
                 (double)qb_samples_at(&run.times, 0.5) / 1e3,
                 (double)qb_samples_at(&run.times, 1) / 1e3);
    qb_samples_fini(&run.times);
    qb_swarm_fini(&run.swarm);
    free(run.attempts);
}
