/*
 * Amounts: integers in minor units of one currency. No floats, no conversion (rules.md 1).
 * Pure; any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Largest amount anywhere: the largest integer that JavaScript holds exactly, 2^53 - 1. */
#define QB_AMOUNT_MAX INT64_C(9007199254740991)

/* No amount at all; never a valid one. */
#define QB_AMOUNT_NONE INT64_C(-1)

#define QB_CURRENCY_BYTES 4 /* three letters and a zero byte */

/* Decimals of an ISO 4217 currency ("USD" 2, "JPY" 0, "KWD" 3), or -1 for one not known here. */
int qb_currency_decimals(const char currency[QB_CURRENCY_BYTES]);

bool qb_currency_is_same(const char a[QB_CURRENCY_BYTES], const char b[QB_CURRENCY_BYTES]);

/* Currency `index` of those known here, or null behind the last. */
const char *qb_currency_at(size_t index);
