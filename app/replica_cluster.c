/*
 * A replica of a cluster: its ledgers and bus on Redis, and how recovery reaches its threads.
 */
#include <stdlib.h>

#include "app/replica_parts.h"
#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"
#include "pubsub/bus_redis.h"
#include "storage/journal_rabbit.h"
#include "storage/ledger_redis.h"

#define MARKS_MAX        10000
#define HEARD_PER_TICKET 2

struct qb_bus *qb_replica_bus_redis(struct qb_replica *replica, struct qb_error *error)
{
    const struct qb_cluster *cluster = replica->data.cluster;
    const struct qb_bus_redis_options options = {
        .addresses = cluster->redis.list,
        .shards = cluster->redis.count,
        .name = "quickbid-bus",
    };

    return qb_bus_redis_new(&options, error);
}

static bool may_sweep(void *context)
{
    const struct qb_replica *replica = context;

    return !qb_journal_rabbit_is_open(replica->data.journal, NULL);
}

struct qb_ledger *qb_replica_ledger_redis(struct qb_io *io, struct qb_error *error)
{
    struct qb_replica *replica = io->replica;
    const struct qb_cluster *cluster = replica->data.cluster;
    const struct qb_ledger_redis_options options = {
        .loop = qb_loop_uv(io->loop),
        .addresses = cluster->redis.list,
        .name = "quickbid-ledger",
        .shards = cluster->redis.count,
        .must_be_safe = true,
        .mailbox = qb_loop_mailbox(io->loop),
        .marks_max = MARKS_MAX,
        .unconfirmed_max = (uint64_t)replica->settings.unconfirmed_max * 2,
        .replicas = cluster->redis_replicas,
        .outbox_max = (uint64_t)replica->settings.outbox_entries_max,
        .may_sweep = may_sweep,
        .context = replica,
    };

    return qb_ledger_redis_new(&options, error);
}

bool qb_replica_limits_redis(struct qb_io *io, struct qb_error *error)
{
    struct qb_replica *replica = io->replica;
    const struct qb_cluster *cluster = replica->data.cluster;
    const struct qb_limits_redis_options options = {
        .loop = qb_loop_uv(io->loop),
        .addresses = cluster->redis.list,
        .shards = cluster->redis.count,
        .name = "quickbid-limits",
        .must_be_safe = true,
        .bids_max = (uint32_t)replica->settings.bids_per_minute,
        .window_us = 60 * QB_SECOND_US,
    };

    io->limits = qb_limits_redis_new(&options, error);
    if (io->limits == NULL) return false;
    qb_runner_set_limits(io->runner, io->limits);
    return qb_replica_tallies_redis(io, error);
}

bool qb_replica_control(struct qb_replica *replica,
                        void (*end_sessions)(void *, uint64_t, qb_id, enum qb_close),
                        struct qb_error *error)
{
    const struct qb_cluster *cluster = replica->data.cluster;
    const struct qb_control_options options = {
        .address = cluster != NULL ? cluster->redis.list[0] : NULL,
        .name = "quickbid-control",
        .store = replica->data.store,
        .revoked = replica->revoked,
        .holds = replica->holds,
        .catalogue = replica->catalogue,
        .end_sessions = end_sessions,
        .context = replica,
    };

    replica->control = qb_control_new(&options, error);
    return replica->control != NULL;
}

void qb_replica_cluster_second(struct qb_io *io)
{
    struct qb_replica *replica = io->replica;

    if (replica->data.cluster != NULL) qb_replica_deaf_second(io);
    if (replica->recovery == NULL || io != replica->io) return;
    uint32_t epoch = __atomic_load_n(&replica->epoch, __ATOMIC_ACQUIRE);
    if (epoch > 0 && qb_journal_rabbit_lacks_queue(replica->data.journal)) {
        qb_recovery_need(replica->recovery, epoch, "a queue of the journal is gone");
    } else if (qb_journal_rabbit_lacks_route(replica->data.journal, epoch)) {
        qb_recovery_need(replica->recovery, epoch, "RabbitMQ has no route for the epoch");
    }
}

static bool has_outbox(const struct qb_replica *replica)
{
    return __atomic_load_n(&replica->ack, __ATOMIC_ACQUIRE) == QB_ACK_LEDGER;
}

