/*
 * What an admin does to accounts: limits, roles, bans.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/api_parts.h"
#include "app/auction_form.h"
#include "app/control.h"
#include "app/revoked.h"
#include "base/assert.h"
#include "base/log.h"
#include "base/random.h"
#include "storage/holds_memory.h"

/* The account of the path, for an admin; false: the call has failed. */
static bool find_user(struct qb_call *call, struct qb_store_link *link, struct qb_user *user)
{
    struct qb_error error = {""};

    if ((call->user.roles & QB_ROLE_ADMIN) == 0) {
        qb_call_fail(call, QB_API_FORBIDDEN);
        return false;
    }
    enum qb_store_result found = qb_call_ops(call)->user_by_id(link, call->id, user, &error);
    if (found == QB_STORE_NOT_FOUND) qb_call_fail(call, QB_API_NOT_FOUND);
    return qb_call_stored(call, found, "user_by_id", &error);
}

static void log_change(const struct qb_call *call, const char *what)
{
    char admin[QB_ID_TEXT_BYTES];
    char user[QB_ID_TEXT_BYTES];

    qb_id_text(call->user.id, admin);
    qb_id_text(call->id, user);
    qb_log(QB_LOG_INFO, "account.changed", QB_TEXT("what", what), QB_TEXT("user", user),
           QB_TEXT("by", admin));
}

static bool read_limit(struct qb_call *call, char currency[QB_CURRENCY_BYTES], int64_t *amount)
{
    static const char *const members[] = {"currency", "amount"};
    const struct qb_json *value = qb_json_member(call->body, "amount");

    QB_TRY(qb_form_members(call->body, members, QB_COUNT(members), &call->detail));
    QB_TRY(
        qb_form_text(call->body, "currency", 3, false, currency, QB_CURRENCY_BYTES, &call->detail));
    if (qb_currency_decimals(currency) < 0)
        return qb_error_set(&call->detail, "currency: unknown; GET /api/categories lists them.");
    *amount = -1;
    if (value != NULL && qb_json_kind_of(value) == QB_JSON_NULL) return true;
    if (qb_json_integer(value, amount) && *amount >= 0 && *amount <= QB_AMOUNT_MAX) return true;
    return qb_error_set(&call->detail, "amount: it must be an amount from 0 on, or null for none.");
}

void qb_api_user_limit_work(struct qb_call *call, struct qb_store_link *link)
{
    struct qb_error error = {""};
    struct qb_user user;
    char currency[QB_CURRENCY_BYTES];
    int64_t amount = -1;

    if (!find_user(call, link, &user)) return;
    if (!read_limit(call, currency, &amount)) {
        qb_call_fail(call, QB_API_BAD_BODY);
        return;
    }
    enum qb_store_result set =
        qb_call_ops(call)->limit_set(link, user.id, currency, amount, &error);
    if (!qb_call_stored(call, set, "limit_set", &error)) return;
    qb_control_limit(call->api->options.control, user.id, currency, amount);
    log_change(call, "limit");
    call->status = 204;
}

static bool read_roles(struct qb_call *call, unsigned *roles)
{
    static const char *const members[] = {"roles"};
    static const char *const names[] = {"bidder", "seller", "admin"};
    const struct qb_json *list = qb_json_member(call->body, "roles");

    QB_TRY(qb_form_members(call->body, members, QB_COUNT(members), &call->detail));
    *roles = 0;
    bool is_good = list != NULL && qb_json_kind_of(list) == QB_JSON_ARRAY;
    for (size_t i = 0; is_good && i < qb_json_count(list); i++) {
        const char *name = qb_json_string(qb_json_element(list, i), NULL);
        unsigned role = 0;
        while (name != NULL && role < QB_COUNT(names) && strcmp(name, names[role]) != 0) role++;
        is_good = name != NULL && role < QB_COUNT(names);
        if (is_good) *roles |= 1U << role;
    }
    return is_good || qb_error_set(&call->detail, "roles: it must be an array of \"bidder\", "
                                                  "\"seller\" and \"admin\".");
}

static void save_user(struct qb_call *call, struct qb_store_link *link, const struct qb_user *user)
{
    struct qb_error error = {""};
    enum qb_store_result saved = qb_call_ops(call)->user_update(link, user, &error);

    (void)qb_call_stored(call, saved, "user_update", &error);
}

static bool revoke(struct qb_call *call, struct qb_store_link *link,
                   const struct qb_revocation *revocation)
{
    struct qb_error error = {""};
    enum qb_store_result revoked = qb_call_ops(call)->revoke(link, revocation, &error);

    return qb_call_stored(call, revoked, "revoke", &error);
}

/* Whoever read the old roles did so before the time that counts in the end. Until the roles are
 * changed the store's row is of a moment to come: should the process end in between, tokens are
 * refused that need not be, and none is good that must not be. */
static void save_roles(struct qb_call *call, struct qb_store_link *link, const struct qb_user *user)
{
    struct qb_revocation old = qb_revocation_now(0, user->id);

    old.since_us += QB_SECOND_US;
    if (!revoke(call, link, &old)) return;
    save_user(call, link, user);
    if (call->problem != QB_API_NONE) return;
    old = qb_revocation_now(0, user->id);
    qb_control_revoke(call->api->options.control, &old);
    call->api->options.end_sessions(call->api->options.context, 0, user->id,
                                    QB_CLOSE_ROLES_CHANGED);
    (void)revoke(call, link, &old);
}

