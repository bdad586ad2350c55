/*
 * The route table, and the routes about auctions, the server and the WebSocket handshake.
 */
#include <stdio.h>
#include <string.h>

#include "app/api_parts.h"
#include "app/auction_form.h"
#include "app/state_json.h"
#include "app/ticket.h"

static void time_now(struct qb_call *call)
{
    qb_text_format(&call->text, "{\"now_ms\":%lld}", (long long)(qb_clock_wall_us() / QB_MS_US));
    qb_call_answer(call);
}

static void categories(struct qb_call *call)
{
    const char *title = NULL;
    struct qb_text *text = &call->text;

    qb_text_string(text, "{\"categories\":[");
    for (size_t i = 0; qb_category_at(i, &title) != NULL; i++)
        qb_text_format(text, "%s\"%s\"", i > 0 ? "," : "", qb_category_at(i, &title));
    qb_text_string(text, "],\"currencies\":[");
    for (size_t i = 0; qb_currency_at(i) != NULL; i++)
        qb_text_format(text, "%s{\"code\":\"%s\",\"decimals\":%d}", i > 0 ? "," : "",
                       qb_currency_at(i), qb_currency_decimals(qb_currency_at(i)));
    qb_text_string(text, "],\"increments\":[");
    for (size_t i = 0; qb_increment_preset_name(i) != NULL; i++)
        qb_text_format(text, "%s\"%s\"", i > 0 ? "," : "", qb_increment_preset_name(i));
    qb_text_string(text, "]}");
    qb_call_answer(call);
}

static void health(struct qb_call *call)
{
    qb_text_string(&call->text, "{\"ok\":true}");
    qb_call_answer(call);
}

static void ready(struct qb_call *call)
{
    if (!__atomic_load_n(call->api->options.is_ready, __ATOMIC_ACQUIRE))
        qb_call_fail(call, QB_API_UNAVAILABLE);
    health(call);
}

static void websocket(struct qb_call *call)
{
    struct qb_identity identity = {
        .user = call->user.id, .roles = call->user.roles, .login = call->login};
    char ticket[QB_TICKET_BYTES];

    bool has_ticket = qb_http_query(call->request, "ticket", ticket, sizeof ticket);
    if (!qb_http_is_websocket(call->request))
        qb_call_fail(call, QB_API_NOT_FOUND);
    else if (has_ticket && !qb_tickets_take(call->api->options.tickets, ticket, strlen(ticket),
                                            qb_clock_mono_us(), &identity))
        qb_call_fail(call, QB_API_BAD_TOKEN);
    if (call->problem != QB_API_NONE) {
        qb_call_answer(call);
        return;
    }
    qb_edge_accept(call->api->options.edge, call->request, &identity);
    call->request = NULL;
    qb_call_free(call);
}

static void archived_state(struct qb_call *call, struct qb_store_link *link)
{
    struct qb_lot lot;
    struct qb_error error = {""};
    enum qb_store_result found = qb_call_ops(call)->state(link, call->id, &lot, &error);

    if (found == QB_STORE_NOT_FOUND) qb_call_fail(call, QB_API_NOT_FOUND);
    if (qb_call_stored(call, found, "state", &error))
        qb_state_json(&call->text, &lot, lot.seq, lot.epoch, lot.now_us, NULL);
}

static void run_archived(void *job, void *worker)
{
    struct qb_call *call = job;

    if (!qb_call_is_late(call)) archived_state(call, worker);
}

static void end_archived(void *job)
{
    qb_call_answer(job);
}

static void state_found(void *context, struct qb_frame *state)
{
    struct qb_call *call = context;

    if (state == NULL) {
        qb_call_submit(call, call->api->options.store_pool, run_archived, end_archived);
        return;
    }
    const struct qb_http_response response = {
        .status = 200, .content_type = "application/json", .frame = state};
    qb_http_respond(call->request, &response);
    qb_call_free(call);
}

static void state(struct qb_call *call)
{
    qb_runner_state(call->api->options.runner, call->id, state_found, call);
}

static void command_answered(void *context, const struct qb_answer *answer)
{
    struct qb_call *call = context;
    struct qb_problem problem;
    int status = 409;

    if (call == NULL || call->request == NULL) {
        if (call != NULL && answer->reply != QB_REPLY_PENDING) qb_call_free(call);
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
    if (wait_s > 0)
        (void)snprintf(call->head, sizeof call->head, "Retry-After: %lld\r\n", (long long)wait_s);
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
    if (call->problem == QB_API_NONE && (call->user.roles & QB_ROLE_BIDDER) == 0)
        qb_call_fail(call, QB_API_FORBIDDEN);
    if (call->problem != QB_API_NONE) {
        qb_call_answer(call);
        return;
    }
    qb_bid_id(call->id, call->user.id, key, strlen(key), entry.bid_id);
    qb_runner_command(call->api->options.runner, &entry, qb_http_arrived_us(call->request),
                      command_answered, call);
}

static void bid(struct qb_call *call)
{
    offer(call, QB_ENTRY_BID, "max");
}

static void buy(struct qb_call *call)
{
    offer(call, QB_ENTRY_BUY_NOW, "price");
}

/* clang-format off */
const struct qb_route qb_api_routes[] = {
    {QB_HTTP_GET,    "/api/time",                false, false, NULL, time_now},
    {QB_HTTP_GET,    "/api/categories",          false, false, NULL, categories},
    {QB_HTTP_POST,   "/api/users",               false, true,  NULL, qb_api_sign_up},
    {QB_HTTP_POST,   "/api/sessions",            false, true,  NULL, qb_api_log_in},
    {QB_HTTP_POST,   "/api/sessions/renew",      true,  false, NULL, qb_api_renew},
    {QB_HTTP_DELETE, "/api/sessions",            true,  false, qb_api_log_out_work, qb_api_log_out},
    {QB_HTTP_POST,   "/api/tickets",             true,  false, NULL, qb_api_ticket},
    {QB_HTTP_GET,    "/api/me",                  true,  false, NULL, qb_api_me},
    {QB_HTTP_GET,    "/api/auctions/{id}/state", false, false, NULL, state},
    {QB_HTTP_POST,   "/api/auctions/{id}/bids",  true,  true,  NULL, bid},
    {QB_HTTP_POST,   "/api/auctions/{id}/buy",   true,  true,  NULL, buy},
    {QB_HTTP_GET,    "/health",                  false, false, NULL, health},
    {QB_HTTP_GET,    "/ready",                   false, false, NULL, ready},
    {QB_HTTP_GET,    "/ws",                      false, false, NULL, websocket},
};
/* clang-format on */
const size_t qb_api_route_count = QB_COUNT(qb_api_routes);
