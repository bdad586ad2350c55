/*
 * A replica that hears nothing from the others (reliability.md 2.6). Its watchers learn what may be
 * behind; while another replica hears, new ones are answered 503 and its own are sent away, so many
 * a second. While none does, all stay where they are: elsewhere it is no better, and here they see
 * the newest state the moment that Redis is back.
 */
#include "app/replica_parts.h"
#include "base/clock.h"
#include "base/log.h"
#include "pubsub/bus.h"
#include "storage/ledger_redis.h"

#define MS           1000
#define SECOND_MS    1000
#define AWAY_MAX     2000 /* a second, over all threads: what drains keep to as well */
#define COME_BACK_MS 1000 /* clients of one second come back spread over the next */

bool qb_replica_hears(void *context)
{
    struct qb_replica *replica = context;

    if (!__atomic_load_n(&replica->is_ready, __ATOMIC_ACQUIRE)) return false;
    for (unsigned i = 0; i < qb_bus_shards(replica->bus); i++) {
        if (qb_bus_deaf_since_us(replica->bus, i) != 0) return false;
    }
    return true;
}

void qb_replica_others_hear(void *context, enum qb_others others)
{
    struct qb_replica *replica = context;
    atomic_store(&replica->others_hear, others);
}

/* When the ledgers of all threads had looked at the shard last: what the bus would have brought
 * until then is here all the same, at most a second late. */
static int64_t checked_us(const struct qb_replica *replica, unsigned shard)
{
    int64_t oldest_us = INT64_MAX;

    for (unsigned i = 0; i < replica->io_count; i++) {
        int64_t at_us = atomic_load(&replica->io[i].checked_us[shard]);
        if (at_us < oldest_us) oldest_us = at_us;
    }
    return oldest_us;
}

/* Shards that may be behind, a bit each, and since when, monotonic. */
struct behind {
    bool is_deaf; /* any shard for long, be it behind or not */
    uint16_t shards;
    int64_t since_us;
};

static struct behind look(const struct qb_replica *replica)
{
    int64_t now_us = qb_clock_mono_us();
    int64_t long_ago_us = now_us - replica->settings.bus_deaf_ms * MS;
    struct behind behind = {.since_us = now_us};

    for (unsigned i = 0; i < qb_bus_shards(replica->bus); i++) {
        int64_t deaf_us = qb_bus_deaf_since_us(replica->bus, i);
        if (deaf_us == 0 || deaf_us > long_ago_us) continue;
        behind.is_deaf = true;
        int64_t at_us = checked_us(replica, i);
        if (at_us >= long_ago_us) continue;
        behind.shards |= (uint16_t)(1U << i);
        if (at_us == 0) at_us = deaf_us; /* this epoch was never looked at here */
        if (at_us < behind.since_us) behind.since_us = at_us;
    }
    return behind;
}

/* One decision for all threads. */
static void decide(struct qb_replica *replica)
{
    static const char *const words[] = {[QB_OTHERS_UNKNOWN] = "unknown",
                                        [QB_OTHERS_HEAR] = "hear",
                                        [QB_OTHERS_ARE_DEAF] = "are deaf"};
    int others = atomic_load(&replica->others_hear);
    struct behind behind = look(replica);
    bool is_away = behind.is_deaf && others != QB_OTHERS_ARE_DEAF;
    int64_t age_us = qb_clock_mono_us() - behind.since_us;

    if (behind.shards == atomic_load(&replica->stale) &&
        is_away == atomic_load(&replica->is_away)) {
        return;
    }
    atomic_store(&replica->stale_since_us, qb_clock_even_us() - age_us);
    atomic_store(&replica->stale, behind.shards);
    atomic_store(&replica->is_away, is_away);
    qb_log(QB_LOG_WARNING, "watchers.behind", QB_INT("is_deaf", behind.is_deaf),
           QB_INT("stale_shards", behind.shards), QB_INT("sends_away", is_away),
           QB_TEXT("others", words[others]));
}

static uint32_t away_per_second(const struct qb_io *io)
{
    uint64_t spread_ms = (uint64_t)io->replica->settings.bus_move_ms;
    uint64_t most = AWAY_MAX / io->replica->io_count;
    uint64_t count = qb_edge_connections(io->edge);

    if (spread_ms > SECOND_MS) count = (count * SECOND_MS + spread_ms - 1) / spread_ms;
    if (count > most) count = most;
    return count > 0 ? (uint32_t)count : 1;
}

void qb_replica_deaf_second(struct qb_io *io)
{
    struct qb_replica *replica = io->replica;

    for (unsigned i = 0; i < qb_bus_shards(replica->bus); i++) {
        atomic_store(&io->checked_us[i],
                     qb_ledger_redis_checked_us(qb_runner_ledger(io->runner), i));
    }
    if (io == replica->io) decide(replica);
    qb_edge_set_stale(io->edge, (uint16_t)atomic_load(&replica->stale),
                      atomic_load(&replica->stale_since_us));
    if (!atomic_load(&replica->is_away)) {
        io->away_per_second = 0;
    } else if (io->away_per_second == 0) { /* first they hear why: it begins a second later */
        io->away_per_second = away_per_second(io);
    } else {
        (void)qb_edge_send_away(io->edge, io->away_per_second, COME_BACK_MS);
    }
}
