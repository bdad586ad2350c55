/*
 * The body of POST /api/auctions into rules and texts. Unknown members are refused by name; what
 * is wrong is told with the member's name and what would do.
 *
 * Pure but for the auction's random secret; any thread.
 */
#pragma once

#include <stdbool.h>

#include "base/error.h"
#include "base/json.h"
#include "bidding/rules.h"
#include "storage/store.h"

struct qb_auction_form {
    qb_id seller;
    qb_time_us now_us;
    int64_t amount_max; /* largest amount on the wire; also the cap of bids */
};

/* Fills `rules` and `listing` but for the auction's id. */
QB_MUST_USE bool qb_auction_form_read(const struct qb_auction_form *form,
                                      const struct qb_json *body, struct qb_rules *rules,
                                      struct qb_listing *listing, struct qb_error *problem);

/* Whether `text` is UTF-8 without control characters (but newlines, if allowed). */
bool qb_form_is_text(const char *text, size_t length, bool may_have_lines);

/* Copies string member `name` of least to room - 1 bytes. Without the member: false unless `least`
 * is 0, which leaves the text empty. */
QB_MUST_USE bool qb_form_text(const struct qb_json *body, const char *name, size_t least,
                              bool may_have_lines, char *text, size_t room,
                              struct qb_error *problem);

/* False, with the name in `problem`, if `body` is no object or has a member not in `names`. */
QB_MUST_USE bool qb_form_members(const struct qb_json *body, const char *const *names, size_t count,
                                 struct qb_error *problem);

/* Category `index` on the wire and for people; null behind the last. */
const char *qb_category_at(size_t index, const char **title);
