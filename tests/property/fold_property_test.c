/*
 * The product's fold against the naive model, on random auctions: after every entry all that can be
 * seen must be the same (rules.md), and the invariants must hold.
 *
 *     test_fold_property                     the fixed seeds and one fresh seed, which is printed
 *     test_fold_property SEED                the auctions of one seed
 *     test_fold_property SEED NUMBER         one auction; prints its entries
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/attributes.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/random.h"
#include "bidding/lot.h"
#include "tests/property/compare.h"
#include "tests/property/generator.h"
#include "tests/property/model.h"
#include "tests/property/records.h"

#define ENTRIES_MAX       256
#define ENTRIES_PER_SEED  175000
#define ENTRIES_AFTER_END 6

static const uint64_t fixed_seeds[] = {1, 2, 3, 5, 8};

/* One auction under way: the log, and what both sides made of it. */
struct auction {
    struct generator generator;
    struct model model;
    struct qb_lot lot;
    struct qb_entry entries[ENTRIES_MAX];
    struct model_verdict verdicts[ENTRIES_MAX];
    size_t entry_count;
    struct records records;
};

/* What the run has met, so that a generator that no longer reaches a rule is seen. */
struct coverage {
    uint64_t entries;
    uint64_t auctions;
    uint64_t codes[QB_VERDICT_VOID + 1];
    uint64_t refusals[QB_REFUSAL_COUNT];
    uint64_t done[QB_ENTRY_TYPE_COUNT];
    uint64_t outcomes[QB_OUTCOME_CANCELLED + 1];
    uint64_t extensions;
    uint64_t cuts;
};

/* What is under way; large, and wanted by report_abort(). */
static struct running {
    struct auction auction;
    uint64_t seed;
    uint64_t number;
} running;

static void print_entry(const struct qb_entry *entry, const struct model_verdict *verdict,
                        const struct generator *generator)
{
    const char *refusal = qb_refusal_code(verdict->refusal);

    (void)printf("  %3" PRIu64 " %-8s by %d bidder %" PRIu64 " max %" PRId64 " allowance %" PRId64
                 " %s now %+" PRId64,
                 entry->seq, qb_entry_type_name((enum qb_entry_type)entry->type), entry->by,
                 entry->bidder, entry->max, entry->allowance, entry->currency,
                 entry->now_us - generator->rules.starts_at_us);
    if (entry->recv_us != 0) {
        (void)printf(" recv %+" PRId64, entry->recv_us - generator->rules.starts_at_us);
    }
    if (entry->target_seq != 0) (void)printf(" target %" PRIu64, entry->target_seq);
    if (entry->end_us != 0) {
        (void)printf(" end %+" PRId64, entry->end_us - generator->rules.starts_at_us);
    }
    (void)printf(" => model: %s %s\n", qb_verdict_name(verdict->code),
                 refusal != NULL ? refusal : "");
}

static void print_rules(const struct qb_rules *rules)
{
    (void)printf("  rules: start %" PRId64 " reserve %" PRId64 " buy-now %" PRId64 " tick %" PRId64
                 " cap %" PRId64 " hold %d no_revive %d show_max %d without_reserve %d\n",
                 rules->start_price, rules->reserve, rules->buy_now, rules->tick, rules->cap,
                 rules->self_raise, rules->retraction, rules->reserve_style,
                 rules->is_without_reserve);
    (void)printf("  times from the start on, in us: end %+" PRId64 " hard end %+" PRId64
                 " window %" PRId64 " extend %" PRId64 " max_extensions %" PRIu32 " drain %" PRId64
                 " min_resume %" PRId64 "\n",
                 rules->ends_at_us - rules->starts_at_us,
                 rules->hard_end_us != 0 ? rules->hard_end_us - rules->starts_at_us : 0,
                 rules->soft_window_us, rules->soft_extend_us, rules->max_extensions,
                 rules->drain_us, rules->min_resume_us);
    (void)printf("  table: percent %d", rules->table.percent);
    for (size_t i = 0; i < rules->table.row_count; i++) {
        (void)printf(" (%" PRId64 ", %" PRId64 ")", rules->table.rows[i].from,
                     rules->table.rows[i].step);
    }
    (void)printf("\n");
}

static void print_auction(const struct auction *auction)
{
    print_rules(&auction->generator.rules);
    for (size_t i = 0; i < auction->entry_count; i++) {
        print_entry(&auction->entries[i], &auction->verdicts[i], &auction->generator);
    }
}

/* Early judgement and the clock agree with the fold that follows. */
static bool check_judgement(const struct auction *auction, const struct qb_entry *entry,
                            const struct qb_verdict *verdict, struct qb_error *error)
{
    const struct qb_lot *lot = &auction->lot;

    if (entry->type != QB_ENTRY_BID && entry->type != QB_ENTRY_BUY_NOW) return true;
    const qb_time_us t_us = qb_lot_effective_time(lot, entry);
    if (t_us != verdict->t_us) return qb_error_set(error, "the clock differs from the fold");
    const enum qb_refusal refusal = qb_lot_judge(lot, entry, t_us);
    if (refusal == (enum qb_refusal)verdict->refusal) return true;
    return qb_error_set(error, "qb_lot_judge() says %d, the fold %d", (int)refusal,
                        verdict->refusal);
}

