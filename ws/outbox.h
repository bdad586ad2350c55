/*
 * Everything that leaves to one connection and may not be lost: answers, verdicts, notices and
 * protected updates, first in first out, bounded. Ordinary updates are never in it (room.h).
 *
 * Thread    the connection's.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/frame.h"
#include "ws/close.h"
#include "ws/connection.h"

/* Zero-filled but for `connection` is a valid one that is empty. */
struct qb_outbox {
    struct qb_connection *connection;
    struct qb_frame **frames; /* a ring; null while nothing waits, as with most connections */
    uint32_t first;
    uint32_t count;
    uint32_t room;
    uint32_t bytes;  /* of the waiting frames, with what each costs beside its payload */
    bool is_closing; /* nothing leaves any more */
};

void qb_outbox_fini(struct qb_outbox *outbox);

/* Whether a frame may go straight to the socket: nothing waits before it. */
bool qb_outbox_is_clear(const struct qb_outbox *outbox);

/*
 * Sends a sealed frame, or lets it wait behind what waits already. If that takes more than
 * `bytes_max` the connection is closed (SLOW_READER); the first that waits may be of any size.
 *
 * frame    held while it waits
 */
void qb_outbox_send(struct qb_outbox *outbox, struct qb_frame *frame, uint32_t bytes_max);

/* Sends what waits until the socket takes no more. True: it is clear now. */
bool qb_outbox_flush(struct qb_outbox *outbox);

/* Begins to end the connection; what waits is dropped. More calls do nothing. */
void qb_outbox_close(struct qb_outbox *outbox, enum qb_close reason, const char *detail);
