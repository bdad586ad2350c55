#include "bidding/refusal.h"

#include <stddef.h>

#include "base/assert.h"

static const struct {
    const char *code;
    const char *text;
    bool is_final;
} rows[QB_REFUSAL_COUNT] = {
#define QB_REFUSAL(name, wire, final, sentence)                                                    \
    [QB_REFUSAL_##name] = {.code = (wire), .text = (sentence), .is_final = (final)},
#include "bidding/refusal.def"
};

const char *qb_refusal_code(enum qb_refusal refusal)
{
    QB_ASSERT(refusal < QB_REFUSAL_COUNT);
    return rows[refusal].code;
}

const char *qb_refusal_text(enum qb_refusal refusal)
{
    QB_ASSERT(refusal < QB_REFUSAL_COUNT);
    return rows[refusal].text;
}

bool qb_refusal_is_final(enum qb_refusal refusal)
{
    QB_ASSERT(refusal < QB_REFUSAL_COUNT);
    return rows[refusal].is_final;
}
