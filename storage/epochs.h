/*
 * The epoch of the installation and how far its recovery is (reliability.md P5): one row in
 * Postgres that all processes share, and the markers that persisters have met.
 *
 * Every move is one statement with the state that it expects: of two who try, one moves, and a
 * leader that lost its session finds that out here.
 *
 * Thread    the link's.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attributes.h"
#include "base/error.h"
#include "bidding/entry.h"
#include "storage/ack.h"
#include "storage/sql.h"

enum qb_epoch_state {
    QB_EPOCH_SEALING,    /* nothing of it is acknowledged any more; what was confirmed is drained */
    QB_EPOCH_REBUILDING, /* drained: what comes of it now is void */
    QB_EPOCH_OPENING,    /* the next one, while its scripts and routes are made */
    QB_EPOCH_OPEN,
    QB_EPOCH_STATES
};

struct qb_epoch {
    uint32_t epoch;
    uint8_t state;        /* enum qb_epoch_state */
    enum qb_ack ack;      /* of this epoch; REBUILDING: of this one or of the next */
    qb_time_us opened_us; /* the ledger's time when it opened; OPEN only */
};

const char *qb_epoch_state_name(enum qb_epoch_state state);

QB_MUST_USE bool qb_epochs_read(struct qb_sql_link *link, struct qb_epoch *epoch,
                                struct qb_error *error);

/*
 * Within a transaction: the least epoch whose entries may be applied, which no leader raises before
 * the transaction has ended. While an epoch is sealed, what was confirmed of it still comes; once
 * all of that is there, nothing more of it counts.
 */
QB_MUST_USE bool qb_epochs_share(struct qb_sql_link *link, uint32_t *epoch_least,
                                 struct qb_error *error);

/* Whether this session leads the recovery from now on: until it ends, or qb_epochs_resign(). */
QB_MUST_USE bool qb_epochs_lead(struct qb_sql_link *link, bool *is_leader, struct qb_error *error);
QB_MUST_USE bool qb_epochs_resign(struct qb_sql_link *link, struct qb_error *error);

/* The lock's number says whose it is to who looks at pg_locks. */
#define QB_EPOCHS_LEADER_LOCK "1364344399"

/*
 * Tells whoever looks which step this session leads: its application_name becomes
 * QB_EPOCHS_STEP_WORDS, the second by Postgres's clock, `step` (one word) and `who`. Null: none. It
 * is no harm if that fails, and it is gone with the session.
 */
#define QB_EPOCHS_STEP_WORDS "quickbid recovery "
void qb_epochs_tell_step(struct qb_sql_link *link, const char *step, const char *who);

/* By the leader: from one of the states before it to `to`. OPENING is of epoch + 1; `opened_us` is
 * for OPEN. False with `error` set also when somebody else has moved it, or leads. */
QB_MUST_USE bool qb_epochs_move(struct qb_sql_link *link, uint32_t epoch, enum qb_epoch_state to,
                                qb_time_us opened_us, struct qb_error *error);

/* By the leader, of an epoch that is SEALING, each time before it marks: `*marker` and the number
 * behind it are for its two markers, and no attempt before has used them. Rows of such a one say
 * nothing of what was published since, as after a lost queue. */
QB_MUST_USE bool qb_epochs_attempt(struct qb_sql_link *link, uint32_t epoch, unsigned *marker,
                                   struct qb_error *error);

/* By the leader while the epoch is REBUILDING: how the next one acknowledges. */
QB_MUST_USE bool qb_epochs_choose_ack(struct qb_sql_link *link, uint32_t epoch, enum qb_ack ack,
                                      struct qb_error *error);

/* A persister has met the `number`-th marker in a shard's queue: everything before it is applied.
 */
QB_MUST_USE bool qb_epochs_drained(struct qb_sql_link *link, uint32_t epoch, unsigned shard,
                                   unsigned number, struct qb_error *error);
/* In how many shards that was. */
QB_MUST_USE bool qb_epochs_drained_count(struct qb_sql_link *link, uint32_t epoch, unsigned number,
                                         unsigned *count, struct qb_error *error);
