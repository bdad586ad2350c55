#include <string.h>

#include "base/assert.h"
#include "base/attributes.h"
#include "bidding/auctioneer_state.h"

#define FOREVER INT64_MAX

/* The exposure of `user` as the newest state has it (rules.md 10). */
static void set_hold(const struct qb_auctioneer *a, struct qb_effects *effects, uint32_t lot,
                     qb_id user)
{
    const struct qb_lot *state = &a->slots[lot].lot;
    bool is_leading = state->leader == user && !qb_lot_is_over(state);

    if (user == 0) return;
    struct qb_effect *effect = qb_effect_emit(effects, QB_EFFECT_HOLD, lot);
    effect->user = user;
    effect->seq = state->seq;
    effect->amount = is_leading ? state->m1 : 0;
}

/* A durable entry of ours: everybody may know now. At most EFFECTS_PER_TICKET effects. */
static void finish(struct qb_auctioneer *a, uint32_t lot, uint32_t ticket,
                   struct qb_effects *effects)
{
    struct qb_slot *slot = &a->slots[lot];
    struct qb_ticket *t = &a->tickets[ticket];
    const struct qb_verdict *verdict = &t->verdict;
    bool is_bidders = t->entry.type == QB_ENTRY_BID || t->entry.type == QB_ENTRY_BUY_NOW;

    if (is_bidders || t->entry.type == QB_ENTRY_RETRACT) set_hold(a, effects, lot, t->entry.bidder);
    if (verdict->outbid != 0) set_hold(a, effects, lot, verdict->outbid);
    if (!is_bidders && verdict->code == QB_VERDICT_DONE) set_hold(a, effects, lot, verdict->leader);
    struct qb_effect *effect = qb_effect_emit(effects, QB_EFFECT_ANNOUNCE, lot);
    effect->seq = t->seq;
    effect->verdict = *verdict;
    effect->moment = t->moment;
    effect->entry = &t->entry;
    effect->is_heard = t->is_heard;
    if (verdict->outbid != 0 && verdict->outbid != t->entry.bidder && !t->is_heard) {
        effect = qb_effect_emit(effects, QB_EFFECT_OUTBID, lot);
        effect->user = verdict->outbid;
        effect->seq = t->seq;
        effect->verdict = *verdict;
    }
    if (verdict->status >= QB_STATUS_SOLD && !slot->is_over_told) {
        slot->is_over_told = true;
        effect = qb_effect_emit(effects, QB_EFFECT_OVER, lot);
        effect->seq = t->seq;
        effect->verdict = *verdict;
        effect->moment = t->moment;
        effect->is_heard = t->is_heard;
    }
    if (t->is_heard) {
        qb_ticket_give(a, ticket);
        return;
    }
    qb_ticket_answer(a, effects, ticket,
                     verdict->code == QB_VERDICT_VOID ? QB_REPLY_VOID : QB_REPLY_VERDICT);
}

/* Heard entries that got no ticket: once they are durable, the newest state is announced, unless
 * a later entry does it anyway. */
static void announce_skipped(struct qb_slot *slot, uint32_t lot, struct qb_effects *effects)
{
    if (slot->skipped == 0 || slot->skipped > slot->durable || slot->is_halted) return;
    if (slot->skipped != slot->lot.seq) {
        slot->skipped = 0;
        return;
    }
    slot->skipped = 0;
    struct qb_effect *effect = qb_effect_emit(effects, QB_EFFECT_ANNOUNCE, lot);
    effect->seq = slot->lot.seq;
    effect->verdict.is_public_change = true;
    effect->moment = qb_lot_moment_of(&slot->lot);
    if (!qb_lot_is_over(&slot->lot) || slot->is_over_told) return;
    slot->is_over_told = true;
    effect = qb_effect_emit(effects, QB_EFFECT_OVER, lot);
    effect->seq = slot->lot.seq;
    effect->moment = qb_lot_moment_of(&slot->lot);
    effect->is_heard = true;
}

/* One pass over the waiting ones: those whose seq is durable leave. False: no room for all. */
static bool answer_waiting(struct qb_auctioneer *a, struct qb_slot *slot,
                           struct qb_effects *effects)
{
    for (uint32_t left = slot->waiting.count; left > 0; left--) {
        if (!qb_effect_has_room(effects)) return false;
        uint32_t ticket = qb_ticket_pop(a, &slot->waiting);
        struct qb_ticket *t = &a->tickets[ticket];
        if (t->seq > slot->durable) {
            qb_ticket_append(a, &slot->waiting, ticket);
        } else if (t->answer == QB_REPLY_VERDICT) {
            t->state = QB_TICKET_LOOKING;
            slot->looking++;
            struct qb_effect *effect = qb_effect_emit(effects, QB_EFFECT_LOOKUP, t->lot);
            effect->ticket = ticket;
            effect->seq = t->seq;
        } else {
            qb_ticket_answer(a, effects, ticket, (enum qb_reply_kind)t->answer);
        }
    }
    return true;
}

/* One pass over the held ones in order of arrival, after the end or the status changed. */
static bool release_held(struct qb_auctioneer *a, struct qb_slot *slot, struct qb_effects *effects)
{
    for (uint32_t left = slot->held.count; left > 0; left--) {
        if (!qb_effect_has_room(effects)) return false;
        uint32_t ticket = qb_ticket_pop(a, &slot->held);
        struct qb_ticket *t = &a->tickets[ticket];
        qb_time_us held_t_us = t->verdict.t_us;
        enum qb_admission admission = qb_ticket_admit(a, slot, t);
        if (admission == QB_ADMIT_HOLD) {
            qb_ticket_append(a, &slot->held, ticket);
            continue;
        }
        a->held--;
        if (admission == QB_ADMIT_MARK) t->verdict.t_us = held_t_us;
        qb_ticket_call(a, effects, ticket, admission == QB_ADMIT_MARK);
    }
    slot->must_release = false;
    return true;
}

