#include <string.h>

#include "base/assert.h"
#include "bidding/auctioneer_state.h"

static void heap_place(struct qb_auctioneer *a, uint32_t at, uint32_t lot)
{
    a->heap[at] = lot;
    a->slots[lot].heap_at = at;
}

static qb_time_us due_at(const struct qb_auctioneer *a, uint32_t at)
{
    return a->slots[a->heap[at]].due_us;
}

static void heap_up(struct qb_auctioneer *a, uint32_t at)
{
    uint32_t lot = a->heap[at];

    while (at > 0 && due_at(a, (at - 1) / 2) > a->slots[lot].due_us) {
        heap_place(a, at, a->heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    heap_place(a, at, lot);
}

static void heap_down(struct qb_auctioneer *a, uint32_t at)
{
    uint32_t lot = a->heap[at];

    for (;;) {
        uint32_t child = at * 2 + 1;
        if (child >= a->heap_count) break;
        if (child + 1 < a->heap_count && due_at(a, child + 1) < due_at(a, child)) child++;
        if (due_at(a, child) >= a->slots[lot].due_us) break;
        heap_place(a, at, a->heap[child]);
        at = child;
    }
    heap_place(a, at, lot);
}

void qb_due_add(struct qb_auctioneer *a, uint32_t lot)
{
    QB_ASSERT(a->heap_count < a->options.lots_max);
    heap_place(a, a->heap_count, lot);
    a->heap_count++;
    heap_up(a, a->heap_count - 1);
}

void qb_due_remove(struct qb_auctioneer *a, uint32_t lot)
{
    uint32_t at = a->slots[lot].heap_at;

    QB_ASSERT(a->heap_count > 0);
    QB_ASSERT(a->heap[at] == lot);
    a->heap_count--;
    if (at == a->heap_count) return;
    uint32_t moved = a->heap[a->heap_count];
    heap_place(a, at, moved);
    heap_up(a, at);
    heap_down(a, a->slots[moved].heap_at);
}

void qb_due_change(struct qb_auctioneer *a, uint32_t lot, qb_time_us due_us)
{
    a->slots[lot].due_us = a->slots[lot].is_halted ? INT64_MAX : due_us;
    heap_up(a, a->slots[lot].heap_at);
    heap_down(a, a->slots[lot].heap_at);
}

void qb_ticket_append(struct qb_auctioneer *a, struct qb_ticket_list *list, uint32_t ticket)
{
    a->tickets[ticket].next = QB_NO_TICKET;
    if (list->count == 0)
        list->first = ticket;
    else
        a->tickets[list->last].next = ticket;
    list->last = ticket;
    list->count++;
}

uint32_t qb_ticket_pop(struct qb_auctioneer *a, struct qb_ticket_list *list)
{
    if (list->count == 0) return QB_NO_TICKET;
    uint32_t ticket = list->first;
    list->first = a->tickets[ticket].next;
    list->count--;
    return ticket;
}

uint32_t qb_ticket_take(struct qb_auctioneer *a, bool is_heard)
{
    uint32_t used = is_heard ? a->heard : a->in_use - a->heard;
    uint32_t most = is_heard ? a->options.heard_max : a->options.tickets_max;

    if (used >= most) return QB_NO_TICKET;
    uint32_t ticket = qb_ticket_pop(a, &a->free);
    if (ticket == QB_NO_TICKET) return ticket; /* given back in this step, free in the next */
    struct qb_ticket *taken = &a->tickets[ticket];
    QB_ASSERT(taken->state == QB_TICKET_FREE);
    (void)memset(taken, 0, sizeof *taken);
    taken->next = QB_NO_TICKET;
    a->in_use++;
    taken->is_heard = is_heard;
    if (is_heard) {
        a->heard++;
        return ticket;
    }
    taken->older = a->youngest;
    taken->younger = QB_NO_TICKET;
    taken->is_listed = true;
    if (a->youngest != QB_NO_TICKET)
        a->tickets[a->youngest].younger = ticket;
    else
        a->oldest = ticket;
    a->youngest = ticket;
    return ticket;
}

void qb_ticket_unlist(struct qb_auctioneer *a, uint32_t ticket)
{
    struct qb_ticket *gone = &a->tickets[ticket];

    if (!gone->is_listed) return;
    if (gone->older != QB_NO_TICKET)
        a->tickets[gone->older].younger = gone->younger;
    else
        a->oldest = gone->younger;
    if (gone->younger != QB_NO_TICKET)
        a->tickets[gone->younger].older = gone->older;
    else
        a->youngest = gone->older;
    gone->is_listed = false;
}

void qb_ticket_give(struct qb_auctioneer *a, uint32_t ticket)
{
    QB_ASSERT(a->tickets[ticket].state != QB_TICKET_FREE);
    QB_ASSERT(a->in_use > 0);
    qb_ticket_unlist(a, ticket);
    a->tickets[ticket].state = QB_TICKET_FREE;
    a->in_use--;
    if (a->tickets[ticket].is_heard) a->heard--;
    qb_ticket_append(a, &a->freed, ticket);
}

void qb_ticket_recycle(struct qb_auctioneer *a)
{
    while (a->freed.count > 0) qb_ticket_append(a, &a->free, qb_ticket_pop(a, &a->freed));
}

void qb_busy_add(struct qb_auctioneer *a, uint32_t lot)
{
    if (a->slots[lot].is_busy) return;
    a->slots[lot].is_busy = true;
    a->slots[lot].busy_next = QB_LOT_NOWHERE;
    if (a->busy_first == QB_LOT_NOWHERE)
        a->busy_first = lot;
    else
        a->slots[a->busy_last].busy_next = lot;
    a->busy_last = lot;
}

uint32_t qb_busy_pop(struct qb_auctioneer *a)
{
    uint32_t lot = a->busy_first;

    if (lot == QB_LOT_NOWHERE) return lot;
    a->busy_first = a->slots[lot].busy_next;
    a->slots[lot].is_busy = false;
    return lot;
}
