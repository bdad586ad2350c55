/*
 * The public state: its exact bytes, and that nothing secret is in it.
 */
#include "app/listing_json.h"
#include "app/state_json.h"
#include "base/clock.h"
#include "tests/kit/rules.h"
#include "tests/kit/test.h"

#define S    INT64_C(1000000)
#define NOW  (INT64_C(1800000000) * S)
#define ANN  11
#define BOB  12
#define M1   7654321
#define M2   7123457
#define HALF 7654999 /* the reserve */

static struct qb_lot lot_of(void)
{
    struct qb_lot lot;

    (void)memset(&lot, 0, sizeof lot);
    lot.rules = qb_test_rules(7, 1000, NOW - 10 * S, NOW + 10 * S);
    lot.rules.reserve = HALF;
    (void)memset(lot.rules.secret, 0x5a, sizeof lot.rules.secret);
    lot.auction = 1;
    lot.seq = 4;
    lot.epoch = 2;
    lot.status = QB_STATUS_OPEN;
    lot.leader = ANN;
    lot.m1 = M1;
    lot.m1_seq = 3;
    lot.second = BOB;
    lot.m2 = M2;
    lot.m2_seq = 4;
    lot.price = M2 + 100;
    lot.bids = 2;
    lot.accepted = 2;
    lot.ends_at_us = NOW + 10 * S;
    lot.final_price = QB_AMOUNT_NONE;
    return lot;
}

QB_TEST(the_state_has_its_exact_bytes)
{
    const struct qb_lot lot = lot_of();
    const struct qb_state_event last = {
        .seq = 4,
        .type = QB_ENTRY_BID,
        .bidder = BOB,
        .verdict = {.code = QB_VERDICT_OUTBID, .t_us = NOW, .price = M2 + 100, .bids = 2},
    };
    char ann[QB_LABEL_BYTES];
    char bob[QB_LABEL_BYTES];
    char expected[700];
    struct qb_text text = {0};

    qb_bidder_label(lot.rules.secret, ANN, ann);
    qb_bidder_label(lot.rules.secret, BOB, bob);
    (void)snprintf(
        expected, sizeof expected,
        "{\"auction\":\"0000000000001\",\"epoch\":2,\"seq\":4,\"dur\":3,\"status\":\"open\","
        "\"price\":7123557,\"leader\":\"%s\",\"bids\":2,\"watchers\":12,\"minimum\":7123657,"
        "\"reserve\":\"not_met\",\"buy_now\":null,\"starts_at_ms\":1799999990000,"
        "\"ends_at_ms\":1800000010000,\"extensions\":0,\"currency\":\"USD\","
        "\"now_ms\":1800000000000,\"last\":{\"seq\":4,\"t_ms\":1800000000000,\"kind\":\"bid\","
        "\"label\":\"%s\",\"price\":7123557,\"bids\":2}}",
        ann, bob);
    qb_state_json(&text, &lot,
                  &(struct qb_state_view){
                      .epoch = 2, .dur = 3, .now_us = NOW, .watchers = 12, .last = &last});
    QB_EXPECT_TEXT(text.bytes, expected, "as docs/protocol.md says");
    qb_text_fini(&text);
}

static const struct qb_state_view view = {.epoch = 2, .dur = 4, .now_us = NOW};

/* Members that come and go with the auction's life. */
QB_TEST(the_result_is_there_only_once_over)
{
    struct qb_lot lot = lot_of();
    struct qb_text text = {0};

    qb_state_json(&text, &lot, &view);
    QB_EXPECT(strstr(text.bytes, "\"outcome\"") == NULL, "not yet");
    QB_EXPECT(strstr(text.bytes, "\"last\":null") != NULL, "no event known");
    qb_text_fini(&text);
    text = (struct qb_text){0};
    lot.status = QB_STATUS_SOLD;
    lot.outcome = QB_OUTCOME_HIGH_BID;
    lot.winner = ANN;
    lot.final_price = lot.price;
    qb_state_json(&text, &lot, &view);
    QB_EXPECT(strstr(text.bytes, "\"outcome\":\"high_bid\"") != NULL, "how");
    QB_EXPECT(strstr(text.bytes, "\"final_price\":7123557") != NULL, "for what");
    QB_EXPECT(strstr(text.bytes, "\"minimum\":null") != NULL, "nothing more to bid");
    qb_text_fini(&text);
}

QB_TEST(the_clock_tells_scheduled_from_open_from_closing)
{
    static const struct {
        qb_time_us now_us;
        const char *status;
    } rows[] = {
        {NOW - 11 * S, "\"status\":\"scheduled\""},
        {NOW - 10 * S, "\"status\":\"open\""},
        {NOW + 10 * S - 1, "\"status\":\"open\""},
        {NOW + 10 * S, "\"status\":\"closing\""},
    };
    const struct qb_lot lot = lot_of();

    for (size_t i = 0; i < QB_COUNT(rows); i++) {
        struct qb_text text = {0};
        qb_state_json(&text, &lot,
                      &(struct qb_state_view){.epoch = 2, .dur = 4, .now_us = rows[i].now_us});
        QB_EXPECT(strstr(text.bytes, rows[i].status) != NULL, rows[i].status);
        qb_text_fini(&text);
    }
}