/* Of a halted auction nothing that is under way is told as done: its entries end beside the record.
 * False: no room for all. */
static bool turn_away(struct qb_auctioneer *a, struct qb_slot *slot, struct qb_effects *effects)
{
    struct qb_ticket_list *lists[] = {&slot->logged, &slot->waiting, &slot->held};

    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        while (lists[i]->count > 0) {
            if (!qb_effect_has_room(effects)) return false;
            uint32_t ticket = qb_ticket_pop(a, lists[i]);
            if (lists[i] == &slot->held) a->held--;
            a->tickets[ticket].refusal = QB_REFUSAL_NONE;
            qb_ticket_answer(a, effects, ticket, QB_REPLY_UNAVAILABLE);
        }
    }
    return true;
}

/* Work of the slots that have some, as far as the effects have room. */
void qb_slots_pump(struct qb_auctioneer *a, struct qb_effects *effects)
{
    while (a->busy_first != QB_LOT_NOWHERE && qb_effect_has_room(effects)) {
        uint32_t lot = qb_busy_pop(a);
        struct qb_slot *slot = &a->slots[lot];
        bool is_done = !slot->is_halted || turn_away(a, slot, effects);
        while (is_done && slot->logged.count > 0) {
            struct qb_ticket *t = &a->tickets[slot->logged.first];
            if (!t->is_folded || t->seq > slot->durable) break;
            if (qb_effect_has_room(effects))
                finish(a, lot, qb_ticket_pop(a, &slot->logged), effects);
            else
                is_done = false;
        }
        if (is_done) is_done = qb_effect_has_room(effects);
        if (is_done) announce_skipped(slot, lot, effects);
        if (is_done) is_done = answer_waiting(a, slot, effects);
        if (is_done && slot->must_release) is_done = release_held(a, slot, effects);
        if (!is_done) qb_busy_add(a, lot);
    }
    if (a->busy_first != QB_LOT_NOWHERE) effects->is_more = true;
}

/* Whether the end may be proposed now. One that fell into an outage is put off: nobody could bid
 * (reliability.md P9). */
static bool may_propose(struct qb_auctioneer *a, uint32_t lot)
{
    const struct qb_auctioneer_outages *outages = &a->options.outages;
    struct qb_slot *slot = &a->slots[lot];

    if (outages->newest == NULL) return true;
    const struct qb_outage outage = outages->newest(outages->context, lot);
    if (outage.is_on) {
        qb_due_change(a, lot, a->now_us + OUTAGE_LOOK_US);
        return false;
    }
    qb_time_us end_us = slot->lot.ends_at_us;
    bool fell_into = end_us >= outage.since_us && end_us <= outage.until_us;
    bool is_late = a->now_us - end_us - slot->lot.rules.drain_us > outages->late_us;
    if (slot->extend_us == 0 && (fell_into || is_late)) slot->extend_us = outages->extend_us;
    return true;
}

/* Timers only propose a close, or an extension before it: the fold decides whether it acts
 * (rules.md 5.7). The same place in the log makes the same id, so that a repeated proposal counts
 * once. */
static void propose(struct qb_auctioneer *a, uint32_t lot, struct qb_effects *effects)
{
    struct qb_slot *slot = &a->slots[lot];
    if (!may_propose(a, lot)) return;
    bool is_extend = slot->extend_us > 0;
    char key[24] = "close-";
    size_t length = 6;
    uint32_t ticket = qb_ticket_take(a, false);

    if (ticket == QB_NO_TICKET) { /* soon again: commands under way end */
        qb_due_change(a, lot, a->now_us + PROPOSE_AGAIN_US);
        return;
    }
    if (is_extend) (void)memcpy(key, "down--", length);
    for (uint64_t rest = slot->lot.seq; length < sizeof key && rest > 0; rest >>= 4) {
        key[length++] = "0123456789abcdef"[rest & 15];
    }
    struct qb_ticket *t = &a->tickets[ticket];
    t->entry.auction = slot->lot.auction;
    t->entry.type = is_extend ? QB_ENTRY_EXTEND : QB_ENTRY_CLOSE;
    t->entry.max = QB_AMOUNT_NONE;
    t->entry.allowance = -1;
    t->entry.end_us = is_extend ? a->now_us + slot->extend_us : 0;
    qb_bid_id(slot->lot.auction, 0, key, length, t->entry.bid_id);
    t->lot = lot;
    t->is_proposal = true;
    slot->is_proposing = true;
    qb_due_change(a, lot, FOREVER);
    qb_ticket_call(a, effects, ticket, false);
}

void qb_slots_tick(struct qb_auctioneer *a, struct qb_effects *effects)
{
    while (a->heap_count > 0 && a->slots[a->heap[0]].due_us <= a->now_us) {
        if (!qb_effect_has_room(effects)) {
            effects->is_more = true;
            return;
        }
        propose(a, a->heap[0], effects);
    }
    while (a->oldest != QB_NO_TICKET && a->tickets[a->oldest].told_after_us <= a->now_us) {
        uint32_t ticket = a->oldest;
        if (!qb_effect_has_room(effects)) {
            effects->is_more = true;
            return;
        }
        qb_ticket_unlist(a, ticket);
        if (a->tickets[ticket].waiter == 0) continue;
        struct qb_effect *effect = qb_effect_emit(effects, QB_EFFECT_REPLY, a->tickets[ticket].lot);
        effect->reply = QB_REPLY_PENDING;
        effect->waiter = a->tickets[ticket].waiter;
        effect->entry = &a->tickets[ticket].entry;
    }
}
