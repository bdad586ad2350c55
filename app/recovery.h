/*
 * The recovery of a cluster (reliability.md P5): a thread that follows the epoch in Postgres, tells
 * its replica when it opens and when bidding is suspended, and, when something may have been lost,
 * tries to lead: seal, wait, mark, drain, rebuild, open.
 *
 * Every replica has one; Postgres lets one lead at a time. A leader that dies leaves a state from
 * which the next one starts at the top; each step may be repeated.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "app/cluster.h"
#include "storage/epochs.h"
#include "storage/store.h"

struct qb_recovery;

/* Whether other replicas hear the whole bus, as far as Postgres knows. */
enum qb_others { QB_OTHERS_UNKNOWN, QB_OTHERS_HEAR, QB_OTHERS_ARE_DEAF };

struct qb_recovery_options {
    const struct qb_cluster *cluster; /* borrowed; outlives it */
    struct qb_store *store;           /* the primary's */
    enum qb_ack ack;                  /* of the epochs that it opens */
    uint32_t ring_entries;            /* of an auction's log, kept in Redis for resumes */
    /* On recovery's thread. Bids may be taken in this epoch. */
    void (*opened)(void *context, const struct qb_epoch *epoch);
    /* A recovery has begun: no bids until `opened`. */
    void (*suspended)(void *context);
    /* Whether this replica hears the whole bus, which the others learn through Postgres. */
    bool (*hears)(void *context);
    /* Whether they do: told each second while this one does not. */
    void (*others)(void *context, enum qb_others others);
    void *context;
};

/* Starts the thread. */
struct qb_recovery *qb_recovery_new(const struct qb_recovery_options *options);
/* Ends it, also in the midst of leading. Accepts null. */
void qb_recovery_free(struct qb_recovery **recovery);

/* Something of `epoch` may be lost: Redis is another process, a script is missing, a queue is gone.
 * `why` is a literal. Any thread. */
void qb_recovery_need(struct qb_recovery *recovery, uint32_t epoch, const char *why);
