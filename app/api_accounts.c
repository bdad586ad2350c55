/*
 * Sign-up, login, renewal, logout, tickets.
 */
#include <ctype.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>

#include "app/api_parts.h"
#include "app/auction_form.h"
#include "app/auth_limits.h"
#include "app/control.h"
#include "app/revoked.h"
#include "app/ticket.h"
#include "app/token.h"
#include "base/metrics.h"
#include "base/random.h"

#define DAY_US (INT64_C(24) * 3600 * QB_SECOND_US)

void qb_user_json(struct qb_text *text, const struct qb_user *user)
{
    static const char *const names[] = {"bidder", "seller", "admin"};
    bool is_first = true;

    qb_text_json_name(text, "user");
    qb_text_string(text, "{");
    qb_text_json_id(text, "id", user->id);
    qb_text_json_text(text, "email", user->email);
    qb_text_json_text(text, "name", user->name);
    qb_text_json_name(text, "roles");
    qb_text_string(text, "[");
    for (unsigned i = 0; i < QB_COUNT(names); i++) {
        if ((user->roles & (1U << i)) == 0) continue;
        qb_text_format(text, "%s\"%s\"", is_first ? "" : ",", names[i]);
        is_first = false;
    }
    qb_text_string(text, "]}");
}

static bool read_email(struct qb_call *call)
{
    char *email = call->user.email;

    if (!qb_form_text(call->body, "email", 3, false, email, sizeof call->user.email, &call->detail))
        return false;
    const char *at = strchr(email, '@');
    bool is_good = at != NULL && at != email && strchr(at + 1, '@') == NULL &&
                   strchr(at + 1, '.') != NULL && at[1] != '.' &&
                   strpbrk(email, " <>,;:\"") == NULL;
    if (!is_good || email[strlen(email) - 1] == '.')
        return qb_error_set(&call->detail, "email: it must look like name@example.com.");
    for (char *byte = email; *byte != '\0'; byte++) *byte = (char)tolower((unsigned char)*byte);
    return true;
}

/* A password that nobody can have is wrong like any other at a login, and told at a sign-up. */
static bool read_password(struct qb_call *call, bool is_new)
{
    const char *password =
        qb_json_string(qb_json_member(call->body, "password"), &call->password_length);

    if (password == NULL) return qb_error_set(&call->detail, "password: a text is needed here.");
    const char *wrong = qb_password_problem(password, call->password_length);
    if (wrong != NULL && is_new) return qb_error_set(&call->detail, "%s", wrong);
    if (wrong != NULL) call->password_length = 0;
    (void)memcpy(call->password, password, call->password_length);
    return true;
}

static bool read_account(struct qb_call *call, const char *const *members, size_t count,
                         bool is_new)
{
    char mode[8];

    if (!qb_form_members(call->body, members, count, &call->detail)) return false;
    if (!read_email(call)) return false;
    if (!qb_form_text(call->body, "mode", 0, false, mode, sizeof mode, &call->detail)) return false;
    call->wants_token = strcmp(mode, "token") == 0;
    if (mode[0] != '\0' && !call->wants_token && strcmp(mode, "cookie") != 0)
        return qb_error_set(&call->detail, "mode: it must be \"cookie\" or \"token\".");
    return read_password(call, is_new);
}

/* Asked before any hash, so that a refusal costs nothing (S50). */
static bool is_admitted(struct qb_call *call)
{
    call->wait_us = qb_auth_limits_address(call->api->options.limits,
                                           qb_http_peer(call->request)->key, qb_clock_mono_us());
    if (call->wait_us == 0) return true;
    qb_call_limit(call, QB_API_RATE_LIMITED, "auth_attempts");
    return false;
}

static void add_login(struct qb_call *call, struct qb_store_link *link)
{
    uint8_t secret[QB_SHA256_BYTES];
    struct qb_error error = {""};
    struct qb_login login = {.user = call->user.id, .created_us = qb_clock_wall_us()};

    login.expires_us = login.created_us + (int64_t)call->api->options.login_days * DAY_US;
    qb_random_secret(secret, sizeof secret);
    size_t length = qb_base64url(secret, sizeof secret, call->secret);
    OPENSSL_cleanse(secret, sizeof secret);
    qb_sha256_of(call->secret, length, login.hash);
    call->login = qb_login_name(login.hash);
    (void)qb_call_stored(call, qb_call_ops(call)->login_add(link, &login, &error), "login_add",
                         &error);
}

static void token_json(struct qb_call *call)
{
    char token[QB_TOKEN_TEXT_BYTES];
    const struct qb_identity identity = qb_call_identity(call);
    /* Of the time at which the account was looked at: what changed since then is not in it. */
    qb_time_us issued_us = qb_revoked_issue_us(call->api->options.revoked, &identity);
    struct qb_token_claims claims = {
        .user = identity.user,
        .login = identity.login,
        .roles = identity.roles,
        .issued_us = issued_us,
        .expires_us = issued_us + (int64_t)call->api->options.token_minutes * 60 * QB_SECOND_US,
    };

    if (!qb_token_issue(call->api->options.keys, &claims, token)) {
        qb_call_fail(call, QB_API_INTERNAL);
        return;
    }
    qb_text_json_text(&call->text, "token", token);
    qb_text_json_int(&call->text, "expires_ms", claims.expires_us / QB_MS_US);
    OPENSSL_cleanse(token, sizeof token);
}

