/*
 * The route table. First match wins.
 */
#include "app/api_parts.h"

#define NONE     QB_BODY_NONE
#define JSON     QB_BODY_JSON
#define OPTIONAL QB_BODY_OPTIONAL
#define IMAGE    QB_BODY_IMAGE

/* clang-format off */
const struct qb_route qb_api_routes[] = {
    /* method        path                            user   body      prepare                   work                    finish */
    {QB_HTTP_GET,    "/api/time",                    false, NONE,     NULL,                     NULL,                   qb_api_time},
    {QB_HTTP_GET,    "/api/categories",              false, NONE,     NULL,                     NULL,                   qb_api_categories},
    {QB_HTTP_GET,    "/api/openapi.json",            false, NONE,     qb_call_keep_tags,        NULL,                   qb_api_openapi},
    {QB_HTTP_GET,    "/api/asyncapi.json",           false, NONE,     qb_call_keep_tags,        NULL,                   qb_api_asyncapi},
    {QB_HTTP_POST,   "/api/users",                   false, JSON,     NULL,                     NULL,                   qb_api_sign_up},
    {QB_HTTP_POST,   "/api/sessions",                false, JSON,     NULL,                     NULL,                   qb_api_log_in},
    {QB_HTTP_POST,   "/api/sessions/renew",          true,  OPTIONAL, qb_api_session_body,      NULL,                   qb_api_renew},
    {QB_HTTP_DELETE, "/api/sessions",                true,  OPTIONAL, qb_api_session_body,      qb_api_log_out_work,    qb_api_log_out},
    {QB_HTTP_POST,   "/api/tickets",                 true,  NONE,     NULL,                     NULL,                   qb_api_ticket},
    {QB_HTTP_GET,    "/api/me",                      true,  NONE,     NULL,                     NULL,                   qb_api_me},
    {QB_HTTP_GET,    "/api/me/bids",                  true,  NONE,     qb_api_mine_prepare,      qb_api_my_bids,         NULL},
    {QB_HTTP_GET,    "/api/me/auctions",              true,  NONE,     qb_api_mine_prepare,      qb_api_my_auctions,     NULL},
    {QB_HTTP_GET,    "/api/me/watched",               true,  NONE,     qb_api_mine_prepare,      qb_api_my_watched,      NULL},
    {QB_HTTP_PUT,    "/api/me/watched/{id}",          true,  NONE,     NULL,                     qb_api_watch,           NULL},
    {QB_HTTP_DELETE, "/api/me/watched/{id}",          true,  NONE,     NULL,                     qb_api_watch,           NULL},
    {QB_HTTP_GET,    "/api/me/payments",              true,  NONE,     qb_api_payments_prepare,  qb_api_payments,        NULL},
    {QB_HTTP_POST,   "/api/images",                   true,  IMAGE,    qb_api_image_prepare,     qb_api_image_add,       NULL},
    {QB_HTTP_GET,    "/images/{hash}",                false, NONE,     qb_call_keep_tags,        qb_api_image,           NULL},
    {QB_HTTP_GET,    "/api/auctions",                false, NONE,     qb_api_list_prepare,      qb_api_list,            NULL},
    {QB_HTTP_POST,   "/api/auctions",                true,  JSON,     qb_api_publish_prepare,   qb_api_publish_work,    qb_api_publish},
    {QB_HTTP_GET,    "/api/auctions/{id}",           false, NONE,     qb_api_catalogue_prepare, qb_api_catalogue,       NULL},
    {QB_HTTP_GET,    "/api/auctions/{id}/state",     false, NONE,     NULL,                     NULL,                   qb_api_state},
    {QB_HTTP_GET,    "/api/auctions/{id}/events",    false, NONE,     NULL,                     NULL,                   qb_api_events},
    {QB_HTTP_GET,    "/api/auctions/{id}/bids",      false, NONE,     qb_api_bids_prepare,      qb_api_bids,            NULL},
    {QB_HTTP_GET,    "/api/auctions/{id}/ledger",    false, NONE,     qb_api_ledger_prepare,    qb_api_ledger,          NULL},
    {QB_HTTP_POST,   "/api/auctions/{id}/pause",     true,  OPTIONAL, qb_api_operate_prepare,   qb_api_operate_work,    qb_api_operate},
    {QB_HTTP_POST,   "/api/auctions/{id}/resume",    true,  OPTIONAL, qb_api_operate_prepare,   qb_api_operate_work,    qb_api_operate},
    {QB_HTTP_POST,   "/api/auctions/{id}/cancel",    true,  OPTIONAL, qb_api_operate_prepare,   qb_api_operate_work,    qb_api_operate},
    {QB_HTTP_POST,   "/api/auctions/{id}/reserve",   true,  JSON,     qb_api_operate_prepare,   qb_api_operate_work,    qb_api_operate},
    {QB_HTTP_POST,   "/api/auctions/{id}/block",     true,  JSON,     qb_api_operate_prepare,   qb_api_operate_work,    qb_api_operate},
    {QB_HTTP_POST,   "/api/auctions/{id}/unblock",   true,  JSON,     qb_api_operate_prepare,   qb_api_operate_work,    qb_api_operate},
    {QB_HTTP_POST,   "/api/auctions/{id}/void",      true,  JSON,     qb_api_operate_prepare,   qb_api_operate_work,    qb_api_operate},
    {QB_HTTP_POST,   "/api/auctions/{id}/retract",   true,  JSON,     qb_api_operate_prepare,   qb_api_operate_work,    qb_api_operate},
    {QB_HTTP_POST,   "/api/auctions/{id}/bids",      true,  JSON,     NULL,                     NULL,                   qb_api_bid},
    {QB_HTTP_POST,   "/api/auctions/{id}/buy",       true,  JSON,     NULL,                     NULL,                   qb_api_buy},
    {QB_HTTP_PUT,    "/api/users/{id}/limit",         true,  JSON,     NULL,                     qb_api_user_limit_work, NULL},
    {QB_HTTP_PUT,    "/api/users/{id}/roles",         true,  JSON,     NULL,                     qb_api_user_roles_work, NULL},
    {QB_HTTP_POST,   "/api/users/{id}/ban",           true,  OPTIONAL, qb_api_user_ban_prepare,  qb_api_user_ban_work,   qb_api_user_ban},
    {QB_HTTP_POST,   "/api/users/{id}/unban",         true,  OPTIONAL, qb_api_user_ban_prepare,  qb_api_user_ban_work,   qb_api_user_ban},
    {QB_HTTP_GET,    "/health",                      false, NONE,     NULL,                     NULL,                   qb_api_health},
    {QB_HTTP_GET,    "/ready",                       false, NONE,     NULL,                     NULL,                   qb_api_ready},
    {QB_HTTP_GET,    "/metrics",                     false, NONE,     NULL,                     NULL,                   qb_api_metrics},
    {QB_HTTP_GET,    "/ws",                          false, NONE,     NULL,                     NULL,                   qb_api_websocket},
};
/* clang-format on */
const size_t qb_api_route_count = QB_COUNT(qb_api_routes);

void qb_api_routes_docs(struct qb_text *text)
{
    static const char *const methods[] = {"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"};
    static const char *const bodies[] = {"", "JSON", "JSON or none", "an image"};

    qb_text_string(text, "| method | path | accounts only | body |\n|---|---|---|---|\n");
    for (size_t i = 0; i < qb_api_route_count; i++) {
        const struct qb_route *route = &qb_api_routes[i];
        qb_text_format(text, "| %s | %s | %s | %s |\n", methods[route->method], route->path,
                       route->needs_user ? "yes" : "no", bodies[route->body]);
    }
}
