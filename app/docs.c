#include "app/docs.h"

#include <stdio.h>
#include <string.h>

#include "app/settings.h"
#include "base/metrics.h"
#include "bidding/refusal.h"
#include "ws/close.h"
#include "ws/protocol.h"

static void refusals(struct qb_text *text)
{
    qb_text_string(text, "| code | final | what the bidder reads |\n|---|---|---|\n");
    for (int i = QB_REFUSAL_NONE + 1; i < QB_REFUSAL_COUNT; i++) {
        enum qb_refusal refusal = (enum qb_refusal)i;
        qb_text_format(text, "| `%s` | %s | %s |\n", qb_refusal_code(refusal),
                       qb_refusal_is_final(refusal) ? "yes" : "no", qb_refusal_text(refusal));
    }
}

static const struct {
    const char *name;
    void (*write)(struct qb_text *text);
} parts[] = {
    {"settings", qb_settings_docs}, {"metrics", qb_metrics_docs}, {"protocol", qb_protocol_docs},
    {"refusals", refusals},         {"closes", qb_close_docs},    {"errors", qb_error_docs},
};

bool qb_docs_write(const char *part, struct qb_text *text)
{
    for (size_t i = 0; i < QB_COUNT(parts); i++) {
        if (strcmp(parts[i].name, part) != 0) continue;
        parts[i].write(text);
        return true;
    }
    return false;
}

int qb_docs_print(const char *part)
{
    struct qb_text text = {0};
    bool is_known = qb_docs_write(part, &text);

    if (is_known)
        (void)fputs(text.bytes, stdout);
    else
        (void)fprintf(
            stderr,
            "quickbid docs: parts are settings, metrics, protocol, errors, refusals, closes\n");
    qb_text_fini(&text);
    return is_known ? 0 : 2;
}
