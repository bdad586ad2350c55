#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "bench/bidders.h"
#include "bench/lag.h"
#include "bench/measure.h"
#include "bench/scenario.h"

#define SILENCE_US (10 * QB_SECOND_US) /* with bids under way and no answer, the run is over */
#define CODES_MAX  16
#define CODE_BYTES 32

struct bid {
    int64_t due_us;
    int64_t max;
    uint32_t auction;
    uint32_t peer;
};

struct code {
    char name[CODE_BYTES];
    size_t count;
};

struct run {
    const struct qb_load_options *options;
    struct qb_swarm swarm;
    struct qb_samples times;
    struct qb_lag *lag; /* null: nobody watches */
    FILE *acknowledged; /* auction, seq, account and maximum of each; null: nowhere */
    size_t bidders;
    size_t total;
    struct bid *bids;
    int64_t *tops;   /* of each auction: the largest maximum sent */
    uint32_t *turns; /* ring: the auctions that may get a bid next */
    size_t turn_room;
    size_t turn_count;
    size_t turn_at;
    size_t sent;
    size_t answered;
    size_t accepted;
    size_t watching;
    size_t sent_to[QB_PORTS_MAX];
    size_t accepted_at[QB_PORTS_MAX];
    int64_t begin_us;
    int64_t heard_us; /* when the last answer came */
    struct code codes[CODES_MAX];
};

static void count_code(struct run *run, const char *text, size_t length)
{
    static const char member[] = "\"code\":\"";
    const char *at = memmem(text, length, member, sizeof member - 1);
    char name[CODE_BYTES] = "?";

    if (at != NULL) (void)sscanf(at + sizeof member - 1, "%31[a-z_]", name);
    for (size_t i = 0; i < CODES_MAX; i++) {
        struct code *code = &run->codes[i];
        if (code->count > 0 && strcmp(code->name, name) != 0) continue;
        if (code->count++ == 0) {
            (void)memcpy(code->name, name, sizeof name);
            (void)fprintf(stderr, "qb_load: refused: %.*s\n", (int)length, text);
        }
        return;
    }
}

static void put_turn(struct run *run, uint32_t auction)
{
    run->turns[(run->turn_at + run->turn_count) % run->turn_room] = auction;
    run->turn_count++;
}

static void answered(struct run *run, const char *text, size_t length)
{
    int64_t id = qb_measure_member(text, length, "\"id\":");

    if (id < 1 || (size_t)id > run->sent) qb_load_fail("answers nothing: %.*s", (int)length, text);
    struct bid *bid = &run->bids[id - 1];
    if (bid->due_us == 0) qb_load_fail("bid %lld is answered twice", (long long)id);
    run->heard_us = qb_clock_mono_us();
    qb_samples_add(&run->times, run->heard_us - bid->due_us);
    bid->due_us = 0;
    run->answered++;
    if (run->options->rate == 0) put_turn(run, bid->auction);
    if (memmem(text, length, "\"ok\":true", 9) == NULL) {
        count_code(run, text, length);
        return;
    }
    run->accepted++;
    run->accepted_at[bid->peer % run->swarm.to_count]++;
    if (run->acknowledged == NULL) return;
    (void)fprintf(run->acknowledged, "%s\t%lld\t%u\t%lld\n", run->options->auctions[bid->auction],
                  (long long)qb_measure_member(text, length, "\"seq\":"), bid->peer,
                  (long long)bid->max);
}

static void frame_came(void *context, struct qb_peer *peer, const char *text, size_t length)
{
    static const char update[] = "{\"on\":\"update\"";
    struct run *run = context;

    if (peer->index < run->bidders) {
        if (memmem(text, length, "\"on\":", 5) == NULL) answered(run, text, length);
        return;
    }
    if (length >= sizeof update && memcmp(text, update, sizeof update - 1) == 0)
        qb_lag_heard(run->lag, peer->index - run->bidders, text, length);
    else if (memmem(text, length, "\"ok\":true", 9) != NULL)
        run->watching++;
    else if (memmem(text, length, "\"ok\":false", 10) != NULL)
        qb_load_fail("watch: %.*s", (int)length, text);
}