/* Every kind of entry that people may hear of has a name of its own. */
QB_TEST(every_event_has_its_kind)
{
    static const struct {
        uint8_t type;
        uint8_t code;
        const char *kind;
    } rows[] = {
        /* clang-format off */
        {QB_ENTRY_OPEN,    QB_VERDICT_DONE,    "\"kind\":\"open\""},
        {QB_ENTRY_BID,     QB_VERDICT_LEADING, "\"kind\":\"bid\""},
        {QB_ENTRY_BID,     QB_VERDICT_RAISED,  "\"kind\":\"raise\""},
        {QB_ENTRY_BUY_NOW, QB_VERDICT_BOUGHT,  "\"kind\":\"buy_now\""},
        {QB_ENTRY_RETRACT, QB_VERDICT_DONE,    "\"kind\":\"retract\""},
        {QB_ENTRY_VOID,    QB_VERDICT_DONE,    "\"kind\":\"void\""},
        {QB_ENTRY_BLOCK,   QB_VERDICT_DONE,    "\"kind\":\"block\""},
        {QB_ENTRY_UNBLOCK, QB_VERDICT_DONE,    "\"kind\":\"unblock\""},
        {QB_ENTRY_RESERVE, QB_VERDICT_DONE,    "\"kind\":\"reserve\""},
        {QB_ENTRY_EXTEND,  QB_VERDICT_DONE,    "\"kind\":\"extend\""},
        {QB_ENTRY_PAUSE,   QB_VERDICT_DONE,    "\"kind\":\"pause\""},
        {QB_ENTRY_RESUME,  QB_VERDICT_DONE,    "\"kind\":\"resume\""},
        {QB_ENTRY_CLOSE,   QB_VERDICT_DONE,    "\"kind\":\"close\""},
        {QB_ENTRY_CANCEL,  QB_VERDICT_DONE,    "\"kind\":\"cancel\""},
        /* clang-format on */
    };
    const struct qb_lot lot = lot_of();

    for (size_t i = 0; i < QB_COUNT(rows); i++) {
        const struct qb_state_event event = {
            .seq = 1,
            .type = rows[i].type,
            .verdict = {.code = rows[i].code, .price = QB_AMOUNT_NONE},
        };
        struct qb_text text = {0};
        qb_state_event_json(&text, &lot, &event);
        QB_EXPECT(strstr(text.bytes, rows[i].kind) != NULL, rows[i].kind);
        QB_EXPECT(strstr(text.bytes, "\"label\":null") != NULL, "nobody");
        QB_EXPECT(strstr(text.bytes, "\"price\":null") != NULL, "no price");
        qb_text_fini(&text);
    }
}

QB_TEST(nothing_secret_is_in_state_list_or_catalogue)
{
    static const char *const secrets[] = {"7654321", "7123457", "7654999", "5a5a5a", "WlpaW"};
    const struct qb_lot lot = lot_of();
    const struct qb_listing listing = {
        .id = 1,
        .seller = 7,
        .title = "A clock",
        .currency = "USD",
        .start_price = 1000,
        .buy_now = QB_AMOUNT_NONE,
        .status = QB_STATUS_OPEN,
        .price = M2 + 100,
        .final_price = QB_AMOUNT_NONE,
        .ends_at_us = NOW + 10 * S,
    };
    struct qb_text text = {0};

    qb_state_json(&text, &lot, &view);
    qb_catalogue_json(&text, &listing, "Sue", &lot);
    qb_text_string(&text, "{");
    qb_listing_json(&text, &listing, "Sue", NOW);
    for (size_t i = 0; i < QB_COUNT(secrets); i++)
        QB_EXPECT(strstr(text.bytes, secrets[i]) == NULL, secrets[i]);
    QB_EXPECT(strstr(text.bytes, "\"reserve\":true") != NULL, "only that there is a reserve");
    qb_text_fini(&text);
}

QB_TEST(the_catalogue_tells_no_live_price)
{
    const struct qb_lot lot = lot_of();
    const struct qb_listing listing = {.id = 1, .seller = 7, .price = 5, .status = QB_STATUS_OPEN};
    struct qb_text text = {0};

    qb_catalogue_json(&text, &listing, "Sue", &lot);
    QB_EXPECT(strstr(text.bytes, "\"price\"") == NULL, "it would be stale for minutes");
    QB_EXPECT(strstr(text.bytes, "\"bids\"") == NULL, "nor their number");
    QB_EXPECT(strstr(text.bytes, "\"status\"") == NULL, "nor the status");
    qb_text_fini(&text);
}
