/*
 * The routes about the server itself, and the WebSocket handshake.
 */
#include <string.h>

#include "app/api_parts.h"
#include "app/auction_form.h"
#include "app/process_metrics.h"
#include "app/revoked.h"
#include "app/ticket.h"
#include "base/metrics.h"
#include "base/random.h"
#include "storage/holds_memory.h"

void qb_api_time(struct qb_call *call)
{
    qb_text_format(&call->text, "{\"now_ms\":%lld}", (long long)(qb_clock_even_us() / QB_MS_US));
    qb_call_answer(call);
}

void qb_api_categories(struct qb_call *call)
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

void qb_api_health(struct qb_call *call)
{
    qb_text_string(&call->text, "{\"ok\":true}");
    qb_call_answer(call);
}

void qb_api_ready(struct qb_call *call)
{
    if (!__atomic_load_n(call->api->options.is_ready, __ATOMIC_ACQUIRE))
        qb_call_fail(call, QB_API_UNAVAILABLE);
    qb_api_health(call);
}

void qb_call_turn_away(struct qb_call *call)
{
    uint8_t spread = 0;

    qb_random_secret(&spread, sizeof spread);
    qb_metric_add(QB_METRIC_limited_total, "deaf", 1);
    call->wait_us = (1 + spread % 3) * QB_SECOND_US;
    qb_call_fail(call, QB_API_DEAF);
}

void qb_api_websocket(struct qb_call *call)
{
    struct qb_identity identity = qb_call_identity(call);
    char ticket[QB_TICKET_BYTES];

    enum qb_http_query found = qb_http_query(call->request, "ticket", ticket, sizeof ticket);
    if (!qb_http_is_websocket(call->request))
        qb_call_fail(call, QB_API_NOT_FOUND);
    else if (atomic_load(call->api->options.is_away))
        qb_call_turn_away(call);
    else if (found == QB_QUERY_BAD)
        qb_call_fail(call, QB_API_BAD_TOKEN);
    else if (found == QB_QUERY_GIVEN &&
             !qb_tickets_take(call->api->options.tickets, ticket, strlen(ticket),
                              qb_clock_mono_us(), &identity))
        qb_call_fail(call, QB_API_BAD_TOKEN);
    else if (qb_revoked_has(call->api->options.revoked, &identity))
        qb_call_fail(call, QB_API_BAD_TOKEN);
    else if (call->is_banned || qb_holds_is_banned(call->api->options.holds, identity.user))
        qb_call_fail(call, QB_API_BANNED);
    if (call->problem != QB_API_NONE) {
        qb_call_answer(call);
        return;
    }
    qb_edge_accept(call->api->options.edge, call->request, &identity);
    call->request = NULL;
    qb_call_free(call);
}

void qb_api_metrics(struct qb_call *call)
{
    if (!call->api->options.is_metrics_public && !qb_call_is_local(call)) {
        qb_call_fail(call, QB_API_NOT_FOUND);
    } else {
        qb_process_measure();
        qb_metrics_text(&call->text);
        call->content_type = "text/plain; version=0.0.4; charset=utf-8";
    }
    qb_call_answer(call);
}
