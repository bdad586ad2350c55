/*
 * The worked cases of tests/cases/auction-cases.json, run through the naive model, so that the
 * judge of the fold is itself held to what was worked out by hand.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/attributes.h"
#include "base/json.h"
#include "tests/kit/test.h"
#include "tests/property/model.h"

#define MS         INT64_C(1000)
#define NAMES_MAX  16
#define STEPS_MAX  64
#define FILE_BYTES (1024 * 1024)

enum { SELLER = 1 };

/* A command as it was first sent under its key, and its answer. */
struct answered {
    qb_id bidder;
    const char *key;
    int64_t max;
    const char *result;
};

/* One case under way. */
struct run {
    const struct qb_json *settings;
    const struct qb_json *tables;
    struct model model;
    struct qb_rules rules;
    uint64_t seq;
    qb_time_us now_us;
    const char *names[NAMES_MAX]; /* of the ids from SELLER on */
    size_t name_count;
    struct answered answered[STEPS_MAX];
    size_t answered_count;
};

static const char *text_of(const struct qb_json *object, const char *name)
{
    size_t length = 0;
    return qb_json_string(qb_json_member(object, name), &length);
}

/* The member's integer, or `otherwise` where it is null or not there. */
static int64_t integer_of(const struct qb_json *object, const char *name, int64_t otherwise)
{
    int64_t value = 0;
    return qb_json_integer(qb_json_member(object, name), &value) ? value : otherwise;
}

static bool is_text(const struct qb_json *object, const char *name, const char *expected)
{
    const char *text = text_of(object, name);
    return text != NULL && strcmp(text, expected) == 0;
}

/* The id of a bidder by name; a new name gets the next one. Null is nobody. */
static qb_id id_of(struct run *run, const char *name)
{
    if (name == NULL) return 0;
    for (size_t i = 0; i < run->name_count; i++) {
        if (strcmp(run->names[i], name) == 0) return SELLER + i;
    }
    run->names[run->name_count++] = name;
    return SELLER + run->name_count - 1;
}

static void read_table(struct run *run, const char *name)
{
    const struct qb_json *rows = qb_json_member(run->tables, name);

    run->rules.table.row_count = (uint8_t)qb_json_count(rows);
    QB_EXPECT(qb_json_count(rows) > 0, "the table is in the file");
    for (size_t i = 0; i < qb_json_count(rows); i++) {
        struct qb_increment_row *row = &run->rules.table.rows[i];
        const struct qb_json *pair = qb_json_element(rows, i);
        QB_EXPECT(qb_json_integer(qb_json_element(pair, 0), &row->from), "from");
        QB_EXPECT(qb_json_integer(qb_json_element(pair, 1), &row->step), "step");
    }
}

static void read_rules(struct run *run)
{
    const struct qb_json *settings = run->settings;
    const struct qb_json *soft = qb_json_member(settings, "soft_close");
    bool is_without_reserve = false;

    if (!qb_json_bool(qb_json_member(settings, "without_reserve"), &is_without_reserve)) {
        is_without_reserve = false;
    }
    run->rules = (struct qb_rules){
        .version = QB_RULES_VERSION,
        .kind = QB_AUCTION_ENGLISH,
        .self_raise = is_text(settings, "self_raise", "hold"),
        .retraction = is_text(settings, "retraction", "no_revive"),
        .reserve_style = is_text(settings, "reserve_style", "show_max"),
        .is_without_reserve = is_without_reserve,
        .seller = SELLER,
        .tick = integer_of(settings, "tick", 1),
        .cap = QB_AMOUNT_MAX,
        .start_price = integer_of(settings, "start_price", 0),
        .reserve = integer_of(settings, "reserve_price", QB_AMOUNT_NONE),
        .buy_now = integer_of(settings, "buy_now_price", QB_AMOUNT_NONE),
        .starts_at_us = integer_of(settings, "starts_at", 0) * MS,
        .ends_at_us = integer_of(settings, "ends_at", 0) * MS,
        .soft_window_us = integer_of(soft, "window_ms", 0) * MS,
        .soft_extend_us = integer_of(soft, "extend_ms", 0) * MS,
        .max_extensions = (uint32_t)integer_of(soft, "max_extensions", 0),
        .hard_end_us = integer_of(soft, "hard_end", 0) * MS,
        .min_resume_us = integer_of(settings, "min_resume_ms", 120000) * MS,
    };
    memcpy(run->rules.currency, text_of(settings, "currency"), QB_CURRENCY_BYTES);
    read_table(run, text_of(settings, "increment_table"));
}