/* One watcher a replica, of all auctions. */
static void watch_all(struct run *run)
{
    const struct qb_load_options *options = run->options;
    int64_t limit_us = qb_clock_mono_us() + 60 * QB_SECOND_US;
    size_t watchers = run->swarm.count - run->bidders;
    size_t wanted = 0;

    if (watchers == 0) return;
    run->lag = qb_lag_new(options->auctions, options->auction_count, watchers);
    for (size_t i = 0; i < options->auction_count; i++) {
        char text[128];
        int length = snprintf(text, sizeof text, "{\"id\":%zu,\"do\":\"watch\",\"auction\":\"%s\"}",
                              i + 1, options->auctions[i]);
        for (size_t peer = run->bidders; peer < run->swarm.count; peer++, wanted++)
            qb_peer_send(&run->swarm.peers[peer], text, (size_t)length);
        if (i % 16 == 0) qb_swarm_turn(&run->swarm, 0);
    }
    while (run->watching < wanted) {
        qb_swarm_turn(&run->swarm, 10);
        if (qb_clock_mono_us() > limit_us) qb_load_fail("%zu of %zu watch", run->watching, wanted);
    }
}

/* The replicas take turns of `burst` bids. At each its accounts do so too, with each bid, so that
 * nobody follows himself; or in a streak with each burst. */
static uint32_t next_peer(struct run *run)
{
    size_t ports = run->swarm.to_count;
    size_t burst = run->sent / run->options->burst;
    size_t port = burst % ports;
    size_t turn = run->options->is_streak ? burst / ports : run->sent_to[port];

    run->sent_to[port]++;
    return (uint32_t)(turn % (run->bidders / ports) * ports + port);
}

static void send_bid(struct run *run, uint32_t auction, int64_t due_us)
{
    struct bid *bid = &run->bids[run->sent];

    run->tops[auction] += QB_BID_STEP;
    *bid = (struct bid){due_us, run->tops[auction], auction, next_peer(run)};
    const struct qb_bench_bid out = {.id = ++run->sent,
                                     .auction = run->options->auctions[auction],
                                     .max = bid->max,
                                     .key = run->options->base};
    qb_bidder_send(&run->swarm.peers[bid->peer], &out);
}

/* At a rate: each bid when it is due, whatever became of those before. */
static void send_due(struct run *run)
{
    for (; run->sent < run->total;) {
        int64_t due_us = run->begin_us + (int64_t)((double)run->sent * 1e6 / run->options->rate);
        int64_t left_us = due_us - qb_clock_mono_us();
        if (left_us > 0) {
            qb_swarm_turn(&run->swarm, (int)((left_us + QB_MS_US - 1) / QB_MS_US));
            return;
        }
        send_bid(run, (uint32_t)(run->sent % run->options->auction_count), due_us);
    }
    qb_swarm_turn(&run->swarm, 10);
}

/* As fast as it goes: the next bid of an auction leaves when one of it was answered. */
static void send_next(struct run *run)
{
    QB_ASSERT(run->turn_room > 0);
    while (run->sent < run->total && run->turn_count > 0 &&
           run->sent - run->answered < run->options->window) {
        uint32_t auction = run->turns[run->turn_at];
        run->turn_at = (run->turn_at + 1) % run->turn_room;
        run->turn_count--;
        send_bid(run, auction, qb_clock_mono_us());
    }
    qb_swarm_turn(&run->swarm, 10);
}

static void drive(struct run *run)
{
    for (size_t i = 0; i < run->turn_room && run->options->rate == 0; i++)
        put_turn(run, (uint32_t)(i % run->options->auction_count));
    run->begin_us = run->heard_us = qb_clock_mono_us();
    while (run->answered < run->total) {
        if (run->options->rate > 0)
            send_due(run);
        else
            send_next(run);
        if (run->answered < run->sent && qb_clock_mono_us() - run->heard_us > SILENCE_US) return;
    }
}

static void print_list(const char *name, const size_t *values, size_t count)
{
    (void)printf("\"%s\":[", name);
    for (size_t i = 0; i < count; i++) (void)printf("%s%zu", i == 0 ? "" : ",", values[i]);
    (void)printf("],");
}

