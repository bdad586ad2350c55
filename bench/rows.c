/*
 * What the store on Postgres does when its tables are large: fills them with made-up auctions of
 * 100 bids each, and times what the store is asked for, and the persister's batches, on few rows
 * and then on many. The server and its migrations are there: bench/rows.sh.
 *
 *   DATABASE_URL=… qb_rows MILLIONS
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/random.h"
#include "base/text.h"
#include "bench/samples.h"
#include "storage/store_postgres.h"
#include "storage/verdict_codec.h"

#define BIDS_EACH    100
#define FEW_AUCTIONS 1000
#define USERS        50000
#define OPEN_NEWEST  1000 /* that many of the newest are not over */
#define CHUNK        5000 /* auctions, in one statement */
#define READS        400
#define BATCH        1000 /* entries: the default of persist_batch */
#define BATCH_LOTS   40
#define BATCHES_US   (10 * QB_SECOND_US)
/* The first id of 2026, and 250 s: ids begin with their time (base/text.h). */
#define FIRST_ID     (INT64_C(63158400000) << 22)
#define STEP_ID      (INT64_C(250000) << 22)

#define ROUNDS    3 /* of measuring, by turns */
#define QUESTIONS 11

/* A database, and what was measured there. */
struct side {
    struct qb_postgres *postgres;
    struct qb_sql_link *sql;
    struct qb_store *store;
    struct qb_store_link *to;
    int64_t auctions; /* filled so far */
    uint64_t newest;  /* seq of the auctions in the batches */
    struct qb_samples questions[QUESTIONS];
    struct qb_samples batches;
    int64_t batches_us;
};

static struct side few;
static struct side many;
static struct side *at; /* the one of the two that is meant */
static const struct qb_store_ops *ops;
static struct qb_random chance;
static struct qb_error error;

static void must(bool is_true, const char *what)
{
    if (is_true) return;
    (void)fprintf(stderr, "qb_rows: %s: %s\n", what, error.text);
    exit(1);
}

static void run(const char *text)
{
    must(qb_sql_run(at->sql, text, &error), text);
}

static qb_id auction_at(int64_t number)
{
    return (qb_id)(FIRST_ID + number * STEP_ID);
}

static qb_id any_auction(void)
{
    return auction_at((int64_t)qb_random_below(&chance, (uint64_t)at->auctions));
}

static qb_id any_user(void)
{
    return 1 + qb_random_below(&chance, USERS);
}

static struct qb_entry bid_of(qb_id auction, uint64_t seq)
{
    struct qb_entry entry = {.auction = auction,
                             .epoch = 1,
                             .seq = seq,
                             .type = QB_ENTRY_BID,
                             .by = QB_ACTOR_BIDDER,
                             .bidder = any_user(),
                             .max = 5000,
                             .currency = "USD",
                             .allowance = -1,
                             .now_us = (int64_t)seq * QB_SECOND_US};

    entry.actor = entry.bidder;
    qb_random_secret(entry.bid_id, sizeof entry.bid_id);
    return entry;
}

static struct qb_verdict verdict_of(void)
{
    return (struct qb_verdict){.code = QB_VERDICT_LEADING, .price = 5000, .minimum = 5100};
}

/* Bytes of the usual length; what they say does not matter here. */
static void hex_of_usual(char entry_hex[QB_ENTRY_BYTES_MAX * 2 + 1],
                         char verdict_hex[QB_VERDICT_BYTES * 2 + 1])
{
    uint8_t bytes[QB_ENTRY_BYTES_MAX];
    uint8_t result[QB_VERDICT_BYTES];
    const struct qb_entry entry = bid_of(auction_at(0), 1);
    const struct qb_verdict verdict = verdict_of();

    qb_verdict_encode(&verdict, result);
    qb_hex(bytes, qb_entry_encode(&entry, bytes), entry_hex);
    qb_hex(result, sizeof result, verdict_hex);
}

