/*
 * Entries as bytes: one encoding, read strictly; ids, keys and labels that never change, because
 * ledgers and chains already hold them (rules.md 7 and 11, reliability.md 2.3).
 */
#include "base/attributes.h"
#include "base/random.h"
#include "bidding/entry.h"
#include "tests/kit/test.h"

#define ROUNDS 500

static void to_hex(const uint8_t *bytes, size_t length, char *hex)
{
    for (size_t i = 0; i < length; i++) (void)snprintf(&hex[2 * i], 3, "%02x", bytes[i]);
}

static int64_t any_int(struct qb_random *random)
{
    static const int64_t edges[] = {0, 1, -1, INT64_MAX, INT64_MIN, QB_AMOUNT_MAX};
    uint64_t pick = qb_random_below(random, 2 * QB_COUNT(edges));

    return pick < QB_COUNT(edges) ? edges[pick] : (int64_t)qb_random_below(random, UINT64_MAX);
}

static void any_bytes(struct qb_random *random, void *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        ((uint8_t *)bytes)[i] = (uint8_t)qb_random_below(random, 256);
    }
}

static qb_time_us any_time(struct qb_random *random)
{
    static const qb_time_us edges[] = {0, 1, QB_TIME_US_MAX};
    uint64_t pick = qb_random_below(random, 2 * QB_COUNT(edges));

    if (pick < QB_COUNT(edges)) return edges[pick];
    return (qb_time_us)qb_random_below(random, QB_TIME_US_MAX);
}

/* Random in every member, but such that they may open an auction. */
static struct qb_rules any_rules(struct qb_random *random)
{
    const int64_t tick = 1 + (int64_t)qb_random_below(random, 1000);
    const int64_t start = tick * (1 + (int64_t)qb_random_below(random, 1000));
    const qb_time_us starts_us = any_time(random) / 2;
    const qb_time_us ends_us = starts_us + 1 + (qb_time_us)qb_random_below(random, 1U << 31);
    struct qb_rules rules = {
        .version = QB_RULES_VERSION,
        .kind = QB_AUCTION_ENGLISH,
        .self_raise = (uint8_t)qb_random_below(random, 2),
        .retraction = (uint8_t)qb_random_below(random, 2),
        .reserve_style = (uint8_t)qb_random_below(random, 2),
        .currency = "EUR",
        .seller = 1 + qb_random_below(random, 1000),
        .tick = tick,
        .cap = QB_AMOUNT_MAX - (int64_t)qb_random_below(random, 1000),
        .start_price = start,
        .reserve = qb_random_below(random, 2) == 1 ? 2 * start : QB_AMOUNT_NONE,
        .buy_now = qb_random_below(random, 2) == 1 ? 3 * start : QB_AMOUNT_NONE,
        .starts_at_us = starts_us,
        .ends_at_us = ends_us,
        .soft_window_us = (int64_t)qb_random_below(random, 1U << 31),
        .soft_extend_us = (int64_t)qb_random_below(random, 1U << 31),
        .max_extensions = (uint32_t)any_int(random),
        .hard_end_us = qb_random_below(random, 2) == 1 ? ends_us + 77 : 0,
        .drain_us = (int64_t)qb_random_below(random, 1000000),
        .min_resume_us = (int64_t)qb_random_below(random, 1U << 31),
        .table.row_count = (uint8_t)(1 + qb_random_below(random, QB_INCREMENT_ROWS_MAX)),
    };

    rules.is_without_reserve = rules.reserve == QB_AMOUNT_NONE && qb_random_below(random, 2) == 1;
    any_bytes(random, rules.secret, sizeof rules.secret);
    for (int64_t i = 0; i < rules.table.row_count; i++) {
        rules.table.rows[i] = (struct qb_increment_row){
            .from = i * 1000 + (int64_t)qb_random_below(random, 1000),
            .step = 1 + i * 50 + (int64_t)qb_random_below(random, 50),
        };
    }
    return rules;
}

