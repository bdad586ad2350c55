/*
 * An auction in lists and in the catalogue as JSON (docs/protocol.md, "A listing"). Nothing secret
 * is in it: no reserve, no secret, no maximum. Pure but for the text's memory; any thread.
 */
#pragma once

#include "base/text.h"
#include "bidding/auctioneer.h"
#include "bidding/lot.h"
#include "storage/store.h"

/* Members of a listing, without brackets, as of the archive at `now_us`. */
void qb_listing_json(struct qb_text *text, const struct qb_listing *listing,
                     const char *seller_name, qb_time_us now_us);

/* What hardly changes while the auction runs: texts and rules, with brackets. `lot` may be null
 * (its OPEN is not archived yet): no rules then. */
void qb_catalogue_json(struct qb_text *text, const struct qb_listing *listing,
                       const char *seller_name, const struct qb_lot *lot);

/* Whether that may say something else at `after` than at `before`. */
bool qb_catalogue_differs(const struct qb_rules *rules, const struct qb_lot_moment *before,
                          const struct qb_lot_moment *after);
