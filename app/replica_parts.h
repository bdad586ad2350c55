/*
 * What a replica holds; private to app/replica*.c.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "app/api.h"
#include "app/auth_limits.h"
#include "app/cluster.h"
#include "app/commands.h"
#include "app/control.h"
#include "app/data.h"
#include "app/demo.h"
#include "app/loop.h"
#include "app/recovery.h"
#include "app/replica.h"
#include "app/revoked.h"
#include "app/runner.h"
#include "app/ticket.h"
#include "app/token.h"
#include "app/watchdog.h"
#include "storage/catalogue.h"
#include "storage/holds_memory.h"
#include "storage/limits_redis.h"
#include "storage/tally_redis.h"

/* One I/O thread and what is its own. */
struct qb_io {
    struct qb_replica *replica;
    pthread_t thread;
    struct qb_loop *loop;
    struct qb_runner *runner;
    struct qb_edge *edge;
    struct qb_api *api;
    struct qb_commands commands;
    struct qb_limits_redis *limits; /* null: embedded */
    /* When each shard answered this thread's ledger last; read by all threads. */
    _Atomic int64_t checked_us[QB_SHARDS_MAX];
    uint32_t away_per_second; /* sessions that are sent to other replicas; 0: none are */
};

/* What is counted of each address. */
enum qb_tallied { QB_TALLIED_AUTH, QB_TALLIED_API, QB_TALLIED_REQUESTS, QB_TALLIED_COUNT };

struct qb_replica {
    struct qb_settings settings;
    struct qb_ip_ranges proxies;
    struct qb_data data;
    struct qb_archiver *archiver;
    struct qb_holds *holds;
    struct qb_bus *bus;
    struct qb_work_pool *store_pool;
    struct qb_work_pool *password_pool;
    struct qb_runners *runners;
    struct qb_token_keys *keys;
    struct qb_auth_limits *limits;
    struct qb_tickets *tickets;
    struct qb_revoked *revoked;
    struct qb_control *control;
    struct qb_catalogue *catalogue;
    struct qb_tally *tallies[QB_TALLIED_COUNT];
    struct qb_tally_redis *exchanges[QB_TALLIED_COUNT]; /* on the first loop; null: embedded */
    struct qb_documents *documents;
    struct qb_recovery *recovery; /* null: embedded, or not running */
    struct qb_watchdog *watchdog;
    struct qb_demo *demo; /* null: none */
    struct qb_io *io;
    unsigned io_count;
    uint16_t port;
    uint32_t epoch;         /* embedded: of this start; in a cluster: the one that is open */
    uint8_t ack;            /* enum qb_ack of that epoch; read by all threads, atomically */
    int64_t clock_ahead_us; /* of the last second */
    bool is_running;
    bool is_ready; /* read by all threads, atomically */
    /* Decided by the first thread, read by all. */
    _Atomic int others_hear; /* enum qb_others, as recovery saw it last */
    _Atomic unsigned stale;  /* shards that may be behind, a bit each */
    _Atomic qb_time_us stale_since_us;
    atomic_bool is_away; /* takes no new watchers, and sends its own to other replicas */
};

/* --- replica_store.c --- */

/* Workers and cache, once the data is open. */
void qb_replica_open_store(struct qb_replica *replica);
/* Of qb_runners_options: the catalogue says something else from entry `seq` on. */
void qb_replica_described(void *replica, qb_id auction, uint64_t seq, bool is_heard);

/* --- replica_tallies.c --- */

void qb_replica_tallies_new(struct qb_replica *replica);
void qb_replica_tallies_free(struct qb_replica *replica);
/* The edge's handler of that name; any I/O thread. */
int64_t qb_replica_admit(void *context, const struct qb_peer *peer, bool is_api,
                         const char **limit);
/* Their exchange with other replicas; for each thread, of which one does it. */
QB_MUST_USE bool qb_replica_tallies_redis(struct qb_io *io, struct qb_error *error);
void qb_replica_exchanges_free(struct qb_replica *replica);
void qb_replica_tallies_open(struct qb_io *io, uint32_t epoch);
/* At the end of each turn; embedded: nothing. */
void qb_replica_tallies_turn(struct qb_io *io);

/* --- replica_cluster.c --- */

/* What must hold in every replica; after what it compares is loaded. Embedded, too. */
QB_MUST_USE bool qb_replica_control(struct qb_replica *replica,
                                    void (*end_sessions)(void *, uint64_t, qb_id, enum qb_close),
                                    struct qb_error *error);

/* The rest is of a cluster only. */

struct qb_bus *qb_replica_bus_redis(struct qb_replica *replica, struct qb_error *error);
struct qb_ledger *qb_replica_ledger_redis(struct qb_io *io, struct qb_error *error);
/* The limits over all replicas of one thread. */
QB_MUST_USE bool qb_replica_limits_redis(struct qb_io *io, struct qb_error *error);
/* Each second: whether the journal lacks what only a recovery makes. */
void qb_replica_cluster_second(struct qb_io *io);
/* What its runners need beyond the embedded ones. */
void qb_replica_cluster_options(struct qb_replica *replica, struct qb_runners_options *options);
/* Follows the epoch, and leads recoveries; once the loops run. */
void qb_replica_begin_recovery(struct qb_replica *replica);

/* --- replica_deaf.c --- */

/* Each second: tells watchers what may be behind, and sends them to replicas that hear. */
void qb_replica_deaf_second(struct qb_io *io);
/* For recovery, which keeps Postgres informed. On its thread. */
bool qb_replica_hears(void *context);
void qb_replica_others_hear(void *context, enum qb_others others);
