#include "tests/contract/ledger_contract.h"

#include <string.h>

#include "tests/contract/expect.h"
#include "tests/kit/rules.h"

enum { LOT = 7, OTHER_LOT = 8, ANN = 11, BOB = 12 };

#define RESULTS_MAX 64
#define SOON        INT64_MAX

struct seen {
    int calls;
    size_t count;
    struct qb_ledger_result results[RESULTS_MAX];
};

static void see(void *context, const struct qb_ledger_result *results, size_t count)
{
    struct seen *seen = context;

    seen->calls++;
    seen->count = count;
    for (size_t i = 0; i < count && i < RESULTS_MAX; i++) seen->results[i] = results[i];
}

static struct qb_entry entry_of(qb_id lot, enum qb_entry_type type, qb_id bidder, int64_t max,
                                const char *key)
{
    struct qb_entry entry = {.auction = lot,
                             .type = (uint8_t)type,
                             .by = QB_ACTOR_BIDDER,
                             .bidder = bidder,
                             .actor = bidder,
                             .max = max,
                             .currency = "USD",
                             .allowance = -1};

    if (type == QB_ENTRY_OPEN) {
        static struct qb_rules rules;
        rules = qb_test_rules(ANN + BOB, 100, 1, 3600 * QB_SECOND_US);
        entry.rules = &rules;
    }
    qb_bid_id(lot, bidder, key, strlen(key), entry.bid_id);
    return entry;
}

static struct qb_ledger_result call(const struct ledger_subject *subject, struct qb_ledger *ledger,
                                    const struct qb_ledger_command *command)
{
    struct seen seen = {0};

    qb_ledger_call(ledger, command, 1, see, &seen);
    expect(seen.calls == 0, subject->name, "no answer inside the call");
    subject->settle(ledger);
    expect(seen.calls == 1, subject->name, "one answer");
    expect(seen.count == 1, subject->name, "one result for a command");
    return seen.results[0];
}

static struct qb_ledger_result append(const struct ledger_subject *subject,
                                      struct qb_ledger *ledger, struct qb_entry entry)
{
    const struct qb_ledger_command command = {.entry = &entry, .expires_us = SOON};
    return call(subject, ledger, &command);
}

static struct qb_ledger_result mark(const struct ledger_subject *subject, struct qb_ledger *ledger,
                                    struct qb_entry entry, uint64_t as_of)
{
    const struct qb_ledger_command command = {.entry = &entry,
                                              .expires_us = SOON,
                                              .is_mark = true,
                                              .refusal = QB_REFUSAL_TOO_LOW,
                                              .as_of = as_of};
    return call(subject, ledger, &command);
}

static void open_lot(const struct ledger_subject *subject, struct qb_ledger *ledger, qb_id lot)
{
    struct qb_ledger_result result =
        append(subject, ledger, entry_of(lot, QB_ENTRY_OPEN, 0, -1, "open"));

    expect(result.outcome == QB_APPEND_DONE, subject->name, "OPEN begins a log");
    expect(result.seq == 1, subject->name, "at 1");
    expect(result.epoch == 3, subject->name, "in the ledger's epoch");
}

static void places_are_dense_for_each_auction(const struct ledger_subject *subject)
{
    struct qb_ledger *ledger = subject->make(100, 1000);
    struct qb_entry entries[RESULTS_MAX];
    struct qb_ledger_command commands[RESULTS_MAX];
    struct seen seen = {0};
    qb_time_us before_us[2] = {0}; /* of each: they may be on different servers */

    open_lot(subject, ledger, LOT);
    open_lot(subject, ledger, OTHER_LOT);
    for (size_t i = 0; i < RESULTS_MAX; i++) { /* both in one call, alternating */
        char key[3] = {(char)('A' + i % 26), (char)('a' + i / 26), '\0'};
        entries[i] = entry_of(i % 2 == 0 ? LOT : OTHER_LOT, QB_ENTRY_BID, ANN, 100, key);
        commands[i] = (struct qb_ledger_command){.entry = &entries[i], .expires_us = SOON};
    }
    qb_ledger_call(ledger, commands, RESULTS_MAX, see, &seen);
    subject->settle(ledger);
    expect(seen.calls == 1, subject->name, "one answer for many commands");
    for (size_t i = 0; i < RESULTS_MAX; i++) {
        expect(seen.results[i].outcome == QB_APPEND_DONE, subject->name, "appended");
        expect(seen.results[i].seq == 2 + i / 2, subject->name, "dense, in the order given");
        expect(seen.results[i].now_us >= before_us[i % 2], subject->name, "time never goes back");
        before_us[i % 2] = seen.results[i].now_us;
    }
    qb_ledger_free(&ledger);
}

