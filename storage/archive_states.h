/*
 * The folded states of the auctions that an archive has met lately, as the store has them. Private
 * to storage/archiver.c.
 *
 * Where other processes archive, too, a state in memory may be behind the store's: heads say so.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attributes.h"
#include "base/error.h"
#include "base/map.h"
#include "storage/store.h"

/* The folded state of one auction, as archived. */
struct qb_archive_state {
    struct qb_lot lot;
    bool is_dirty;
    bool was_over;
    bool is_broken;      /* as stored it cannot be read */
    bool is_frozen;      /* has a conflict, or is broken: nothing more of it is applied */
    uint64_t staged_seq; /* the lowest place ahead of the lot that has an entry staged; 0: none */
};

struct qb_archive_states {
    const struct qb_store_ops *store;
    struct qb_store_link *link;
    struct qb_map map; /* auction -> struct qb_archive_state */
};

void qb_archive_states_init(struct qb_archive_states *states, const struct qb_store_ops *store,
                            struct qb_store_link *link);
void qb_archive_states_fini(struct qb_archive_states *states);
/* Lets all go. */
void qb_archive_states_clear(struct qb_archive_states *states);

/* The state of an auction, read when it is not here. Null with `error` set; valid until a clear. */
struct qb_archive_state *qb_archive_state_of(struct qb_archive_states *states, qb_id auction,
                                             struct qb_error *error);

/* Reads the heads of these auctions and every state that is not as they say. */
QB_MUST_USE bool qb_archive_states_renew(struct qb_archive_states *states,
                                         struct qb_archive_head *heads, size_t count,
                                         struct qb_error *error);
