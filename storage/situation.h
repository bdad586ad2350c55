/*
 * What Postgres knows of where a cluster stands, for `quickbid recover --explain`. Reads only.
 *
 * Thread    the link's.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attributes.h"
#include "base/error.h"
#include "storage/epochs.h"

#define QB_SITUATION_TEXT_BYTES 64

/* Who holds the lock of recovery, and what it last said of itself (qb_epochs_tell_step()). */
struct qb_situation_leader {
    bool is_there;
    int64_t backend;                       /* Postgres's process for it */
    char address[QB_SITUATION_TEXT_BYTES]; /* where it connects from */
    char name[QB_SITUATION_TEXT_BYTES];    /* process@host; empty: it said nothing */
    char step[QB_SITUATION_TEXT_BYTES];    /* likewise */
    int64_t step_s;                        /* seconds since it said so, by Postgres's clock */
};

struct qb_situation {
    struct qb_epoch epoch;
    struct qb_situation_leader leader;
    unsigned drained[2]; /* shards whose first and second marker of this epoch was met */
    int64_t auctions;    /* that are not over */
    int64_t staged;      /* entries that wait for those before them */
    int64_t quarantined; /* entries beside (`conflicts`), for a person to look at */
    int64_t halted;      /* auctions they are of */
};

QB_MUST_USE bool qb_situation_read(struct qb_sql_link *link, struct qb_situation *situation,
                                   struct qb_error *error);

/* Every auction that is not over, ascending, with how far it is archived. */
typedef void qb_situation_each(void *context, qb_id auction, uint64_t applied_seq);
QB_MUST_USE bool qb_situation_applied(struct qb_sql_link *link, qb_situation_each *each,
                                      void *context, struct qb_error *error);
