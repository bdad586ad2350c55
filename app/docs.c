#include "app/docs.h"

#include <stdio.h>
#include <string.h>

#include "app/api_parts.h"
#include "app/documents.h"
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
    {"routes", qb_api_routes_docs},
};

static bool write_part(const char *part, const struct qb_settings *settings, struct qb_text *text)
{
    static const char *const documents[] = {
        [QB_DOCUMENT_OPENAPI] = "openapi",
        [QB_DOCUMENT_ASYNCAPI] = "asyncapi",
    };

    for (size_t i = 0; i < QB_COUNT(documents); i++) {
        if (strcmp(documents[i], part) != 0) continue;
        qb_document_write((enum qb_document_kind)i, settings, text);
        return true;
    }
    for (size_t i = 0; i < QB_COUNT(parts); i++) {
        if (strcmp(parts[i].name, part) != 0) continue;
        parts[i].write(text);
        return true;
    }
    return false;
}

int qb_docs_print(const char *part, const struct qb_settings *settings)
{
    struct qb_text text = {0};
    bool is_known = write_part(part, settings, &text);

    if (is_known)
        (void)fputs(text.bytes, stdout);
    else
        (void)fprintf(
            stderr,
            "quickbid docs: parts are settings, metrics, protocol, errors, refusals, closes, "
            "routes, openapi, asyncapi\n");
    qb_text_fini(&text);
    return is_known ? 0 : 2;
}