static void set_cookie(struct qb_call *call, const char *secret, int64_t seconds)
{
    qb_call_head(call, "Set-Cookie: %s=%s; Path=/; Max-Age=%lld; HttpOnly; SameSite=Strict%s\r\n",
                 qb_cookie_name(call), secret, (long long)seconds,
                 qb_call_is_plain(call) ? "" : "; Secure");
}

static void answer_counted(struct qb_call *call, enum qb_metric outcomes)
{
    qb_metric_add(outcomes, qb_call_outcome(call), 1);
    qb_call_answer(call);
}

static void login_json(struct qb_call *call)
{
    if (call->problem != QB_API_NONE) return;
    qb_text_string(&call->text, "{");
    if (call->wants_token) {
        qb_text_json_text(&call->text, "session", call->secret);
        token_json(call);
    } else {
        set_cookie(call, call->secret, (int64_t)call->api->options.login_days * 86400);
    }
    qb_user_json(&call->text, &call->user);
    qb_text_string(&call->text, "}");
}

static void answer_sign_up(void *job)
{
    login_json(job);
    answer_counted(job, QB_METRIC_signups_total);
}

static void answer_login(void *job)
{
    login_json(job);
    answer_counted(job, QB_METRIC_logins_total);
}

static void run_add_user(void *job, void *worker)
{
    struct qb_call *call = job;
    struct qb_error error = {""};

    if (qb_call_is_late(call)) return;
    call->user.id = qb_id_new();
    call->user.roles = QB_ROLE_BIDDER | QB_ROLE_SELLER;
    call->user.created_us = qb_clock_wall_us();
    call->checked_us = call->user.created_us;
    enum qb_store_result added = qb_call_ops(call)->user_add(worker, &call->user, &error);
    if (added == QB_STORE_TAKEN) qb_call_fail(call, QB_API_EMAIL_TAKEN);
    if (qb_call_stored(call, added, "user_add", &error)) add_login(call, worker);
    call->status = 201;
}

static void run_hash(void *job, void *worker)
{
    struct qb_call *call = job;

    (void)worker;
    if (qb_call_is_late(call)) return;
    if (!qb_password_hash(call->password, call->password_length, call->user.verifier))
        qb_call_fail(call, QB_API_BUSY);
}

static void hashed(void *job)
{
    struct qb_call *call = job;

    if (call->problem != QB_API_NONE)
        answer_sign_up(call);
    else
        qb_call_submit(call, call->api->options.store_pool, run_add_user, answer_sign_up);
}

void qb_api_sign_up(struct qb_call *call)
{
    static const char *const members[] = {"email", "password", "name", "mode"};

    call->user = (struct qb_user){0};
    if (!read_account(call, members, QB_COUNT(members), true) ||
        !qb_form_text(call->body, "name", 0, false, call->user.name, sizeof call->user.name,
                      &call->detail))
        qb_call_fail(call, QB_API_BAD_BODY);
    if (call->problem == QB_API_NONE && is_admitted(call))
        qb_call_submit(call, call->api->options.password_pool, run_hash, hashed);
    else
        answer_sign_up(call);
}

/* The account as it is now: its roles may have changed while the password was hashed. */
static void save_verifier(struct qb_call *call, struct qb_store_link *link)
{
    struct qb_error error = {""};
    struct qb_user user;
    enum qb_store_result result = qb_call_ops(call)->user_by_id(link, call->user.id, &user, &error);

    if (!qb_call_stored(call, result, "user_by_id", &error)) return;
    (void)memcpy(user.verifier, call->user.verifier, sizeof user.verifier);
    result = qb_call_ops(call)->user_update(link, &user, &error);
    (void)qb_call_stored(call, result, "user_update", &error);
}

static void run_login(void *job, void *worker)
{
    struct qb_call *call = job;

    if (qb_call_is_late(call)) return;
    if (call->is_outdated) save_verifier(call, worker);
    add_login(call, worker);
}

static void run_verify(void *job, void *worker)
{
    struct qb_call *call = job;
    bool may_match = call->user.id != 0 && call->password_length > 0;
    const char *verifier = may_match ? call->user.verifier : NULL;

    (void)worker;
    if (qb_call_is_late(call)) return;
    call->is_match =
        qb_password_verify(call->password, call->password_length, verifier, &call->is_outdated);
    if (call->is_match && call->is_outdated)
        call->is_outdated =
            qb_password_hash(call->password, call->password_length, call->user.verifier);
}

