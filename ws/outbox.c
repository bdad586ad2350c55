#include "ws/outbox.h"

#include <stdlib.h>

#include "base/assert.h"
#include "base/metrics.h"

#define ROOM_LEAST 8

static uint32_t cost_of(const struct qb_frame *frame)
{
    return frame->length + (uint32_t)sizeof *frame;
}

static void forget_all(struct qb_outbox *outbox)
{
    for (uint32_t i = 0; i < outbox->count; i++) {
        qb_frame_free(&outbox->frames[(outbox->first + i) % outbox->room]);
    }
    if (outbox->bytes > 0) qb_metric_add(QB_METRIC_outbox_bytes, NULL, -(int64_t)outbox->bytes);
    free(outbox->frames);
    outbox->frames = NULL;
    outbox->first = 0;
    outbox->count = 0;
    outbox->room = 0;
    outbox->bytes = 0;
}

void qb_outbox_fini(struct qb_outbox *outbox)
{
    forget_all(outbox);
    outbox->is_closing = true;
}

static void grow(struct qb_outbox *outbox)
{
    uint32_t room = outbox->room == 0 ? ROOM_LEAST : outbox->room * 2;
    struct qb_frame **frames = calloc(room, sizeof(struct qb_frame *));

    QB_ASSERT(frames != NULL);
    for (uint32_t i = 0; i < outbox->count; i++) {
        frames[i] = outbox->frames[(outbox->first + i) % outbox->room];
    }
    free(outbox->frames);
    outbox->frames = frames;
    outbox->first = 0;
    outbox->room = room;
}

bool qb_outbox_is_clear(const struct qb_outbox *outbox)
{
    return outbox->count == 0 && !qb_connection_is_blocked(outbox->connection);
}

void qb_outbox_send(struct qb_outbox *outbox, struct qb_frame *frame, uint32_t bytes_max)
{
    if (outbox->is_closing) return;
    if (qb_outbox_is_clear(outbox)) {
        qb_connection_send(outbox->connection, frame);
        return;
    }
    /* A frame larger than the whole outbox passes if nothing waits before it: else an answer of
     * that size could never be given to a socket that is blocked for a moment. */
    if (outbox->count > 0 && (uint64_t)outbox->bytes + cost_of(frame) > bytes_max) {
        qb_outbox_close(outbox, QB_CLOSE_SLOW_READER, NULL);
        return;
    }
    if (outbox->count == outbox->room) grow(outbox);
    outbox->frames[(outbox->first + outbox->count) % outbox->room] = qb_frame_hold(frame);
    outbox->count++;
    outbox->bytes += cost_of(frame);
    qb_metric_add(QB_METRIC_outbox_bytes, NULL, cost_of(frame));
}

bool qb_outbox_flush(struct qb_outbox *outbox)
{
    while (outbox->count > 0 && !qb_connection_is_blocked(outbox->connection)) {
        struct qb_frame *frame = outbox->frames[outbox->first];
        outbox->first = (outbox->first + 1) % outbox->room;
        outbox->count--;
        outbox->bytes -= cost_of(frame);
        qb_metric_add(QB_METRIC_outbox_bytes, NULL, -(int64_t)cost_of(frame));
        qb_connection_send(outbox->connection, frame);
        qb_frame_free(&frame);
    }
    if (outbox->count == 0 && outbox->room > 0) forget_all(outbox); /* idle ones stay small */
    return qb_outbox_is_clear(outbox);
}

void qb_outbox_close(struct qb_outbox *outbox, enum qb_close reason, const char *detail)
{
    if (outbox->is_closing) return;
    outbox->is_closing = true;
    forget_all(outbox);
    qb_connection_close(outbox->connection, reason, detail);
}
