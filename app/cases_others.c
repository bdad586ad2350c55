/*
 * Clock cases drive the auctioneer's step over a ledger that answers at once; payment cases walk
 * the payment table.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "app/cases_parts.h"
#include "base/assert.h"
#include "base/clock.h"
#include "bidding/auctioneer.h"
#include "bidding/payment.h"

#define ARRIVALS_MAX 200
#define AUCTION      1
#define SELLER       1000

struct arrival {
    const char *name;
    bool is_answered;
    bool was_held;
    struct qb_verdict verdict;
};

struct clock_case {
    struct qb_auctioneer *auctioneer;
    struct qb_effects effects;
    uint32_t lot;
    uint64_t seq;
    qb_time_us now_us;
    struct qb_rules rules;
    struct qb_entry pending[ARRIVALS_MAX * 2]; /* calls that the ledger answers next */
    uint32_t tickets[ARRIVALS_MAX * 2];
    bool is_mark[ARRIVALS_MAX * 2];
    size_t pending_count;
    uint64_t journaled;
    struct arrival arrivals[ARRIVALS_MAX + 1]; /* by waiter, from 1 */
    size_t arrival_count;
};

static struct qb_bid_record *no_records(void *context, uint32_t lot, size_t *count)
{
    (void)context;
    (void)lot;
    *count = 0;
    return NULL;
}

static void drop_record(void *context, uint32_t lot, const struct qb_bid_record *record)
{
    (void)context;
    (void)lot;
    (void)record;
}

static void carry_out(struct clock_case *clock, const struct qb_effect *effect)
{
    size_t at = clock->pending_count;

    if (effect->kind == QB_EFFECT_APPEND || effect->kind == QB_EFFECT_MARK) {
        QB_ASSERT(at < QB_COUNT(clock->pending));
        clock->pending[at] = *effect->entry;
        clock->tickets[at] = effect->ticket;
        clock->is_mark[at] = effect->kind == QB_EFFECT_MARK;
        clock->pending_count++;
    } else if (effect->kind == QB_EFFECT_JOURNAL) {
        clock->journaled = effect->seq;
    } else if (effect->kind == QB_EFFECT_REPLY && effect->reply != QB_REPLY_PENDING &&
               effect->waiter > 0 && effect->waiter <= clock->arrival_count) {
        clock->arrivals[effect->waiter].is_answered = true;
        clock->arrivals[effect->waiter].verdict = effect->verdict;
    }
}

static void feed(struct clock_case *clock, struct qb_event *event)
{
    struct qb_event more = {.kind = QB_EVENT_MORE, .now_us = clock->now_us};

    event->now_us = clock->now_us;
    qb_auctioneer_step(clock->auctioneer, event, &clock->effects);
    for (size_t i = 0; i < clock->effects.count; i++) carry_out(clock, &clock->effects.list[i]);
    while (clock->effects.is_more) {
        qb_auctioneer_step(clock->auctioneer, &more, &clock->effects);
        for (size_t i = 0; i < clock->effects.count; i++) carry_out(clock, &clock->effects.list[i]);
    }
}

/* The ledger and the journal answer until nothing is under way. */
static void settle(struct clock_case *clock)
{
    while (clock->pending_count > 0) {
        struct qb_event event = {.kind = QB_EVENT_APPENDED, .ticket = clock->tickets[0]};
        event.epoch = 1;
        event.at_us = clock->now_us;
        event.outcome = clock->is_mark[0] ? QB_APPEND_MARKED : QB_APPEND_DONE;
        if (!clock->is_mark[0]) event.seq = ++clock->seq;
        clock->pending_count--;
        for (size_t i = 0; i < clock->pending_count; i++) {
            clock->pending[i] = clock->pending[i + 1];
            clock->tickets[i] = clock->tickets[i + 1];
            clock->is_mark[i] = clock->is_mark[i + 1];
        }
        feed(clock, &event);
        struct qb_event durable = {
            .kind = QB_EVENT_DURABLE, .lot = clock->lot, .seq = clock->journaled};
        feed(clock, &durable);
    }
}

static void run_until(struct clock_case *clock, qb_time_us until_us)
{
    struct qb_event tick = {.kind = QB_EVENT_TICK};

    for (qb_time_us wake_us = qb_auctioneer_wake_us(clock->auctioneer); wake_us <= until_us;
         wake_us = qb_auctioneer_wake_us(clock->auctioneer)) {
        if (wake_us > clock->now_us) clock->now_us = wake_us;
        feed(clock, &tick);
        settle(clock);
    }
    if (until_us > clock->now_us) clock->now_us = until_us;
}