static void fill_users(void)
{
    struct qb_text text = {0};

    qb_text_format(
        &text,
        "INSERT INTO users SELECT i, 'u' || i || '@x.example', 'User', 'v', 3, 0, i FROM "
        "generate_series(1, %d) i",
        USERS);
    run(text.bytes);
    qb_text_fini(&text);
}

static void fill_auctions(int64_t from, int64_t before)
{
    char entry[QB_ENTRY_BYTES_MAX * 2 + 1];
    char verdict[QB_VERDICT_BYTES * 2 + 1];
    struct qb_text text = {0};

    hex_of_usual(entry, verdict);
    qb_text_format(
        &text,
        "CREATE TEMP TABLE chunk ON COMMIT DROP AS SELECT i, %lld + i * %lld AS id, i * 250000000 "
        "AS t FROM generate_series(%lld::bigint, %lld) i;"
        "INSERT INTO auctions (id, seller, title, description, category, image, currency, "
        "is_private, created_us, starts_at_us, start_price, buy_now, applied_seq, status, price, "
        "bids, ends_at_us, sort_price) SELECT id, 1 + i %% %d, 'Thing ' || i || ' of ' || i %% 97, "
        "'It is as good as new, and was used for ' || i %% 37 || ' years.', 'c' || i %% 12, '', "
        "'USD', 0, t, t, 100, -1, 100, 3, 5000, 100, t + 600000000, (i * 7919) %% 1000000 FROM "
        "chunk;"
        "INSERT INTO entries SELECT id, s, decode(md5(i || '.' || s), 'hex'), '\\x%s', '\\x%s', "
        "sha256(int8send(i * 1000 + s)) FROM chunk, generate_series(1, %d) s;"
        "INSERT INTO bids SELECT id, s, 2, 1 + (i * 31 + s * 7919) %% %d, 5000, 5000, 1, 1, t + s "
        "FROM chunk, generate_series(1, %d) s;"
        "INSERT INTO payments SELECT id, id, 1 + (i * 31) %% %d, 1 + i %% %d, 5000, 'USD', 1, t, t "
        "FROM chunk",
        (long long)FIRST_ID, (long long)STEP_ID, (long long)from, (long long)before - 1, USERS,
        entry, verdict, BIDS_EACH, USERS, BIDS_EACH, USERS, USERS);
    must(!text.is_full, "a text is too long");
    must(qb_sql_begin(at->sql, &error), "begin");
    run(text.bytes);
    must(qb_sql_finish(at->sql, true, &error), "commit");
    qb_text_fini(&text);
}

/* Up to so many auctions; those that are not over are the newest. */
static void fill(int64_t upto)
{
    struct qb_text text = {0};
    int64_t began_us = qb_clock_mono_us();

    while (at->auctions < upto) {
        int64_t next = at->auctions + CHUNK < upto ? at->auctions + CHUNK : upto;
        fill_auctions(at->auctions, next);
        at->auctions = next;
        (void)fprintf(stderr, "\r%lld bids, %lld s ", (long long)(at->auctions * BIDS_EACH),
                      (long long)((qb_clock_mono_us() - began_us) / QB_SECOND_US));
    }
    qb_text_format(&text,
                   "UPDATE auctions SET status = 3 WHERE status = 1; UPDATE auctions SET status = "
                   "1, ends_at_us = 4000000000000000 + (id >> 22) WHERE id >= %lld",
                   (long long)auction_at(at->auctions - OPEN_NEWEST));
    run(text.bytes);
    qb_text_fini(&text);
    run("VACUUM ANALYZE");
    run("CHECKPOINT");
    (void)fprintf(stderr, "\n");
}

/* --- what is asked --- */

static bool see_listing(void *context, const struct qb_listing *listing, int64_t key)
{
    (void)context;
    (void)key;
    return listing != NULL;
}

static bool see_bid(void *context, const struct qb_bid_row *bid)
{
    (void)context;
    return bid != NULL;
}

