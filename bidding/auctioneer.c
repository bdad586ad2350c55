#include "bidding/auctioneer.h"

#include "base/assert.h"
#include "bidding/auctioneer_state.h"

#define FOREVER INT64_MAX

static void hold(struct qb_auctioneer *a, struct qb_effects *effects, uint32_t ticket)
{
    struct qb_slot *slot = &a->slots[a->tickets[ticket].lot];

    if (slot->held.count >= a->options.held_max) {
        qb_ticket_answer(a, effects, ticket, QB_REPLY_BUSY);
        return;
    }
    a->tickets[ticket].state = QB_TICKET_HELD;
    qb_ticket_append(a, &slot->held, ticket);
    a->held++;
}

static void take_command(struct qb_auctioneer *a, const struct qb_event *event,
                         struct qb_effects *effects)
{
    struct qb_slot *slot = &a->slots[event->lot];
    uint64_t open = slot->lot.seq > slot->durable ? slot->lot.seq - slot->durable : 0;
    uint64_t unconfirmed = open + slot->calling;
    bool is_shut = slot->is_halted || unconfirmed >= a->options.unconfirmed_max;
    uint32_t ticket = is_shut ? QB_NO_TICKET : qb_ticket_take(a, false);

    if (ticket == QB_NO_TICKET) {
        struct qb_effect *effect = qb_effect_emit(effects, QB_EFFECT_REPLY, event->lot);
        effect->reply = slot->is_halted ? QB_REPLY_UNAVAILABLE : QB_REPLY_BUSY;
        effect->waiter = event->waiter;
        return;
    }
    struct qb_ticket *t = &a->tickets[ticket];
    t->entry = *event->entry;
    t->waiter = event->waiter;
    t->lot = event->lot;
    t->state = QB_TICKET_CALLING;
    t->told_after_us = a->now_us + a->options.pending_us;
    t->is_resolve = event->kind == QB_EVENT_RESOLVE;
    if (t->is_resolve) t->entry.type = QB_ENTRY_DISCARD;
    switch (qb_ticket_admit(a, slot, t)) {
    case QB_ADMIT_APPEND:
        qb_ticket_call(a, effects, ticket, false);
        break;
    case QB_ADMIT_MARK:
        qb_ticket_call(a, effects, ticket, true);
        break;
    case QB_ADMIT_HOLD:
        hold(a, effects, ticket);
        break;
    }
}

static struct qb_verdict fold(struct qb_auctioneer *a, uint32_t lot, const struct qb_entry *entry)
{
    struct qb_slot *slot = &a->slots[lot];
    qb_time_us ended_at_us = slot->lot.ends_at_us;
    uint8_t status = slot->lot.status;
    struct qb_bid_record record;
    struct qb_bid_record *records = NULL;
    size_t record_count = 0;

    if (qb_entry_needs_records(entry)) {
        records = a->options.records.all(a->options.records.context, lot, &record_count);
    }
    struct qb_verdict verdict = qb_lot_fold(&slot->lot, entry, records, record_count);
    if (qb_bid_record_of(entry, &verdict, &record)) {
        a->options.records.add(a->options.records.context, lot, &record);
    }
    if (slot->lot.ends_at_us != ended_at_us || slot->lot.status != status ||
        entry->type == QB_ENTRY_EXTEND) {
        slot->must_release = true;
        slot->extend_us = 0;
        qb_busy_add(a, lot);
        bool is_open = slot->lot.status == QB_STATUS_OPEN && !slot->is_proposing;
        qb_due_change(a, lot, is_open ? slot->lot.ends_at_us + slot->lot.rules.drain_us : FOREVER);
    }
    return verdict;
}

/* Folds what has its place. What others appended below it was heard before. */
static void fold_logged(struct qb_auctioneer *a, uint32_t lot, uint32_t ticket,
                        struct qb_effects *effects)
{
    struct qb_slot *slot = &a->slots[lot];
    struct qb_ticket *t = &a->tickets[ticket];