static void a_request_sent_twice_counts_once(const struct ledger_subject *subject)
{
    struct qb_ledger *ledger = subject->make(100, 1000);
    struct qb_entry bid = entry_of(LOT, QB_ENTRY_BID, ANN, 500, "a");

    open_lot(subject, ledger, LOT);
    (void)append(subject, ledger, bid);
    struct qb_ledger_result again = append(subject, ledger, bid);
    expect(again.outcome == QB_APPEND_DUPLICATE, subject->name, "known");
    expect(again.seq == 2, subject->name, "its place");
    expect(again.asked == qb_entry_asked(&bid), subject->name, "what was asked");
    struct qb_ledger_result marked = mark(subject, ledger, bid, 2);
    expect(marked.outcome == QB_APPEND_DUPLICATE, subject->name,
           "the resend of an entry is never refused because of itself");
    struct qb_ledger_result bob =
        append(subject, ledger, entry_of(LOT, QB_ENTRY_BID, BOB, 500, "a"));
    expect(bob.seq == 3, subject->name, "another bidder's key is another key");
    qb_ledger_free(&ledger);
}

static void an_early_refusal_is_remembered(const struct ledger_subject *subject)
{
    struct qb_ledger *ledger = subject->make(100, 1000);
    struct qb_entry low = entry_of(LOT, QB_ENTRY_BID, ANN, 1, "low");

    open_lot(subject, ledger, LOT);
    struct qb_ledger_result first = mark(subject, ledger, low, 1);
    expect(first.outcome == QB_APPEND_MARKED, subject->name, "recorded");
    expect(first.seq == 1, subject->name, "as of");
    struct qb_ledger_result again = append(subject, ledger, low);
    expect(again.outcome == QB_APPEND_REFUSED, subject->name, "the same answer, on any way");
    expect(again.refusal == QB_REFUSAL_TOO_LOW, subject->name, "why");
    expect(again.asked == qb_entry_asked(&low), subject->name, "what was asked");
    struct qb_ledger_result next =
        append(subject, ledger, entry_of(LOT, QB_ENTRY_BID, ANN, 5, "b"));
    expect(next.seq == 2, subject->name, "a mark takes no place");
    qb_ledger_free(&ledger);
}

static void a_discard_takes_the_place_of_its_id(const struct ledger_subject *subject)
{
    struct qb_ledger *ledger = subject->make(100, 1000);
    struct qb_entry discard = entry_of(LOT, QB_ENTRY_DISCARD, ANN, -1, "x");

    open_lot(subject, ledger, LOT);
    expect(append(subject, ledger, discard).seq == 2, subject->name, "has a place");
    struct qb_ledger_result bid =
        append(subject, ledger, entry_of(LOT, QB_ENTRY_BID, ANN, 500, "x"));
    expect(bid.outcome == QB_APPEND_DUPLICATE, subject->name, "the straggler finds it");
    expect(bid.asked == 0, subject->name, "and knows it for a discard");
    qb_ledger_free(&ledger);
}

static void limits_are_answers(const struct ledger_subject *subject)
{
    struct qb_ledger *ledger = subject->make(100, 3);

    open_lot(subject, ledger, LOT);
    (void)append(subject, ledger, entry_of(LOT, QB_ENTRY_BID, ANN, 1, "a"));
    (void)append(subject, ledger, entry_of(LOT, QB_ENTRY_BID, ANN, 2, "b"));
    struct qb_entry third = entry_of(LOT, QB_ENTRY_BID, ANN, 3, "c");
    expect(append(subject, ledger, third).outcome == QB_APPEND_BUSY, subject->name,
           "too many entries that are not durable");
    qb_ledger_durable(ledger, LOT, 2);
    subject->settle(ledger);
    struct qb_ledger_result later = append(subject, ledger, third);
    expect(later.outcome == QB_APPEND_DONE, subject->name, "room again, with the same id");
    expect(later.seq == 4, subject->name, "BUSY took no place");
    qb_ledger_free(&ledger);
}

/* What becomes of a command for a log that is not there, or not followed: nothing. */
static bool is_turned_away(uint8_t outcome)
{
    return outcome == QB_APPEND_EXPIRED || outcome == QB_APPEND_FENCED;
}

