/*
 * Reference-counted immutable bytes: encoded once, sent to many sockets and threads. The last
 * holder frees. The only reference count in the product.
 *
 * Any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Room before the bytes, so that a WebSocket header can stand directly in front of them. */
#define QB_FRAME_HEAD 16

struct qb_frame {
    _Atomic uint32_t holders;
    uint32_t length;
    bool is_protected; /* may not be conflated away; set by its maker before it is shared */
    uint64_t position; /* epoch << 32 | seq of the state it shows; 0: of none; set likewise */
    uint8_t head[QB_FRAME_HEAD]; /* the last bytes of it may carry a header; see ws/ */
    uint8_t bytes[];
};

/* A frame that holds a copy of `bytes`; one holder. */
struct qb_frame *qb_frame_new(const void *bytes, size_t length);

/* One more holder. Returns the frame. */
struct qb_frame *qb_frame_hold(struct qb_frame *frame);

/* One holder less; nulls the pointer. Accepts null. */
void qb_frame_free(struct qb_frame **frame);
