/*
 * How Postgres answers each query of the store on tables that are not small: by an index, and
 * reading little more than it gives. The server itself says what it did (auto_explain, in its log).
 *
 * Each operation runs often enough for one plan to serve all values, as it does in a server that
 * has run for a while.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "storage/store_postgres.h"
#include "tests/contract/store_contract.h"
#include "tests/kit/postgres.h"
#include "tests/kit/stack.h"
#include "tests/kit/test.h"

enum {
    USERS = 20000,

    ROUNDS = 7,      /* from the sixth on one plan may serve all */
    ROWS_MAX = 3000, /* of one step of a plan */
    BIG_SELLER = 1,  /* has sold 1,500 */
    BUYER = 105,     /* a usual account */
    OPEN_AUCTION = 100,
    NEW_AUCTION = 1000000,
    LINE_BYTES = 8192,
};

/* clang-format off */
static const char fill[] =
    "SET statement_timeout = 0;"
    "INSERT INTO users SELECT i, 'u' || i || '@x.example', 'U', 'v', 3, (i % 5000 = 7)::int, i "
    "FROM generate_series(1, 20000) i;"
    "INSERT INTO logins SELECT sha256(i::text::bytea), i, i, 4000000000000000 + i FROM generate_series(1, 20000) i;"
    "INSERT INTO limits SELECT i, 'USD', 1000 FROM generate_series(1, 100) i;"
    "INSERT INTO revocations SELECT i, 0, i, 4000000000000000 + i FROM generate_series(1, 20000) i;"
    "INSERT INTO auctions (id, seller, title, description, category, image, currency, is_private, created_us, "
    "starts_at_us, start_price, buy_now, applied_seq, status, ends_at_us, sort_price) "
    "SELECT i, CASE WHEN i % 20 = 3 THEN 1 ELSE 2 + i % 15000 END, 'Thing ' || i, 'As it is.', 'c' || i % 12, '', "
    "'USD', 0, i * 1000, i * 1000 + 500, 100, -1, 1, CASE WHEN i % 50 = 0 THEN 1 ELSE 3 + i % 3 END, "
    "CASE WHEN i % 50 = 0 THEN 4000000000 + i ELSE i * 1000 + 900 END, (i * 7919) % 100000 "
    "FROM generate_series(1, 30000) i;"
    "INSERT INTO bids SELECT i / 20 + 1, i % 20 + 2, 2, 100 + (i * 31) % 15000, i, i, 1, 1, i FROM generate_series(0, 199999) i;"
    "INSERT INTO entries SELECT i / 20 + 1, i % 20 + 2, decode(lpad(to_hex(i), 32, '0'), 'hex'), sha256('x'), sha256('y'), sha256('z') "
    "FROM generate_series(0, 199999) i;"
    "INSERT INTO payments SELECT i, i, 100 + i % 15000, 2 + i % 15000, 5, 'USD', i % 3, i, i FROM generate_series(1, 40000) i;"
    "INSERT INTO watches SELECT 100 + i % 10000, 1 + (i * 17) % 30000 FROM generate_series(1, 40000) i ON CONFLICT DO NOTHING;"
    "INSERT INTO images SELECT sha256(i::text::bytea), 'image/png', '1', 1 FROM generate_series(1, 20000) i;"
    "INSERT INTO image_use SELECT i, 4096 FROM generate_series(1, 20000) i";
/* clang-format on */

static const struct qb_store_ops *ops;
static struct qb_store_link *to;
static struct qb_error error;
static int64_t number; /* of this call; no two are the same */

static bool see_user(void *context, qb_id user)
{
    (void)context;
    return user != 0;
}

static bool see_limit(void *context, qb_id user, const char *currency, int64_t amount)
{
    (void)context;
    return user != 0 && currency != NULL && amount >= 0;
}

static bool see_revocation(void *context, const struct qb_revocation *revocation)
{
    (void)context;
    return revocation != NULL;
}

