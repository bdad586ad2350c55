#include "base/frame.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

struct qb_frame *qb_frame_new(const void *bytes, size_t length)
{
    QB_ASSERT(length <= UINT32_MAX / 2);
    struct qb_frame *frame = malloc(sizeof *frame + length);
    QB_ASSERT(frame != NULL);

    atomic_init(&frame->holders, 1);
    frame->length = (uint32_t)length;
    frame->is_protected = false;
    frame->position = 0;
    (void)memset(frame->head, 0, sizeof frame->head);
    if (length > 0) (void)memcpy(frame->bytes, bytes, length);
    return frame;
}

struct qb_frame *qb_frame_hold(struct qb_frame *frame)
{
    uint32_t before = atomic_fetch_add_explicit(&frame->holders, 1, memory_order_relaxed);
    QB_ASSERT(before > 0);
    return frame;
}

void qb_frame_free(struct qb_frame **frame)
{
    struct qb_frame *old = *frame;

    *frame = NULL;
    if (old == NULL) return;
    uint32_t before = atomic_fetch_sub_explicit(&old->holders, 1, memory_order_acq_rel);
    QB_ASSERT(before > 0);
    if (before == 1) free(old);
}