void qb_api_user_roles_work(struct qb_call *call, struct qb_store_link *link)
{
    struct qb_user user;
    unsigned before = 0;

    if (!find_user(call, link, &user)) return;
    before = user.roles;
    if (!read_roles(call, &user.roles)) {
        qb_call_fail(call, QB_API_BAD_BODY);
        return;
    }
    if (user.id == call->user.id && (user.roles & QB_ROLE_ADMIN) == 0) {
        (void)qb_error_set(&call->detail, "roles: nobody takes the own role admin away.");
        qb_call_fail(call, QB_API_BAD_BODY);
        return;
    }
    if (user.roles != before) save_roles(call, link, &user);
    if (call->problem != QB_API_NONE) return;
    log_change(call, "roles");
    qb_text_string(&call->text, "{");
    qb_user_json(&call->text, &user);
    qb_text_string(&call->text, "}");
}

static bool take_auction(void *context, const struct qb_listing *listing, int64_t key)
{
    struct qb_call *call = context;

    if (call->ban.count == call->ban.room) {
        call->ban.room = call->ban.room * 2 + 16;
        call->ban.auctions =
            realloc(call->ban.auctions, call->ban.room * sizeof *call->ban.auctions);
        QB_ASSERT(call->ban.auctions != NULL);
    }
    call->ban.auctions[call->ban.count++] = listing->id;
    call->page.key = key;
    call->page.id = listing->id;
    return true;
}

/* All that go on in which the account has bid. */
static void find_auctions(struct qb_call *call, struct qb_store_link *link)
{
    struct qb_listing_query query = {
        .bidder = call->id,
        .with_private = true,
        .phase = QB_PHASE_LIVE,
        .sort = QB_SORT_NEWEST,
        .now_us = qb_clock_even_us(),
        .rows_max = QB_PAGE_ROWS_MAX,
    };
    struct qb_error error = {""};
    size_t before = 0;

    do {
        before = call->ban.count;
        query.after_key = call->page.key;
        query.after_id = call->page.id;
        enum qb_store_result found =
            qb_call_ops(call)->listings(link, &query, take_auction, call, &error);
        if (!qb_call_stored(call, found, "listings", &error)) return;
    } while (call->ban.count - before == QB_PAGE_ROWS_MAX);
}

/* The account first: no new bid can come between it and the auctions. */
void qb_api_user_ban_work(struct qb_call *call, struct qb_store_link *link)
{
    struct qb_user user;

    if (!find_user(call, link, &user)) return;
    if ((user.roles & QB_ROLE_ADMIN) != 0 && call->ban.is_on) {
        (void)qb_error_set(&call->detail, "An admin cannot be banned. Take the role away first.");
        qb_call_fail(call, QB_API_FORBIDDEN);
        return;
    }
    user.is_banned = call->ban.is_on;
    save_user(call, link, &user);
    if (call->problem != QB_API_NONE) return;
    qb_control_ban(call->api->options.control, user.id, user.is_banned);
    log_change(call, call->ban.is_on ? "ban" : "unban");
    if (call->ban.is_on) find_auctions(call, link);
}

void qb_api_user_ban_prepare(struct qb_call *call)
{
    const char *name = strrchr(qb_http_path(call->request), '/') + 1;

    call->ban.is_on = strcmp(name, "ban") == 0;
}

static void answer_ban(struct qb_call *call)
{
    qb_text_string(&call->text, "{");
    qb_text_json_bool(&call->text, "banned", call->ban.is_on);
    qb_text_json_int(&call->text, "auctions", (int64_t)call->ban.blocked);
    qb_text_string(&call->text, "}");
    if (call->ban.is_unsure) qb_call_fail(call, QB_API_UNAVAILABLE);
    qb_call_answer(call);
}

/* A refusal is as good as a verdict: blocked already, or over; a halted auction takes no bid. */
static void blocked(void *context, const struct qb_answer *answer)
{
    struct qb_call *call = context;

    if (answer->reply == QB_REPLY_PENDING && !answer->is_unknown_auction) return;
    if (qb_answer_is_good(answer))
        call->ban.blocked++;
    else if (!answer->is_unknown_auction && !answer->is_halted &&
             answer->verdict.code != QB_VERDICT_REFUSED)
        call->ban.is_unsure = true;
    call->ban.waiting--;
    if (call->ban.waiting == 0) answer_ban(call);
}

static void block_in(struct qb_call *call, qb_id auction)
{
    uint8_t random[16];
    char key[sizeof random * 2 + 1];
    struct qb_entry entry = {
        .auction = auction,
        .type = QB_ENTRY_BLOCK,
        .by = QB_ACTOR_ADMIN,
        .bidder = call->id,
        .actor = call->user.id,
        .max = QB_AMOUNT_NONE,
        .allowance = -1,
    };

    qb_random_secret(random, sizeof random);
    qb_hex(random, sizeof random, key);
    qb_bid_id(auction, call->user.id, key, sizeof random * 2, entry.bid_id);
    qb_runner_command(call->api->options.runner, &entry, qb_http_arrived_us(call->request), blocked,
                      call);
}

void qb_api_user_ban(struct qb_call *call)
{
    size_t count = call->ban.count;

    if (call->ban.is_on)
        call->api->options.end_sessions(call->api->options.context, 0, call->id, QB_CLOSE_BANNED);
    call->ban.waiting = count + 1; /* this function's own, so that no answer ends the call in it */
    for (size_t i = 0; i < count; i++) block_in(call, call->ban.auctions[i]);
    call->ban.waiting--;
    if (call->ban.waiting == 0) answer_ban(call);
}
