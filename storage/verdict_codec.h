/*
 * A verdict as bytes of fixed width, as the store keeps it beside its entry. Pure; any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attributes.h"
#include "bidding/lot.h"

#define QB_VERDICT_BYTES 66

void qb_verdict_encode(const struct qb_verdict *verdict, uint8_t bytes[QB_VERDICT_BYTES]);
QB_MUST_USE bool qb_verdict_decode(const uint8_t *bytes, size_t length, struct qb_verdict *verdict);