static bool see_listing(void *context, const struct qb_listing *listing, int64_t key)
{
    struct qb_listing_query *query = context;

    query->after_id = listing->id;
    query->after_key = key;
    return true;
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

static bool see_record(void *context, const struct qb_bid_record *record)
{
    (void)context;
    return record != NULL;
}

static bool see_payment(void *context, const struct qb_payment *payment)
{
    (void)context;
    return payment != NULL;
}

static void see_image(void *context, const char *type, const void *bytes, size_t length)
{
    (void)context;
    (void)type;
    (void)bytes;
    (void)length;
}

static void hash_of(int64_t value, uint8_t hash[QB_SHA256_BYTES])
{
    char text[24];

    (void)snprintf(text, sizeof text, "%lld", (long long)value);
    qb_sha256_of(text, strlen(text), hash);
}

static void accounts(void)
{
    struct qb_user user = {.id = (qb_id)(USERS + number), .name = "N", .verifier = "v"};
    char email[32];

    (void)snprintf(user.email, sizeof user.email, "n%lld@x.example", (long long)number);
    (void)ops->user_add(to, &user, &error);
    (void)snprintf(email, sizeof email, "u%lld@x.example", (long long)number + BUYER);
    (void)ops->user_by_email(to, email, &user, &error);
    (void)ops->user_by_id(to, BUYER, &user, &error);
    (void)ops->user_update(to, &user, &error);
    (void)ops->limit_set(to, BUYER, "USD", number, &error);
    (void)ops->limit_set(to, BUYER, "USD", -1, &error);
    (void)ops->limits(to, see_limit, NULL, &error);
    (void)ops->banned(to, see_user, NULL, &error);
}

static void logins(void)
{
    const struct qb_revocation revocation = {
        .user = (qb_id)(USERS + number), .since_us = 1, .until_us = INT64_C(4100000000000000)};
    struct qb_login login = {.user = BUYER, .expires_us = INT64_C(4100000000000000)};

    hash_of(USERS + number, login.hash);
    (void)ops->login_add(to, &login, &error);
    (void)ops->login_find(to, login.hash, &login, &error);
    (void)ops->login_remove(to, login.hash, &revocation, &error);
    (void)ops->revoke(to, &revocation, &error);
    (void)ops->revocations(to, INT64_C(4000000000019990), see_revocation, NULL, &error);
}

static void listings(void)
{
    uint8_t asked[QB_SHA256_BYTES];
    struct qb_listing listing = store_listing((qb_id)(NEW_AUCTION + number), "Something new");
    struct qb_listing_terms terms = {.key = "k", .live_max = 1000, .day_max = 1000};
    struct qb_lot lot;
    size_t count = 0;

    listing.seller = 200;
    listing.created_us = INT64_C(10000000000) + number * 90000000000;
    (void)ops->listing_add(to, &listing, &terms, &error);
    (void)ops->listing_by_key(to, 200, "k", &listing, asked, &error);
    (void)ops->listing(to, OPEN_AUCTION, &listing, &error);
    (void)ops->listings_forget(to, 1, &count, &error);
    (void)ops->live(to, see_user, NULL, &error);
    (void)ops->state(to, OPEN_AUCTION, &lot, &error);
    (void)ops->watch_set(to, BUYER, (qb_id)number + 1, true, &error);
    (void)ops->watch_set(to, BUYER, (qb_id)number + 1, true, &error);
    (void)ops->watch_set(to, BUYER, (qb_id)number + 1, false, &error);
}

/* Two pages of a list. */
static void list(struct qb_listing_query query)
{
    query.now_us = INT64_C(3500000000);
    query.rows_max = 25;
    for (int page = 0; page < 2; page++) {
        struct qb_listing_query next = query;
        (void)ops->listings(to, &query, see_listing, &next, &error);
        query = next;
    }
}

static void lists(void)
{
    static const qb_id whose[][3] = {
        {0}, {BIG_SELLER}, {300}, {0, BUYER}, {0, 0, BUYER}}; /* seller, bidder, watcher */

    for (size_t i = 0; i < QB_COUNT(whose); i++) {
        for (uint8_t phase = 0; phase < 4; phase++) {
            for (uint8_t sort = 0; sort < 4; sort++) {
                struct qb_listing_query query = {.seller = whose[i][0],
                                                 .bidder = whose[i][1],
                                                 .watcher = whose[i][2],
                                                 .phase = phase,
                                                 .sort = sort};
                list(query);
                query.category = "c4";
                list(query);
            }
        }
    }
    list((struct qb_listing_query){.search = "thing 4711"});
    list((struct qb_listing_query){.search = "4711", .phase = QB_PHASE_LIVE});
}

static void images(void)
{
    struct qb_image image = {.type = "image/png", .bytes = "2", .length = 1, .owner = BUYER};

    hash_of(USERS + number, image.hash);
    (void)ops->image_add(to, &image, 0, &error);
    hash_of(number, image.hash);
    (void)ops->image_is_there(to, image.hash, &error);
    (void)ops->image(to, image.hash, see_image, NULL, &error);
}

static void history(void)
{
    struct qb_archived archived;
    struct qb_payment payment;
    uint8_t bytes[QB_ENTRY_BYTES_MAX];
    const uint8_t bid_id[QB_BID_ID_BYTES] = {0};

    (void)ops->entries(to, 500, 3, 10, see_archived, NULL, &error);
    (void)ops->entry_by_bid_id(to, 500, bid_id, &archived, bytes, &error);
    (void)ops->bids(to, 500, 0, 25, see_bid, NULL, &error);
    (void)ops->bids(to, 500, 12, 25, see_bid, NULL, &error);
    (void)ops->bids_of(to, BUYER, 0, 25, see_bid, NULL, &error);
    (void)ops->bids_of(to, BUYER, 500, 25, see_bid, NULL, &error);
    (void)ops->payments_of(to, BUYER, 0, 25, see_payment, NULL, &error);
    (void)ops->payments_of(to, BUYER, 20000, 25, see_payment, NULL, &error);
    (void)ops->payment_of_auction(to, OPEN_AUCTION, &payment, &error);
}

/* An entry of an auction that has none in the tables; the first `taken` times at a place that is.
 */
static void archive(bool is_taken)
{
    struct qb_archive_head heads[40] = {{0}};
    struct qb_lot lot = store_lot(OPEN_AUCTION);
    struct qb_entry entry = {.auction = 29000, .seq = (uint64_t)number, .type = QB_ENTRY_BID};
    struct qb_archived archived = {.seq = entry.seq,
                                   .bytes = (const uint8_t *)"entry",
                                   .length = 5,
                                   .verdict = {.code = QB_VERDICT_LEADING}};
    struct qb_staged staged = {.auction = 29001, .seq = (uint64_t)number, .epoch = 1, .length = 1};
    const struct qb_payment payment = {.id = (qb_id)(USERS * 10 + number),
                                       .auction = (qb_id)(USERS * 10 + number),
                                       .currency = "USD"};
    uint32_t least = 0;
    bool is_frozen = false;
    size_t count = 0;

    if (is_taken) entry.auction = 7;
    if (is_taken) entry.seq = 7;
    (void)memcpy(entry.bid_id, &number, sizeof number);
    for (size_t i = 0; i < QB_COUNT(heads); i++) heads[i].auction = 1000 + i * 7;
    (void)ops->archive_begin(to, &least, &error);
    (void)ops->archive_heads(to, heads, QB_COUNT(heads), &error);
    (void)ops->archive_entry(to, &entry, &archived, &error);
    (void)ops->archive_state(to, &lot, &error);
    if (!is_taken) {
        (void)ops->archive_records(to, 500, see_record, NULL, &error);
        (void)ops->archive_struck(to, 500, 7, &error);
        (void)ops->archive_payment(to, &payment, &error);
        (void)ops->archive_conflict(to, 30000, 1, staged.bytes, 1, &error);
        (void)ops->archive_is_frozen(to, 500, &is_frozen, &error);
        (void)ops->archive_stage(to, &staged, &error);
        (void)ops->archive_stage(to, &staged, &error);
        (void)ops->archive_staged(to, 29001, 0, &staged, &error);
        (void)ops->archive_void(to, &staged, &error);
        (void)ops->archive_unstage(to, &staged, &error);
        (void)ops->archive_void_staged(to, 1, &count, &error);
    }
    (void)ops->archive_end(to, true, &error);
}

static void archives(void)
{
    struct qb_applied applied[] = {{.auction = 100}, {.auction = 500}};
    uint32_t epoch = 0;

    (void)ops->applied(to, applied, QB_COUNT(applied), &error);
    archive(false);
    archive(true); /* and then with care, row by row */
    number += ROUNDS;
    archive(false);
    number -= ROUNDS;
    (void)ops->epoch_next(to, &epoch, &error);
}

/* What reads a table from its begin to its end, and may: all of it is wanted, or it is small, or
 * empty, as a month's to come is. */
static bool may_be_read_whole(const char *line)
{
    static const char *const tables[] = {" limits ",   " staging ", " conflicts ",   " epochs ",
                                         " recovery ", " drained ", " void_entries "};

    for (size_t i = 0; i < QB_COUNT(tables); i++) {
        if (strstr(line, tables[i]) != NULL) return true;
    }
    return strstr(line, "(cost=0.00..0.00 ") != NULL;
}

static double number_behind(const char *line, const char *word)
{
    const char *at = strstr(line, word);
    return at != NULL ? strtod(at + strlen(word), NULL) : 0;
}

/* A line of a plan; false: it does too much. */
static bool is_modest(const char *line)
{
    double loops = number_behind(line, " loops=");
    bool is_whole = strstr(line, "Seq Scan on") != NULL && !may_be_read_whole(line);

    return !is_whole && number_behind(line, "(actual rows=") * loops <= ROWS_MAX &&
           number_behind(line, "Rows Removed by Filter: ") <= ROWS_MAX &&
           number_behind(line, "Rows Removed by Join Filter: ") <= ROWS_MAX &&
           number_behind(line, "Rows Removed by Index Recheck: ") <= ROWS_MAX;
}

/* Reads the plans behind `*offset`, and tells each statement that was immodest once. */
static size_t judge(long *offset, const char *what)
{
    FILE *file = qb_stack_log("postgres");
    char line[LINE_BYTES];
    char query[LINE_BYTES] = "";
    size_t plans = 0;

    (void)fseek(file, *offset, SEEK_SET);
    while (fgets(line, sizeof line, file) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        const char *text = strstr(line, "Query Text: ");
        if (text != NULL) {
            (void)snprintf(query, sizeof query, "%s", text);
            plans++;
        } else if (line[0] == '\t' && query[0] != '\0' && !is_modest(line)) {
            (void)printf("%s: %s\n    %s\n", what, query, line + 1);
            QB_EXPECT(false, "a query reads too much");
            query[0] = '\0';
        }
    }
    *offset = ftell(file);
    (void)fclose(file);
    return plans;
}

/* Of the role and its sessions to come; the server writes what each statement did to its log. */
static void explain_all(void)
{
    struct qb_postgres *server =
        qb_postgres_new(qb_stack_value("DATABASE_OPERATOR_URL"), QB_POSTGRES_PRIMARY, &error);
    qb_must(server != NULL, error.text);
    struct qb_sql_link *superuser = qb_schema_connect(server);
    qb_must(qb_sql_run(superuser,
                       "ALTER ROLE quickbid SET session_preload_libraries = 'auto_explain';"
                       "ALTER ROLE quickbid SET auto_explain.log_min_duration = 0;"
                       "ALTER ROLE quickbid SET auto_explain.log_analyze = on;"
                       "ALTER ROLE quickbid SET auto_explain.log_timing = off",
                       &error),
            error.text);
    qb_sql_close(&superuser);
    qb_postgres_free(&server);
}

static const struct {
    const char *what;
    void (*run)(void);
    size_t operations; /* of struct qb_store_ops */
} parts[] = {
    {"accounts", accounts, 7}, {"logins", logins, 5}, {"listings", listings, 7},
    {"lists", lists, 1},       {"images", images, 3}, {"history", history, 6},
    {"archive", archives, 17},
};
enum { WITHOUT_A_QUERY = 4 }; /* open, open_later, close, free */

QB_TEST(every_query_finds_by_an_index_what_it_gives)
{
    struct qb_postgres *postgres = qb_schema_new("postgres-single");
    size_t operations = WITHOUT_A_QUERY;
    long offset = 0;

    (void)qb_schema_migrate(postgres);
    struct qb_sql_link *sql = qb_schema_connect(postgres);
    qb_must(qb_sql_run(sql, fill, &error), error.text);
    qb_must(qb_sql_run(sql, "VACUUM ANALYZE", &error), error.text);
    qb_sql_close(&sql);
    explain_all();
    struct qb_store *store = qb_store_postgres_new(postgres);
    ops = store->ops;
    to = ops->open(store, &error);
    qb_must(to != NULL, error.text);
    (void)judge(&offset, "the begin");
    for (size_t i = 0; i < QB_COUNT(parts); i++) {
        for (int round = 0; round < ROUNDS; round++) {
            number++;
            parts[i].run();
        }
        QB_EXPECT(judge(&offset, parts[i].what) >= parts[i].operations * ROUNDS, "plans are told");
        operations += parts[i].operations;
    }
    QB_EXPECT_EQ(operations * sizeof(void (*)(void)), sizeof(struct qb_store_ops),
                 "each operation is in a part");
    ops->close(&to);
    ops->free(store);
    qb_postgres_free(&postgres);
}
