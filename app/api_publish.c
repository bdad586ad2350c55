/*
 * Publishing an auction: its texts into the store, its OPEN into its log.
 */
#include <stdlib.h>
#include <string.h>

#include "app/api_parts.h"
#include "app/auction_form.h"
#include "app/listing_json.h"
#include "base/assert.h"

#define OPEN_KEY "open" /* an auction has one OPEN, however often it is sent */

static void add_listing(struct qb_call *call, struct qb_store_link *link)
{
    const struct qb_api_options *options = &call->api->options;
    bool is_admin = (call->user.roles & QB_ROLE_ADMIN) != 0;
    struct qb_error error = {""};
    struct qb_listing_terms terms = {
        .live_max = is_admin ? 0 : options->auctions_per_seller,
        .day_max = is_admin ? 0 : options->auctions_per_day,
    };
    enum qb_store_result added =
        qb_call_ops(call)->listing_add(link, call->listing, &terms, &error);

    if (added == QB_STORE_FULL) {
        qb_call_limit(call, QB_API_AUCTIONS_FULL, "auctions_per_seller");
    } else if (added == QB_STORE_LATER) {
        call->wait_us = terms.free_us - call->listing->created_us;
        (void)qb_error_set(&call->detail, "This account has published as many auctions within 24 "
                                          "hours as it may. Wait as long as Retry-After says.");
        qb_call_limit(call, QB_API_RATE_LIMITED, "auctions_per_day");
    } else if (added == QB_STORE_TAKEN) {
        qb_call_fail(call, QB_API_BUSY);
    }
    (void)qb_call_stored(call, added, "listing_add", &error);
}

/* Texts first: an auction that people can bid on must have a name. */
void qb_api_publish_work(struct qb_call *call, struct qb_store_link *link)
{
    const struct qb_auction_form form = {
        .seller = call->user.id,
        .now_us = qb_clock_even_us(),
        .amount_max = call->api->options.amount_max,
    };

    if ((call->user.roles & (QB_ROLE_SELLER | QB_ROLE_ADMIN)) == 0) {
        qb_call_fail(call, QB_API_FORBIDDEN);
        return;
    }
    call->rules = calloc(1, sizeof *call->rules);
    call->listing = calloc(1, sizeof *call->listing);
    QB_ASSERT(call->rules != NULL && call->listing != NULL);
    if (!qb_auction_form_read(&form, call->body, call->rules, call->listing, &call->detail)) {
        qb_call_fail(call, QB_API_BAD_BODY);
        return;
    }
    call->listing->id = qb_id_new();
    add_listing(call, link);
}

static void answer_published(struct qb_call *call, int status)
{
    char id[QB_ID_TEXT_BYTES];

    qb_id_text(call->listing->id, id);
    qb_call_head(call, "Location: /api/auctions/%s\r\n", id);
    qb_text_string(&call->text, "{");
    if (status == 202) qb_text_json_text(&call->text, "verdict", "pending");
    qb_text_json_name(&call->text, "auction");
    qb_text_string(&call->text, "{");
    call->listing->status = QB_STATUS_OPEN;
    qb_listing_json(&call->text, call->listing, call->user.name, qb_clock_even_us());
    qb_text_string(&call->text, "}}");
    call->status = status;
    const struct qb_http_response response = {
        .status = status,
        .content_type = "application/json",
        .headers = call->head,
        .body = call->text.bytes,
        .length = call->text.length,
    };
    qb_http_respond(call->request, &response);
    call->request = NULL;
}

static void published(void *context, const struct qb_answer *answer)
{
    struct qb_call *call = context;
    struct qb_problem problem;

    if (call->request != NULL && answer->reply == QB_REPLY_PENDING && !answer->is_unknown_auction) {
        answer_published(call, 202);
        return;
    }
    if (call->request == NULL) { /* answered with 202 already */
        if (answer->reply != QB_REPLY_PENDING) qb_call_free(call);
        return;
    }
    if (qb_answer_is_good(answer) && answer->reply == QB_REPLY_VERDICT) {
        answer_published(call, 201);
        qb_call_free(call);
        return;
    }
    qb_answer_problem(answer, &problem);
    (void)qb_error_set(&call->detail, "The auction was not opened: %s", problem.text);
    call->wait_us = answer->retry_after_ms * QB_MS_US;
    qb_call_fail(call, QB_API_UNAVAILABLE);
    qb_call_answer(call);
}

void qb_api_publish(struct qb_call *call)
{
    struct qb_entry open = {
        .auction = call->listing->id,
        .type = QB_ENTRY_OPEN,
        .by = QB_ACTOR_SELLER,
        .actor = call->user.id,
        .max = QB_AMOUNT_NONE,
        .allowance = -1,
        .rules = call->rules,
    };

    qb_bid_id(open.auction, 0, OPEN_KEY, strlen(OPEN_KEY), open.bid_id);
    qb_runner_command(call->api->options.runner, &open, qb_http_arrived_us(call->request),
                      published, call);
}
