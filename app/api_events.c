/*
 * Event streams: an auction's updates for clients that cannot use WebSocket.
 */
#include <stdlib.h>
#include <string.h>

#include "app/api_parts.h"
#include "storage/holds_memory.h"

#define DIGITS_MAX 16 /* of a seq: 2^53 */

/* Digits only, and not too many. Returns what follows them; null: there is no such number. */
static const char *read_number(const char *text, uint64_t *number)
{
    size_t length = strspn(text, "0123456789");

    if (length == 0 || length > DIGITS_MAX) return NULL;
    *number = strtoull(text, NULL, 10);
    return text + length;
}

/* `Last-Event-ID: <epoch>-<seq>`. What is not in that form names nothing we know: a snapshot. */
static void read_position(const char *text, struct qb_command *command)
{
    uint64_t epoch = 0;
    const char *dash = text != NULL ? read_number(text, &epoch) : NULL;

    if (dash == NULL || *dash != '-' || epoch > UINT32_MAX) return;
    const char *end = read_number(dash + 1, &command->seq);
    command->epoch = (uint32_t)epoch;
    command->has_position = end != NULL && *end == '\0';
}

static void begin(void *context, const struct qb_stream_start *start)
{
    struct qb_call *call = context;

    if (start->first == NULL) {
        qb_call_fail(call, start->is_answered ? QB_API_NOT_FOUND : QB_API_BUSY);
        qb_call_answer(call);
        return;
    }
    qb_call_head(call, "X-Accel-Buffering: no\r\n"); /* a proxy that collects answers would wait */
    if (qb_http_method_of(call->request) == QB_HTTP_HEAD) {
        const struct qb_http_response response = {
            .status = 200,
            .content_type = "text/event-stream",
            .headers = call->head,
            .is_endless = true,
        };
        qb_http_respond(call->request, &response);
    } else {
        struct qb_identity identity = {0};
        if (call->user.id != 0 && !qb_holds_is_banned(call->api->options.holds, call->user.id)) {
            identity = (struct qb_identity){.user = call->user.id,
                                            .roles = call->user.roles,
                                            .login = call->login,
                                            .expires_us = call->expires_us};
        }
        qb_edge_accept_events(call->api->options.edge, call->request, &identity, call->head,
                              call->id, start->first, start->is_live);
    }
    qb_call_free(call);
}

void qb_api_events(struct qb_call *call)
{
    struct qb_command command = {.auction = call->id};

    if (atomic_load(call->api->options.is_away)) {
        qb_call_turn_away(call);
        qb_call_answer(call);
        return;
    }
    read_position(qb_http_header(call->request, "last-event-id"), &command);
    qb_runner_stream(call->api->options.runner, call->user.id, &command, begin, call);
}
