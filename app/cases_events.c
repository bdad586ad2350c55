/*
 * Event cases: settings make OPEN, each event an entry, and after each the whole visible state is
 * compared. Keys go through the ids of a small ledger, as rules.md 7 says.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/cases_parts.h"
#include "base/assert.h"
#include "base/clock.h"
#include "bidding/lot.h"

#define STEPS_MAX 4096
#define NAMES_MAX (STEPS_MAX + 1) /* the seller, and one bidder a step */
#define AUCTION   1

struct remembered { /* the first answer to a key */
    uint8_t bid_id[QB_BID_ID_BYTES];
    uint64_t asked;
    char result[40];
};

struct auction {
    struct qb_lot lot;
    struct qb_rules rules;
    const char *names[NAMES_MAX]; /* the file's; bidder id is the place + 1 */
    size_t name_count;
    struct qb_bid_record records[STEPS_MAX];
    size_t record_count;
    uint64_t accepted_seqs[STEPS_MAX]; /* entry of the n-th acceptance */
    size_t accepted_count;
    struct remembered remembered[STEPS_MAX];
    size_t remembered_count;
    const struct qb_json *limits;
};

static qb_id id_of(struct auction *auction, const char *name)
{
    for (size_t i = 0; i < auction->name_count; i++) {
        if (strcmp(auction->names[i], name) == 0) return i + 1;
    }
    QB_ASSERT(auction->name_count < NAMES_MAX);
    auction->names[auction->name_count] = name;
    return ++auction->name_count;
}

static const char *name_of(const struct auction *auction, qb_id id)
{
    return id == 0 ? NULL : auction->names[id - 1];
}

static bool read_rules(struct auction *auction, const struct qb_json *file,
                       const struct qb_json *settings)
{
    struct qb_rules *rules = &auction->rules;
    const char *currency = qb_case_text(settings, "currency", "USD");

    *rules = (struct qb_rules){
        .version = QB_RULES_VERSION,
        .kind = QB_AUCTION_ENGLISH,
        .is_without_reserve = qb_case_is_true(settings, "without_reserve"),
        .seller = id_of(auction, qb_case_text(settings, "seller", "SELLER")),
        .tick = qb_case_int(settings, "tick", 1),
        .cap = QB_AMOUNT_MAX,
        .start_price = qb_case_int(settings, "start_price", 1),
        .reserve = qb_case_int(settings, "reserve_price", QB_AMOUNT_NONE),
        .buy_now = qb_case_int(settings, "buy_now_price", QB_AMOUNT_NONE),
        .min_resume_us = qb_case_time_us(settings, "min_resume_ms", 120000),
        .secret = {1},
    };
    qb_case_schedule(settings, rules);
    if (strlen(currency) != 3) return false;
    (void)memcpy(rules->currency, currency, sizeof rules->currency);
    if (strcmp(qb_case_text(settings, "self_raise", ""), "hold") == 0) {
        rules->self_raise = QB_SELF_RAISE_HOLD;
    }
    if (strcmp(qb_case_text(settings, "retraction", ""), "no_revive") == 0) {
        rules->retraction = QB_RETRACTION_NO_REVIVE;
    }
    if (strcmp(qb_case_text(settings, "reserve_style", ""), "show_max") == 0) {
        rules->reserve_style = QB_RESERVE_SHOW_MAX;
    }
    auction->limits = qb_json_member(settings, "exposure_limits");
    return qb_case_table(file, settings, "increment_table", &rules->table) &&
           qb_case_rules_are_sound(rules);
}

static struct qb_verdict append(struct auction *auction, struct qb_entry *entry, qb_time_us t_us)
{
    entry->auction = AUCTION;
    entry->epoch = 1;
    entry->seq = auction->lot.seq + 1;
    entry->now_us = t_us;
    struct qb_verdict verdict =
        qb_lot_fold(&auction->lot, entry, auction->records, auction->record_count);
    struct qb_bid_record *record = &auction->records[auction->record_count];
    if (qb_bid_record_of(entry, &verdict, record)) {
        auction->record_count++;
        if (record->is_live) auction->accepted_seqs[auction->accepted_count++] = entry->seq;
    }
    return verdict;
}

static void close_if_due(struct auction *auction, qb_time_us t_us)
{
    struct qb_entry close = {.type = QB_ENTRY_CLOSE, .max = QB_AMOUNT_NONE, .allowance = -1};
    bool is_due = auction->lot.status == QB_STATUS_OPEN &&
                  t_us >= auction->lot.ends_at_us + auction->rules.drain_us;

    if (is_due) (void)append(auction, &close, t_us);
}