static struct qb_entry any_entry(struct qb_random *random, uint8_t type,
                                 const struct qb_rules *rules)
{
    struct qb_entry entry = {
        .auction = (uint64_t)any_int(random),
        .epoch = (uint32_t)any_int(random),
        .seq = (uint64_t)any_int(random),
        .type = type,
        .by = (uint8_t)qb_random_below(random, QB_ACTOR_ADMIN + 1),
        .reason = (uint8_t)qb_random_below(random, 256),
        .bidder = (uint64_t)any_int(random),
        .actor = (uint64_t)any_int(random),
        .max = any_int(random),
        .allowance = any_int(random),
        .recv_us = any_time(random),
        .now_us = any_time(random),
        .target_seq = (uint64_t)any_int(random),
        .end_us = any_time(random),
        .text_length = (uint16_t)qb_random_below(random, QB_REASON_BYTES_MAX + 1),
        .rules = type == QB_ENTRY_OPEN ? rules : NULL,
    };

    any_bytes(random, entry.bid_id, sizeof entry.bid_id);
    any_bytes(random, entry.text, entry.text_length);
    any_bytes(random, entry.currency, sizeof entry.currency - 1);
    return entry;
}

static bool is_same_rules(const struct qb_rules *a, const struct qb_rules *b)
{
    return a->seller == b->seller && a->tick == b->tick && a->cap == b->cap &&
           a->start_price == b->start_price && a->reserve == b->reserve &&
           a->buy_now == b->buy_now && a->starts_at_us == b->starts_at_us &&
           a->ends_at_us == b->ends_at_us && a->soft_window_us == b->soft_window_us &&
           a->soft_extend_us == b->soft_extend_us && a->max_extensions == b->max_extensions &&
           a->hard_end_us == b->hard_end_us && a->drain_us == b->drain_us &&
           a->min_resume_us == b->min_resume_us && a->self_raise == b->self_raise &&
           a->retraction == b->retraction && a->reserve_style == b->reserve_style &&
           a->is_without_reserve == b->is_without_reserve &&
           memcmp(a->secret, b->secret, sizeof a->secret) == 0 &&
           a->table.row_count == b->table.row_count &&
           memcmp(a->table.rows, b->table.rows, sizeof a->table.rows) == 0;
}

static bool is_same(const struct qb_entry *a, const struct qb_entry *b)
{
    return a->auction == b->auction && a->epoch == b->epoch && a->seq == b->seq &&
           a->type == b->type && a->by == b->by && a->reason == b->reason &&
           memcmp(a->bid_id, b->bid_id, sizeof a->bid_id) == 0 && a->bidder == b->bidder &&
           a->actor == b->actor && a->max == b->max && a->allowance == b->allowance &&
           memcmp(a->currency, b->currency, sizeof a->currency) == 0 && a->recv_us == b->recv_us &&
           a->now_us == b->now_us && a->target_seq == b->target_seq && a->end_us == b->end_us &&
           a->text_length == b->text_length && memcmp(a->text, b->text, a->text_length) == 0;
}

QB_TEST(what_is_written_is_read_back)
{
    struct qb_random random;

    qb_random_seed(&random, 21);
    for (int round = 0; round < ROUNDS; round++) {
        uint8_t type = (uint8_t)(1 + round % (QB_ENTRY_TYPE_COUNT - 1));
        uint8_t bytes[QB_ENTRY_BYTES_MAX];
        const struct qb_rules rules = any_rules(&random);
        const struct qb_entry entry = any_entry(&random, type, &rules);
        struct qb_entry read;
        struct qb_rules read_rules = {0};
        size_t length = qb_entry_encode(&entry, bytes);
        const char *says = qb_entry_type_name((enum qb_entry_type)type);
        QB_EXPECT(qb_entry_decode(bytes, length, &read, &read_rules), says);
        QB_EXPECT(is_same(&entry, &read), says);
        QB_EXPECT_EQ(read.rules != NULL, type == QB_ENTRY_OPEN, says);
        if (read.rules != NULL) QB_EXPECT(is_same_rules(&rules, read.rules), says);
    }
}