static struct model_verdict fold(struct run *run, struct qb_entry *entry)
{
    entry->seq = ++run->seq;
    entry->now_us = run->now_us;
    return model_fold(&run->model, entry);
}

static void close_if_due(struct run *run)
{
    struct qb_entry entry = {.type = QB_ENTRY_CLOSE};

    if (run->model.status != QB_STATUS_OPEN || run->now_us < run->model.ends_at_us) return;
    QB_EXPECT_EQ(fold(run, &entry).code, QB_VERDICT_DONE, "a close that is due acts");
}

static const struct {
    const char *op;
    enum qb_entry_type type;
    const char *done; /* the result of one with effect */
} ops[] = {
    /* clang-format off */
    {"bid",           QB_ENTRY_BID,     NULL},
    {"buy_now",       QB_ENTRY_BUY_NOW, "SOLD_BUY_NOW"},
    {"void",          QB_ENTRY_VOID,    "VOIDED"},
    {"retract",       QB_ENTRY_RETRACT, "RETRACTED"},
    {"block",         QB_ENTRY_BLOCK,   "BLOCKED"},
    {"lower_reserve", QB_ENTRY_RESERVE, "RESERVE_LOWERED"},
    {"pause",         QB_ENTRY_PAUSE,   "PAUSED"},
    {"resume",        QB_ENTRY_RESUME,  "RESUMED"},
    {"cancel",        QB_ENTRY_CANCEL,  "CANCELLED"},
    /* clang-format on */
};

static const struct {
    enum qb_refusal refusal;
    const char *result;
} rejections[] = {
    /* clang-format off */
    {QB_REFUSAL_NOT_STARTED,       "REJECT_NOT_STARTED"},
    {QB_REFUSAL_PAUSED,            "REJECT_PAUSED"},
    {QB_REFUSAL_ENDED,             "REJECT_ENDED"},
    {QB_REFUSAL_CANCELLED,         "REJECT_CANCELLED"},
    {QB_REFUSAL_SELLER,            "REJECT_SELLER"},
    {QB_REFUSAL_BLOCKED,           "REJECT_BLOCKED"},
    {QB_REFUSAL_CURRENCY,          "REJECT_CURRENCY"},
    {QB_REFUSAL_BAD_AMOUNT,        "REJECT_BAD_AMOUNT"},
    {QB_REFUSAL_NOT_ABOVE_OWN_MAX, "REJECT_NOT_ABOVE_OWN_MAX"},
    {QB_REFUSAL_TOO_LOW,           "REJECT_TOO_LOW"},
    {QB_REFUSAL_LIMIT,             "REJECT_LIMIT"},
    {QB_REFUSAL_BUY_NOW_GONE,      "REJECT_BUY_NOW_GONE"},
    {QB_REFUSAL_RETRACT_WINDOW,    "REJECT_RETRACT_WINDOW"},
    {QB_REFUSAL_WITHOUT_RESERVE,   "REJECT_WITHOUT_RESERVE"},
    /* clang-format on */
};