static bool see_archived(void *context, const struct qb_archived *archived)
{
    (void)context;
    return archived != NULL;
}

static bool see_payment(void *context, const struct qb_payment *payment)
{
    (void)context;
    return payment != NULL;
}

static enum qb_store_result listings(struct qb_listing_query query)
{
    query.now_us = INT64_C(3000000000000000);
    query.rows_max = 25;
    return ops->listings(at->to, &query, see_listing, NULL, &error);
}

static enum qb_store_result one_listing(void)
{
    struct qb_listing listing;
    return ops->listing(at->to, any_auction(), &listing, &error);
}

static enum qb_store_result ending_soon(void)
{
    return listings((struct qb_listing_query){.phase = QB_PHASE_LIVE});
}

static enum qb_store_result cheapest_of_all(void)
{
    return listings((struct qb_listing_query){.sort = QB_SORT_PRICE_UP, .category = "c3"});
}

static enum qb_store_result search(void)
{
    char words[32];

    (void)snprintf(words, sizeof words, "thing %llu",
                   (unsigned long long)qb_random_below(&chance, (uint64_t)at->auctions));
    return listings((struct qb_listing_query){.search = words});
}

static enum qb_store_result own_auctions(void)
{
    return listings((struct qb_listing_query){.seller = any_user(), .with_private = true});
}

static enum qb_store_result own_bids(void)
{
    return listings((struct qb_listing_query){.bidder = any_user(), .with_private = true});
}

static enum qb_store_result bids(void)
{
    return ops->bids(at->to, any_auction(), 0, 25, see_bid, NULL, &error);
}

static enum qb_store_result bids_of(void)
{
    return ops->bids_of(at->to, any_user(), any_auction(), 100, see_bid, NULL, &error);
}

static enum qb_store_result entries(void)
{
    return ops->entries(at->to, any_auction(), 50, 25, see_archived, NULL, &error);
}

static enum qb_store_result entry_by_bid_id(void)
{
    const uint8_t bid_id[QB_BID_ID_BYTES] = {1};
    struct qb_archived archived;
    uint8_t bytes[QB_ENTRY_BYTES_MAX];

    return ops->entry_by_bid_id(at->to, any_auction(), bid_id, &archived, bytes, &error);
}

static enum qb_store_result payments(void)
{
    return ops->payments_of(at->to, any_user(), 0, 25, see_payment, NULL, &error);
}

static const struct {
    const char *what;
    enum qb_store_result (*ask)(void);
} questions[QUESTIONS] = {
    {"an auction's row", one_listing},
    {"list: live, ending soon", ending_soon},
    {"list: a category of all, cheapest", cheapest_of_all},
    {"list: a search", search},
    {"list: a seller's own", own_auctions},
    {"list: where an account has bid", own_bids},
    {"an auction's newest bids", bids},
    {"an account's bids in one auction", bids_of},
    {"a page of an auction's log", entries},
    {"an entry by its bid_id", entry_by_bid_id},
    {"an account's payments", payments},
};

/* `is_kept` false: to warm up. */
static void time_questions(bool is_kept)
{
    for (size_t i = 0; i < QUESTIONS; i++) {
        for (int k = 0; k < READS; k++) {
            int64_t began_us = qb_clock_mono_us();
            must(!qb_store_is_down(questions[i].ask()), questions[i].what);
            if (is_kept) qb_samples_add(&at->questions[i], qb_clock_mono_us() - began_us);
        }
    }
}