QB_TEST(nothing_but_the_whole_is_read)
{
    struct qb_random random;

    qb_random_seed(&random, 22);
    for (uint8_t type = 1; type < QB_ENTRY_TYPE_COUNT; type++) {
        uint8_t bytes[QB_ENTRY_BYTES_MAX + 1] = {0};
        const struct qb_rules rules = any_rules(&random);
        const struct qb_entry entry = any_entry(&random, type, &rules);
        struct qb_entry read;
        struct qb_rules read_rules;
        size_t length = qb_entry_encode(&entry, bytes);
        for (size_t cut = 0; cut < length; cut++) {
            /* A copy of the exact size, so that a sanitizer sees a byte read behind it. */
            uint8_t *part = malloc(cut > 0 ? cut : 1);
            if (part == NULL) abort();
            (void)memcpy(part, bytes, cut);
            QB_EXPECT(!qb_entry_decode(part, cut, &read, &read_rules), "a part of an entry");
            free(part);
        }
        QB_EXPECT(!qb_entry_decode(bytes, length + 1, &read, &read_rules), "a byte too many");
    }
}

QB_TEST(a_changed_byte_is_refused_or_means_something_else)
{
    struct qb_random random;

    qb_random_seed(&random, 23);
    for (uint8_t type = 1; type < QB_ENTRY_TYPE_COUNT; type++) {
        uint8_t bytes[QB_ENTRY_BYTES_MAX];
        uint8_t again[QB_ENTRY_BYTES_MAX];
        const struct qb_rules rules = any_rules(&random);
        const struct qb_entry entry = any_entry(&random, type, &rules);
        size_t length = qb_entry_encode(&entry, bytes);
        for (size_t i = 0; i < length * 8; i++) {
            struct qb_entry read;
            struct qb_rules read_rules;
            bytes[i / 8] ^= (uint8_t)(1U << (i % 8));
            if (qb_entry_decode(bytes, length, &read, &read_rules)) {
                QB_EXPECT_EQ(qb_entry_encode(&read, again), length, "there is one encoding");
                QB_EXPECT(memcmp(again, bytes, length) == 0, "there is one encoding");
            }
            bytes[i / 8] ^= (uint8_t)(1U << (i % 8));
        }
    }
}

static bool is_read(const struct qb_entry *entry)
{
    uint8_t bytes[QB_ENTRY_BYTES_MAX];
    struct qb_entry read;
    struct qb_rules rules;
    size_t length = qb_entry_encode(entry, bytes);

    return qb_entry_decode(bytes, length, &read, &rules);
}

/* The fold asserts what these would break, and a damaged row must not end the process. */
QB_TEST(what_the_fold_cannot_take_is_refused)
{
    struct qb_random random;

    qb_random_seed(&random, 25);
    struct qb_rules rules = any_rules(&random);
    const struct qb_entry open = any_entry(&random, QB_ENTRY_OPEN, &rules);
    QB_EXPECT(is_read(&open), "as it was");
    rules.table.rows[0].step = 0;
    QB_EXPECT(!is_read(&open), "no step");
    rules = any_rules(&random);
    rules.tick = 0;
    QB_EXPECT(!is_read(&open), "no tick");
    rules = any_rules(&random);
    rules.version = QB_RULES_VERSION + 1;
    QB_EXPECT(!is_read(&open), "rules of a later version");

    const struct qb_entry good = any_entry(&random, QB_ENTRY_BID, NULL);
    struct qb_entry bad = good;
    bad.now_us = QB_TIME_US_MAX + 1;
    QB_EXPECT(!is_read(&bad), "a time that overflows");
    bad = good;
    bad.recv_us = -1;
    QB_EXPECT(!is_read(&bad), "a stamp before all time");
    bad = good;
    bad.end_us = INT64_MAX;
    QB_EXPECT(!is_read(&bad), "an end that overflows");
}