static const char *result_of(const struct model_verdict *verdict, const char *done)
{
    for (size_t i = 0; i < QB_COUNT(rejections); i++) {
        if (rejections[i].refusal == verdict->refusal) return rejections[i].result;
    }
    if (verdict->code == QB_VERDICT_LEADING) return "LEADING";
    if (verdict->code == QB_VERDICT_OUTBID) return "OUTBID";
    if (verdict->code == QB_VERDICT_RAISED) return "RAISED";
    return verdict->code == QB_VERDICT_REFUSED ? "(a refusal that no case names)" : done;
}

/* The log's seq of acceptance `number`, by which the cases count bids. */
static uint64_t seq_of_acceptance(const struct model *model, int64_t number)
{
    for (size_t i = 0; i < model->record_count; i++) {
        if (!model->records[i].is_reserve && --number == 0) return model->records[i].seq;
    }
    return 0;
}

static struct qb_entry entry_of(struct run *run, const struct qb_json *event,
                                enum qb_entry_type type)
{
    const char *currency = text_of(event, "currency");
    struct qb_entry entry = {
        .type = (uint8_t)type,
        .by = is_text(event, "by", "SELLER") ? QB_ACTOR_SELLER : QB_ACTOR_ADMIN,
        .bidder = id_of(run, text_of(event, "bidder")),
        .max = integer_of(event, "max", QB_AMOUNT_NONE),
        .allowance = -1,
        .target_seq = seq_of_acceptance(&run->model, integer_of(event, "seq", 0)),
    };

    memcpy(entry.currency, currency != NULL ? currency : run->rules.currency, QB_CURRENCY_BYTES);
    if (type == QB_ENTRY_RETRACT) entry.by = QB_ACTOR_BIDDER;
    if (type == QB_ENTRY_BUY_NOW) entry.max = run->rules.buy_now;
    if (type == QB_ENTRY_RESERVE) entry.max = integer_of(event, "reserve_price", QB_AMOUNT_NONE);
    const char *bidder = text_of(event, "bidder");
    if (bidder != NULL) {
        entry.allowance = integer_of(qb_json_member(run->settings, "exposure_limits"), bidder, -1);
    }
    return entry;
}

/* What the ledger's ids do before anything is folded (rules.md 7): null if the key is new. */
static const char *known_result(struct run *run, const struct qb_entry *entry, const char *key)
{
    for (size_t i = 0; key != NULL && i < run->answered_count; i++) {
        const struct answered *known = &run->answered[i];
        if (known->bidder != entry->bidder || strcmp(known->key, key) != 0) continue;
        return known->max == entry->max ? known->result : "REJECT_KEY_REUSED";
    }
    return NULL;
}

static const char *run_event(struct run *run, const struct qb_json *event)
{
    const char *key = text_of(event, "key");

    run->now_us = integer_of(event, "t", 0) * MS;
    close_if_due(run);
    for (size_t i = 0; i < QB_COUNT(ops); i++) {
        if (!is_text(event, "op", ops[i].op)) continue;
        struct qb_entry entry = entry_of(run, event, ops[i].type);
        const char *known = known_result(run, &entry, key);
        if (known != NULL) return known;
        const struct model_verdict verdict = fold(run, &entry);
        const char *result = result_of(&verdict, ops[i].done);
        if (key == NULL) return result;
        run->answered[run->answered_count++] =
            (struct answered){entry.bidder, key, entry.max, result};
        return result;
    }
    return is_text(event, "op", "clock") ? "OK" : "(an op that the test does not know)";
}

static const char *state_of(const struct run *run)
{
    switch (run->model.status) {
    case QB_STATUS_NONE:
        break;
    case QB_STATUS_OPEN:
        return run->now_us < run->rules.starts_at_us ? "SCHEDULED" : "OPEN";
    case QB_STATUS_PAUSED:
        return "PAUSED";
    case QB_STATUS_SOLD:
        return "SOLD";
    case QB_STATUS_UNSOLD:
        return "UNSOLD";
    case QB_STATUS_CANCELLED:
        return "CANCELLED";
    }
    return "(none)";
}