static void a_late_command_never_gets_in(const struct ledger_subject *subject)
{
    struct qb_ledger *ledger = subject->make(100, 1000);
    struct qb_entry bid = entry_of(LOT, QB_ENTRY_BID, ANN, 1, "a");
    const struct qb_ledger_command late = {.entry = &bid, .expires_us = 1};

    open_lot(subject, ledger, LOT);
    expect(call(subject, ledger, &late).outcome == QB_APPEND_EXPIRED, subject->name, "expired");
    struct qb_ledger_result unknown =
        append(subject, ledger, entry_of(99, QB_ENTRY_BID, ANN, 1, "a"));
    expect(is_turned_away(unknown.outcome), subject->name, "no log without its OPEN");
    qb_ledger_free(&ledger);
}

static void marks_are_bounded(const struct ledger_subject *subject)
{
    struct qb_ledger *ledger = subject->make(2, 1000);

    if (subject->set_clock == NULL) {
        qb_ledger_free(&ledger);
        return;
    }
    subject->set_clock(1000000);
    open_lot(subject, ledger, LOT);
    struct qb_entry first = entry_of(LOT, QB_ENTRY_BID, ANN, 1, "a");
    (void)mark(subject, ledger, first, 1);
    (void)mark(subject, ledger, entry_of(LOT, QB_ENTRY_BID, ANN, 1, "b"), 1);
    struct qb_entry third = entry_of(LOT, QB_ENTRY_BID, ANN, 1, "c");
    expect(mark(subject, ledger, third, 1).outcome == QB_APPEND_BUSY, subject->name,
           "rather BUSY than forget a young one");
    subject->set_clock(1000000 + 15000000);
    expect(mark(subject, ledger, third, 1).outcome == QB_APPEND_MARKED, subject->name,
           "an old one makes room");
    expect(append(subject, ledger, first).outcome == QB_APPEND_DONE, subject->name,
           "what is forgotten is judged anew");
    qb_ledger_free(&ledger);
}

static void the_clock_never_goes_back(const struct ledger_subject *subject)
{
    struct qb_ledger *ledger = subject->make(100, 1000);
    int64_t uncertainty_us = -1;

    if (subject->set_clock != NULL) subject->set_clock(50000000);
    qb_time_us first_us = qb_ledger_now_us(ledger, &uncertainty_us);
    if (subject->set_clock != NULL) subject->set_clock(40000000);
    expect(qb_ledger_now_us(ledger, &uncertainty_us) >= first_us, subject->name, "an estimate");
    expect(uncertainty_us >= 0, subject->name, "and how far off it may be");
    open_lot(subject, ledger, LOT);
    struct qb_ledger_result bid = append(subject, ledger, entry_of(LOT, QB_ENTRY_BID, ANN, 1, "a"));
    expect(bid.now_us >= first_us, subject->name, "a stamp");
    qb_ledger_free(&ledger);
}

static void a_forgotten_auction_is_gone(const struct ledger_subject *subject)
{
    struct qb_ledger *ledger = subject->make(100, 1000);

    open_lot(subject, ledger, LOT);
    qb_ledger_forget(ledger, LOT);
    subject->settle(ledger);
    struct qb_ledger_result bid = append(subject, ledger, entry_of(LOT, QB_ENTRY_BID, ANN, 1, "a"));
    expect(is_turned_away(bid.outcome), subject->name, "nothing is appended to it");
    qb_ledger_free(&ledger);
}

static void a_late_open_begins_no_log(const struct ledger_subject *subject)
{
    struct qb_ledger *ledger = subject->make(100, 1000);
    struct qb_entry open = entry_of(LOT, QB_ENTRY_OPEN, 0, -1, "open");
    const struct qb_ledger_command late = {.entry = &open, .expires_us = 1};

    expect(call(subject, ledger, &late).outcome == QB_APPEND_EXPIRED, subject->name, "late OPEN");
    struct qb_ledger_result bid = append(subject, ledger, entry_of(LOT, QB_ENTRY_BID, ANN, 1, "a"));
    expect(bid.outcome == QB_APPEND_EXPIRED, subject->name, "a bid is never the first of a log");
    expect(mark(subject, ledger, entry_of(LOT, QB_ENTRY_BID, ANN, 1, "b"), 0).outcome ==
               QB_APPEND_EXPIRED,
           subject->name, "nor is a mark kept for it");
    open_lot(subject, ledger, LOT);
    qb_ledger_free(&ledger);
}

void ledger_contract(const struct ledger_subject *subject)
{
    places_are_dense_for_each_auction(subject);
    a_request_sent_twice_counts_once(subject);
    an_early_refusal_is_remembered(subject);
    a_discard_takes_the_place_of_its_id(subject);
    limits_are_answers(subject);
    a_late_command_never_gets_in(subject);
    a_late_open_begins_no_log(subject);
    marks_are_bounded(subject);
    the_clock_never_goes_back(subject);
    a_forgotten_auction_is_gone(subject);
}
