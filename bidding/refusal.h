/*
 * The reasons to refuse, from refusal.def. Pure; any thread.
 */
#pragma once

#include <stdbool.h>

enum qb_refusal {
    QB_REFUSAL_NONE,
#define QB_REFUSAL(name, wire, is_final, text) QB_REFUSAL_##name,
#include "bidding/refusal.def"
    QB_REFUSAL_COUNT
};

/* The code on the wire: "too_low". Null for NONE. */
const char *qb_refusal_code(enum qb_refusal refusal);
/* The sentence for a person. Null for NONE. */
const char *qb_refusal_text(enum qb_refusal refusal);
/* Whether the same request can never succeed later. */
bool qb_refusal_is_final(enum qb_refusal refusal);
