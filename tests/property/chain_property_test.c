/*
 * The hash chain over random auctions (reliability.md 2.3): every link follows from the one before,
 * the entry's public form and the verdict; nothing that stays secret shows in it, and nothing that
 * is public can be changed without breaking it.
 */
#include <string.h>

#include "base/random.h"
#include "base/sha256.h"
#include "bidding/lot.h"
#include "tests/kit/test.h"
#include "tests/property/generator.h"
#include "tests/property/model.h"
#include "tests/property/records.h"

#define AUCTIONS    400
#define ENTRIES_MAX 256
#define FORM_BYTES  (QB_ENTRY_BYTES_MAX + 128)

/* A log, its verdicts, and the chain behind each entry. */
struct log {
    struct generator generator;
    struct qb_entry entries[ENTRIES_MAX];
    uint8_t chains[ENTRIES_MAX][QB_SHA256_BYTES];
    struct qb_verdict verdicts[ENTRIES_MAX];
    size_t count;
};

static void put(struct qb_sha256 *sha, uint64_t value, size_t bytes)
{
    uint8_t little[8];

    for (size_t i = 0; i < bytes; i++) little[i] = (uint8_t)(value >> (8 * i));
    qb_sha256_update(sha, little, bytes);
}

/* The link as reliability.md 2.3 words it. */
static void link_of(const struct log *log, size_t index, uint8_t link[QB_SHA256_BYTES])
{
    static const uint8_t zeros[QB_SHA256_BYTES];
    const struct qb_verdict *verdict = &log->verdicts[index];
    uint8_t form[FORM_BYTES];
    uint8_t digest[QB_SHA256_BYTES];
    uint8_t leader[QB_SHA256_BYTES] = {0};
    struct qb_sha256 sha;

    const size_t length =
        qb_entry_public_form(&log->entries[index], log->generator.rules.secret, form);
    qb_sha256_of(form, length, digest);
    if (verdict->leader != 0) {
        qb_bidder_hidden(log->generator.rules.secret, verdict->leader, leader);
    }
    qb_sha256_init(&sha);
    qb_sha256_update(&sha, index > 0 ? log->chains[index - 1] : zeros, QB_SHA256_BYTES);
    qb_sha256_update(&sha, digest, sizeof digest);
    /* The code is two bytes: the verdict's, then the refusal's. */
    put(&sha, verdict->code, 1);
    put(&sha, verdict->refusal, 1);
    put(&sha, (uint64_t)verdict->price, 8);
    qb_sha256_update(&sha, leader, sizeof leader);
    put(&sha, verdict->bids, 4);
    put(&sha, (uint64_t)verdict->ends_at_us, 8);
    put(&sha, verdict->status, 1);
    qb_sha256_final(&sha, link);
}

/* Makes random auction `number`. */
static void make_log(struct log *log, uint64_t number)
{
    static struct model model;
    static struct records records;
    struct qb_lot lot = {0};

    memset(&model, 0, sizeof model);
    memset(log, 0, sizeof *log);
    records.count = 0;
    generator_init(&log->generator, generator_seed(13, number));
    while (log->count < log->generator.length) {
        struct qb_entry *entry = &log->entries[log->count];
        *entry = generator_next(&log->generator, &model, log->count > 0 ? entry - 1 : NULL);
        (void)model_fold(&model, entry);
        struct qb_verdict *verdict = &log->verdicts[log->count];
        *verdict = qb_lot_fold(&lot, entry, records.rows, records.count);
        records_keep(&records, entry, verdict);
        memcpy(log->chains[log->count++], lot.chain, QB_SHA256_BYTES);
    }
}

QB_TEST(every_link_follows_from_entry_and_verdict)
{
    static struct log log;

    for (uint64_t number = 0; number < AUCTIONS; number++) {
        make_log(&log, number);
        for (size_t i = 0; i < log.count; i++) {
            uint8_t link[QB_SHA256_BYTES];
            link_of(&log, i, link);
            QB_EXPECT(memcmp(link, log.chains[i], sizeof link) == 0, "a link");
        }
    }
}

static void read_back(const struct qb_entry *entry)
{
    uint8_t bytes[QB_ENTRY_BYTES_MAX];
    uint8_t again[QB_ENTRY_BYTES_MAX];
    struct qb_entry read;
    struct qb_rules rules;

    const size_t length = qb_entry_encode(entry, bytes);
    QB_EXPECT(qb_entry_decode(bytes, length, &read, &rules), "an entry is read");
    QB_EXPECT_EQ(qb_entry_encode(&read, again), length, "its length stays");
    QB_EXPECT(memcmp(bytes, again, length) == 0, "its bytes stay");
    QB_EXPECT(!qb_entry_decode(bytes, length - 1, &read, &rules), "a byte short is refused");
    QB_EXPECT(!qb_entry_decode(bytes, length + 1, &read, &rules), "a byte more is refused");
}