/* With an outbox, RabbitMQ's trouble is none of the bidders': Redis's is (reliability.md P9). */
static bool is_stuck(void *context, const struct qb_ledger *ledger, unsigned shard,
                     uint32_t *retry_after_ms)
{
    const struct qb_replica *replica = context;

    if (!has_outbox(replica))
        return qb_journal_rabbit_is_open(replica->data.journal, retry_after_ms);
    if (retry_after_ms != NULL) /* by chance */
        *retry_after_ms = 1000 + (uint32_t)((uint64_t)qb_clock_mono_us() % 2001);
    return qb_ledger_redis_is_stuck(ledger, shard);
}

/* What RabbitMQ could not confirm soon stays in the outbox: its copies here are bounded by what
 * opens the breaker. */
static bool may_leave(void *context)
{
    const struct qb_replica *replica = context;

    return has_outbox(replica) && qb_journal_rabbit_is_open(replica->data.journal, NULL);
}

static void fenced(void *context, uint32_t epoch)
{
    const struct qb_replica *replica = context;

    if (replica->recovery == NULL) return; /* it is being told to by recovery, or ends */
    qb_recovery_need(replica->recovery, epoch,
                     "Redis is not the one that this epoch was opened in");
}

void qb_replica_cluster_options(struct qb_replica *replica, struct qb_runners_options *options)
{
    options->heard_max = options->commands_max * HEARD_PER_TICKET;
    options->is_suspended = true;
    options->ledger_turn = qb_ledger_redis_turn;
    options->ledger_wake_us = qb_ledger_redis_wake_us;
    options->is_stuck = is_stuck;
    options->is_away = qb_ledger_redis_is_away;
    options->shards = replica->data.cluster->redis.count;
    options->may_leave = may_leave;
    options->leave = qb_ledger_redis_leave;
    options->fenced = fenced;
    options->cluster = replica;
}

struct opening {
    struct qb_io *io;
    uint32_t epoch;
    enum qb_ack ack;
};

static void open_here(void *context, void *message)
{
    struct opening *opening = message;

    (void)context;
    /* The limits first: the ledger's auctions tell them what they hold. */
    qb_limits_redis_open(opening->io->limits, opening->epoch);
    qb_replica_tallies_open(opening->io, opening->epoch);
    qb_ledger_redis_open(qb_runner_ledger(opening->io->runner), opening->epoch, opening->ack);
    free(opening);
}

static void suspend_here(void *context, void *message)
{
    struct qb_io *io = context;

    (void)message;
    qb_ledger_redis_suspend(qb_runner_ledger(io->runner));
}

static void opened(void *context, const struct qb_epoch *epoch)
{
    struct qb_replica *replica = context;

    qb_log(QB_LOG_INFO, "epoch.open", QB_INT("epoch", epoch->epoch),
           QB_TEXT("ack", qb_ack_name(epoch->ack)));
    __atomic_store_n(&replica->ack, (uint8_t)epoch->ack, __ATOMIC_RELEASE);
    __atomic_store_n(&replica->epoch, epoch->epoch, __ATOMIC_RELEASE);
    qb_journal_rabbit_set_epoch(replica->data.journal, epoch->epoch);
    qb_runners_opened(replica->runners, epoch->opened_us);
    for (unsigned i = 0; i < replica->io_count; i++) {
        struct opening *opening = calloc(1, sizeof *opening);
        QB_ASSERT(opening != NULL);
        *opening = (struct opening){&replica->io[i], epoch->epoch, epoch->ack};
        qb_mailbox_post_answer(qb_loop_mailbox(replica->io[i].loop), open_here, NULL, opening);
    }
}

static void suspended(void *context)
{
    struct qb_replica *replica = context;

    qb_log(QB_LOG_WARNING, "bidding.suspended", QB_TEXT("why", "a recovery has begun"));
    for (unsigned i = 0; i < replica->io_count; i++) {
        qb_mailbox_post_answer(qb_loop_mailbox(replica->io[i].loop), suspend_here, &replica->io[i],
                               NULL);
    }
}

void qb_replica_begin_recovery(struct qb_replica *replica)
{
    const struct qb_recovery_options options = {
        .cluster = replica->data.cluster,
        .store = replica->data.store,
        .ack = replica->data.cluster->ack,
        .ring_entries = (uint32_t)replica->settings.ring_entries,
        .opened = opened,
        .suspended = suspended,
        .hears = qb_replica_hears,
        .others = qb_replica_others_hear,
        .context = replica,
    };

    replica->recovery = qb_recovery_new(&options);
}
