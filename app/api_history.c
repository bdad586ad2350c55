/*
 * What has happened in an auction: its bids for people, its log for whoever checks the chain.
 */
#include <string.h>

#include "app/api_parts.h"

#define FORM_BYTES_MAX (QB_ENTRY_BYTES_MAX + 128)

void qb_api_bids_prepare(struct qb_call *call)
{
    if (qb_page_limit(call)) (void)qb_page_number(call, "before");
}

void qb_api_ledger_prepare(struct qb_call *call)
{
    if (qb_page_limit(call)) (void)qb_page_number(call, "after");
}

/* The archived state, for the secret behind the labels; false: the call has failed. */
static bool find_lot(struct qb_call *call, struct qb_store_link *link, struct qb_lot *lot)
{
    struct qb_error error = {""};
    enum qb_store_result found = qb_call_ops(call)->state(link, call->id, lot, &error);

    if (found == QB_STORE_NOT_FOUND) qb_call_fail(call, QB_API_NOT_FOUND);
    return qb_call_stored(call, found, "state", &error);
}

/* A page on its way into text. */
struct history {
    struct qb_text *text;
    const struct qb_lot *lot;
    size_t count;
    size_t wanted;
    uint64_t last; /* seq of the newest row written */
    bool is_more;
    bool is_broken;
};

static void amount(struct qb_text *text, const char *name, int64_t value)
{
    if (value == QB_AMOUNT_NONE)
        qb_text_json_null(text, name);
    else
        qb_text_json_int(text, name, value);
}

static const char *bid_kind(uint8_t code)
{
    if (code == QB_VERDICT_RAISED) return "raise";
    return code == QB_VERDICT_BOUGHT ? "buy_now" : "bid";
}

/* The maximum of a bidder who leads, has won, or whose bid was struck out stays private: the first
 * two could be pushed, the last one may come back. */
static bool is_beaten(const struct qb_lot *lot, const struct qb_bid_row *bid)
{
    return bid->is_live && bid->bidder != lot->leader && bid->bidder != lot->winner &&
           bid->seq <= lot->seq && lot->leader != 0;
}

static bool bid_json(void *context, const struct qb_bid_row *bid)
{
    struct history *history = context;
    struct qb_text *text = history->text;
    char label[QB_LABEL_BYTES];

    if (history->count == history->wanted) {
        history->is_more = true;
        return false;
    }
    qb_bidder_label(history->lot->rules.secret, bid->bidder, label);
    qb_text_string(text, history->count++ > 0 ? ",{" : "{");
    qb_text_json_int(text, "seq", (int64_t)bid->seq);
    qb_text_json_int(text, "t_ms", bid->t_us / QB_MS_US);
    qb_text_json_text(text, "label", label);
    amount(text, "price", bid->price);
    qb_text_json_text(text, "kind", bid_kind(bid->code));
    if (!bid->is_live) qb_text_json_bool(text, "void", true);
    if (is_beaten(history->lot, bid)) qb_text_json_int(text, "max", bid->max);
    qb_text_string(text, "}");
    history->last = bid->seq;
    return true;
}

static void next_json(const struct history *history)
{
    qb_text_string(history->text, "]");
    if (history->is_more)
        qb_text_json_int(history->text, "next", (int64_t)history->last);
    else
        qb_text_json_null(history->text, "next");
    qb_text_string(history->text, "}");
}

void qb_api_bids(struct qb_call *call, struct qb_store_link *link)
{
    struct qb_lot lot;
    struct qb_error error = {""};
    struct history history = {.text = &call->text, .lot = &lot, .wanted = call->page.limit};

    if (!find_lot(call, link, &lot)) return;
    qb_text_string(&call->text, "{\"bids\":[");
    enum qb_store_result found = qb_call_ops(call)->bids(
        link, call->id, (uint64_t)call->page.key, history.wanted + 1, bid_json, &history, &error);
    next_json(&history);
    (void)qb_call_stored(call, found, "bids", &error);
}

static void verdict_json(struct qb_text *text, const struct history *history,
                         const struct qb_archived *archived)
{
    const struct qb_verdict *verdict = &archived->verdict;
    char label[QB_LABEL_BYTES];

    qb_text_json_name(text, "verdict");
    qb_text_string(text, "{");
    qb_text_json_text(text, "verdict", qb_verdict_name((enum qb_verdict_code)verdict->code));
    if (verdict->code == QB_VERDICT_REFUSED)
        qb_text_json_text(text, "code", qb_refusal_code((enum qb_refusal)verdict->refusal));
    qb_text_json_int(text, "t_ms", verdict->t_us / QB_MS_US);
    amount(text, "price", verdict->price);
    amount(text, "minimum", verdict->minimum);
    if (verdict->leader != 0) qb_bidder_label(history->lot->rules.secret, verdict->leader, label);
    qb_text_json_text(text, "leader", verdict->leader != 0 ? label : NULL);
    qb_text_json_int(text, "ends_at_ms", verdict->ends_at_us / QB_MS_US);
    qb_text_json_int(text, "bids", verdict->bids);
    qb_text_string(text, "}");
}

static void hex_json(struct qb_text *text, const char *name, const uint8_t *bytes, size_t length)
{
    char hex[FORM_BYTES_MAX * 2 + 1];

    qb_hex(bytes, length, hex);
    qb_text_json_text(text, name, hex);
}

static bool entry_json(void *context, const struct qb_archived *archived)
{
    struct history *history = context;
    struct qb_text *text = history->text;
    struct qb_rules rules;
    struct qb_entry entry;
    uint8_t form[FORM_BYTES_MAX];
    uint8_t result[QB_VERDICT_FORM_BYTES_MAX];

    if (history->count == history->wanted) {
        history->is_more = true;
        return false;
    }
    if (!qb_entry_decode(archived->bytes, archived->length, &entry, &rules)) {
        history->is_broken = true;
        return false;
    }
    size_t length = qb_entry_public_form(&entry, history->lot->rules.secret, form);
    qb_text_string(text, history->count++ > 0 ? ",{" : "{");
    qb_text_json_int(text, "seq", (int64_t)archived->seq);
    hex_json(text, "form", form, length);
    length = qb_verdict_public_form(&archived->verdict, history->lot->rules.secret, result);
    hex_json(text, "result", result, length);
    verdict_json(text, history, archived);
    hex_json(text, "chain", archived->chain, sizeof archived->chain);
    qb_text_string(text, "}");
    history->last = archived->seq;
    return true;
}

void qb_api_ledger(struct qb_call *call, struct qb_store_link *link)
{
    struct qb_lot lot;
    struct qb_error error = {""};
    struct history history = {.text = &call->text, .lot = &lot, .wanted = call->page.limit};

    if (!find_lot(call, link, &lot)) return;
    qb_text_string(&call->text, "{\"entries\":[");
    enum qb_store_result found = qb_call_ops(call)->entries(
        link, call->id, (uint64_t)call->page.key, history.wanted + 1, entry_json, &history, &error);
    next_json(&history);
    if (history.is_broken) {
        (void)qb_error_set(&error, "an archived entry cannot be decoded");
        found = QB_STORE_FAILED;
    }
    (void)qb_call_stored(call, found, "entries", &error);
}
