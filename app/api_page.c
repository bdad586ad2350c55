/*
 * The queries of lists: how many rows, from where on, which ones. A cursor is a sort key and an id
 * in base64url: opaque to clients, and checked like all that comes from them.
 */
#include <stdlib.h>
#include <string.h>

#include "app/api_parts.h"
#include "app/auction_form.h"

#define CURSOR_BYTES 16
#define CURSOR_TEXT  25
#define ROWS_DEFAULT 24
#define VALUE_BYTES  2048

static bool wrong(struct qb_call *call, const char *name, const char *what)
{
    (void)qb_error_set(&call->detail, "%s: %s", name, what);
    qb_call_fail(call, QB_API_BAD_QUERY);
    return false;
}

/* Parameter `name`; empty when it did not come. False: it is there and cannot be taken. */
static bool text_of(struct qb_call *call, const char *name, char *text, size_t room)
{
    char value[VALUE_BYTES];

    text[0] = '\0';
    enum qb_http_query found = qb_http_query(call->request, name, value, sizeof value);
    if (found == QB_QUERY_ABSENT) return true;
    if (found == QB_QUERY_BAD)
        return wrong(call, name, "it is too long, or its percent-encoding is wrong.");
    size_t length = strlen(value);
    if (length >= room) return wrong(call, name, "it is too long.");
    if (!qb_form_is_text(value, length, false))
        return wrong(call, name, "control characters are not allowed.");
    (void)memcpy(text, value, length + 1);
    return true;
}

static bool number_of(struct qb_call *call, const char *name, int64_t least, int64_t most,
                      int64_t *number)
{
    char text[20];
    char *end = NULL;

    QB_TRY(text_of(call, name, text, sizeof text));
    if (text[0] == '\0') return true;
    long long given = strtoll(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || given < least || given > most) {
        (void)qb_error_set(&call->detail, "%s: it must be an integer from %lld to %lld.", name,
                           (long long)least, (long long)most);
        qb_call_fail(call, QB_API_BAD_QUERY);
        return false;
    }
    *number = given;
    return true;
}

/* One of `words`, as its index + `base`. */
static bool word_of(struct qb_call *call, const char *name, const char *const *words, size_t count,
                    uint8_t base, uint8_t *index)
{
    char text[16];

    QB_TRY(text_of(call, name, text, sizeof text));
    if (text[0] == '\0') return true;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(text, words[i]) != 0) continue;
        *index = (uint8_t)(base + i);
        return true;
    }
    return wrong(call, name, "unknown; see docs/protocol.md for what there is.");
}

bool qb_page_limit(struct qb_call *call)
{
    int64_t limit = ROWS_DEFAULT;

    QB_TRY(number_of(call, "limit", 1, QB_PAGE_ROWS_MAX, &limit));
    call->page.limit = (size_t)limit;
    return true;
}

bool qb_page_number(struct qb_call *call, const char *name)
{
    return number_of(call, name, 0, QB_AMOUNT_MAX, &call->page.key);
}

bool qb_page_cursor(struct qb_call *call)
{
    uint8_t bytes[CURSOR_BYTES];
    char text[CURSOR_TEXT];
    size_t length = 0;

    QB_TRY(text_of(call, "after", text, sizeof text));
    if (text[0] == '\0') return true;
    if (!qb_base64url_parse(text, strlen(text), bytes, sizeof bytes, &length) ||
        length != sizeof bytes)
        return wrong(call, "after", "send what `next` of the page before was.");
    (void)memcpy(&call->page.key, bytes, 8);
    (void)memcpy(&call->page.id, bytes + 8, 8);
    return true;
}

bool qb_page_listings(struct qb_call *call)
{
    static const char *const phases[] = {"scheduled", "live", "over"};
    static const char *const sorts[] = {"ending", "newest", "price_up", "price_down"};
    struct qb_page *page = &call->page;
    char seller[QB_ID_TEXT_BYTES];

    QB_TRY(qb_page_limit(call) && qb_page_cursor(call));
    QB_TRY(text_of(call, "search", page->search, sizeof page->search));
    QB_TRY(text_of(call, "category", page->category, sizeof page->category));
    QB_TRY(text_of(call, "currency", page->currency, sizeof page->currency));
    QB_TRY(word_of(call, "phase", phases, QB_COUNT(phases), QB_PHASE_SCHEDULED, &page->phase));
    QB_TRY(word_of(call, "sort", sorts, QB_COUNT(sorts), QB_SORT_ENDING_SOON, &page->sort));
    QB_TRY(text_of(call, "seller", seller, sizeof seller));
    if (seller[0] != '\0' && !qb_id_parse(seller, strlen(seller), &page->seller))
        return wrong(call, "seller", "it must be the id of an account.");
    return true;
}

void qb_page_next(struct qb_text *text, bool is_more, int64_t key, qb_id id)
{
    uint8_t bytes[CURSOR_BYTES];
    char cursor[CURSOR_TEXT];

    (void)memcpy(bytes, &key, 8);
    (void)memcpy(bytes + 8, &id, 8);
    (void)qb_base64url(bytes, sizeof bytes, cursor);
    qb_text_json_text(text, "next", is_more ? cursor : NULL);
}