/* Every op of the format, the entry it makes and its result when it has effect. */
static const struct op {
    const char *name;
    enum qb_entry_type type;
    const char *result;
} ops[] = {
    {"bid", QB_ENTRY_BID, NULL},
    {"buy_now", QB_ENTRY_BUY_NOW, "SOLD_BUY_NOW"},
    {"void", QB_ENTRY_VOID, "VOIDED"},
    {"retract", QB_ENTRY_RETRACT, "RETRACTED"},
    {"block", QB_ENTRY_BLOCK, "BLOCKED"},
    {"unblock", QB_ENTRY_UNBLOCK, "UNBLOCKED"},
    {"lower_reserve", QB_ENTRY_RESERVE, "RESERVE_LOWERED"},
    {"pause", QB_ENTRY_PAUSE, "PAUSED"},
    {"resume", QB_ENTRY_RESUME, "RESUMED"},
    {"cancel", QB_ENTRY_CANCEL, "CANCELLED"},
    {"extend", QB_ENTRY_EXTEND, "EXTENDED"},
};

static const struct op *find_op(const char *name)
{
    for (size_t i = 0; i < QB_COUNT(ops); i++) {
        if (strcmp(ops[i].name, name) == 0) return &ops[i];
    }
    return NULL;
}

static uint64_t target_of(const struct auction *auction, const struct qb_json *event)
{
    int64_t number = qb_case_int(event, "seq", 0); /* counts acceptances from 1 */

    if (number < 1 || (size_t)number > auction->accepted_count) return number == 0 ? 0 : UINT64_MAX;
    return auction->accepted_seqs[number - 1];
}

static void make_entry(struct auction *auction, const struct op *op, const struct qb_json *event,
                       struct qb_entry *entry)
{
    const char *bidder = qb_case_text(event, "bidder", NULL);
    const char *currency = qb_case_text(event, "currency", auction->rules.currency);
    const char *by = qb_case_text(event, "by", "ADMIN");
    bool is_bid = op->type == QB_ENTRY_BID || op->type == QB_ENTRY_BUY_NOW;

    *entry = (struct qb_entry){
        .type = (uint8_t)op->type,
        .by = is_bid || op->type == QB_ENTRY_RETRACT ? QB_ACTOR_BIDDER : QB_ACTOR_ADMIN,
        .reason = op->type == QB_ENTRY_RETRACT ? QB_RETRACT_WRONG_AMOUNT : 0,
        .bidder = bidder != NULL ? id_of(auction, bidder) : 0,
        .max = QB_AMOUNT_NONE,
        .allowance = -1,
        .target_seq = op->type == QB_ENTRY_VOID ? target_of(auction, event) : 0,
        .end_us = qb_case_time_us(event, "ends_at", 0),
    };
    if (op->type == QB_ENTRY_CANCEL && strcmp(by, "SELLER") == 0) entry->by = QB_ACTOR_SELLER;
    if (op->type == QB_ENTRY_RETRACT && strcmp(by, "SELLER") == 0) entry->by = QB_ACTOR_SELLER;
    if (op->type == QB_ENTRY_BID) entry->max = qb_case_int(event, "max", 0);
    if (op->type == QB_ENTRY_BUY_NOW) {
        entry->max = qb_case_int(event, "price", auction->rules.buy_now);
    }
    if (op->type == QB_ENTRY_RESERVE) entry->max = qb_case_int(event, "reserve_price", 0);
    if (is_bid && strlen(currency) == 3) (void)memcpy(entry->currency, currency, 4);
    if (is_bid && bidder != NULL) entry->allowance = qb_case_int(auction->limits, bidder, -1);
}

static void result_of(const struct op *op, const struct qb_verdict *verdict, char result[40])
{
    struct qb_text text = {0};

    if (verdict->code == QB_VERDICT_REFUSED) {
        qb_text_format(&text, "REJECT_%s", qb_refusal_code((enum qb_refusal)verdict->refusal));
    } else if (op->result != NULL) {
        qb_text_string(&text, op->result);
    } else {
        qb_text_string(&text, qb_verdict_name((enum qb_verdict_code)verdict->code));
    }
    size_t length = text.length < 39 ? text.length : 39;
    for (size_t i = 0; i < length; i++) {
        char c = text.bytes[i];
        result[i] = (char)(c >= 'a' && c <= 'z' ? c - 32 : c);
    }
    result[length] = '\0';
    qb_text_fini(&text);
}

static struct remembered *recall(struct auction *auction, const uint8_t bid_id[QB_BID_ID_BYTES])
{
    for (size_t i = 0; i < auction->remembered_count; i++) {
        struct remembered *one = &auction->remembered[i];
        if (memcmp(one->bid_id, bid_id, QB_BID_ID_BYTES) == 0) return one;
    }
    return NULL;
}

