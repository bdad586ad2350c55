/*
 * What belongs to who asks: the own bids, auctions, watch list and payments.
 */
#include <string.h>

#include "app/api_parts.h"

void qb_api_mine_prepare(struct qb_call *call)
{
    (void)qb_page_listings(call);
}

/* The own bids in one auction, newest first. */
struct own {
    int64_t max;
    qb_time_us last_us;
};

static bool take_own(void *context, const struct qb_bid_row *bid)
{
    struct own *own = context;

    if (own->last_us == 0) own->last_us = bid->t_us;
    if (bid->is_live && bid->max > own->max) own->max = bid->max;
    return true;
}

static void you_json(struct qb_call *call, struct qb_store_link *link,
                     const struct qb_listing *listing)
{
    struct own own = {.max = QB_AMOUNT_NONE};
    struct qb_error error = {""};
    struct qb_lot lot;
    const struct qb_store_ops *ops = qb_call_ops(call);
    struct qb_text *text = &call->text;

    enum qb_store_result found =
        ops->bids_of(link, call->user.id, listing->id, QB_PAGE_ROWS_MAX, take_own, &own, &error);
    if (!qb_call_stored(call, found, "bids_of", &error)) return;
    found = ops->state(link, listing->id, &lot, &error);
    /* One that cannot be read is halted, and takes its own row's answer only. */
    bool has_lot = found != QB_STORE_BROKEN && qb_call_stored(call, found, "state", &error);
    qb_text_json_name(text, "you");
    qb_text_string(text, "{");
    if (own.max == QB_AMOUNT_NONE)
        qb_text_json_null(text, "max");
    else
        qb_text_json_int(text, "max", own.max);
    qb_text_json_bool(text, "leading", has_lot && lot.leader == call->user.id);
    qb_text_json_int(text, "last_ms", own.last_us / QB_MS_US);
    qb_text_string(text, "}");
}

void qb_api_my_bids(struct qb_call *call, struct qb_store_link *link)
{
    struct qb_listing_query query = {
        .bidder = call->user.id, .phase = call->page.phase, .with_private = true};

    qb_api_listings(call, link, &query, you_json);
}

void qb_api_my_auctions(struct qb_call *call, struct qb_store_link *link)
{
    struct qb_listing_query query = {
        .seller = call->user.id, .phase = call->page.phase, .with_private = true};

    qb_api_listings(call, link, &query, NULL);
}

void qb_api_my_watched(struct qb_call *call, struct qb_store_link *link)
{
    struct qb_listing_query query = {
        .watcher = call->user.id, .phase = call->page.phase, .with_private = true};

    qb_api_listings(call, link, &query, NULL);
}

/* PUT and DELETE: the list is as asked afterwards, however often. */
void qb_api_watch(struct qb_call *call, struct qb_store_link *link)
{
    bool is_watched = call->route->method == QB_HTTP_PUT;
    struct qb_error error = {""};

    enum qb_store_result set =
        qb_call_ops(call)->watch_set(link, call->user.id, call->id, is_watched, &error);
    if (set == QB_STORE_NOT_FOUND && is_watched) qb_call_fail(call, QB_API_NOT_FOUND);
    if (set == QB_STORE_TAKEN) qb_call_fail(call, QB_API_WATCHES_FULL);
    (void)qb_call_stored(call, set, "watch_set", &error);
    call->status = 204;
}

void qb_api_payments_prepare(struct qb_call *call)
{
    if (qb_page_limit(call)) (void)qb_page_cursor(call);
}

struct payments {
    struct qb_call *call;
    size_t count;
    qb_id last;
    bool is_more;
};

static bool payment_json(void *context, const struct qb_payment *payment)
{
    struct payments *payments = context;
    struct qb_text *text = &payments->call->text;

    if (payments->count == payments->call->page.limit) {
        payments->is_more = true;
        return false;
    }
    bool is_buyer = payment->buyer == payments->call->user.id;
    qb_text_string(text, payments->count++ > 0 ? ",{" : "{");
    qb_text_json_id(text, "id", payment->id);
    qb_text_json_id(text, "auction", payment->auction);
    qb_text_json_text(text, "title", payment->title);
    qb_text_json_int(text, "amount", payment->amount);
    qb_text_json_text(text, "currency", payment->currency);
    qb_text_json_text(text, "status",
                      qb_payment_status_name((enum qb_payment_status)payment->status));
    qb_text_json_text(text, "as", is_buyer ? "buyer" : "seller");
    qb_text_json_int(text, "deadline_ms", payment->deadline_us / QB_MS_US);
    qb_text_json_int(text, "created_ms", payment->created_us / QB_MS_US);
    qb_text_string(text, "}");
    payments->last = payment->id;
    return true;
}

void qb_api_payments(struct qb_call *call, struct qb_store_link *link)
{
    struct payments payments = {.call = call};
    struct qb_error error = {""};

    qb_text_string(&call->text, "{\"payments\":[");
    enum qb_store_result found = qb_call_ops(call)->payments_of(
        link, call->user.id, call->page.id, call->page.limit + 1, payment_json, &payments, &error);
    qb_text_string(&call->text, "]");
    qb_page_next(&call->text, payments.is_more, 0, payments.last);
    qb_text_string(&call->text, "}");
    (void)qb_call_stored(call, found, "payments_of", &error);
}