QB_TEST(entries_survive_their_own_bytes)
{
    static struct log log;

    for (uint64_t number = 0; number < AUCTIONS; number++) {
        make_log(&log, number);
        for (size_t i = 0; i < log.count; i++) read_back(&log.entries[i]);
    }
}

static const uint8_t secret[QB_SECRET_BYTES] = "thirty-two bytes, never public.";

static bool is_same_form(const struct qb_entry *a, const struct qb_entry *b)
{
    uint8_t form_a[FORM_BYTES];
    uint8_t form_b[FORM_BYTES];

    const size_t length = qb_entry_public_form(a, secret, form_a);
    return qb_entry_public_form(b, secret, form_b) == length && memcmp(form_a, form_b, length) == 0;
}

static bool shows(const uint8_t *form, size_t length, const void *bytes, size_t count)
{
    return memmem(form, length, bytes, count) != NULL;
}

static const struct qb_entry bid = {
    .auction = 7,
    .epoch = 3,
    .seq = 9,
    .type = QB_ENTRY_BID,
    .by = QB_ACTOR_BIDDER,
    .bid_id = "fifteen bytes..",
    .bidder = 0x123456789abcdef,
    .actor = 0x123456789abcdef,
    .max = 0x1badcafe2beef,
    .currency = "USD",
    .allowance = 0x1deadbea7f00d,
    .recv_us = 1700000000000001,
    .now_us = 1700000000000002,
};

QB_TEST(a_bid_in_public_hides_bidder_maximum_and_allowance)
{
    uint8_t form[FORM_BYTES];

    const size_t length = qb_entry_public_form(&bid, secret, form);
    QB_EXPECT(!shows(form, length, &bid.bidder, sizeof bid.bidder), "bidder and actor");
    QB_EXPECT(!shows(form, length, &bid.max, sizeof bid.max), "maximum");
    QB_EXPECT(!shows(form, length, &bid.allowance, sizeof bid.allowance), "allowance");
    QB_EXPECT(shows(form, length, &bid.now_us, sizeof bid.now_us), "the time is public");
}

QB_TEST(an_opening_in_public_hides_reserve_and_secret)
{
    struct qb_random random;
    uint8_t form[FORM_BYTES];
    struct qb_entry open = {.auction = 7, .seq = 1, .type = QB_ENTRY_OPEN, .max = QB_AMOUNT_NONE};

    qb_random_seed(&random, 4);
    struct qb_rules rules = generator_rules(&random);
    rules.reserve = 0x1badcafe2beef;
    rules.buy_now = QB_AMOUNT_NONE;
    memcpy(rules.secret, secret, sizeof secret);
    open.rules = &rules;
    const size_t length = qb_entry_public_form(&open, secret, form);
    QB_EXPECT(!shows(form, length, &rules.reserve, sizeof rules.reserve), "reserve");
    for (size_t i = 0; i + 8 <= sizeof secret; i++) {
        QB_EXPECT(!shows(form, length, secret + i, 8), "any piece of the secret");
    }

    struct qb_rules other = rules;
    other.reserve++;
    struct qb_entry other_open = open;
    other_open.rules = &other;
    QB_EXPECT(!is_same_form(&open, &other_open), "another reserve is another form");
}

QB_TEST(what_was_promised_cannot_be_changed_later)
{
    struct qb_entry changed = bid;

    QB_EXPECT(is_same_form(&bid, &changed), "the same entry");
    changed.allowance = 5;
    QB_EXPECT(is_same_form(&bid, &changed), "the allowance is left out");
    changed = bid;
    changed.max++;
    QB_EXPECT(!is_same_form(&bid, &changed), "maximum");
    changed = bid;
    changed.bidder++;
    QB_EXPECT(!is_same_form(&bid, &changed), "bidder");
    changed = bid;
    changed.recv_us--;
    QB_EXPECT(!is_same_form(&bid, &changed), "arrival");
    changed = bid;
    changed.now_us++;
    QB_EXPECT(!is_same_form(&bid, &changed), "time");
    changed = bid;
    changed.seq++;
    QB_EXPECT(!is_same_form(&bid, &changed), "place");
    changed = bid;
    changed.bid_id[0] ^= 1;
    QB_EXPECT(!is_same_form(&bid, &changed), "id");
    changed = bid;
    changed.type = QB_ENTRY_BUY_NOW;
    QB_EXPECT(!is_same_form(&bid, &changed), "type");
}