static void verified(void *job)
{
    struct qb_call *call = job;
    struct qb_auth_limits *limits = call->api->options.limits;

    if (call->problem != QB_API_NONE)
        qb_auth_limits_undo(limits, call->user.email);
    else if (!call->is_match)
        qb_call_fail(call, QB_API_CREDENTIALS);
    else
        qb_auth_limits_success(limits, call->user.email);
    if (call->is_match && call->user.is_banned) qb_call_fail(call, QB_API_BANNED);
    if (call->problem != QB_API_NONE)
        answer_login(call);
    else
        qb_call_submit(call, call->api->options.store_pool, run_login, answer_login);
}

static void run_find(void *job, void *worker)
{
    struct qb_call *call = job;
    struct qb_error error = {""};
    struct qb_user found = {0};

    if (qb_call_is_late(call)) return;
    call->checked_us = qb_clock_wall_us();
    enum qb_store_result result =
        qb_call_ops(call)->user_by_email(worker, call->user.email, &found, &error);
    if (qb_call_stored(call, result, "user_by_email", &error)) call->user = found;
}

static void found_user(void *job)
{
    struct qb_call *call = job;

    if (call->problem != QB_API_NONE)
        verified(call);
    else
        qb_call_submit(call, call->api->options.password_pool, run_verify, verified);
}

void qb_api_log_in(struct qb_call *call)
{
    static const char *const members[] = {"email", "password", "mode"};

    call->user = (struct qb_user){0};
    if (!read_account(call, members, QB_COUNT(members), false)) qb_call_fail(call, QB_API_BAD_BODY);
    if (call->problem == QB_API_NONE && is_admitted(call)) {
        call->wait_us =
            qb_auth_limits_account(call->api->options.limits, call->user.email, qb_clock_mono_us());
        if (call->wait_us > 0) qb_call_limit(call, QB_API_RATE_LIMITED, "account_failures");
    }
    if (call->problem == QB_API_NONE)
        qb_call_submit(call, call->api->options.store_pool, run_find, found_user);
    else
        answer_login(call);
}

/* {"session"}, for those who keep no cookie. */
void qb_api_session_body(struct qb_call *call)
{
    static const char *const members[] = {"session"};
    char secret[QB_LOGIN_TEXT_BYTES] = "";

    if (call->body == NULL) return;
    if (!qb_form_members(call->body, members, QB_COUNT(members), &call->detail) ||
        !qb_form_text(call->body, "session", 0, false, secret, sizeof secret, &call->detail))
        qb_call_fail(call, QB_API_BAD_BODY);
    if (secret[0] != '\0') {
        qb_sha256_of(secret, strlen(secret), call->hash);
        call->has_login = true;
    }
    OPENSSL_cleanse(secret, sizeof secret);
}

void qb_api_renew(struct qb_call *call)
{
    if (!call->has_login) qb_call_fail(call, QB_API_SIGN_IN);
    qb_text_string(&call->text, "{");
    if (call->problem == QB_API_NONE) token_json(call);
    qb_user_json(&call->text, &call->user);
    qb_text_string(&call->text, "}");
    qb_call_answer(call);
}

void qb_api_log_out_work(struct qb_call *call, struct qb_store_link *link)
{
    struct qb_error error = {""};

    if (!call->has_login) {
        qb_call_fail(call, QB_API_SIGN_IN);
        return;
    }
    struct qb_revocation out = qb_revocation_now(call->login, call->user.id);
    enum qb_store_result removed = qb_call_ops(call)->login_remove(link, call->hash, &out, &error);
    if (!qb_call_stored(call, removed, "login_remove", &error)) return;
    /* As of now: a renewal that found the login just before it went is older. */
    out = qb_revocation_now(call->login, call->user.id);
    qb_control_revoke(call->api->options.control, &out);
}

void qb_api_log_out(struct qb_call *call)
{
    call->api->options.end_sessions(call->api->options.context, call->login, 0,
                                    QB_CLOSE_LOGGED_OUT);
    set_cookie(call, "", 0);
    call->status = 204;
    qb_call_answer(call);
}

void qb_api_ticket(struct qb_call *call)
{
    char ticket[QB_TICKET_BYTES];
    const struct qb_identity identity = qb_call_identity(call);

    if (!qb_tickets_issue(call->api->options.tickets, &identity, qb_clock_mono_us(), ticket)) {
        qb_call_fail(call, QB_API_BUSY);
        qb_call_answer(call);
        return;
    }
    qb_text_string(&call->text, "{");
    qb_text_json_text(&call->text, "ticket", ticket);
    qb_text_json_int(&call->text, "expires_ms",
                     (qb_clock_wall_us() + QB_TICKET_LIFE_US) / QB_MS_US);
    qb_text_string(&call->text, "}");
    qb_call_answer(call);
}

void qb_api_me(struct qb_call *call)
{
    qb_text_string(&call->text, "{");
    qb_user_json(&call->text, &call->user);
    qb_text_string(&call->text, "}");
    qb_call_answer(call);
}