static void run_event(struct auction *auction, const struct op *op, const struct qb_json *event,
                      char result[40], bool *is_replayed)
{
    const char *key = qb_case_text(event, "key", NULL);
    struct qb_entry entry;

    make_entry(auction, op, event, &entry);
    if (key != NULL) {
        qb_bid_id(AUCTION, entry.bidder, key, strnlen(key, QB_KEY_BYTES_MAX), entry.bid_id);
        const struct remembered *first = recall(auction, entry.bid_id);
        if (first != NULL) {
            *is_replayed = first->asked == qb_entry_asked(&entry);
            const char *told = *is_replayed ? first->result : "REJECT_KEY_REUSED";
            (void)memcpy(result, told, strlen(told) + 1);
            return;
        }
    }
    struct qb_verdict verdict = append(auction, &entry, qb_case_time_us(event, "t", 0));
    result_of(op, &verdict, result);
    if (key == NULL) return;
    struct remembered *first = &auction->remembered[auction->remembered_count++];
    (void)memcpy(first->bid_id, entry.bid_id, QB_BID_ID_BYTES);
    first->asked = qb_entry_asked(&entry);
    (void)memcpy(first->result, result, 40);
}

/* Compares a member of `expect` that is an integer or null. */
static void compare_int(const struct qb_json *expect, const char *name, int64_t seen,
                        const char *where, struct qb_text *why)
{
    const struct qb_json *member = qb_json_member(expect, name);

    if (member == NULL) return;
    int64_t expected = qb_case_int(expect, name, QB_AMOUNT_NONE);
    if (expected != seen) qb_case_differs_int(why, where, name, expected, seen);
}

static void compare_text(const struct qb_json *expect, const char *name, const char *seen,
                         const char *where, struct qb_text *why)
{
    if (qb_json_member(expect, name) == NULL) return;
    const char *expected = qb_case_text(expect, name, NULL);
    bool is_same =
        expected == NULL || seen == NULL ? expected == seen : strcmp(expected, seen) == 0;
    if (!is_same) qb_case_differs(why, where, name, expected, seen);
}

static void compare_bool(const struct qb_json *expect, const char *name, bool seen,
                         const char *where, struct qb_text *why)
{
    bool expected = qb_case_is_true(expect, name);

    if (qb_json_member(expect, name) == NULL) return;
    if (expected != seen) {
        qb_case_differs(why, where, name, expected ? "true" : "false", seen ? "true" : "false");
    }
}

static const char *state_name(const struct qb_lot *lot, qb_time_us t_us)
{
    static const char *const names[] = {
        [QB_STATUS_NONE] = "DRAFT",    [QB_STATUS_OPEN] = "OPEN",
        [QB_STATUS_PAUSED] = "PAUSED", [QB_STATUS_SOLD] = "SOLD",
        [QB_STATUS_UNSOLD] = "UNSOLD", [QB_STATUS_CANCELLED] = "CANCELLED"};
    bool is_early = lot->status == QB_STATUS_OPEN && t_us < lot->rules.starts_at_us;

    return is_early ? "SCHEDULED" : names[lot->status];
}

static void compare_reserve(const struct qb_lot *lot, const struct qb_json *expect,
                            const char *where, struct qb_text *why)
{
    static const char *const names[] = {NULL, "false", "true"};
    const struct qb_json *member = qb_json_member(expect, "reserve_met");
    bool is_met = false;

    if (member == NULL) return;
    const char *expected = NULL;
    if (qb_json_bool(member, &is_met)) expected = is_met ? "true" : "false";
    const char *seen = names[qb_lot_reserve_state(lot)];
    bool is_same =
        expected == NULL || seen == NULL ? expected == seen : strcmp(expected, seen) == 0;
    if (!is_same) qb_case_differs(why, where, "reserve_met", expected, seen);
}

static void compare_state(const struct auction *auction, const struct qb_json *expect,
                          qb_time_us t_us, const char *where, struct qb_text *why)
{
    const struct qb_lot *lot = &auction->lot;

    compare_text(expect, "state", state_name(lot, t_us), where, why);
    compare_int(expect, "price", lot->price, where, why);
    compare_text(expect, "leader", name_of(auction, lot->leader), where, why);
    compare_int(expect, "min_next", qb_lot_minimum(lot), where, why);
    compare_reserve(lot, expect, where, why);
    compare_bool(expect, "buy_now_available", qb_lot_is_buy_now_open(lot), where, why);
    compare_int(expect, "ends_at", lot->ends_at_us / QB_MS_US, where, why);
    compare_int(expect, "extensions", lot->extensions, where, why);
}

