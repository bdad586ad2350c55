#include "bidding/money.h"

#include <string.h>

#include "base/attributes.h"

/* ISO 4217 currencies in which auctions are held; a new one is a row. */
static const struct {
    char code[QB_CURRENCY_BYTES];
    int decimals;
} currencies[] = {
    {"USD", 2}, {"EUR", 2}, {"GBP", 2}, {"CHF", 2}, {"CAD", 2}, {"AUD", 2}, {"NZD", 2}, {"JPY", 0},
    {"KRW", 0}, {"CNY", 2}, {"HKD", 2}, {"SGD", 2}, {"TWD", 2}, {"INR", 2}, {"SEK", 2}, {"NOK", 2},
    {"DKK", 2}, {"ISK", 0}, {"PLN", 2}, {"CZK", 2}, {"HUF", 2}, {"RON", 2}, {"BGN", 2}, {"TRY", 2},
    {"ILS", 2}, {"AED", 2}, {"SAR", 2}, {"KWD", 3}, {"BHD", 3}, {"OMR", 3}, {"JOD", 3}, {"TND", 3},
    {"ZAR", 2}, {"NGN", 2}, {"KES", 2}, {"EGP", 2}, {"MAD", 2}, {"BRL", 2}, {"MXN", 2}, {"ARS", 2},
    {"CLP", 0}, {"COP", 2}, {"PEN", 2}, {"UYU", 2}, {"THB", 2}, {"VND", 0}, {"IDR", 2}, {"MYR", 2},
    {"PHP", 2}, {"UAH", 2}, {"GEL", 2}, {"PKR", 2},
};

bool qb_currency_is_same(const char a[QB_CURRENCY_BYTES], const char b[QB_CURRENCY_BYTES])
{
    return memcmp(a, b, QB_CURRENCY_BYTES) == 0;
}

int qb_currency_decimals(const char currency[QB_CURRENCY_BYTES])
{
    for (size_t i = 0; i < QB_COUNT(currencies); i++) {
        if (qb_currency_is_same(currency, currencies[i].code)) return currencies[i].decimals;
    }
    return -1;
}

const char *qb_currency_at(size_t index)
{
    return index < QB_COUNT(currencies) ? currencies[index].code : NULL;
}