static bool read_rules(struct clock_case *clock, const struct qb_json *settings)
{
    clock->rules = (struct qb_rules){
        .version = QB_RULES_VERSION,
        .kind = QB_AUCTION_ENGLISH,
        .currency = "USD",
        .seller = SELLER,
        .tick = 1,
        .cap = QB_AMOUNT_MAX,
        .start_price = 100,
        .reserve = QB_AMOUNT_NONE,
        .buy_now = QB_AMOUNT_NONE,
        .drain_us = qb_case_time_us(settings, "drain_ms", 250),
        .table = {.row_count = 1, .rows = {{0, 1}}},
    };
    qb_case_schedule(settings, &clock->rules);
    return qb_case_rules_are_sound(&clock->rules);
}

static void open(struct clock_case *clock)
{
    struct qb_lot lot = {.auction = AUCTION, .price = QB_AMOUNT_NONE, .final_price = -1};
    struct qb_entry entry = {.auction = AUCTION,
                             .type = QB_ENTRY_OPEN,
                             .max = QB_AMOUNT_NONE,
                             .allowance = -1,
                             .rules = &clock->rules};
    clock->lot = qb_auctioneer_add(clock->auctioneer, &lot);
    struct qb_event event = {.kind = QB_EVENT_COMMAND, .lot = clock->lot, .entry = &entry};
    feed(clock, &event);
    settle(clock);
}

static void arrive(struct clock_case *clock, const struct qb_json *arrival)
{
    size_t waiter = ++clock->arrival_count;
    const struct qb_json *recv = qb_json_member(arrival, "recv");
    struct qb_entry bid = {
        .auction = AUCTION,
        .type = QB_ENTRY_BID,
        .by = QB_ACTOR_BIDDER,
        .bidder = waiter,
        .actor = waiter,
        .max = qb_case_int(arrival, "max", 1000 * (int64_t)waiter),
        .currency = "USD",
        .allowance = -1,
    };

    clock->arrivals[waiter].name = qb_case_text(arrival, "bid", "");
    run_until(clock, qb_case_time_us(arrival, "auth", 0));
    /* Never later than the ledger's clock when it reaches the auctioneer (rules.md 5.2). */
    bool has_stamp = recv != NULL && qb_json_kind_of(recv) == QB_JSON_INTEGER;
    bid.recv_us = has_stamp ? qb_case_time_us(arrival, "recv", 0) : 0;
    if (bid.recv_us > clock->now_us) bid.recv_us = clock->now_us;
    qb_bid_id(AUCTION, waiter, "key", 3, bid.bid_id);
    struct qb_event event = {
        .kind = QB_EVENT_COMMAND, .lot = clock->lot, .entry = &bid, .waiter = waiter};
    feed(clock, &event);
    settle(clock);
    clock->arrivals[waiter].was_held = !clock->arrivals[waiter].is_answered;
}

static void compare(struct clock_case *clock, const struct qb_json *expect, struct qb_text *why)
{
    const char *name = qb_case_text(expect, "bid", "");
    const char *result = qb_case_text(expect, "result", "");
    const struct arrival *found = NULL;
    bool is_after_hold = qb_case_is_true(expect, "after_hold");
    char seen[40] = "no verdict";

    for (size_t i = 1; i <= clock->arrival_count; i++) {
        if (strcmp(clock->arrivals[i].name, name) == 0) found = &clock->arrivals[i];
    }
    if (found == NULL || !found->is_answered) {
        qb_case_differs(why, name, "result", result, seen);
        return;
    }
    const struct qb_verdict *verdict = &found->verdict;
    bool is_refused = verdict->code == QB_VERDICT_REFUSED;
    (void)memcpy(seen, "ACCEPT", 7);
    if (is_refused) {
        const char *code = qb_refusal_code((enum qb_refusal)verdict->refusal);
        (void)memcpy(seen, "REJECT_", 7);
        for (size_t i = 0; i <= strlen(code) && i < 32; i++) {
            seen[7 + i] = (char)(code[i] >= 'a' && code[i] <= 'z' ? code[i] - 32 : code[i]);
        }
    }
    if (strcmp(result, seen) != 0) qb_case_differs(why, name, "result", result, seen);
    int64_t t_ms = qb_case_int(expect, "t_eff", verdict->t_us / QB_MS_US);
    if (t_ms != verdict->t_us / QB_MS_US) {
        qb_case_differs_int(why, name, "t_eff", t_ms, verdict->t_us / QB_MS_US);
    }
    if (is_after_hold && !found->was_held) {
        qb_case_differs(why, name, "after_hold", "held first", "answered at once");
    }
}

