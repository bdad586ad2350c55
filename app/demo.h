/*
 * A demo that bids by itself, so that the first look shows life: accounts and auctions that
 * `quickbid seed --demo` makes, and bidders that the server plays with the setting `demo`.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "app/runner.h"
#include "base/error.h"
#include "storage/store.h"

#define QB_DEMO_BIDDERS 7

struct qb_demo; /* shared by all threads; read-only once made */

/* The e-mail of demo account `index`: 0 is the seller. */
void qb_demo_email(unsigned index, char email[QB_EMAIL_BYTES_MAX + 1]);
/* Its name. */
const char *qb_demo_name(unsigned index);

/* Number of demo auctions; texts and rules of one, from now on. The id and the secret are new. */
size_t qb_demo_auctions(void);
void qb_demo_auction(size_t index, qb_id seller, qb_time_us now_us, struct qb_listing *listing,
                     struct qb_rules *rules);

/* The OPEN entry of an auction. `rules` is borrowed. */
struct qb_entry qb_demo_open(qb_id auction, qb_id seller, const struct qb_rules *rules);

/* Null when the demo's accounts are not in the store: then there is no demo. */
struct qb_demo *qb_demo_new(const struct qb_store_ops *store, struct qb_store_link *link);
void qb_demo_free(struct qb_demo **demo);

/* Each second, on each thread: some demo bidders bid on the demo auctions at home here. */
void qb_demo_second(const struct qb_demo *demo, struct qb_runner *runner);
