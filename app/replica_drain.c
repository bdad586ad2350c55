#include "app/replica_parts.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"

#define MS 1000

static void refuse_here(void *context, void *message)
{
    struct qb_io *io = context;

    (void)message;
    qb_edge_refuse_new(io->edge);
}

static void drain_here(void *context, void *message)
{
    struct qb_io *io = context;
    int64_t spread_ms = io->replica->settings.drain_spread_ms;
    /* 2,000 clients a second at most come back (reliability.md 2.6). */
    int64_t by_count_ms = (int64_t)qb_edge_connections(io->edge) * io->replica->io_count / 2;

    (void)message;
    if (by_count_ms > spread_ms) spread_ms = by_count_ms;
    qb_edge_drain(io->edge, (uint32_t)spread_ms);
}

static void on_all(struct qb_replica *replica, qb_mailbox_call *call)
{
    for (unsigned i = 0; i < replica->io_count; i++) {
        qb_mailbox_post_answer(qb_loop_mailbox(replica->io[i].loop), call, &replica->io[i], NULL);
    }
}

/* Waits until `count()` is 0, or the time is over. */
static bool await_zero(struct qb_replica *replica, uint64_t (*count)(struct qb_replica *),
                       int64_t timeout_us)
{
    int64_t until_us = qb_clock_mono_us() + timeout_us;

    while (count(replica) > 0 && qb_clock_mono_us() < until_us) qb_clock_sleep_us(5 * MS);
    return count(replica) == 0;
}

static uint64_t open_requests(struct qb_replica *replica)
{
    return qb_runners_open_requests(replica->runners);
}

static uint64_t open_connections(struct qb_replica *replica)
{
    (void)replica;
    return (uint64_t)(qb_metric_value(QB_METRIC_connections, "websocket") +
                      qb_metric_value(QB_METRIC_connections, "events"));
}

bool qb_replica_drain(struct qb_replica *replica)
{
    const struct qb_settings *s = &replica->settings;

    __atomic_store_n(&replica->is_ready, false, __ATOMIC_RELEASE);
    qb_metric_set(QB_METRIC_ready, NULL, 0);
    if (s->drain_wait_ms > 0) qb_clock_sleep_us(s->drain_wait_ms * MS);
    on_all(replica, refuse_here);
    qb_runners_refuse(replica->runners);
    bool is_answered = await_zero(replica, open_requests, s->drain_verdicts_ms * MS);
    on_all(replica, drain_here);
    bool is_empty = await_zero(replica, open_connections, 3 * QB_SECOND_US);
    bool is_flushed = qb_journal_flush(replica->data.journal, 5 * QB_SECOND_US);
    qb_log(QB_LOG_INFO, "server.drained", QB_INT("verdicts_given", is_answered),
           QB_INT("connections_closed", is_empty), QB_INT("journal_flushed", is_flushed));
    return is_answered && is_flushed;
}