/* The state survives its own bytes; the auction goes on with what came back. */
static bool check_round_trip(struct qb_lot *lot, struct qb_error *error)
{
    uint8_t bytes[QB_LOT_BYTES_MAX];
    uint8_t again[QB_LOT_BYTES_MAX];
    struct qb_lot decoded;

    const size_t length = qb_lot_encode(lot, bytes);
    if (!qb_lot_decode(bytes, length, &decoded)) return qb_error_set(error, "a state is not read");
    if (qb_lot_encode(&decoded, again) != length || memcmp(bytes, again, length) != 0) {
        return qb_error_set(error, "a state differs once written and read");
    }
    *lot = decoded;
    return true;
}

/* Replaying the log from scratch gives byte-identical state, chain included. */
static bool check_replay(struct auction *auction, struct qb_error *error)
{
    static struct records records;
    uint8_t seen[QB_LOT_BYTES_MAX];
    uint8_t expected[QB_LOT_BYTES_MAX];
    struct qb_lot lot = {0};

    records.count = 0;
    for (size_t i = 0; i < auction->entry_count; i++) {
        const struct qb_entry *entry = &auction->entries[i];
        const struct qb_verdict verdict = qb_lot_fold(&lot, entry, records.rows, records.count);
        records_keep(&records, entry, &verdict);
    }
    const size_t length = qb_lot_encode(&lot, seen);
    if (qb_lot_encode(&auction->lot, expected) != length || memcmp(seen, expected, length) != 0) {
        return qb_error_set(error, "a replay from scratch gives another state");
    }
    return true;
}

static void count_step(struct coverage *coverage, const struct auction *auction,
                       const struct qb_entry *entry, const struct qb_verdict *verdict)
{
    coverage->entries++;
    coverage->codes[verdict->code]++;
    coverage->refusals[verdict->refusal]++;
    coverage->extensions += entry->type == QB_ENTRY_BID && verdict->is_extended;
    if (verdict->code == QB_VERDICT_REFUSED || verdict->code == QB_VERDICT_VOID) return;
    coverage->done[entry->type]++;
    if (qb_lot_is_over(&auction->lot)) coverage->outcomes[auction->lot.outcome]++;
}

static bool run_step(struct auction *auction, struct coverage *coverage, struct qb_error *error)
{
    const size_t index = auction->entry_count;
    struct qb_entry *entry = &auction->entries[index];
    const struct qb_lot before = auction->lot;
    const int64_t m1_before = auction->model.view.m1;

    *entry = generator_next(&auction->generator, &auction->model,
                            index > 0 ? &auction->entries[index - 1] : NULL);
    auction->entry_count++;
    auction->verdicts[index] = model_fold(&auction->model, entry);
    struct qb_lot after = before;
    const struct qb_verdict verdict =
        qb_lot_fold(&after, entry, auction->records.rows, auction->records.count);
    if (index > 0) QB_TRY(check_judgement(auction, entry, &verdict, error));
    auction->lot = after;
    records_keep(&auction->records, entry, &verdict);
    const struct step step = {
        .entry = entry,
        .before = &before,
        .after = &auction->lot,
        .records = auction->records.rows,
        .record_count = auction->records.count,
        .verdict = verdict,
        .model = &auction->model,
        .expected = auction->verdicts[index],
    };
    QB_TRY(compare_step(&step, error));
    count_step(coverage, auction, entry, &verdict);
    if (entry->type == QB_ENTRY_RESERVE && auction->model.view.m1 != m1_before) coverage->cuts++;
    if (qb_random_below(&auction->generator.random, 16) != 0) return true;
    return check_round_trip(&auction->lot, error);
}

static bool run_auction(struct auction *auction, uint64_t seed, struct coverage *coverage,
                        struct qb_error *error)
{
    size_t after_end = 0;

    memset(auction, 0, sizeof *auction);
    generator_init(&auction->generator, seed);
    while (auction->entry_count < auction->generator.length && after_end < ENTRIES_AFTER_END) {
        QB_TRY(run_step(auction, coverage, error));
        after_end += model_is_over(&auction->model);
    }
    coverage->auctions++;
    /* Hashing is what costs here: not every auction is folded a second time. */
    if (qb_random_below(&auction->generator.random, 3) != 0) return true;
    return check_replay(auction, error);
}

static void print_failure(const struct auction *auction, uint64_t seed, uint64_t number,
                          const struct qb_error *error)
{
    (void)printf("seed %" PRIu64 ", auction %" PRIu64 ", entry %zu: %s\n", seed, number,
                 auction->entry_count, error->text);
    print_auction(auction);
    (void)printf("repeat with: test_fold_property %" PRIu64 " %" PRIu64 "\n", seed, number);
}

/* An assertion of the product fails inside a step: abort() comes from this very thread, so that
 * printing here is as safe as anywhere. */
