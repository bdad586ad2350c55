/*
 * What a replica holds; private to app/replica*.c.
 */
#pragma once

#include <pthread.h>

#include "app/api.h"
#include "app/auth_limits.h"
#include "app/cluster.h"
#include "app/commands.h"
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
#include "storage/holds_memory.h"

/* One I/O thread and what is its own. */
struct qb_io {
    struct qb_replica *replica;
    pthread_t thread;
    struct qb_loop *loop;
    struct qb_runner *runner;
    struct qb_edge *edge;
    struct qb_api *api;
    struct qb_commands commands;
};

struct qb_replica {
    struct qb_settings settings;
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
    struct qb_documents *documents;
    struct qb_recovery *recovery; /* null: embedded, or not running */
    struct qb_watchdog *watchdog;
    struct qb_demo *demo; /* null: none */
    struct qb_io *io;
    unsigned io_count;
    uint16_t port;
    uint32_t epoch;
    int64_t clock_ahead_us; /* of the last second */
    bool is_running;
    bool is_ready; /* read by all threads, atomically */
};

/* --- replica_cluster.c: of a cluster only --- */

struct qb_bus *qb_replica_bus_redis(struct qb_replica *replica, struct qb_error *error);
struct qb_ledger *qb_replica_ledger_redis(struct qb_io *io, struct qb_error *error);
/* What its runners need beyond the embedded ones. */
void qb_replica_cluster_options(struct qb_replica *replica, struct qb_runners_options *options);
/* Follows the epoch, and leads recoveries; once the loops run. */
void qb_replica_begin_recovery(struct qb_replica *replica);