QB_TEST(the_largest_entry_fits)
{
    struct qb_random random;
    uint8_t bytes[QB_ENTRY_BYTES_MAX];
    uint8_t shown[QB_ENTRY_BYTES_MAX + 128];

    qb_random_seed(&random, 24);
    struct qb_rules rules = any_rules(&random);
    rules.table.row_count = QB_INCREMENT_ROWS_MAX;
    struct qb_entry entry = any_entry(&random, QB_ENTRY_OPEN, &rules);
    entry.text_length = QB_REASON_BYTES_MAX;
    QB_EXPECT(qb_entry_encode(&entry, bytes) <= sizeof bytes, "canonical");
    QB_EXPECT(qb_entry_public_form(&entry, rules.secret, shown) <= sizeof shown, "public");
}

/* Worked out with another SHA-256, from the words of rules.md 7 and 11 alone. */
QB_TEST(an_id_and_a_label_are_what_they_always_were)
{
    uint8_t secret[QB_SECRET_BYTES];
    uint8_t id[QB_BID_ID_BYTES];
    char label[QB_LABEL_BYTES];
    char hex[2 * QB_BID_ID_BYTES + 1];

    for (size_t i = 0; i < sizeof secret; i++) secret[i] = (uint8_t)i;
    qb_bid_id(7, 11, "key-1", 5, id);
    to_hex(id, sizeof id, hex);
    QB_EXPECT_TEXT(hex, "e372c9436dda32da8b56311a78662c2b", "auction 7, bidder 11, key-1");
    qb_bidder_label(secret, 11, label);
    QB_EXPECT_TEXT(label, "4V3QD", "bidder 11 under the secret 0, 1, 2 ...");
}

QB_TEST(ids_differ_where_auction_bidder_or_key_do)
{
    static const struct {
        qb_id auction;
        qb_id bidder;
        const char *key;
    } rows[] = {{1, 2, "a"}, {2, 1, "a"}, {1, 2, "b"}, {1, 2, "aa"}, {12, 2, "a"}, {1, 22, "a"}};
    uint8_t ids[QB_COUNT(rows)][QB_BID_ID_BYTES];

    for (size_t i = 0; i < QB_COUNT(rows); i++) {
        qb_bid_id(rows[i].auction, rows[i].bidder, rows[i].key, strnlen(rows[i].key, 9), ids[i]);
        for (size_t k = 0; k < i; k++) {
            QB_EXPECT(memcmp(ids[i], ids[k], QB_BID_ID_BYTES) != 0, rows[i].key);
        }
    }
}

QB_TEST(a_label_says_nothing_across_auctions)
{
    const uint8_t here[QB_SECRET_BYTES] = {1};
    const uint8_t there[QB_SECRET_BYTES] = {2};
    char label[QB_LABEL_BYTES];
    char again[QB_LABEL_BYTES];

    for (qb_id bidder = 1; bidder < 1000; bidder++) {
        qb_bidder_label(here, bidder, label);
        qb_bidder_label(here, bidder, again);
        QB_EXPECT_TEXT(label, again, "stable in one auction");
        QB_EXPECT_EQ(strspn(label, "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"), 5, "no letter misread");
        qb_bidder_label(there, bidder, again);
        QB_EXPECT(strcmp(label, again) != 0, "another in another auction");
    }
}

static const struct {
    const char *says;
    const char *key;
    size_t length;
    bool is_valid;
} keys[] = {
    /* clang-format off */
    {"empty",         "",         0, false},
    {"one letter",    "a",        1, true},
    {"all kinds",     "aZ09_-",   6, true},
    {"a space",       "a b",      3, false},
    {"a dot",         "a.b",      3, false},
    {"a zero byte",   "a\0b",     3, false},
    {"not ASCII",     "\xc3\xa9", 2, false},
    {"before 0",      "/",        1, false},
    {"behind 9",      ":",        1, false},
    {"before A",      "@",        1, false},
    {"behind Z",      "[",        1, false},
    {"before a",      "`",        1, false},
    {"behind z",      "{",        1, false},
    {"64 letters",    "0123456789012345678901234567890123456789012345678901234567890123",  64, true},
    {"65 letters",    "01234567890123456789012345678901234567890123456789012345678901234", 65, false},
    /* clang-format on */
};

