/*
 * Commands over HTTP: bids and purchases, and the answer to any command.
 */
#include <string.h>

#include "app/api_parts.h"
#include "app/auction_form.h"
#include "base/assert.h"

static void command_answered(void *context, const struct qb_answer *answer)
{
    struct qb_call *call = context;
    struct qb_problem problem;
    int status = 409;

    if (call->request == NULL) { /* answered with 202 already */
        if (answer->reply != QB_REPLY_PENDING) qb_call_free(call);
        return;
    }
    qb_text_string(&call->text, "{");
    if (answer->reply == QB_REPLY_PENDING) {
        qb_text_json_text(&call->text, "verdict", "pending");
        status = 202;
    } else if (qb_answer_is_good(answer)) {
        qb_answer_json(&call->text, answer);
        status = 200;
    } else {
        qb_answer_problem(answer, &problem);
        if (answer->is_unknown_auction)
            status = 404;
        else if (answer->is_rate_limited)
            status = 429;
        else if (problem.is_temporary)
            status = 503;
        qb_text_json_text(&call->text, "type", "about:blank");
        qb_text_json_text(&call->text, "title", problem.code);
        qb_text_json_int(&call->text, "status", status);
        qb_text_json_text(&call->text, "code", problem.code);
        qb_text_json_text(&call->text, "detail", problem.text);
        qb_answer_extra_json(&call->text, answer);
    }
    qb_text_string(&call->text, "}");
    const int64_t wait_s = (answer->retry_after_ms + 999) / 1000;
    if (wait_s > 0) qb_call_head(call, "Retry-After: %lld\r\n", (long long)wait_s);
    const struct qb_http_response response = {
        .status = status,
        .content_type = status < 300 ? "application/json" : "application/problem+json",
        .headers = call->head[0] != '\0' ? call->head : NULL,
        .body = call->text.bytes,
        .length = call->text.length,
    };
    qb_http_respond(call->request, &response);
    /* After PENDING the runner answers once more; the call waits for that. */
    call->request = NULL;
    if (answer->reply != QB_REPLY_PENDING) qb_call_free(call);
}

void qb_call_command(struct qb_call *call, const struct qb_entry *entry)
{
    qb_runner_command(call->api->options.runner, entry, qb_http_arrived_us(call->request),
                      command_answered, call);
}

/* A bid or a purchase; `amount` names the member with the money. */
static void offer(struct qb_call *call, uint8_t type, const char *amount)
{
    const char *const members[] = {amount, "currency"};
    const char *key = qb_http_header(call->request, "idempotency-key");
    struct qb_entry entry = {
        .auction = call->id,
        .type = type,
        .by = QB_ACTOR_BIDDER,
        .bidder = call->user.id,
        .actor = call->user.id,
        .allowance = -1,
    };

    if (!qb_form_members(call->body, members, QB_COUNT(members), &call->detail) ||
        !qb_form_text(call->body, "currency", 3, false, entry.currency, sizeof entry.currency,
                      &call->detail))
        qb_call_fail(call, QB_API_BAD_BODY);
    else if (!qb_json_integer(qb_json_member(call->body, amount), &entry.max) || entry.max < 1 ||
             entry.max > call->api->options.amount_max) {
        (void)qb_error_set(&call->detail, "%s: it must be an integer from 1 to %lld.", amount,
                           (long long)call->api->options.amount_max);
        qb_call_fail(call, QB_API_BAD_BODY);
    } else if (key == NULL || !qb_key_is_valid(key, strlen(key))) {
        qb_call_fail(call, QB_API_BAD_KEY);
    }
    if (call->problem == QB_API_NONE && !qb_roles_may_bid(call->user.roles))
        qb_call_fail(call, QB_API_FORBIDDEN);
    if (call->problem != QB_API_NONE) {
        qb_call_answer(call);
        return;
    }
    QB_ASSERT(key != NULL);
    qb_bid_id(call->id, call->user.id, key, strlen(key), entry.bid_id);
    qb_call_command(call, &entry);
}

void qb_api_bid(struct qb_call *call)
{
    offer(call, QB_ENTRY_BID, "max");
}

void qb_api_buy(struct qb_call *call)
{
    offer(call, QB_ENTRY_BUY_NOW, "price");
}
