/*
 * The form that opens an auction: each row changes one member of a good form, and says what the
 * answer begins with when it is not good.
 */
#include <stdlib.h>

#include "app/auction_form.h"
#include "base/text.h"
#include "tests/kit/test.h"

#define S   INT64_C(1000000)
#define NOW (INT64_C(1800000000) * S)

#define ZEROS "0000000000000000"
#define HASH  ZEROS ZEROS ZEROS ZEROS

static const struct {
    const char *name;
    const char *value;
} base[] = {
    {"title", "\"A clock\""}, {"description", "\"Old.\""}, {"category", "\"art\""},
    {"currency", "\"USD\""},  {"start_price", "1000"},     {"duration_ms", "3600000"},
};

static const struct {
    const char *name;
    const char *value;  /* null: the member is left out */
    const char *begins; /* of the problem; null: the form is good */
} rows[] = {
    /* clang-format off */
    {"private",         "true",                 NULL},
    {"private",         "1",                    "private: "},
    {"title",           NULL,                   "title: "},
    {"title",           "\"\"",                 "title: "},
    {"title",           "7",                    "title: "},
    {"title",           "\"a\\nb\"",            "title: "},
    {"title",           "\"a\\u0007b\"",        "title: "},
    {"title",           "\"a\\u0085b\"",        "title: "},
    {"title",           "\"\\u00dcber\"",       NULL},
    {"description",     NULL,                   NULL},
    {"description",     "\"a\\nb\"",            NULL},
    {"description",     "\"a\\u001b[2Jb\"",     "description: "},
    {"description",     "[]",                   "description: "},
    {"category",        NULL,                   "category: "},
    {"category",        "\"weapons\"",          "category: "},
    {"category",        "\"ART\"",              "category: "},
    {"image",           "\"" HASH "\"",         NULL},
    {"image",           "\"" HASH "0\"",        "image: "},
    {"image",           "\"12ab\"",             "image: "},
    {"image",           "\"../../etc/passwd\"", "image: "},
    {"currency",        NULL,                   "currency: "},
    {"currency",        "\"JPY\"",              NULL},
    {"currency",        "\"usd\"",              "currency: "},
    {"currency",        "\"ZZZ\"",              "currency: "},
    {"currency",        "\"USDX\"",             "currency: "},
    {"start_price",     NULL,                   "start_price: "},
    {"start_price",     "1",                    NULL},
    {"start_price",     "0",                    "start_price: "},
    {"start_price",     "-5",                   "start_price: "},
    {"start_price",     "10.50",                "start_price: "},
    {"start_price",     "1e3",                  "start_price: "},
    {"start_price",     "\"1000\"",             "start_price: "},
    {"start_price",     "1000001",              "start_price: "},
    {"reserve",         "2000",                 NULL},
    {"reserve",         "null",                 NULL},
    {"reserve",         "999",                  "reserve: "},
    {"reserve",         "0",                    "reserve: "},
    {"buy_now",         "1300",                 NULL},
    {"buy_now",         "1299",                 "buy_now: "},
    {"buy_now",         "true",                 "buy_now: "},
    {"tick",            "100",                  NULL},
    {"tick",            "3",                    "start_price: "},
    {"tick",            "0",                    "tick: "},
    {"increments",      "\"EBAY_US\"",          NULL},
    {"increments",      "\"MINE\"",             "increments: "},
    {"increments",      "[]",                   "increments: "},
    {"duration_ms",     NULL,                   "ends_at_ms: "},
    {"duration_ms",     "0",                    "duration_ms: "},
    {"duration_ms",     "31622400001",          "duration_ms: "},
    {"ends_at_ms",      "1800003600000",        "ends_at_ms: "},
    {"starts_at_ms",    "1800003600000",        NULL},
    {"starts_at_ms",    "1",                    NULL},
    {"starts_at_ms",    "4102444800001",        "starts_at_ms: "},
    {"soft_close",      "null",                 NULL},
    {"soft_close",      "{}",                   NULL},
    {"soft_close",      "[]",                   "soft_close: "},
    {"soft_close",      "{\"window_ms\":999}",  "window_ms: "},
    {"soft_close",      "{\"window\":1000}",    "soft_close: "},
    {"soft_close",      "{\"hard_end_ms\":1800000000000}", "soft_close: "},
    {"self_raise",      "\"hold\"",             NULL},
    {"self_raise",      "\"never\"",            "self_raise: "},
    {"retraction",      "\"no_revive\"",        NULL},
    {"retraction",      "false",                "retraction: "},
    {"reserve_style",   "\"show_max\"",         NULL},
    {"reserve_style",   "\"shown\"",            "reserve_style: "},
    {"without_reserve", "true",                 NULL},
    {"without_reserve", "\"yes\"",              "without_reserve: "},
    {"seller",          "7",                    "There is no member \"seller\""},
    {"secret",          "\"0\"",                "There is no member \"secret\""},
    {"drain_us",        "0",                    "There is no member \"drain_us\""},
    /* clang-format on */
};

