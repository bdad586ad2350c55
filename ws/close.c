#include "ws/close.h"

#include <stddef.h>

#include "base/assert.h"

static const struct {
    uint16_t code;
    const char *metric;
    const char *text;
} reasons[] = {
#define QB_CLOSE(name, code, blame, metric, text) {code, metric, text},
#include "ws/close.def"
};

_Static_assert(sizeof reasons / sizeof reasons[0] == QB_CLOSE_COUNT, "a row for each reason");

uint16_t qb_close_code(enum qb_close reason)
{
    QB_ASSERT(reason < QB_CLOSE_COUNT);
    return reasons[reason].code;
}

const char *qb_close_metric(enum qb_close reason)
{
    QB_ASSERT(reason < QB_CLOSE_COUNT);
    return reasons[reason].metric;
}

const char *qb_close_text(enum qb_close reason)
{
    QB_ASSERT(reason < QB_CLOSE_COUNT);
    return reasons[reason].text;
}

static const char *advice(uint16_t code)
{
    if (code == 1000) return "as you like";
    if (code == 1012 || code == 1013) return "reconnect after `reconnect.after_ms`";
    if (code / 100 == 41) return "back off, then reconnect";
    if (code / 100 == 42) return "reconnect now";
    return "do not retry as you are";
}

void qb_close_docs(struct qb_text *text)
{
    qb_text_string(text, "| code | reason | sent text | what to do |\n|---|---|---|---|\n");
    for (size_t i = 0; i < QB_CLOSE_COUNT; i++) {
        if (reasons[i].code == 0) continue; /* nothing is sent */
        qb_text_format(text, "| %u | `%s` | %s | %s |\n", (unsigned)reasons[i].code,
                       reasons[i].metric, reasons[i].text, advice(reasons[i].code));
    }
}
