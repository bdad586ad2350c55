/*
 * How many watch each auction: every thread says how many there are on it, the bus sums that over
 * threads and replicas, the auction's home tells it to its watchers.
 */
#include "app/runner_state.h"
#include "base/clock.h"

/* A crowd changes all the time. Less than a hundredth of it is told only so often, so that telling
 * it stays cheap beside the updates themselves. */
#define FEW       100
#define FEW_IN_US (5 * QB_SECOND_US)

static void say_here(void *context, qb_id auction, uint32_t count)
{
    const struct qb_runner *runner = context;
    qb_bus_watching(runner->all->options.bus, runner->member, auction, count);
}

void qb_runner_take_crowd(void *context, qb_id auction, uint64_t total)
{
    struct qb_runner *runner = context;
    struct qb_home *home = qb_home_find(runner, auction);

    if (home == NULL) return; /* still being loaded: it is told again with its subscription */
    home->watchers = total;
    if (home->is_crowd_new || total == home->crowd_told) return;
    home->is_crowd_new = true;
    runner->crowded[runner->crowded_count++] = home;
}

static bool is_worth_telling(const struct qb_home *home, int64_t now_us)
{
    uint64_t low = home->watchers < home->crowd_told ? home->watchers : home->crowd_told;
    uint64_t high = home->watchers > home->crowd_told ? home->watchers : home->crowd_told;

    return (high - low) * FEW >= high || now_us - home->crowd_us >= FEW_IN_US;
}

static void publish(const struct qb_runner *runner, struct qb_home *home, int64_t now_us)
{
    const struct qb_topic topic = {.kind = QB_TOPIC_AUCTION, .id = home->auction};
    struct qb_text text = {0};

    qb_text_string(&text, "{\"on\":\"watchers\"");
    qb_text_json_id(&text, "auction", home->auction);
    qb_text_json_int(&text, "watchers", (int64_t)home->watchers);
    qb_text_string(&text, "}");
    struct qb_frame *frame = qb_edge_seal(text.bytes, text.length);
    home->crowd_told = home->watchers;
    home->crowd_us = now_us;
    qb_bus_publish(runner->all->options.bus, runner->member, topic, 0, frame);
    qb_frame_free(&frame);
    qb_text_fini(&text);
}

void qb_runner_tell_crowds(struct qb_runner *runner)
{
    int64_t now_us = qb_clock_mono_us();
    size_t kept = 0;

    qb_edge_recount(runner->edge, say_here, runner);
    for (size_t i = 0; i < runner->crowded_count; i++) {
        struct qb_home *home = runner->crowded[i];
        bool is_known = home->watchers == home->crowd_told; /* an update said it */
        if (!is_known && !is_worth_telling(home, now_us)) {
            runner->crowded[kept++] = home;
            continue;
        }
        home->is_crowd_new = false;
        if (!is_known) publish(runner, home, now_us);
    }
    runner->crowded_count = kept;
}