bool qb_case_clock(const struct qb_json *one, struct qb_text *why)
{
    const struct qb_auctioneer_options options = {
        .lots_max = 1,
        .tickets_max = ARRIVALS_MAX * 2,
        .held_max = ARRIVALS_MAX,
        .unconfirmed_max = ARRIVALS_MAX * 2,
        .entries_max = 1000000,
        .expires_us = 5 * QB_SECOND_US,
        .pending_us = 2 * QB_SECOND_US,
        .records = {no_records, drop_record, NULL},
    };
    const struct qb_json *arrivals = qb_json_member(one, "arrivals");
    const struct qb_json *expect = qb_json_member(one, "expect");
    struct clock_case *clock = calloc(1, sizeof *clock);
    size_t bytes = (qb_auctioneer_bytes(&options) + 63) / 64 * 64;
    void *memory = aligned_alloc(64, bytes);

    QB_ASSERT(clock != NULL);
    QB_ASSERT(memory != NULL);
    clock->auctioneer = qb_auctioneer_init(memory, &options);
    if (qb_json_count(arrivals) > ARRIVALS_MAX || qb_json_count(expect) == 0) {
        qb_case_differs(why, "case", "arrivals, expect", "at most 200, at least 1", "others");
    } else if (!read_rules(clock, qb_json_member(one, "settings"))) {
        qb_case_differs(why, "settings", "all", "settings that can be read", "others");
    } else {
        open(clock);
        for (size_t i = 0; i < qb_json_count(arrivals); i++) {
            arrive(clock, qb_json_element(arrivals, i));
        }
        run_until(clock, INT64_MAX / 4);
        for (size_t i = 0; i < qb_json_count(expect); i++) {
            compare(clock, qb_json_element(expect, i), why);
        }
    }
    free(memory);
    free(clock);
    return why->length == 0;
}

/* A capture that comes too late leaves the payment as it ended, and the money goes back
 * (rules.md 12). A file may name either: the status, or what becomes of the money. */
static bool is_payment_state(const struct qb_payment_step *step, const char *expected)
{
    const char *seen = qb_payment_status_name(step->status);

    if (expected == NULL || seen == NULL) return false;
    bool is_refund = strcmp(expected, "REFUND_DUE") == 0 || strcmp(expected, "REFUNDED") == 0;
    return strcasecmp(expected, seen) == 0 || (step->must_refund && is_refund);
}

static enum qb_payment_event payment_event(const char *name)
{
    int event = 0;

    while (event < QB_PAYMENT_EVENT_COUNT &&
           strcmp(qb_payment_event_name((enum qb_payment_event)event), name) != 0) {
        event++;
    }
    return (enum qb_payment_event)event;
}

bool qb_case_payment(const struct qb_json *one, struct qb_text *why)
{
    const struct qb_json *events = qb_json_member(one, "events");
    const struct qb_json *states = qb_json_member(one, "states");
    enum qb_payment_status status = QB_PAYMENT_NONE;

    for (size_t i = 0; i < qb_json_count(events); i++) {
        const char *name = qb_json_string(qb_json_element(events, i), NULL);
        const char *expected =
            i < qb_json_count(states) ? qb_json_string(qb_json_element(states, i), NULL) : NULL;
        enum qb_payment_event event = payment_event(name != NULL ? name : "");
        if (event == QB_PAYMENT_EVENT_COUNT) {
            qb_case_differs(why, "event", "name", "a known event", name);
            return false;
        }
        const struct qb_payment_step step = qb_payment_next(status, event);
        status = step.status;
        if (!is_payment_state(&step, expected)) {
            qb_case_differs(why, name, "state", expected, qb_payment_status_name(status));
        }
    }
    if (qb_json_count(events) == 0) qb_case_differs(why, "case", "events", "some", "none");
    return why->length == 0;
}