    QB_ASSERT(t->seq == slot->lot.seq + 1);
    t->verdict = fold(a, lot, &t->entry);
    t->moment = qb_lot_moment_of(&slot->lot);
    t->is_folded = true;
    struct qb_effect *effect = qb_effect_emit(effects, QB_EFFECT_JOURNAL, lot);
    effect->entry = &t->entry;
    effect->seq = t->seq;
}

/* Waits until `seq` is durable, then gives `reply`, or what a LOOKUP finds. */
static void wait_durable(struct qb_auctioneer *a, uint32_t ticket, uint64_t seq,
                         enum qb_reply_kind reply)
{
    struct qb_ticket *t = &a->tickets[ticket];

    t->state = QB_TICKET_WAITING;
    t->seq = seq;
    t->answer = (uint8_t)reply;
    qb_ticket_append(a, &a->slots[t->lot].waiting, ticket);
    qb_busy_add(a, t->lot);
}

/* The id has a place or a mark already: the same request gets the same answer (rules.md 7). */
static void take_known(struct qb_auctioneer *a, const struct qb_event *event,
                       struct qb_effects *effects)
{
    struct qb_ticket *t = &a->tickets[event->ticket];
    const struct qb_lot *lot = &a->slots[t->lot].lot;
    bool is_other =
        !t->is_resolve && event->asked != 0 && event->asked != qb_entry_asked(&t->entry);

    t->refusal = QB_REFUSAL_NONE;
    if (is_other) {
        t->seq = event->seq;
        t->refusal = QB_REFUSAL_KEY_REUSED;
        qb_ticket_answer(a, effects, event->ticket, QB_REPLY_REFUSED);
    } else if (event->outcome == QB_APPEND_REFUSED) {
        t->refusal = event->refusal;
        qb_ticket_describe(lot, t); /* what would do now, and so as of now */
        wait_durable(a, event->ticket, lot->seq > event->seq ? lot->seq : event->seq,
                     QB_REPLY_REFUSED);
    } else {
        wait_durable(a, event->ticket, event->seq,
                     event->asked == 0 ? QB_REPLY_VOID : QB_REPLY_VERDICT);
    }
}

static void take_done(struct qb_auctioneer *a, const struct qb_event *event,
                      struct qb_effects *effects)
{
    struct qb_ticket *t = &a->tickets[event->ticket];
    struct qb_slot *slot = &a->slots[t->lot];

    t->refusal = QB_REFUSAL_NONE;
    if (event->seq <= slot->lot.seq) { /* heard from the bus before the answer came */
        wait_durable(a, event->ticket, event->seq,
                     t->is_resolve ? QB_REPLY_VOID : QB_REPLY_VERDICT);
        return;
    }
    t->seq = event->seq;
    t->entry.seq = event->seq;
    t->entry.epoch = event->epoch;
    t->entry.now_us = event->at_us;
    t->state = QB_TICKET_LOGGED;
    QB_ASSERT(slot->logged.count == 0 || a->tickets[slot->logged.last].seq < t->seq);
    qb_ticket_append(a, &slot->logged, event->ticket);
    fold_logged(a, t->lot, event->ticket, effects);
}

static void take_appended(struct qb_auctioneer *a, const struct qb_event *event,
                          struct qb_effects *effects)
{
    struct qb_ticket *t = &a->tickets[event->ticket];
    struct qb_slot *slot = &a->slots[t->lot];

    QB_ASSERT(t->state == QB_TICKET_CALLING);
    QB_ASSERT(slot->calling > 0);
    slot->calling--;
    if (slot->is_halted) { /* whatever its place: the record, or what a recovery keeps, decides */
        t->seq = 0;
        qb_ticket_answer(a, effects, event->ticket, QB_REPLY_UNAVAILABLE);
        return;
    }
    switch ((enum qb_append_outcome)event->outcome) {
    case QB_APPEND_DONE:
        take_done(a, event, effects);
        break;
    case QB_APPEND_DUPLICATE:
    case QB_APPEND_REFUSED:
        take_known(a, event, effects);
        break;
    case QB_APPEND_MARKED:
        wait_durable(a, event->ticket, t->seq, t->is_resolve ? QB_REPLY_VOID : QB_REPLY_REFUSED);
        break;
    case QB_APPEND_BUSY:
        qb_ticket_answer(a, effects, event->ticket, QB_REPLY_BUSY);
        break;
    case QB_APPEND_EXPIRED: /* no verdict: the ledger forgets it, the same id may get in later */
    case QB_APPEND_FENCED:
        qb_ticket_answer(a, effects, event->ticket, QB_REPLY_UNAVAILABLE);
        break;
    case QB_APPEND_UNKNOWN: /* the same call again: dedupe decides */
        if (t->is_proposal)
            qb_ticket_answer(a, effects, event->ticket, QB_REPLY_UNAVAILABLE); /* or a new one */
        else
            qb_ticket_call(a, effects, event->ticket, t->is_mark);
        break;
    }
}

