#include "base/redis_greeting.h"

#include <stdio.h>
#include <string.h>

#include "base/assert.h"

/* What loses bids when it is otherwise (reliability.md 2.3 P0). */
static const struct {
    const char *name;
    const char *value;
} safe[QB_REDIS_SETTINGS] = {
    {"appendonly", "yes"},
    {"appendfsync", "always"},
    {"no-appendfsync-on-rewrite", "no"},
    {"aof-load-truncated", "no"},
    {"maxmemory-policy", "noeviction"},
};

static void finish(struct qb_redis_greeting *greeting, const char *trouble)
{
    if (greeting->is_done) return;
    greeting->is_done = true;
    greeting->done(greeting->context, trouble);
}

/* An error in words that begin with the command; the server's own go on. */
static bool refuse(const struct qb_redis_reply *reply, const char *command, struct qb_error *error)
{
    if (qb_redis_kind_of(reply) == QB_REDIS_ERROR)
        return qb_error_set(error, "%s: %s", command, qb_redis_text(reply, NULL));
    return qb_error_set(error, "%s: not an answer to that", command);
}

bool qb_redis_login_check(const struct qb_redis_reply *reply, struct qb_error *error)
{
    const char *text = qb_redis_text(reply, NULL);
    size_t code = strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ");

    if (qb_redis_is_text(reply, "OK")) return true;
    /* Only the code: "unknown command" repeats its arguments. */
    return qb_error_set(error, "the login was refused (%.*s)", code < 32 ? (int)code : 32, text);
}

bool qb_redis_role_check(const struct qb_redis_reply *reply, struct qb_error *error)
{
    if (qb_redis_count(reply) == 0) return refuse(reply, "ROLE", error);
    const struct qb_redis_reply *role = qb_redis_item(reply, 0);
    if (qb_redis_is_text(role, "master")) return true;
    return qb_error_set(error, "not a primary: its role is %s", qb_redis_text(role, NULL));
}

static void on_login(void *context, const struct qb_redis_reply *reply)
{
    struct qb_error error;

    if (reply == NULL || qb_redis_login_check(reply, &error)) return;
    finish(context, error.text);
}

/* Answered with an error while the server still loads its data, or when a login is missing. */
static void on_pong(void *context, const struct qb_redis_reply *reply)
{
    struct qb_error error;

    if (reply == NULL || qb_redis_is_text(reply, "PONG")) return;
    (void)refuse(reply, "PING", &error);
    finish(context, error.text);
}

static void on_role(void *context, const struct qb_redis_reply *reply)
{
    struct qb_error error;

    if (reply == NULL || qb_redis_role_check(reply, &error)) return;
    finish(context, error.text);
}

static void on_setting(void *context, const struct qb_redis_reply *reply)
{
    struct qb_redis_setting *setting = context;
    const char *name = safe[setting->row].name;
    const char *must_be = safe[setting->row].value;
    struct qb_error error;

    if (reply == NULL) return;
    if (qb_redis_count(reply) == 2) {
        const struct qb_redis_reply *value = qb_redis_item(reply, 1);
        if (qb_redis_is_text(value, must_be)) return;
        (void)qb_error_set(&error, "%s is %s and must be %s", name, qb_redis_text(value, NULL),
                           must_be);
    } else {
        (void)refuse(reply, "CONFIG GET", &error);
        (void)qb_error_wrap(&error, "%s cannot be read and must be %s", name, must_be);
    }
    finish(setting->greeting, error.text);
}

/* The last: whatever came before it was well. */
static void on_info(void *context, const struct qb_redis_reply *reply)
{
    struct qb_redis_greeting *greeting = context;
    struct qb_error error;

    if (reply == NULL || greeting->is_done) return;
    const char *found = strstr(qb_redis_text(reply, NULL), "\nrun_id:");
    if (found == NULL) {
        (void)refuse(reply, "INFO", &error);
        finish(greeting, error.text);
        return;
    }
    found += strlen("\nrun_id:");
    size_t length = strcspn(found, "\r\n");
    if (length >= sizeof greeting->run_id) length = sizeof greeting->run_id - 1;
    (void)memcpy(greeting->run_id, found, length);
    greeting->run_id[length] = '\0';
    finish(greeting, NULL);
}

static void ask(struct qb_redis_wire *wire, size_t count, const char *const *words,
                qb_redis_answer *answer, void *context)
{
    bool is_taken = qb_redis_wire_send(wire, count, words, NULL, answer, context);

    QB_ASSERT(is_taken); /* the first words on a wire find room */
}

void qb_redis_login(struct qb_redis_wire *wire, const char *user, const char *password,
                    qb_redis_answer *answer, void *context)
{
    if (user[0] == '\0')
        ask(wire, 2, (const char *[]){"AUTH", password}, answer, context);
    else
        ask(wire, 3, (const char *[]){"AUTH", user, password}, answer, context);
}

void qb_redis_greet(struct qb_redis_greeting *greeting)
{
    struct qb_redis_wire *wire = greeting->wire;
    const struct qb_redis_address *address = greeting->address;

    greeting->is_done = false;
    if (address->has_login)
        qb_redis_login(wire, address->user, address->password, on_login, greeting);
    /* A server that does not let us say our name serves as well. */
    ask(wire, 3, (const char *[]){"CLIENT", "SETNAME", greeting->name}, NULL, NULL);
    ask(wire, 1, (const char *[]){"PING"}, on_pong, greeting);
    ask(wire, 1, (const char *[]){"ROLE"}, on_role, greeting);
    for (size_t i = 0; greeting->must_be_safe && i < QB_REDIS_SETTINGS; i++) {
        greeting->settings[i] = (struct qb_redis_setting){greeting, i};
        ask(wire, 3, (const char *[]){"CONFIG", "GET", safe[i].name}, on_setting,
            &greeting->settings[i]);
    }
    ask(wire, 2, (const char *[]){"INFO", "server"}, on_info, greeting);
}
