/*
 * The state as bytes, and the hash chain: what is written is read back, what is damaged is refused
 * or harmless, and the links are those that anybody can work out (reliability.md 2.3).
 */
#include "tests/unit/lot_world.h"

static void to_hex(const uint8_t digest[QB_SHA256_BYTES], char hex[2 * QB_SHA256_BYTES + 1])
{
    for (size_t i = 0; i < QB_SHA256_BYTES; i++) (void)snprintf(&hex[2 * i], 3, "%02x", digest[i]);
}

/* Worked out with another SHA-256, from the words of reliability.md 2.3 alone. */
QB_TEST(the_links_are_what_they_always_were)
{
    char hex[2 * QB_SHA256_BYTES + 1];

    begin();
    start();
    to_hex(world.lot.chain, hex);
    QB_EXPECT_TEXT(hex, "b0e83998b1f20621dfcd1a88e675f3f3f71187987923c8393e8f50b7f3c9bd97",
                   "the opening");
    struct qb_entry first = bid_of(ANN, 6000);
    first.recv_us = 150 * S - 1000;
    qb_bid_id(AUCTION, ANN, "key-1", 5, first.bid_id);
    (void)give(first, 150 * S);
    to_hex(world.lot.chain, hex);
    QB_EXPECT_TEXT(hex, "6c3b57e09076060982491d73d25c1b3f29d10ff9fb1670a2a1af0d121437b0d5",
                   "the first bid");
}

QB_TEST(a_refused_entry_is_a_link_too)
{
    uint8_t before[QB_SHA256_BYTES];

    begin();
    start();
    (void)memcpy(before, world.lot.chain, sizeof before);
    QB_EXPECT_EQ(bid(ANN, 1, 150 * S).code, QB_VERDICT_REFUSED, "refused");
    QB_EXPECT(memcmp(before, world.lot.chain, sizeof before) != 0, "in the chain");
}

/* A lot with something in every member: blocked bidders, a pause, rivals, a moved end. */
static void a_full_life(void)
{
    begin();
    world.rules.reserve = 7000;
    world.rules.buy_now = 9900;
    world.rules.hard_end_us = 230 * S;
    start();
    (void)bid(ANN, 6000, 110 * S);
    (void)bid(BOB, 7500, 195 * S);
    for (qb_id id = 0; id < 5; id++) {
        struct qb_entry block = command(QB_ENTRY_BLOCK, QB_ACTOR_ADMIN);
        block.bidder = 300 + id;
        (void)give(block, 196 * S);
    }
    (void)order(QB_ENTRY_PAUSE, 197 * S);
}

QB_TEST(a_state_goes_on_from_its_bytes_as_from_itself)
{
    uint8_t bytes[QB_LOT_BYTES_MAX];
    uint8_t again[QB_LOT_BYTES_MAX];
    struct qb_lot read;

    a_full_life();
    size_t length = qb_lot_encode(&world.lot, bytes);
    QB_EXPECT(qb_lot_decode(bytes, length, &read), "read");
    QB_EXPECT_EQ(qb_lot_encode(&read, again), length, "as long");
    QB_EXPECT(memcmp(bytes, again, length) == 0, "the same");
    const struct qb_lot kept = world.lot;
    (void)order(QB_ENTRY_RESUME, 198 * S);
    uint8_t expected[QB_SHA256_BYTES];
    (void)memcpy(expected, world.lot.chain, sizeof expected);
    world.lot = read;
    (void)order(QB_ENTRY_RESUME, 198 * S);
    QB_EXPECT(memcmp(expected, world.lot.chain, sizeof expected) == 0, "the same next link");
    QB_EXPECT_EQ(kept.seq, read.seq, "the same place");
}

QB_TEST(no_part_of_a_state_is_a_state)
{
    uint8_t bytes[QB_LOT_BYTES_MAX + 1] = {0};
    struct qb_lot read;

    a_full_life();
    size_t length = qb_lot_encode(&world.lot, bytes);
    for (size_t cut = 0; cut < length; cut++) {
        /* A copy of the exact size, so that a sanitizer sees a byte read behind it. */
        uint8_t *part = malloc(cut > 0 ? cut : 1);
        if (part == NULL) abort();
        (void)memcpy(part, bytes, cut);
        QB_EXPECT(!qb_lot_decode(part, cut, &read), "a part");
        free(part);
    }
    QB_EXPECT(!qb_lot_decode(bytes, length + 1, &read), "a byte too many");
}

/* Goes on with a state that was read: no value in it may bring the process down. */
static void go_on_with(const struct qb_lot *read)
{
    static const enum qb_entry_type orders[] = {QB_ENTRY_RESUME,  QB_ENTRY_BID,   QB_ENTRY_BID,
                                                QB_ENTRY_BUY_NOW, QB_ENTRY_BLOCK, QB_ENTRY_CLOSE};
    struct qb_lot lot = *read;

    for (size_t i = 0; i < QB_COUNT(orders) && lot.seq < UINT64_MAX; i++) {
        /* The leader raises first, which works with the second maximum as it was read. */
        /* cppcheck-suppress arrayIndexThenCheck ; i is bounded by the loop */
        qb_id bidder = orders[i] == QB_ENTRY_BID && i < 2 ? BOB : CAT;
        struct qb_entry entry = bid_of(bidder, lot.rules.cap / 2 + (int64_t)i);
        entry.type = (uint8_t)orders[i];
        entry.seq = lot.seq + 1;
        entry.now_us = 198 * S + (qb_time_us)i;
        (void)qb_lot_fold(&lot, &entry, NULL, 0);
    }
    (void)qb_lot_status_name(&lot, 199 * S);
}

static void change_every_bit(const uint8_t *bytes, size_t length)
{
    uint8_t changed[QB_LOT_BYTES_MAX];
    uint8_t again[QB_LOT_BYTES_MAX];
    struct qb_lot read;

    /* cppcheck-suppress uninitvar ; filled by the call before */
    (void)memcpy(changed, bytes, length);
    for (size_t bit = 0; bit < length * 8; bit++) {
        changed[bit / 8] ^= (uint8_t)(1U << (bit % 8));
        if (qb_lot_decode(changed, length, &read)) {
            QB_EXPECT_EQ(qb_lot_encode(&read, again), length, "there is one encoding");
            QB_EXPECT(memcmp(again, changed, length) == 0, "there is one encoding");
            go_on_with(&read);
        }
        changed[bit / 8] ^= (uint8_t)(1U << (bit % 8));
    }
}

QB_TEST(a_damaged_state_is_refused_or_harmless)
{
    uint8_t bytes[QB_LOT_BYTES_MAX];

    a_full_life();
    change_every_bit(bytes, qb_lot_encode(&world.lot, bytes));
    (void)order(QB_ENTRY_RESUME, 198 * S);
    change_every_bit(bytes, qb_lot_encode(&world.lot, bytes));
}
