/*
 * What every store must do. The subject says how to make an empty one.
 */
#pragma once

#include "storage/store.h"

struct store_subject {
    const char *name;
    struct qb_store_link *(*open)(void); /* to a new, empty store */
    const struct qb_store_ops *(*ops)(void);
    void (*close)(struct qb_store_link **link); /* and what open made */
};

void store_contract(const struct store_subject *subject);

/* Its parts: listings and watch lists; log, history and payments. */
void store_contract_listings(const struct store_subject *subject);
void store_contract_history(const struct store_subject *subject);

enum { SAL = 1, ANN = 2, BOB = 3 }; /* accounts */

/* Makes the three accounts. */
void store_add_users(const struct store_subject *subject, struct qb_store_link *link);
/* A listing of SAL's with that id, not published. */
struct qb_listing store_listing(qb_id id, const char *title);
void store_add_listing(const struct store_subject *subject, struct qb_store_link *link,
                       const struct qb_listing *listing);
/* An open auction's state after its first entry, as the archiver makes it. */
struct qb_lot store_lot(qb_id id);
void store_archive_state(const struct store_subject *subject, struct qb_store_link *link,
                         const struct qb_lot *lot);
