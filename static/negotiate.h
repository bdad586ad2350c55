/*
 * The three request headers by which a client chooses what to get of an asset, read as RFC 9110
 * says: Accept-Encoding (12.5.3), If-None-Match (13.1.2) and Range (14.2).
 *
 * Pure; any thread. Values are untrusted.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/attributes.h"
#include "static/pack.h"

/*
 * The best encoding among those `offered` that `accept_encoding` (null: not sent, identity only)
 * allows: highest q first, then in the order of the enum. An element that is malformed counts as
 * not there.
 *
 * returns  QB_PACK_ENCODINGS if it allows none of them (406)
 */
enum qb_pack_encoding qb_negotiate_encoding(const char *accept_encoding,
                                            const bool offered[QB_PACK_ENCODINGS]);

/* Whether `list` (null: not sent) names `etag` by weak comparison, or is `*`. */
bool qb_negotiate_etag(const char *list, const char *etag);

enum qb_range_outcome {
    QB_RANGE_NONE,          /* not sent, malformed, another unit or several ranges: send it all */
    QB_RANGE_PART,          /* `first` and `length` are within the body */
    QB_RANGE_UNSATISFIABLE, /* nothing of it is within the body: 416 */
};

/* Reads a single byte range against a body of `body_bytes`. `range` may be null. */
QB_MUST_USE enum qb_range_outcome qb_negotiate_range(const char *range, size_t body_bytes,
                                                     size_t *first, size_t *length);
