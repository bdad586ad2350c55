/*
 * How often each address does what is limited, over all replicas (security.md S21, S48): one tally
 * a limit, exchanged by the first thread's loop.
 */
#include "app/replica_parts.h"
#include "base/clock.h"

static const struct {
    const char *what; /* a part of its keys in Redis */
    int64_t exchange_us;
} rows[QB_TALLIED_COUNT] = {
    [QB_TALLIED_AUTH] = {"auth", 50 * QB_MS_US},
    [QB_TALLIED_API] = {"api", 250 * QB_MS_US},
    [QB_TALLIED_REQUESTS] = {"requests", 250 * QB_MS_US},
};

void qb_replica_tallies_new(struct qb_replica *replica)
{
    const struct qb_settings *s = &replica->settings;
    const int64_t limits[QB_TALLIED_COUNT] = {
        [QB_TALLIED_AUTH] = s->auth_attempts,
        [QB_TALLIED_API] = s->api_requests_per_address,
        [QB_TALLIED_REQUESTS] = s->requests_per_address,
    };

    for (unsigned i = 0; i < QB_TALLIED_COUNT; i++) {
        /* Alone, app/auth_limits.h counts attempts itself. */
        if (i == QB_TALLIED_AUTH && replica->data.cluster == NULL) continue;
        replica->tallies[i] = qb_tally_new(&(struct qb_tally_options){
            .limit = (uint32_t)limits[i],
            .window_us = QB_AUTH_WINDOW_US,
            .keys_max = (uint32_t)s->addresses_max,
            .is_alone = replica->data.cluster == NULL,
        });
    }
}

bool qb_replica_tallies_redis(struct qb_io *io, struct qb_error *error)
{
    struct qb_replica *replica = io->replica;
    const struct qb_cluster *cluster = replica->data.cluster;

    if (io != replica->io) return true;
    for (unsigned i = 0; i < QB_TALLIED_COUNT; i++) {
        const struct qb_tally_redis_options options = {
            .loop = qb_loop_uv(io->loop),
            .addresses = cluster->redis.list,
            .shards = cluster->redis.count,
            .name = "quickbid-tally",
            .must_be_safe = true,
            .tally = replica->tallies[i],
            .what = rows[i].what,
            .exchange_us = rows[i].exchange_us,
        };
        replica->exchanges[i] = qb_tally_redis_new(&options, error);
        if (replica->exchanges[i] == NULL) return false;
    }
    return true;
}

void qb_replica_tallies_open(struct qb_io *io, uint32_t epoch)
{
    if (io != io->replica->io) return;
    for (unsigned i = 0; i < QB_TALLIED_COUNT; i++)
        qb_tally_redis_open(io->replica->exchanges[i], epoch);
}

void qb_replica_tallies_turn(struct qb_io *io)
{
    if (io->replica->data.cluster == NULL || io != io->replica->io) return;
    for (unsigned i = 0; i < QB_TALLIED_COUNT; i++) qb_tally_redis_turn(io->replica->exchanges[i]);
}

void qb_replica_exchanges_free(struct qb_replica *replica)
{
    for (unsigned i = 0; i < QB_TALLIED_COUNT; i++) qb_tally_redis_free(&replica->exchanges[i]);
}

void qb_replica_tallies_free(struct qb_replica *replica)
{
    for (unsigned i = 0; i < QB_TALLIED_COUNT; i++) qb_tally_free(&replica->tallies[i]);
}

int64_t qb_replica_admit(void *context, const struct qb_peer *peer, bool is_api, const char **limit)
{
    struct qb_io *io = context;
    struct qb_tally *const *tallies = io->replica->tallies;
    int64_t now_us = qb_clock_mono_us();
    int64_t wait_us = 0;

    *limit = "api_requests_per_address";
    if (is_api) wait_us = qb_tally_admit(tallies[QB_TALLIED_API], peer->key, now_us);
    if (wait_us > 0) return wait_us;
    *limit = "requests_per_address";
    return qb_tally_admit(tallies[QB_TALLIED_REQUESTS], peer->key, now_us);
}
