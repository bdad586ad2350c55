#include <string.h>

#include "base/assert.h"
#include "bidding/auctioneer_state.h"

/* Within this of the start a bid is appended rather than refused early: the estimate of the
 * ledger's clock may be off by as much (reliability.md P1). */
#define START_TOLERANCE_US INT64_C(5000)

/* What a seller may still add to a log that bidders have filled. */
#define SELLER_ENTRIES 100

#define FOREVER INT64_MAX

struct qb_effect *qb_effect_emit(struct qb_effects *effects, enum qb_effect_kind kind, uint32_t lot)
{
    QB_ASSERT(effects->count < QB_EFFECTS_MAX);
    struct qb_effect *effect = &effects->list[effects->count++];
    (void)memset(effect, 0, sizeof *effect);
    effect->kind = (uint8_t)kind;
    effect->lot = lot;
    return effect;
}

bool qb_effect_has_room(const struct qb_effects *effects)
{
    return effects->count + EFFECTS_PER_TICKET <= QB_EFFECTS_MAX;
}

/* A final answer: the ticket is given back. */
void qb_ticket_answer(struct qb_auctioneer *a, struct qb_effects *effects, uint32_t ticket,
                      enum qb_reply_kind reply)
{
    struct qb_ticket *t = &a->tickets[ticket];
    struct qb_slot *slot = &a->slots[t->lot];

    if (t->is_proposal && !slot->is_halted) {
        slot->is_proposing = false;
        qb_time_us due_us = FOREVER;
        if (slot->lot.status == QB_STATUS_OPEN) {
            due_us = slot->lot.ends_at_us + slot->lot.rules.drain_us;
            if (due_us < a->now_us + PROPOSE_AGAIN_US) due_us = a->now_us + PROPOSE_AGAIN_US;
        }
        qb_due_change(a, t->lot, due_us);
    }
    if (t->waiter != 0) {
        struct qb_effect *effect = qb_effect_emit(effects, QB_EFFECT_REPLY, t->lot);
        effect->reply = (uint8_t)reply;
        effect->waiter = t->waiter;
        effect->seq = t->seq;
        effect->verdict = t->verdict;
        effect->verdict.refusal = t->refusal != 0 ? t->refusal : t->verdict.refusal;
        effect->entry = &t->entry;
    }
    qb_ticket_give(a, ticket);
}

void qb_ticket_call(struct qb_auctioneer *a, struct qb_effects *effects, uint32_t ticket,
                    bool is_mark)
{
    struct qb_ticket *t = &a->tickets[ticket];
    struct qb_slot *slot = &a->slots[t->lot];
    struct qb_effect *effect =
        qb_effect_emit(effects, is_mark ? QB_EFFECT_MARK : QB_EFFECT_APPEND, t->lot);

    t->state = QB_TICKET_CALLING;
    t->is_mark = is_mark;
    slot->calling++;
    effect->ticket = ticket;
    effect->entry = &t->entry;
    effect->expires_us = a->now_us + (t->is_proposal ? PROPOSAL_EXPIRES_US : a->options.expires_us);
    if (is_mark) {
        t->seq = slot->lot.seq;
        effect->seq = t->seq;
        effect->refusal = t->refusal;
    }
}

/* The stamp that the fold would use if the entry were appended now. */
static qb_time_us estimate_t(const struct qb_auctioneer *a, const struct qb_lot *lot,
                             const struct qb_entry *entry)
{
    struct qb_entry probe = *entry;

    probe.now_us = a->now_us > lot->now_us ? a->now_us : lot->now_us;
    return qb_lot_effective_time(lot, &probe);
}

void qb_ticket_describe(const struct qb_lot *lot, struct qb_ticket *t)
{
    t->verdict.code = QB_VERDICT_REFUSED;
    t->verdict.refusal = t->refusal;
    t->verdict.price = lot->price;
    t->verdict.minimum = qb_lot_minimum(lot);
    t->verdict.leader = lot->leader;
    t->verdict.ends_at_us = lot->ends_at_us;
    t->verdict.bids = lot->bids;
    t->verdict.status = lot->status;
}

/* How long the log may grow by commands such as this. Staff and the CLOSE always have a place. */
static uint64_t entries_max(const struct qb_auctioneer *a, const struct qb_ticket *t)
{
    if (t->entry.by == QB_ACTOR_BIDDER || t->is_resolve) return a->options.entries_max;
    if (t->entry.by == QB_ACTOR_SELLER) return a->options.entries_max + SELLER_ENTRIES;
    return UINT64_MAX;
}

enum qb_admission qb_ticket_admit(const struct qb_auctioneer *a, const struct qb_slot *slot,
                                  struct qb_ticket *t)
{
    const struct qb_lot *lot = &slot->lot;
    bool is_bid = t->entry.type == QB_ENTRY_BID || t->entry.type == QB_ENTRY_BUY_NOW;
    qb_time_us t_us = is_bid ? estimate_t(a, lot, &t->entry) : a->now_us;

    t->refusal = QB_REFUSAL_NONE;
    t->verdict.t_us = t_us;
    if (t->entry.type == QB_ENTRY_OPEN) return QB_ADMIT_APPEND;
    if (qb_lot_is_over(lot)) {
        t->refusal = lot->status == QB_STATUS_CANCELLED ? QB_REFUSAL_CANCELLED : QB_REFUSAL_ENDED;
        qb_ticket_describe(lot, t);
        return QB_ADMIT_MARK;
    }
    if (lot->seq >= entries_max(a, t)) {
        t->refusal = QB_REFUSAL_FULL;
        qb_ticket_describe(lot, t);
        return QB_ADMIT_MARK;
    }
    if (!is_bid) return QB_ADMIT_APPEND;

    enum qb_refusal refusal = qb_lot_judge(lot, &t->entry, t_us);
    if (refusal == QB_REFUSAL_NONE) return QB_ADMIT_APPEND;
    if (refusal == QB_REFUSAL_ENDED) return QB_ADMIT_HOLD; /* by the clock: only a CLOSE decides */
    if (refusal == QB_REFUSAL_NOT_STARTED &&
        a->now_us >= lot->rules.starts_at_us - START_TOLERANCE_US) {
        return QB_ADMIT_APPEND;
    }
    t->refusal = (uint8_t)refusal;
    qb_ticket_describe(lot, t);
    return QB_ADMIT_MARK;
}
