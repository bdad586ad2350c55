/*
 * A piece of an auction's log as the scripts give and publish it (storage/redis/common.lua).
 *
 * Pure; any thread; points into the caller's bytes.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attributes.h"
#include "bidding/bytes.h"

#define QB_PIECE_CUT    1 /* there are more entries than these */
#define QB_PIECE_BROKEN 2 /* the stream refused an entry: state and stream disagree */

struct qb_piece {
    uint8_t flags;
    uint32_t epoch;
    uint64_t seq; /* the auction's newest */
    uint64_t durable;
    size_t left; /* entries not yet taken */
    struct qb_reader reader;
};

/* False for anything but a whole piece. */
QB_MUST_USE bool qb_piece_open(struct qb_piece *piece, const void *bytes, size_t length);
/* The next entry's canonical bytes, or false behind the last. */
QB_MUST_USE bool qb_piece_next(struct qb_piece *piece, const uint8_t **bytes, size_t *length);
/* The seq of canonical bytes; 0 if they are none. */
uint64_t qb_piece_seq(const uint8_t *bytes, size_t length);