/* A batch as the archiver writes it, but for the folding. */
static void write_batch(void)
{
    struct qb_archive_head heads[BATCH_LOTS] = {{0}};
    struct qb_lot lot = {.status = QB_STATUS_OPEN, .price = 5000, .final_price = QB_AMOUNT_NONE};
    uint32_t least = 0;

    for (int i = 0; i < BATCH_LOTS; i++)
        heads[i].auction = auction_at(at->auctions - BATCH_LOTS + i);
    must(ops->archive_begin(at->to, &least, &error) == QB_STORE_OK, "archive_begin");
    must(ops->archive_heads(at->to, heads, BATCH_LOTS, &error) == QB_STORE_OK, "archive_heads");
    for (int i = 0; i < BATCH; i++) {
        if (i % BATCH_LOTS == 0) at->newest++;
        uint8_t bytes[QB_ENTRY_BYTES_MAX];
        struct qb_entry entry = bid_of(heads[i % BATCH_LOTS].auction, at->newest);
        const struct qb_archived archived = {.seq = entry.seq,
                                             .bytes = bytes,
                                             .length = qb_entry_encode(&entry, bytes),
                                             .verdict = verdict_of()};
        must(ops->archive_entry(at->to, &entry, &archived, &error) == QB_STORE_OK, "archive_entry");
    }
    for (int i = 0; i < BATCH_LOTS; i++) {
        lot.auction = heads[i].auction;
        lot.seq = at->newest;
        lot.ends_at_us = INT64_C(4000000000000000);
        must(ops->archive_state(at->to, &lot, &error) == QB_STORE_OK, "archive_state");
    }
    must(ops->archive_end(at->to, true, &error) == QB_STORE_OK, "archive_end");
}

static void time_batches(void)
{
    int64_t began_us = qb_clock_mono_us();

    while (qb_clock_mono_us() - began_us < BATCHES_US) {
        int64_t batch_us = qb_clock_mono_us();
        write_batch();
        qb_samples_add(&at->batches, qb_clock_mono_us() - batch_us);
    }
    at->batches_us += qb_clock_mono_us() - began_us;
}

/* By turns, so that what the machine does meanwhile falls on both. */
static void measure(void)
{
    struct side *const sides[] = {&few, &many};

    for (int round = 0; round < ROUNDS; round++) {
        for (size_t i = 0; i < QB_COUNT(sides); i++) {
            at = sides[i];
            run("CHECKPOINT");
            time_questions(false);
            time_questions(true);
            time_batches();
            (void)fprintf(stderr, "\rmeasured %d of %d", round + 1, ROUNDS);
        }
    }
    (void)fprintf(stderr, "\n");
}

static int64_t number(const char *text)
{
    struct qb_statement *query = qb_sql(at->sql, text);

    must(qb_step(query, &error) == QB_STEP_ROW, text);
    return qb_column_int(query, 0); /* of few: left open until its next use */
}

static void print_sizes(void)
{
    static const struct {
        const char *table;
        const char *rows;
        const char *heap;
        const char *indexes;
    } sizes[] = {
#define SIZE(table)                                                                                \
    {#table,                                                                                       \
     "SELECT sum(reltuples)::bigint FROM pg_class c WHERE relname ~ '^" #table                     \
     "(|_first|_other|_2.*)$' AND relkind = 'r'",                                                  \
     "SELECT sum(pg_table_size(c.oid))::bigint FROM pg_class c WHERE relname ~ '^" #table          \
     "(|_first|_other|_2.*)$' AND relkind = 'r'",                                                  \
     "SELECT sum(pg_indexes_size(c.oid))::bigint FROM pg_class c WHERE relname ~ '^" #table        \
     "(|_first|_other|_2.*)$' AND relkind = 'r'"}
        SIZE(entries),
        SIZE(bids),
        SIZE(auctions),
        SIZE(payments),
    };

    run("ANALYZE"); /* which counts, near enough */
    (void)printf("\n| table | rows | MB | MB of indexes | bytes a row, with indexes |\n"
                 "|---|---|---|---|---|\n");
    for (size_t i = 0; i < QB_COUNT(sizes); i++) {
        int64_t rows = number(sizes[i].rows);
        int64_t heap = number(sizes[i].heap);
        int64_t indexes = number(sizes[i].indexes);
        (void)printf("| %s | %lld | %lld | %lld | %lld |\n", sizes[i].table, (long long)rows,
                     (long long)(heap >> 20), (long long)(indexes >> 20),
                     (long long)((heap + indexes) / (rows > 0 ? rows : 1)));
    }
}