QB_TEST(a_key_is_1_to_64_of_a_small_alphabet)
{
    for (size_t i = 0; i < QB_COUNT(keys); i++) {
        QB_EXPECT_EQ(qb_key_is_valid(keys[i].key, keys[i].length), keys[i].is_valid, keys[i].says);
    }
}

QB_TEST(a_resend_asks_the_same_whenever_it_comes)
{
    const struct qb_entry first = {.type = QB_ENTRY_BID,
                                   .bidder = 11,
                                   .max = 5000,
                                   .currency = "EUR",
                                   .allowance = 9000,
                                   .recv_us = 1,
                                   .now_us = 2};
    struct qb_entry again = first;
    const uint64_t asked = qb_entry_asked(&first);

    again.recv_us = 77;
    again.now_us = 78;
    again.allowance = -1;
    again.seq = 12;
    again.epoch = 3;
    QB_EXPECT_EQ(qb_entry_asked(&again), asked, "only stamps and place differ");
    again.max++;
    QB_EXPECT(qb_entry_asked(&again) != asked, "another maximum");
    again = first;
    again.type = QB_ENTRY_BUY_NOW;
    QB_EXPECT(qb_entry_asked(&again) != asked, "another command");
    again = first;
    again.currency[0] = 'U';
    QB_EXPECT(qb_entry_asked(&again) != asked, "another currency");
}

QB_TEST(every_type_has_a_name_and_no_other_number)
{
    QB_EXPECT(qb_entry_type_name((enum qb_entry_type)0) == NULL, "0 is none");
    QB_EXPECT(qb_entry_type_name(QB_ENTRY_TYPE_COUNT) == NULL, "behind the last");
    for (int type = 1; type < QB_ENTRY_TYPE_COUNT; type++) {
        QB_EXPECT(qb_entry_type_name((enum qb_entry_type)type) != NULL, "a type has a name");
    }
    QB_EXPECT_TEXT(qb_entry_type_name((enum qb_entry_type)1), "OPEN", "numbers stay");
    QB_EXPECT_TEXT(qb_entry_type_name((enum qb_entry_type)2), "BID", "numbers stay");
    QB_EXPECT_TEXT(qb_entry_type_name((enum qb_entry_type)14), "DISCARD", "numbers stay");
}

/* The ledger's script writes them into bytes that were encoded without. */
QB_TEST(what_the_ledger_adds_has_fixed_places)
{
    struct qb_entry entry = {.auction = 1, .type = QB_ENTRY_BID, .currency = "USD"};
    uint8_t without[QB_ENTRY_BYTES_MAX];
    uint8_t with[QB_ENTRY_BYTES_MAX];

    size_t length = qb_entry_encode(&entry, without);
    entry.epoch = 0x04030201;
    entry.seq = UINT64_C(0x0807060504030201);
    entry.now_us = INT64_C(0x0807060504030201);
    QB_EXPECT_EQ(qb_entry_encode(&entry, with), length, "the same length");
    for (uint8_t i = 0; i < 4; i++) without[QB_ENTRY_EPOCH_AT + i] = (uint8_t)(i + 1);
    for (uint8_t i = 0; i < 8; i++) without[QB_ENTRY_SEQ_AT + i] = (uint8_t)(i + 1);
    for (uint8_t i = 0; i < 8; i++) without[QB_ENTRY_NOW_AT + i] = (uint8_t)(i + 1);
    QB_EXPECT(memcmp(with, without, length) == 0, "written in place");
}
