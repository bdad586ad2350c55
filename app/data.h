/*
 * One side of the ports: embedded, opened on one data folder (lock, database with its migrations,
 * journal, store and archive), or a cluster's (journal and store at their servers). What `serve`,
 * `replay`, `seed` and `migrate` share.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "app/settings.h"
#include "base/error.h"
#include "storage/archiver.h"
#include "storage/journal.h"
#include "storage/sqlite.h"
#include "storage/store.h"

struct qb_data {
    int lock;
    struct qb_database *database;
    struct qb_store *store;
    struct qb_journal *journal;
    struct qb_store_link *link; /* the archive's; this thread's until an archiver runs */
    struct qb_archive *archive;
    /* Told of an auction that the archive has frozen, on its thread; null: nobody is to be told. */
    void (*frozen)(void *context, qb_id auction);
    void *frozen_context;
    size_t migrated;
    struct qb_cluster *cluster; /* null: embedded */
    int64_t log_bytes_max;      /* of the database's log */
    int64_t log_retry_us;       /* monotonic: not emptied before */
};

/* Locks the folder, opens and migrates; archives what a crash left in the journal. False with
 * `error` set: nothing is left open. */
QB_MUST_USE bool qb_data_open(struct qb_data *data, const struct qb_settings *settings,
                              struct qb_error *error);
/* The same for a replica of a cluster: no folder, no archive; the database must be migrated. */
QB_MUST_USE bool qb_data_open_cluster(struct qb_data *data, const struct qb_settings *settings,
                                      struct qb_error *error);
/* Makes durable and archives what is there, closes. */
void qb_data_close(struct qb_data *data);