static int64_t entries_per_second(const struct side *side)
{
    return (int64_t)side->batches.count * BATCH * QB_SECOND_US / side->batches_us;
}

static void print_times(void)
{
    (void)printf("| µs | few: p50 | p99 | many: p50 | p99 | ratio of p50 |\n"
                 "|---|---|---|---|---|---|\n");
    for (size_t i = 0; i < QUESTIONS; i++) {
        int64_t few_us = qb_samples_at(&few.questions[i], 0.5);
        int64_t many_us = qb_samples_at(&many.questions[i], 0.5);
        (void)printf("| %s | %lld | %lld | %lld | %lld | %.2f |\n", questions[i].what,
                     (long long)few_us, (long long)qb_samples_at(&few.questions[i], 0.99),
                     (long long)many_us, (long long)qb_samples_at(&many.questions[i], 0.99),
                     (double)many_us / (double)few_us);
    }
    (void)printf(
        "| a persister's batch | %lld | %lld | %lld | %lld | %.2f |\n",
        (long long)qb_samples_at(&few.batches, 0.5), (long long)qb_samples_at(&few.batches, 0.99),
        (long long)qb_samples_at(&many.batches, 0.5), (long long)qb_samples_at(&many.batches, 0.99),
        (double)qb_samples_at(&many.batches, 0.5) / (double)qb_samples_at(&few.batches, 0.5));
    (void)printf(
        "\nBatches of %d entries in %d auctions: %lld entries a second on few, %lld on many: "
        "%.2f of it.\n",
        BATCH, BATCH_LOTS, (long long)entries_per_second(&few),
        (long long)entries_per_second(&many),
        (double)entries_per_second(&many) / (double)entries_per_second(&few));
}

/* In the database of that variable: new tables with so many auctions. */
static void side_open(struct side *side, const char *variable, int64_t auctions)
{
    const char *url = getenv(variable);

    must(url != NULL, variable);
    at = side;
    side->newest = BIDS_EACH;
    side->postgres = qb_postgres_new(url, QB_POSTGRES_PRIMARY, &error);
    must(side->postgres != NULL, variable);
    side->sql = qb_postgres_open(side->postgres, &error);
    must(side->sql != NULL, variable);
    side->store = qb_store_postgres_new(side->postgres);
    ops = side->store->ops;
    side->to = ops->open(side->store, &error);
    must(side->to != NULL, variable);
    run("SET statement_timeout = 0");
    fill_users();
    fill(auctions);
}

static void side_close(struct side *side)
{
    for (size_t i = 0; i < QUESTIONS; i++) qb_samples_fini(&side->questions[i]);
    qb_samples_fini(&side->batches);
    ops->close(&side->to);
    side->store->ops->free(side->store);
    qb_sql_close(&side->sql);
    qb_postgres_free(&side->postgres);
}

int main(int count, char **words)
{
    long long millions = count == 2 ? strtoll(words[1], NULL, 10) : 0;

    if (millions < 1 || millions > 1000) {
        (void)fprintf(stderr, "usage: FEW_URL=… MANY_URL=… qb_rows MILLIONS (1 to 1000)\n");
        return 2;
    }
    qb_random_seed(&chance, 1);
    side_open(&few, "FEW_URL", FEW_AUCTIONS);
    side_open(&many, "MANY_URL", millions * 1000000 / BIDS_EACH);
    measure();
    (void)printf("%d bids (few) and %lld million (many), 100 in each auction.\n\n",
                 FEW_AUCTIONS * BIDS_EACH, millions);
    print_times();
    print_sizes(); /* of the many */
    side_close(&few);
    side_close(&many);
    return 0;
}