static void form_with(struct qb_text *text, const char *name, const char *value)
{
    bool is_new = value != NULL;

    qb_text_string(text, "{");
    for (size_t i = 0; i < QB_COUNT(base); i++) {
        bool is_it = name != NULL && strcmp(base[i].name, name) == 0;
        const char *used = is_it ? value : base[i].value;
        if (is_it) is_new = false;
        if (used == NULL) continue;
        qb_text_json_name(text, base[i].name);
        qb_text_string(text, used);
    }
    if (is_new) {
        qb_text_json_name(text, name);
        qb_text_string(text, value);
    }
    qb_text_string(text, "}");
}

static bool read_form(const char *name, const char *value, struct qb_rules *rules,
                      struct qb_listing *listing, struct qb_error *problem)
{
    static const struct qb_json_limits limits = {
        .bytes_max = 65536, .depth_max = 8, .members_max = 100};
    const struct qb_auction_form form = {.seller = 7, .now_us = NOW, .amount_max = 1000000};
    struct qb_text text = {0};

    form_with(&text, name, value);
    struct qb_json *body = qb_json_parse(text.bytes, text.length, &limits, problem);
    QB_EXPECT(body != NULL, "the row is JSON");
    bool is_good = qb_auction_form_read(&form, body, rules, listing, problem);
    qb_json_free(&body);
    qb_text_fini(&text);
    return is_good;
}

QB_TEST(each_member_is_taken_or_refused_by_name)
{
    struct qb_rules rules;
    struct qb_listing listing;
    char says[200];

    for (size_t i = 0; i < QB_COUNT(rows); i++) {
        struct qb_error problem = {""};
        bool is_good = read_form(rows[i].name, rows[i].value, &rules, &listing, &problem);
        (void)snprintf(says, sizeof says, "%s = %s: \"%.100s\"", rows[i].name,
                       rows[i].value != NULL ? rows[i].value : "(none)", problem.text);
        QB_EXPECT_EQ(is_good, rows[i].begins == NULL, says);
        if (rows[i].begins == NULL || is_good) continue;
        QB_EXPECT(strncmp(problem.text, rows[i].begins, strlen(rows[i].begins)) == 0, says);
    }
}

QB_TEST(a_good_form_becomes_rules_and_texts)
{
    struct qb_rules rules;
    struct qb_listing listing;
    struct qb_error problem = {""};

    QB_EXPECT(read_form("reserve", "2000", &rules, &listing, &problem), "good");
    QB_EXPECT_EQ(rules.seller, 7, "whose");
    QB_EXPECT_EQ(rules.start_price, 1000, "start");
    QB_EXPECT_EQ(rules.reserve, 2000, "reserve");
    QB_EXPECT_EQ(rules.buy_now, QB_AMOUNT_NONE, "no buy-now");
    QB_EXPECT_EQ(rules.starts_at_us, NOW, "now");
    QB_EXPECT_EQ(rules.ends_at_us, NOW + 3600 * S, "an hour on");
    QB_EXPECT_EQ(rules.soft_window_us, 120 * S, "soft by default");
    QB_EXPECT_EQ(rules.hard_end_us, NOW + 7200 * S, "an hour after the end");
    QB_EXPECT_EQ(rules.cap, 1000000, "the server's limit");
    QB_EXPECT_EQ(listing.ends_at_us, rules.ends_at_us, "in lists too");
    QB_EXPECT_TEXT(listing.title, "A clock", "title");
    QB_EXPECT_TEXT(listing.currency, "USD", "currency");
    QB_EXPECT_EQ(listing.price, QB_AMOUNT_NONE, "no bid yet");
}

QB_TEST(no_two_auctions_share_a_secret)
{
    struct qb_rules first;
    struct qb_rules second;
    struct qb_listing listing;
    struct qb_error problem = {""};

    QB_EXPECT(read_form(NULL, NULL, &first, &listing, &problem), "good");
    QB_EXPECT(read_form(NULL, NULL, &second, &listing, &problem), "good");
    QB_EXPECT(memcmp(first.secret, second.secret, sizeof first.secret) != 0, "random");
}

QB_TEST(a_text_of_its_room_fits_and_one_more_byte_does_not)
{
    char *value = malloc(QB_DESCRIPTION_BYTES_MAX + 4);
    struct qb_rules rules;
    struct qb_listing listing;
    struct qb_error problem = {""};

    value[0] = '"';
    (void)memset(value + 1, 'x', QB_TITLE_BYTES_MAX + 1);
    (void)memcpy(value + 1 + QB_TITLE_BYTES_MAX, "\"", 2);
    QB_EXPECT(read_form("title", value, &rules, &listing, &problem), "200 bytes");
    (void)memcpy(value + 1 + QB_TITLE_BYTES_MAX, "x\"", 3);
    QB_EXPECT(!read_form("title", value, &rules, &listing, &problem), "201 bytes");
    (void)memset(value + 1, 'x', QB_DESCRIPTION_BYTES_MAX + 1);
    (void)memcpy(value + 1 + QB_DESCRIPTION_BYTES_MAX, "\"", 2);
    QB_EXPECT(read_form("description", value, &rules, &listing, &problem), "8,000 bytes");
    (void)memcpy(value + 1 + QB_DESCRIPTION_BYTES_MAX, "x\"", 3);
    QB_EXPECT(!read_form("description", value, &rules, &listing, &problem), "8,001 bytes");
    free(value);
}