static void print_times(const char *name, struct qb_samples *times)
{
    (void)printf("\"%s\":{\"count\":%zu,\"p50_ms\":%.3f,\"p95_ms\":%.3f,\"p99_ms\":%.3f,"
                 "\"max_ms\":%.3f},",
                 name, times->count, (double)qb_samples_at(times, 0.5) / 1e3,
                 (double)qb_samples_at(times, 0.95) / 1e3, (double)qb_samples_at(times, 0.99) / 1e3,
                 (double)qb_samples_at(times, 1) / 1e3);
}

static void report(struct run *run)
{
    double wall_us = (double)(run->heard_us - run->begin_us);
    int64_t top = 0;

    (void)printf("{\"sent\":%zu,\"answered\":%zu,\"accepted\":%zu,\"seconds\":%.3f,"
                 "\"accepted_per_s\":%.0f,\"answered_per_s\":%.0f,\"codes\":{",
                 run->sent, run->answered, run->accepted, wall_us / 1e6,
                 (double)run->accepted * 1e6 / wall_us, (double)run->answered * 1e6 / wall_us);
    for (size_t i = 0; i < CODES_MAX && run->codes[i].count > 0; i++)
        (void)printf("%s\"%s\":%zu", i == 0 ? "" : ",", run->codes[i].name, run->codes[i].count);
    (void)printf("},");
    print_list("sent_to", run->sent_to, run->swarm.to_count);
    print_list("accepted_at", run->accepted_at, run->swarm.to_count);
    print_times("verdict", &run->times);
    if (run->lag != NULL) print_times("lag", qb_lag_times(run->lag));
    for (size_t i = 0; i < run->options->auction_count; i++)
        if (run->tops[i] > top) top = run->tops[i];
    (void)printf("\"top\":%lld}\n", (long long)top);
}

static void *room(size_t count, size_t size)
{
    void *memory = calloc(count, size);

    if (memory == NULL) qb_load_fail("no memory");
    return memory;
}

static void prepare(struct run *run)
{
    const struct qb_load_options *options = run->options;
    size_t watchers = options->must_watch ? options->port_count : 0;

    run->bidders = options->token_count / options->port_count * options->port_count;
    run->total = options->bids > 0 ? options->bids : (size_t)(options->rate * options->seconds);
    if (run->bidders == 0 || options->auction_count == 0 || run->total == 0)
        qb_load_fail("replicas needs --tokens, --auctions, and --bids or a --rate");
    run->bids = room(run->total, sizeof *run->bids);
    run->tops = room(options->auction_count, sizeof *run->tops);
    run->turn_room =
        options->window > options->auction_count ? options->window : options->auction_count;
    run->turns = room(run->turn_room, sizeof *run->turns);
    for (size_t i = 0; i < options->auction_count; i++) run->tops[i] = options->base;
    if (options->acknowledged != NULL) {
        run->acknowledged = fopen(options->acknowledged, "we");
        if (run->acknowledged == NULL)
            qb_load_fail("%s: %s", options->acknowledged, strerror(errno));
    }
    qb_swarm_init(&run->swarm, run->bidders + watchers, options->ports[0], false);
    for (size_t i = 1; i < options->port_count; i++)
        qb_swarm_add_port(&run->swarm, options->ports[i]);
    run->swarm.context = run;
    run->swarm.frame = frame_came;
    qb_bidders_sign_in(&run->swarm, options->tokens, run->bidders);
    watch_all(run);
}

void qb_scenario_replicas(const struct qb_load_options *options)
{
    struct run run = {.options = options};

    prepare(&run);
    drive(&run);
    report(&run);
    if (run.acknowledged != NULL && fclose(run.acknowledged) != 0)
        qb_load_fail("%s: %s", options->acknowledged, strerror(errno));
    qb_samples_fini(&run.times);
    qb_lag_free(&run.lag);
    qb_swarm_fini(&run.swarm);
    free(run.turns);
    free(run.tops);
    free(run.bids);
}