static void report_abort(int signal)
{
    struct qb_error error = {""};

    (void)signal;
    (void)qb_error_set(&error, "the fold aborted");
    print_failure(&running.auction, running.seed, running.number, &error);
    (void)fflush(stdout);
    _exit(1);
}

/* The auctions of one seed, up to the first that fails. */
static bool run_seed(uint64_t seed, struct coverage *coverage)
{
    struct qb_error error = {""};
    const uint64_t enough = coverage->entries + ENTRIES_PER_SEED;

    for (uint64_t number = 0; coverage->entries < enough; number++) {
        running.seed = seed;
        running.number = number;
        if (run_auction(&running.auction, generator_seed(seed, number), coverage, &error)) continue;
        print_failure(&running.auction, seed, number, &error);
        return false;
    }
    return true;
}

static bool run_one(uint64_t seed, uint64_t number)
{
    struct coverage coverage = {0};
    struct qb_error error = {""};

    running.seed = seed;
    running.number = number;
    if (run_auction(&running.auction, generator_seed(seed, number), &coverage, &error)) {
        print_auction(&running.auction);
        (void)printf("the auction passes\n");
        return true;
    }
    print_failure(&running.auction, seed, number, &error);
    return false;
}

static bool print_coverage(const struct coverage *coverage)
{
    bool is_complete = coverage->extensions > 0 && coverage->cuts > 0;

    (void)printf("%" PRIu64 " entries in %" PRIu64 " auctions; %" PRIu64 " extensions, %" PRIu64
                 " cut maxima\n",
                 coverage->entries, coverage->auctions, coverage->extensions, coverage->cuts);
    for (int code = QB_VERDICT_LEADING; code <= QB_VERDICT_VOID; code++) {
        (void)printf("  %-18s %" PRIu64 "\n", qb_verdict_name((enum qb_verdict_code)code),
                     coverage->codes[code]);
        is_complete = is_complete && coverage->codes[code] > 0;
    }
    for (int type = QB_ENTRY_OPEN; type < QB_ENTRY_TYPE_COUNT; type++) {
        (void)printf("  %-18s %" PRIu64 "\n", qb_entry_type_name((enum qb_entry_type)type),
                     coverage->done[type]);
        /* A DISCARD never has effect; its verdict is counted above. */
        is_complete = is_complete && (coverage->done[type] > 0 || type == QB_ENTRY_DISCARD);
    }
    for (int refusal = QB_REFUSAL_NONE + 1; refusal < QB_REFUSAL_COUNT; refusal++) {
        (void)printf("  %-18s %" PRIu64 "\n", qb_refusal_code((enum qb_refusal)refusal),
                     coverage->refusals[refusal]);
        /* The ledger alone refuses a reused key. */
        is_complete =
            is_complete && (coverage->refusals[refusal] > 0 || refusal == QB_REFUSAL_KEY_REUSED);
    }
    for (int outcome = QB_OUTCOME_HIGH_BID; outcome <= QB_OUTCOME_CANCELLED; outcome++) {
        (void)printf("  %-18s %" PRIu64 "\n", qb_outcome_name((enum qb_outcome)outcome),
                     coverage->outcomes[outcome]);
        is_complete = is_complete && coverage->outcomes[outcome] > 0;
    }
    if (!is_complete) (void)printf("the generator no longer reaches everything above\n");
    return is_complete;
}

/* The fixed seeds, then one that nobody has tried. */
static bool run_all(void)
{
    struct coverage coverage = {0};
    const uint64_t fresh = (uint64_t)qb_clock_wall_us() % 1000000000;

    (void)printf("fresh seed %" PRIu64 "\n", fresh);
    for (size_t i = 0; i < QB_COUNT(fixed_seeds); i++) {
        if (!run_seed(fixed_seeds[i], &coverage)) return false;
    }
    if (!run_seed(fresh, &coverage)) return false;
    return print_coverage(&coverage);
}

static bool parse_number(const char *text, uint64_t *number)
{
    char *end = NULL;

    errno = 0;
    *number = strtoull(text, &end, 10);
    return errno == 0 && end != text && *end == 0;
}

int main(int argument_count, char **arguments)
{
    struct coverage coverage = {0};
    uint64_t seed = 0;
    uint64_t number = 0;

    (void)signal(SIGABRT, report_abort);
    if (argument_count == 1) return run_all() ? 0 : 1;
    if (argument_count > 3 || !parse_number(arguments[1], &seed) ||
        (argument_count == 3 && !parse_number(arguments[2], &number))) {
        (void)fprintf(stderr, "usage: %s [SEED [NUMBER]]\n", arguments[0]);
        return 2;
    }
    if (argument_count == 3) return run_one(seed, number) ? 0 : 1;
    const bool is_passed = run_seed(seed, &coverage);
    (void)printf("seed %" PRIu64 ": %" PRIu64 " entries, %s\n", seed, coverage.entries,
                 is_passed ? "passed" : "FAILED");
    return is_passed ? 0 : 1;
}
