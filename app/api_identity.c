/*
 * Who asks: by token, by cookie, by ticket; and whether a page may ask for somebody.
 */
#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>

#include "app/api_parts.h"
#include "app/revoked.h"
#include "app/token.h"
#include "storage/holds_memory.h"

#define BEARER       "Bearer "
#define ORIGIN_BYTES 256

/* A proxy on this machine says that it is one; who is behind it is not on this machine. */
bool qb_call_is_local(const struct qb_call *call)
{
    return qb_http_is_local(call->request);
}

/* On plain loopback a cookie cannot be Secure (security.md S15). */
bool qb_call_is_plain(const struct qb_call *call)
{
    return call->api->options.origins[0] == '\0' && qb_call_is_local(call);
}

const char *qb_cookie_name(const struct qb_call *call)
{
    return qb_call_is_plain(call) ? "qb_session" : "__Host-qb_session";
}

bool qb_origin_is_listed(const char *list, const char *origin)
{
    size_t length = strlen(origin);

    while (*list != '\0') {
        size_t part = strcspn(list, ",");
        if (part == length && memcmp(list, origin, length) == 0) return true;
        list += part;
        if (*list == ',') list++;
        while (*list == ' ') list++;
    }
    return false;
}

/* Exact, and never from a page whose origin is "null" (S13). */
bool qb_call_origin_allowed(const struct qb_call *call, const char *origin)
{
    const char *host = qb_http_header(call->request, "host");
    const char *list = call->api->options.origins;
    char own[ORIGIN_BYTES];

    if (list[0] != '\0') return qb_origin_is_listed(list, origin);
    if (host == NULL || !qb_http_peer(call->request)->is_loopback) return false;
    int length = snprintf(own, sizeof own, "http://%s", host);
    return length > 0 && (size_t)length < sizeof own && strcmp(own, origin) == 0;
}

static bool read_token(struct qb_api *api, const char *token, size_t length,
                       struct qb_identity *identity)
{
    struct qb_token_claims claims;

    if (qb_token_verify(api->options.keys, token, length, qb_clock_wall_us(), &claims) !=
        QB_TOKEN_GOOD)
        return false;
    *identity = (struct qb_identity){.user = claims.user,
                                     .roles = claims.roles,
                                     .login = claims.login,
                                     .expires_us = claims.expires_us,
                                     .checked_us = claims.issued_us};
    return !qb_revoked_has(api->options.revoked, identity);
}

bool qb_call_credentials(struct qb_call *call)
{
    const char *header = qb_http_header(call->request, "authorization");
    const char *origin = qb_http_header(call->request, "origin");
    char secret[QB_LOGIN_TEXT_BYTES];
    struct qb_identity identity;
    bool is_read = call->route->method == QB_HTTP_GET && !qb_http_is_websocket(call->request);

    if (header != NULL) {
        size_t length = strlen(header);
        size_t skip = strlen(BEARER);
        if (length <= skip || strncmp(header, BEARER, skip) != 0 ||
            !read_token(call->api, header + skip, length - skip, &identity)) {
            qb_call_fail(call, QB_API_BAD_TOKEN);
            return false;
        }
        call->user.id = identity.user;
        call->login = identity.login;
        call->expires_us = identity.expires_us;
        call->checked_us = identity.checked_us;
        return true;
    }
    if (origin != NULL && qb_http_is_websocket(call->request) &&
        !qb_call_origin_allowed(call, origin)) {
        qb_call_fail(call, QB_API_ORIGIN);
        return false;
    }
    if (!qb_http_cookie(call->request, qb_cookie_name(call), secret, sizeof secret)) return true;
    if (!is_read && (origin == NULL || !qb_call_origin_allowed(call, origin))) {
        qb_call_fail(call, QB_API_ORIGIN);
        return false;
    }
    qb_sha256_of(secret, strlen(secret), call->hash);
    call->has_login = true;
    OPENSSL_cleanse(secret, sizeof secret);
    return true;
}

void qb_call_identify(struct qb_call *call, struct qb_store_link *link)
{
    struct qb_error error = {""};
    struct qb_login login = {0};
    qb_id id = call->user.id;

    if (call->has_login) {
        call->checked_us = qb_clock_wall_us(); /* before the look: a later change is younger */
        call->user.id = 0; /* a login that is gone is not mended by a token beside it */
        enum qb_store_result found =
            qb_call_ops(call)->login_find(link, call->hash, &login, &error);
        if (!qb_call_stored(call, found, "login_find", &error)) return;
        if (login.expires_us <= qb_clock_wall_us()) return;
        if (id != 0 && id != login.user) return; /* the token is somebody else's */
        id = login.user;
        call->expires_us = login.expires_us;
        call->login = qb_login_name(call->hash);
    }
    if (id == 0) return;
    enum qb_store_result found = qb_call_ops(call)->user_by_id(link, id, &call->user, &error);
    if (!qb_call_stored(call, found, "user_by_id", &error)) call->user.id = 0;
    if (call->user.is_banned) {
        call->user.id = 0;
        call->is_banned = true;
        if (call->route->needs_user) qb_call_fail(call, QB_API_BANNED);
    }
}

struct qb_identity qb_call_identity(const struct qb_call *call)
{
    return (struct qb_identity){.user = call->user.id,
                                .roles = call->user.roles,
                                .login = call->login,
                                .expires_us = call->expires_us,
                                .checked_us = call->checked_us};
}

bool qb_api_identify_token(struct qb_api *api, const char *token, struct qb_identity *identity,
                           struct qb_problem *problem)
{
    enum qb_api_problem found = QB_API_NONE;

    if (!read_token(api, token, strlen(token), identity))
        found = QB_API_BAD_TOKEN;
    else if (qb_holds_is_banned(api->options.holds, identity->user))
        found = QB_API_BANNED;
    if (found != QB_API_NONE) *problem = qb_api_problem_of(found);
    return found == QB_API_NONE;
}
