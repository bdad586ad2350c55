#include <string.h>

#include "base/assert.h"
#include "bidding/auctioneer_state.h"

#define ALIGNMENT 64

static size_t aligned(size_t bytes)
{
    return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

static size_t tickets_of(const struct qb_auctioneer_options *options)
{
    return (size_t)options->tickets_max + options->heard_max;
}

size_t qb_auctioneer_bytes(const struct qb_auctioneer_options *options)
{
    return aligned(sizeof(struct qb_auctioneer)) +
           aligned(options->lots_max * sizeof(struct qb_slot)) +
           aligned(tickets_of(options) * sizeof(struct qb_ticket)) +
           aligned(options->lots_max * sizeof(uint32_t));
}

struct qb_auctioneer *qb_auctioneer_init(void *memory, const struct qb_auctioneer_options *options)
{
    uint8_t *at = memory;
    struct qb_auctioneer *a = memory;

    QB_ASSERT(options->lots_max > 0 && options->lots_max < QB_LOT_NOWHERE);
    QB_ASSERT(options->tickets_max > 0 && tickets_of(options) < QB_NO_TICKET);
    (void)memset(a, 0, sizeof *a);
    a->options = *options;
    at += aligned(sizeof *a);
    a->slots = (struct qb_slot *)(void *)at;
    at += aligned(options->lots_max * sizeof(struct qb_slot));
    a->tickets = (struct qb_ticket *)(void *)at;
    at += aligned(tickets_of(options) * sizeof(struct qb_ticket));
    a->heap = (uint32_t *)(void *)at;
    a->oldest = QB_NO_TICKET;
    a->youngest = QB_NO_TICKET;
    a->busy_first = QB_LOT_NOWHERE;
    for (uint32_t i = 0; i < options->lots_max; i++) a->slots[i].is_used = false;
    for (uint32_t i = 0; i < tickets_of(options); i++) {
        a->tickets[i].state = QB_TICKET_FREE;
        qb_ticket_append(a, &a->free, i);
    }
    return a;
}

/* The first free slot from the hint on, around the end. */
static uint32_t free_slot(struct qb_auctioneer *a)
{
    for (uint32_t i = 0; i < a->options.lots_max; i++) {
        uint32_t at = (a->free_slot_hint + i) % a->options.lots_max;
        if (a->slots[at].is_used) continue;
        a->free_slot_hint = at + 1;
        return at;
    }
    return QB_LOT_NOWHERE;
}

uint32_t qb_auctioneer_add(struct qb_auctioneer *a, const struct qb_lot *state)
{
    uint32_t lot = a->heap_count < a->options.lots_max ? free_slot(a) : QB_LOT_NOWHERE;

    if (lot == QB_LOT_NOWHERE) return lot;
    struct qb_slot *slot = &a->slots[lot];
    (void)memset(slot, 0, sizeof *slot);
    slot->lot = *state;
    slot->durable = state->seq;
    slot->is_used = true;
    slot->is_over_told = state->seq > 0 && qb_lot_is_over(state);
    slot->busy_next = QB_LOT_NOWHERE;
    slot->due_us = INT64_MAX;
    qb_due_add(a, lot);
    if (state->status == QB_STATUS_OPEN) {
        qb_due_change(a, lot, state->ends_at_us + state->rules.drain_us);
    }
    return lot;
}

void qb_auctioneer_extend(struct qb_auctioneer *a, uint32_t lot, int64_t by_us)
{
    QB_ASSERT(a->slots[lot].is_used && by_us > 0);
    QB_ASSERT(a->slots[lot].lot.status == QB_STATUS_OPEN);
    a->slots[lot].extend_us = by_us;
}

bool qb_auctioneer_is_idle(const struct qb_auctioneer *a, uint32_t lot)
{
    const struct qb_slot *slot = &a->slots[lot];

    QB_ASSERT(slot->is_used);
    return slot->held.count == 0 && slot->logged.count == 0 && slot->waiting.count == 0 &&
           slot->calling == 0 && slot->looking == 0 && !slot->is_busy;
}

void qb_auctioneer_remove(struct qb_auctioneer *a, uint32_t lot)
{
    QB_ASSERT(qb_auctioneer_is_idle(a, lot));
    qb_due_remove(a, lot);
    a->slots[lot].is_used = false;
    a->free_slot_hint = lot;
}

const struct qb_lot *qb_auctioneer_lot(const struct qb_auctioneer *a, uint32_t lot)
{
    QB_ASSERT(a->slots[lot].is_used);
    return &a->slots[lot].lot;
}

uint32_t qb_auctioneer_tickets_in_use(const struct qb_auctioneer *a)
{
    return a->in_use;
}

uint32_t qb_auctioneer_held(const struct qb_auctioneer *a)
{
    return a->held;
}

qb_time_us qb_auctioneer_wake_us(const struct qb_auctioneer *a)
{
    qb_time_us wake_us = a->heap_count > 0 ? a->slots[a->heap[0]].due_us : INT64_MAX;

    if (a->oldest != QB_NO_TICKET && a->tickets[a->oldest].told_after_us < wake_us) {
        wake_us = a->tickets[a->oldest].told_after_us;
    }
    return wake_us;
}

struct qb_lot_moment qb_lot_moment_of(const struct qb_lot *lot)
{
    return (struct qb_lot_moment){
        .seq = lot->seq,
        .epoch = lot->epoch,
        .status = lot->status,
        .outcome = lot->outcome,
        .is_buy_now_gone = lot->is_buy_now_gone,
        .bids = lot->bids,
        .accepted = lot->accepted,
        .extensions = lot->extensions,
        .leader = lot->leader,
        .second = lot->second,
        .winner = lot->winner,
        .m1 = lot->m1,
        .m2 = lot->m2,
        .price = lot->price,
        .reserve = lot->rules.reserve,
        .final_price = lot->final_price,
        .ends_at_us = lot->ends_at_us,
        .hard_end_us = lot->rules.hard_end_us,
    };
}

void qb_lot_moment_apply(const struct qb_lot_moment *moment, struct qb_lot *lot)
{
    lot->seq = moment->seq;
    lot->epoch = moment->epoch;
    lot->status = moment->status;
    lot->outcome = moment->outcome;
    lot->is_buy_now_gone = moment->is_buy_now_gone;
    lot->bids = moment->bids;
    lot->accepted = moment->accepted;
    lot->extensions = moment->extensions;
    lot->leader = moment->leader;
    lot->second = moment->second;
    lot->winner = moment->winner;
    lot->m1 = moment->m1;
    lot->m2 = moment->m2;
    lot->price = moment->price;
    lot->rules.reserve = moment->reserve;
    lot->final_price = moment->final_price;
    lot->ends_at_us = moment->ends_at_us;
    lot->rules.hard_end_us = moment->hard_end_us;
}
