/*
 * Currencies: how many decimals each has, and that only exact codes are known (rules.md 1.1).
 */
#include "base/attributes.h"
#include "bidding/money.h"
#include "tests/kit/test.h"

static const struct {
    char code[QB_CURRENCY_BYTES];
    int decimals;
} rows[] = {
    /* clang-format off */
    {"USD", 2}, {"EUR", 2}, {"GBP", 2}, {"JPY", 0}, {"KRW", 0}, {"ISK", 0}, {"CLP", 0},
    {"VND", 0}, {"KWD", 3}, {"BHD", 3}, {"OMR", 3}, {"JOD", 3}, {"TND", 3},
    {"usd", -1}, {"ZZZ", -1}, {"US", -1}, {"", -1},
    /* clang-format on */
};

QB_TEST(a_currency_has_the_decimals_of_iso_4217)
{
    for (size_t i = 0; i < QB_COUNT(rows); i++) {
        QB_EXPECT_EQ(qb_currency_decimals(rows[i].code), rows[i].decimals, rows[i].code);
    }
}

QB_TEST(every_currency_of_the_list_is_known_once)
{
    size_t count = 0;

    while (qb_currency_at(count) != NULL) count++;
    QB_EXPECT(count > 10, "there is a list");
    QB_EXPECT(qb_currency_at(count + 1) == NULL, "nothing behind its end");
    for (size_t i = 0; i < count; i++) {
        const char *code = qb_currency_at(i);
        int decimals = qb_currency_decimals(code);
        QB_EXPECT_EQ(strnlen(code, QB_CURRENCY_BYTES), 3, code);
        QB_EXPECT(decimals == 0 || decimals == 2 || decimals == 3, code);
        for (size_t k = 0; k < i; k++) {
            QB_EXPECT(!qb_currency_is_same(code, qb_currency_at(k)), code);
        }
    }
}

QB_TEST(currencies_are_the_same_to_the_last_letter)
{
    QB_EXPECT(qb_currency_is_same("USD", "USD"), "the same");
    QB_EXPECT(!qb_currency_is_same("USD", "USX"), "the last letter differs");
    QB_EXPECT(!qb_currency_is_same("USD", "EUR"), "another");
    QB_EXPECT(!qb_currency_is_same("USD", "usd"), "case counts");
}

QB_TEST(amounts_are_exact_in_a_browser)
{
    QB_EXPECT_EQ(QB_AMOUNT_MAX, (INT64_C(1) << 53) - 1, "2^53 - 1");
    QB_EXPECT_EQ((int64_t)(double)QB_AMOUNT_MAX, QB_AMOUNT_MAX, "a double holds it");
    QB_EXPECT(QB_AMOUNT_NONE < 0, "no amount is not an amount");
}