/* null, false, true as numbers, like enum qb_reserve_state. */
static enum qb_reserve_state reserve_of(const struct qb_json *expect)
{
    bool is_met = false;

    if (!qb_json_bool(qb_json_member(expect, "reserve_met"), &is_met)) return QB_RESERVE_NONE;
    return is_met ? QB_RESERVE_MET : QB_RESERVE_NOT_MET;
}

static void expect_state(struct run *run, const struct qb_json *expect, const char *says)
{
    const struct model *model = &run->model;
    bool is_buy_now_open = false;

    QB_EXPECT(qb_json_bool(qb_json_member(expect, "buy_now_available"), &is_buy_now_open), says);
    QB_EXPECT_TEXT(state_of(run), text_of(expect, "state"), says);
    QB_EXPECT_EQ(model->view.price, integer_of(expect, "price", QB_AMOUNT_NONE), says);
    QB_EXPECT_EQ(model->view.leader, id_of(run, text_of(expect, "leader")), says);
    QB_EXPECT_EQ(model_minimum(model), integer_of(expect, "min_next", QB_AMOUNT_NONE), says);
    QB_EXPECT_EQ(model_reserve_state(model), reserve_of(expect), says);
    QB_EXPECT_EQ(model_is_buy_now_open(model), is_buy_now_open, says);
    QB_EXPECT_EQ(model->ends_at_us, integer_of(expect, "ends_at", 0) * MS, says);
    QB_EXPECT_EQ(model->extensions, integer_of(expect, "extensions", -1), says);
}

static const char *outcome_of(enum qb_outcome outcome)
{
    static const char *const names[] = {
        [QB_OUTCOME_NONE] = "(none)",         [QB_OUTCOME_HIGH_BID] = "HIGH_BID",
        [QB_OUTCOME_BUY_NOW] = "BUY_NOW",     [QB_OUTCOME_NO_BIDS] = "NO_BIDS",
        [QB_OUTCOME_CANCELLED] = "CANCELLED", [QB_OUTCOME_RESERVE_NOT_MET] = "RESERVE_NOT_MET",
    };
    return names[outcome];
}

static void expect_final(struct run *run, const struct qb_json *final, const char *says)
{
    const struct qb_json *chances = qb_json_member(final, "second_chance");
    const struct qb_json *chance = qb_json_element(chances, 0);
    int64_t offer = 0;

    if (run->now_us < run->model.ends_at_us) run->now_us = run->model.ends_at_us;
    close_if_due(run);
    QB_EXPECT_TEXT(state_of(run), text_of(final, "state"), says);
    QB_EXPECT_TEXT(outcome_of(run->model.outcome), text_of(final, "outcome"), says);
    QB_EXPECT_EQ(run->model.winner, id_of(run, text_of(final, "winner")), says);
    QB_EXPECT_EQ(run->model.final_price, integer_of(final, "final_price", QB_AMOUNT_NONE), says);
    if (chances == NULL) return;
    QB_EXPECT_EQ(model_second_chance(&run->model, &offer), id_of(run, text_of(chance, "bidder")),
                 says);
    QB_EXPECT_EQ(offer, integer_of(chance, "price", QB_AMOUNT_NONE), says);
}

static void run_case(const struct qb_json *root, const struct qb_json *worked)
{
    static struct run run;
    const struct qb_json *steps = qb_json_member(worked, "steps");
    const char *id = text_of(worked, "id");

    memset(&run, 0, sizeof run);
    run.settings = qb_json_member(worked, "settings");
    run.tables = qb_json_member(root, "increment_tables");
    (void)id_of(&run, text_of(run.settings, "seller"));
    read_rules(&run);
    struct qb_entry open = {.type = QB_ENTRY_OPEN, .rules = &run.rules};
    (void)fold(&run, &open);
    for (size_t i = 0; i < qb_json_count(steps); i++) {
        const struct qb_json *step = qb_json_element(steps, i);
        const struct qb_json *expect = qb_json_member(step, "expect");
        QB_EXPECT_TEXT(run_event(&run, qb_json_member(step, "event")), text_of(expect, "result"),
                       id);
        expect_state(&run, expect, id);
    }
    expect_final(&run, qb_json_member(worked, "final"), id);
}