static void compare_final(struct auction *auction, const struct qb_json *final, struct qb_text *why)
{
    static const char *const outcomes[] = {NULL,      "HIGH_BID",        "BUY_NOW",
                                           "NO_BIDS", "RESERVE_NOT_MET", "CANCELLED"};
    const struct qb_lot *lot = &auction->lot;
    const struct qb_json *chance = qb_json_member(final, "second_chance");
    int64_t offer = QB_AMOUNT_NONE;

    compare_text(final, "state", state_name(lot, INT64_MAX), "final", why);
    compare_text(final, "outcome", outcomes[lot->outcome], "final", why);
    compare_text(final, "winner", name_of(auction, lot->winner), "final", why);
    compare_int(final, "final_price", lot->final_price, "final", why);
    if (chance == NULL) return;
    const struct qb_json *first = qb_json_count(chance) > 0 ? qb_json_element(chance, 0) : NULL;
    qb_id bidder = qb_lot_second_chance(lot, auction->records, auction->record_count, &offer);
    const char *seen = name_of(auction, bidder);
    const char *expected = first != NULL ? qb_case_text(first, "bidder", NULL) : NULL;
    bool is_same =
        expected == NULL || seen == NULL ? expected == seen : strcmp(expected, seen) == 0;
    if (!is_same) qb_case_differs(why, "final", "second_chance", expected, seen);
    if (first != NULL) compare_int(first, "price", offer, "final second_chance", why);
}

static void run_steps(struct auction *auction, const struct qb_json *steps, struct qb_text *why)
{
    for (size_t i = 0; i < qb_json_count(steps); i++) {
        const struct qb_json *event = qb_json_member(qb_json_element(steps, i), "event");
        const struct qb_json *expect = qb_json_member(qb_json_element(steps, i), "expect");
        const char *name = qb_case_text(event, "op", "");
        const struct op *op = find_op(name);
        qb_time_us t_us = qb_case_time_us(event, "t", 0);
        bool is_replayed = false;
        char result[40] = "OK";
        char where[64];
        (void)snprintf(where, sizeof where, "step %zu (%.20s)", i + 1, name);
        close_if_due(auction, t_us);
        if (op == NULL && strcmp(name, "clock") != 0) {
            qb_case_differs(why, where, "op", "a known op", name);
            return;
        }
        if (op != NULL) run_event(auction, op, event, result, &is_replayed);
        compare_text(expect, "result", result, where, why);
        compare_bool(expect, "replayed", is_replayed, where, why);
        compare_state(auction, expect, t_us, where, why);
    }
}

bool qb_case_events(const struct qb_json *file, const struct qb_json *one, struct qb_text *why)
{
    struct auction *auction = calloc(1, sizeof *auction);
    const struct qb_json *steps = qb_json_member(one, "steps");
    struct qb_entry open = {.type = QB_ENTRY_OPEN, .max = QB_AMOUNT_NONE, .allowance = -1};

    QB_ASSERT(auction != NULL);
    if (steps == NULL && qb_json_member(one, "final") == NULL) {
        qb_case_differs(why, "case", "steps", "steps or a final state", "neither");
    } else if (qb_json_count(steps) >= STEPS_MAX ||
               !read_rules(auction, file, qb_json_member(one, "settings"))) {
        qb_case_differs(why, "settings", "all", "settings that can be read", "others");
    } else {
        open.rules = &auction->rules;
        auction->lot.price = QB_AMOUNT_NONE;
        (void)append(auction, &open, 0);
        run_steps(auction, steps, why);
        close_if_due(auction, INT64_MAX / 4);
        compare_final(auction, qb_json_member(one, "final"), why);
    }
    free(auction);
    return why->length == 0;
}

bool qb_case_vector(const struct qb_json *file, const struct qb_json *vectors,
                    const struct qb_json *row, struct qb_text *why)
{
    struct qb_rules rules = {.tick = 1, .cap = QB_AMOUNT_MAX};

    if (!qb_case_table(file, vectors, "table", &rules.table)) {
        qb_case_differs(why, "vectors", "table", "a known table", "none");
        return false;
    }
    rules.start_price = qb_case_int(row, "start", 1);
    rules.reserve = qb_case_int(row, "reserve", QB_AMOUNT_NONE);
    int64_t m1 = qb_case_int(row, "m1", 0);
    int64_t m2 = qb_case_int(row, "m2", QB_AMOUNT_NONE);
    bool are_maxima =
        m1 >= 1 && m1 <= QB_AMOUNT_MAX && m2 <= m1 && (m2 >= 1 || m2 == QB_AMOUNT_NONE);
    if (!are_maxima || !qb_case_rules_are_sound(&rules)) {
        qb_case_differs(why, "vector", "m1, m2", "amounts, m1 the larger", "others");
        return false;
    }
    compare_int(row, "price", qb_lot_price(&rules, m1, m2), "vector", why);
    return why->length == 0;
}