static void take_heard(struct qb_auctioneer *a, const struct qb_event *event)
{
    struct qb_slot *slot = &a->slots[event->lot];

    if (slot->is_halted) return;
    if (event->entry->seq != slot->lot.seq + 1) return; /* known, or a gap that the caller fills */
    struct qb_verdict verdict = fold(a, event->lot, event->entry);
    uint32_t ticket = qb_ticket_take(a, true);
    if (ticket == QB_NO_TICKET) {
        slot->skipped = event->entry->seq;
    } else {
        struct qb_ticket *t = &a->tickets[ticket];
        t->entry = *event->entry;
        t->entry.rules = NULL; /* the caller's, and nobody asks */
        t->lot = event->lot;
        t->seq = event->entry->seq;
        t->state = QB_TICKET_LOGGED;
        t->verdict = verdict;
        t->moment = qb_lot_moment_of(&slot->lot);
        t->is_folded = true;
        qb_ticket_append(a, &slot->logged, ticket);
    }
    qb_busy_add(a, event->lot); /* it may be durable already */
}

static void take_found(struct qb_auctioneer *a, const struct qb_event *event,
                       struct qb_effects *effects)
{
    struct qb_ticket *t = &a->tickets[event->ticket];

    QB_ASSERT(t->state == QB_TICKET_LOOKING);
    a->slots[t->lot].looking--;
    if (event->verdict == NULL) {
        qb_ticket_answer(a, effects, event->ticket, QB_REPLY_UNAVAILABLE);
        return;
    }
    t->verdict = *event->verdict;
    qb_ticket_answer(a, effects, event->ticket,
                     t->verdict.code == QB_VERDICT_VOID ? QB_REPLY_VOID : QB_REPLY_VERDICT);
}

static void take_halt(struct qb_auctioneer *a, uint32_t lot)
{
    QB_ASSERT(lot < a->options.lots_max);
    QB_ASSERT(a->slots[lot].is_used);
    a->slots[lot].is_halted = true;
    qb_due_change(a, lot, FOREVER);
    qb_busy_add(a, lot);
}

void qb_auctioneer_step(struct qb_auctioneer *a, const struct qb_event *event,
                        struct qb_effects *effects)
{
    effects->count = 0;
    effects->is_more = false;
    qb_ticket_recycle(a);
    if (event->now_us > a->now_us) a->now_us = event->now_us;
    switch ((enum qb_event_kind)event->kind) {
    case QB_EVENT_COMMAND:
    case QB_EVENT_RESOLVE:
        QB_ASSERT(event->lot < a->options.lots_max);
        QB_ASSERT(a->slots[event->lot].is_used);
        take_command(a, event, effects);
        break;
    case QB_EVENT_APPENDED:
        take_appended(a, event, effects);
        break;
    case QB_EVENT_HEARD:
        take_heard(a, event);
        break;
    case QB_EVENT_DURABLE:
        QB_ASSERT(event->lot < a->options.lots_max);
        if (event->seq > a->slots[event->lot].durable) a->slots[event->lot].durable = event->seq;
        qb_busy_add(a, event->lot);
        break;
    case QB_EVENT_HALT:
        take_halt(a, event->lot);
        break;
    case QB_EVENT_FOUND:
        take_found(a, event, effects);
        break;
    case QB_EVENT_TICK:
    case QB_EVENT_MORE:
        qb_slots_tick(a, effects);
        break;
    }
    qb_slots_pump(a, effects);
}