static struct qb_json *read_cases(void)
{
    static char bytes[FILE_BYTES];
    static const struct qb_json_limits limits = {FILE_BYTES, 16, 100000};
    struct qb_error error = {""};
    FILE *file = fopen(QB_SOURCE_DIR "/tests/cases/auction-cases.json", "rb");

    if (file == NULL) return NULL;
    const size_t length = fread(bytes, 1, sizeof bytes, file);
    (void)fclose(file);
    struct qb_json *root = qb_json_parse(bytes, length, &limits, &error);
    QB_EXPECT_TEXT(error.text, "", "the file is JSON");
    return root;
}

QB_TEST(the_model_passes_the_worked_cases)
{
    struct qb_json *root = read_cases();
    const struct qb_json *cases = qb_json_member(root, "cases");

    QB_EXPECT(qb_json_count(cases) >= 70, "all cases are there");
    for (size_t i = 0; i < qb_json_count(cases); i++) run_case(root, qb_json_element(cases, i));
    qb_json_free(&root);
}

QB_TEST(the_model_passes_the_price_vectors)
{
    static struct run run;
    struct qb_json *root = read_cases();
    const struct qb_json *vectors = qb_json_member(root, "price_vectors");
    const struct qb_json *rows = qb_json_member(vectors, "rows");

    QB_EXPECT(qb_json_count(rows) > 0, "there are rows");
    memset(&run, 0, sizeof run);
    run.tables = qb_json_member(root, "increment_tables");
    run.rules.tick = 1;
    read_table(&run, text_of(vectors, "table"));
    for (size_t i = 0; i < qb_json_count(rows); i++) {
        const struct qb_json *row = qb_json_element(rows, i);
        run.rules.start_price = integer_of(row, "start", 0);
        QB_EXPECT_EQ(model_price(&run.rules, integer_of(row, "reserve", QB_AMOUNT_NONE),
                                 integer_of(row, "m1", 0), integer_of(row, "m2", QB_AMOUNT_NONE)),
                     integer_of(row, "price", 0), "price vector");
    }
    qb_json_free(&root);
}

/* The clock cases are the auctioneer's, but their effective times are the fold's. */
QB_TEST(the_model_passes_the_effective_times_of_the_clock_cases)
{
    struct qb_json *root = read_cases();
    const struct qb_json *cases = qb_json_member(root, "clock_cases");

    QB_EXPECT(qb_json_count(cases) > 0, "there are clock cases");
    for (size_t i = 0; i < qb_json_count(cases); i++) {
        const struct qb_json *worked = qb_json_element(cases, i);
        const struct qb_json *settings = qb_json_member(worked, "settings");
        struct model model = {.accepted_t_us = INT64_MIN};
        model.rules.drain_us = integer_of(settings, "drain_ms", 0) * MS;
        const struct qb_json *arrivals = qb_json_member(worked, "arrivals");
        for (size_t k = 0; k < qb_json_count(arrivals); k++) {
            const struct qb_json *arrival = qb_json_element(arrivals, k);
            const struct qb_json *expect = qb_json_element(qb_json_member(worked, "expect"), k);
            const struct qb_entry entry = {
                .type = QB_ENTRY_BID,
                .recv_us = integer_of(arrival, "recv", 0) * MS,
                .now_us = integer_of(arrival, "auth", 0) * MS,
            };
            const qb_time_us t_us = model_effective_time(&model, &entry);
            QB_EXPECT_EQ(t_us, integer_of(expect, "t_eff", 0) * MS, text_of(worked, "id"));
            if (is_text(expect, "result", "ACCEPT")) model.accepted_t_us = t_us;
        }
    }
    qb_json_free(&root);
}
