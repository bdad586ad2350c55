/*
 * What an auctioneer holds; private to bidding/auctioneer*.c. Everything is indices into two
 * arrays in the caller's memory, so that a step allocates nothing.
 */
#pragma once

#include "bidding/auctioneer.h"

#define QB_NO_TICKET UINT32_MAX

enum qb_ticket_state {
    QB_TICKET_FREE,
    QB_TICKET_HELD,    /* waits for the end to be decided; in the slot's held list */
    QB_TICKET_CALLING, /* an APPEND or MARK is under way */
    QB_TICKET_LOGGED,  /* has its place; in the slot's log list until durable */
    QB_TICKET_WAITING, /* waits for `seq` to be durable; in the slot's waiting list */
    QB_TICKET_LOOKING, /* a LOOKUP is under way */
};

/* One command under way. */
struct qb_ticket {
    struct qb_entry entry;
    struct qb_verdict verdict;   /* LOGGED and folded; t_us also while HELD */
    struct qb_lot_moment moment; /* LOGGED and folded */
    uint64_t waiter;
    uint64_t seq;             /* its place, or what it waits for */
    qb_time_us told_after_us; /* when to say `pending` */
    uint32_t lot;
    uint32_t next;    /* in its slot's list, or the free list */
    uint32_t younger; /* in the list by arrival */
    uint32_t older;
    uint8_t state;  /* enum qb_ticket_state */
    uint8_t answer; /* WAITING: enum qb_reply_kind to give */
    uint8_t refusal;
    bool is_mark; /* CALLING: a MARK */
    bool is_resolve;
    bool is_proposal; /* by the clock; nobody waits */
    bool is_folded;
    bool is_heard;  /* LOGGED: another replica's, which answers for it */
    bool is_listed; /* in the list by arrival */
};

struct qb_ticket_list {
    uint32_t first;
    uint32_t last;
    uint32_t count;
};

/* One auction at home here. */
struct qb_slot {
    struct qb_lot lot;
    uint64_t durable;
    uint64_t skipped; /* the newest heard entry that got no ticket; 0: none */
    struct qb_ticket_list held;
    struct qb_ticket_list logged; /* by seq */
    struct qb_ticket_list waiting;
    uint32_t calling; /* tickets in state CALLING */
    uint32_t looking;
    qb_time_us due_us; /* when to propose the close; INT64_MAX: not */
    int64_t extend_us; /* not the close but that much time is proposed first; 0: none */
    uint32_t heap_at;
    uint32_t busy_next; /* in the list of slots with work left */
    bool is_used;
    bool is_busy;
    bool is_proposing; /* a CLOSE or EXTEND of ours is under way */
    bool must_release; /* the end or the status changed: look at the held ones */
    bool is_over_told;
    bool is_halted; /* whatever is asked or under way is answered UNAVAILABLE; no end is proposed */
};

struct qb_auctioneer {
    struct qb_auctioneer_options options;
    struct qb_slot *slots;
    struct qb_ticket *tickets;
    uint32_t *heap; /* slots by due_us; all that are used */
    uint32_t heap_count;
    uint32_t free_slot_hint;
    struct qb_ticket_list free;
    struct qb_ticket_list freed; /* in this step: effects may point at them until the next */
    uint32_t oldest;             /* tickets by arrival, for `pending` */
    uint32_t youngest;
    uint32_t busy_first;
    uint32_t busy_last;
    uint32_t in_use;
    uint32_t heard; /* of those, others' entries */
    uint32_t held;
    qb_time_us now_us;
};

/* Heap of slots by due_us; nothing of a halted one is ever due. */
void qb_due_add(struct qb_auctioneer *auctioneer, uint32_t lot);
void qb_due_remove(struct qb_auctioneer *auctioneer, uint32_t lot);
void qb_due_change(struct qb_auctioneer *auctioneer, uint32_t lot, qb_time_us due_us);

/* Tickets, for a command or for another replica's entry. Take returns QB_NO_TICKET when none of
 * that kind is left. */
uint32_t qb_ticket_take(struct qb_auctioneer *auctioneer, bool is_heard);
void qb_ticket_give(struct qb_auctioneer *auctioneer, uint32_t ticket);
void qb_ticket_recycle(struct qb_auctioneer *auctioneer);
void qb_ticket_unlist(struct qb_auctioneer *auctioneer, uint32_t ticket);

/* Singly linked lists of tickets. */
void qb_ticket_append(struct qb_auctioneer *auctioneer, struct qb_ticket_list *list,
                      uint32_t ticket);
uint32_t qb_ticket_pop(struct qb_auctioneer *auctioneer, struct qb_ticket_list *list);

/* Slots with work left for a later part of the step, or the next. */
void qb_busy_add(struct qb_auctioneer *auctioneer, uint32_t lot);
uint32_t qb_busy_pop(struct qb_auctioneer *auctioneer);

/* Room that finishing one ticket may need; below it, work waits for the next step. */
#define EFFECTS_PER_TICKET 8

/* How soon what could not be proposed is due again: asking at once would spin. */
#define PROPOSE_AGAIN_US    1000
/* The same while a store is away. */
#define OUTAGE_LOOK_US      100000
/* A proposal is not carried out later: what it rests on would be old, and a ledger that was away
 * for longer is no place to end an auction. */
#define PROPOSAL_EXPIRES_US 1000000

/* One more effect, zero-filled but for kind and lot. */
struct qb_effect *qb_effect_emit(struct qb_effects *effects, enum qb_effect_kind kind,
                                 uint32_t lot);
/* Whether one more ticket may be finished in this step. */
bool qb_effect_has_room(const struct qb_effects *effects);

/* What the newest known state says of a command: into the log, an early refusal, or held back. */
enum qb_admission { QB_ADMIT_APPEND, QB_ADMIT_MARK, QB_ADMIT_HOLD };
enum qb_admission qb_ticket_admit(const struct qb_auctioneer *auctioneer,
                                  const struct qb_slot *slot, struct qb_ticket *ticket);
/* What would do, beside the refusal of the ticket. */
void qb_ticket_describe(const struct qb_lot *lot, struct qb_ticket *ticket);
/* Gives the command (or its early refusal) to the ledger. */
void qb_ticket_call(struct qb_auctioneer *auctioneer, struct qb_effects *effects, uint32_t ticket,
                    bool is_mark);
/* A final answer: the ticket is given back. */
void qb_ticket_answer(struct qb_auctioneer *auctioneer, struct qb_effects *effects, uint32_t ticket,
                      enum qb_reply_kind reply);

/* Work of the slots that have some, and what is due, as far as the effects have room. */
void qb_slots_pump(struct qb_auctioneer *auctioneer, struct qb_effects *effects);
void qb_slots_tick(struct qb_auctioneer *auctioneer, struct qb_effects *effects);
