#include "app/commands.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/text.h"

/* A command under way: which session it came from and how it was named. */
struct asked {
    const struct qb_commands *commands;
    qb_session_id session;
    char id[QB_COMMAND_ID_BYTES];
    char key[QB_KEY_BYTES_MAX + 1];
};

static struct asked *asked_new(const struct qb_commands *commands, struct qb_session *session,
                               const struct qb_command *command)
{
    struct asked *asked = calloc(1, sizeof *asked);

    QB_ASSERT(asked != NULL);
    asked->commands = commands;
    asked->session = qb_session_id_of(session);
    (void)memcpy(asked->id, command->id, sizeof asked->id);
    (void)memcpy(asked->key, command->key, sizeof asked->key);
    return asked;
}

static void send_pending(struct qb_session *session, const struct asked *asked)
{
    struct qb_text text = {0};

    qb_text_format(&text, "{\"on\":\"pending\",\"id\":%s", asked->id);
    qb_text_json_text(&text, "key", asked->key);
    qb_text_string(&text, "}");
    qb_session_send(session, text.bytes, text.length);
    qb_text_fini(&text);
}

static void send_error(struct qb_session *session, const struct asked *asked,
                       const struct qb_answer *answer)
{
    struct qb_problem problem;
    struct qb_text extra = {0};

    qb_answer_problem(answer, &problem);
    qb_answer_extra_json(&extra, answer);
    qb_session_error(session, asked->id, problem.code, problem.text, problem.is_temporary,
                     answer->retry_after_ms, extra.length > 0 ? extra.bytes : NULL);
    qb_text_fini(&extra);
}

static void take_answer(void *context, const struct qb_answer *answer)
{
    struct asked *asked = context;
    struct qb_session *session = qb_edge_session(asked->commands->edge, asked->session);

    if (answer->reply == QB_REPLY_PENDING && !answer->is_unknown_auction) {
        if (session != NULL) send_pending(session, asked);
        return;
    }
    if (session != NULL && qb_answer_is_good(answer)) {
        struct qb_text text = {0};
        qb_text_format(&text, "{\"id\":%s,\"ok\":true", asked->id);
        qb_answer_json(&text, answer);
        qb_text_string(&text, "}");
        qb_session_send(session, text.bytes, text.length);
        qb_text_fini(&text);
    } else if (session != NULL) {
        send_error(session, asked, answer);
    }
    free(asked);
}

/* bid, buy and retract: an entry of the auction's log. */
static void take_entry(const struct qb_commands *commands, struct qb_session *session,
                       const struct qb_command *command, enum qb_entry_type type)
{
    const struct qb_identity *identity = qb_session_identity(session);
    struct qb_entry entry = {
        .auction = command->auction,
        .type = (uint8_t)type,
        .by = QB_ACTOR_BIDDER,
        .reason = command->reason,
        .bidder = identity->user,
        .actor = identity->user,
        .max = type == QB_ENTRY_RETRACT ? QB_AMOUNT_NONE : command->max,
        .allowance = -1,
    };

    if (type != QB_ENTRY_RETRACT && !qb_roles_may_bid(identity->roles)) {
        qb_session_error(session, command->id, "forbidden",
                         "This account may not bid: that takes the role of a bidder, and staff "
                         "never may.",
                         false, 0, NULL);
        return;
    }
    if (type != QB_ENTRY_RETRACT) {
        (void)memcpy(entry.currency, command->currency, sizeof entry.currency);
    }
    qb_bid_id(command->auction, identity->user, command->key, strlen(command->key), entry.bid_id);
    qb_runner_command(commands->runner, &entry, command->read_us, take_answer,
                      asked_new(commands, session, command));
}

static void take_resolve(const struct qb_commands *commands, struct qb_session *session,
                         const struct qb_command *command)
{
    const struct qb_identity *identity = qb_session_identity(session);
    uint8_t bid_id[QB_BID_ID_BYTES];

    qb_bid_id(command->auction, identity->user, command->key, strlen(command->key), bid_id);
    qb_runner_resolve(commands->runner, command->auction, identity->user, bid_id, take_answer,
                      asked_new(commands, session, command));
}

static void take_auth(const struct qb_commands *commands, struct qb_session *session,
                      const struct qb_command *command)
{
    struct qb_identity identity = {0};
    struct qb_problem problem = {0};
    struct qb_text text = {0};

    if (!qb_api_identify_token(commands->api, command->token, &identity, &problem)) {
        qb_session_error(session, command->id, problem.code, problem.text, problem.is_temporary, 0,
                         NULL);
        return;
    }
    if (!qb_session_identify(session, &identity)) {
        qb_session_error(session, command->id, "too_many_connections",
                         "This account has as many connections as it may. Close one first.", true,
                         5000, NULL);
        return;
    }
    qb_text_format(&text, "{\"id\":%s,\"ok\":true", command->id);
    qb_text_json_id(&text, "user", identity.user);
    qb_text_json_int(&text, "expires_ms", identity.expires_us / QB_MS_US);
    qb_text_string(&text, "}");
    qb_session_send(session, text.bytes, text.length);
    qb_text_fini(&text);
}

static void send_plain(struct qb_session *session, const struct qb_command *command, bool with_time)
{
    struct qb_text text = {0};

    qb_text_format(&text, "{\"id\":%s,\"ok\":true", command->id);
    if (with_time) qb_text_json_int(&text, "now_ms", qb_clock_even_us() / QB_MS_US);
    qb_text_string(&text, "}");
    qb_session_send(session, text.bytes, text.length);
    qb_text_fini(&text);
}

void qb_commands_take(void *context, struct qb_session *session, const struct qb_command *command)
{
    const struct qb_commands *commands = context;
    qb_id user = qb_session_identity(session)->user;

    switch ((enum qb_command_kind)command->kind) {
    case QB_COMMAND_AUTH:
        take_auth(commands, session, command);
        break;
    case QB_COMMAND_WATCH:
        qb_runner_watch(commands->runner, qb_session_id_of(session), user, command);
        break;
    case QB_COMMAND_UNWATCH:
        qb_session_unwatch(session, command->auction);
        send_plain(session, command, false);
        break;
    case QB_COMMAND_BID:
        take_entry(commands, session, command, QB_ENTRY_BID);
        break;
    case QB_COMMAND_PREVIEW:
        qb_runner_preview(commands->runner, qb_session_id_of(session), user, command);
        break;
    case QB_COMMAND_BUY:
        take_entry(commands, session, command, QB_ENTRY_BUY_NOW);
        break;
    case QB_COMMAND_RETRACT:
        take_entry(commands, session, command, QB_ENTRY_RETRACT);
        break;
    case QB_COMMAND_RESOLVE:
        take_resolve(commands, session, command);
        break;
    case QB_COMMAND_PING:
        send_plain(session, command, true);
        break;
    case QB_COMMAND_COUNT:
        break;
    }
}
