#include "ws/session.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "ws/protocol.h"

#define EARLY_BYTES_MAX  6144 /* before the first valid command; a token may have 4096 (S22) */
#define MALFORMED_MAX    3
#define VIOLATIONS_MAX   3
#define VIOLATIONS_US    (10 * QB_SECOND_US)
#define RESUME_US        QB_SECOND_US /* one resume of an auction a second (S44) */
#define RESUME_BURST     3
#define RESUMES_MAX      256 /* auctions resumed within the last seconds, of one connection */
#define ANSWER_BYTES_MAX 16384

/* --- limits --- */

/*
 * A token bucket in one number, the time at which it is full again: lets one through if `burst`
 * tokens of `each_us` have not all been taken. Returns 0, or how long to wait in us.
 */
static int64_t take_token(int64_t *full_us, int64_t each_us, int64_t burst, int64_t now_us)
{
    int64_t from_us = *full_us > now_us ? *full_us : now_us;
    int64_t wait_us = from_us - now_us - (burst - 1) * each_us;

    if (wait_us > 0) return wait_us;
    *full_us = from_us + each_us;
    return 0;
}

struct resume {
    qb_id auction;
    int64_t full_us;
};

struct qb_resumes {
    uint32_t count;
    struct resume list[RESUMES_MAX];
};

/* Those whose bucket is full again need not be remembered. */
static void forget_resumes(struct qb_session *session, int64_t now_us)
{
    struct qb_resumes *resumes = session->resumes;
    uint32_t kept = 0;

    if (resumes == NULL) return;
    for (uint32_t i = 0; i < resumes->count; i++) {
        if (resumes->list[i].full_us > now_us) resumes->list[kept++] = resumes->list[i];
    }
    resumes->count = kept;
    if (kept > 0) return;
    free(resumes);
    session->resumes = NULL;
}

static int64_t take_resume(struct qb_session *session, qb_id auction, int64_t now_us)
{
    forget_resumes(session, now_us);
    if (session->resumes == NULL) session->resumes = calloc(1, sizeof *session->resumes);
    struct qb_resumes *resumes = session->resumes;
    QB_ASSERT(resumes != NULL);

    for (uint32_t i = 0; i < resumes->count; i++) {
        if (resumes->list[i].auction != auction) continue;
        return take_token(&resumes->list[i].full_us, RESUME_US, RESUME_BURST, now_us);
    }
    if (resumes->count == RESUMES_MAX) return RESUME_US;
    struct resume *resume = &resumes->list[resumes->count++];
    *resume = (struct resume){.auction = auction};
    return take_token(&resume->full_us, RESUME_US, RESUME_BURST, now_us);
}

static qb_time_us wall_us_at(struct qb_edge *edge, int64_t mono_us)
{
    if (edge->wall_us == 0 || mono_us - edge->mono_us > QB_SECOND_US / 5) {
        edge->wall_us = qb_clock_wall_us();
        edge->mono_us = mono_us;
    }
    return edge->wall_us;
}

static bool is_expired(const struct qb_session *session, int64_t mono_us)
{
    qb_time_us expires_us = session->identity.expires_us;
    return expires_us != 0 && wall_us_at(session->edge, mono_us) >= expires_us;
}

/* --- commands --- */

static void refuse(struct qb_session *session, const char *id, enum qb_wire_error error,
                   const char *message, int64_t wait_us)
{
    const char *code = qb_wire_error_code(error);

    qb_metric_add(QB_METRIC_messages_refused_total, code, 1);
    qb_session_error(session, id, code, message, qb_wire_error_is_temporary(error),
                     (wait_us + QB_MS_US - 1) / QB_MS_US, NULL);
}

static void refuse_fast(struct qb_session *session, const char *id, int64_t wait_us, int64_t now_us)
{
    if (session->violations == 0 || now_us - session->violation_us > VIOLATIONS_US) {
        session->violations = 0;
        session->violation_us = now_us;
    }
    session->violations++;
    qb_metric_add(QB_METRIC_limited_total, "messages", 1);
    refuse(session, id, QB_WIRE_ERROR_RATE_LIMITED,
           "More messages than one connection may send. Wait, then go on more slowly.", wait_us);
    if (session->violations >= VIOLATIONS_MAX) qb_session_close(session, QB_CLOSE_POLICY, NULL);
}

static void refuse_undecoded(struct qb_session *session, const struct qb_decoded *decoded)
{
    refuse(session, decoded->command.id, decoded->error, decoded->message, 0);
    if (decoded->error != QB_WIRE_ERROR_MALFORMED) return;
    session->malformed++;
    if (session->malformed >= MALFORMED_MAX) qb_session_close(session, QB_CLOSE_POLICY, NULL);
}

static bool may_resume(struct qb_session *session, const struct qb_command *command, int64_t now_us)
{
    if (command->kind != QB_COMMAND_WATCH || !command->has_position) return true;
    int64_t wait_us = take_resume(session, command->auction, now_us);
    if (wait_us == 0) return true;
    qb_metric_add(QB_METRIC_limited_total, "resumes", 1);
    refuse(session, command->id, QB_WIRE_ERROR_RATE_LIMITED,
           "This auction was resumed several times within seconds. Wait, then watch again.",
           wait_us);
    return false;
}

static void handle(struct qb_session *session, struct qb_decoded *decoded, int64_t now_us)
{
    const struct qb_edge_options *options = &session->edge->options;
    struct qb_command *command = &decoded->command;
    int64_t each_us = QB_SECOND_US / options->messages_per_second;
    int64_t wait_us =
        take_token(&session->rate_us, each_us, (int64_t)options->messages_burst, now_us);

    if (wait_us > 0) {
        refuse_fast(session, command->id, wait_us, now_us);
        return;
    }
    session->violations = 0;
    if (decoded->error != QB_WIRE_ERROR_NONE) {
        refuse_undecoded(session, decoded);
        return;
    }
    if (session->identity.user == 0 && !qb_command_is_open((enum qb_command_kind)command->kind)) {
        refuse(session, command->id, QB_WIRE_ERROR_LOGIN_REQUIRED,
               "Say who you are first: send auth with a token, or connect with a ticket.", 0);
        return;
    }
    session->has_spoken = true;
    if (!may_resume(session, command, now_us)) return;
    command->read_us = now_us;
    options->handlers.command(options->handlers.context, session, command);
}

static void message_came(void *context, char *text, size_t length)
{
    struct qb_session *session = context;
    int64_t now_us = qb_connection_read_us(session->outbox.connection);
    struct qb_decoded decoded;

    if (session->outbox.is_closing || session->is_leaving) return;
    if (!session->has_spoken) {
        if (length > (size_t)(EARLY_BYTES_MAX - session->early_bytes)) {
            qb_session_close(session, QB_CLOSE_SILENT, NULL);
            return;
        }
        session->early_bytes = (uint16_t)(session->early_bytes + length);
    }
    if (is_expired(session, now_us)) {
        qb_session_close(session, QB_CLOSE_TOKEN_EXPIRED, NULL);
        return;
    }
    qb_protocol_decode(text, length, session->edge->options.amount_max, &decoded);
    handle(session, &decoded, now_us);
    qb_decoded_fini(&decoded);
}

/* --- deadlines --- */

static bool is_stalled(struct qb_session *session, int64_t now_us)
{
    int64_t stalled_us = (int64_t)session->edge->options.stalled_ms * QB_MS_US;

    if (!qb_connection_is_blocked(session->outbox.connection)) {
        session->blocked_us = 0;
        return false;
    }
    if (session->blocked_us == 0) session->blocked_us = now_us;
    return now_us - session->blocked_us >= stalled_us;
}

/* Any byte of the client counts as life; a socket that is blocked has its own deadline. */
static bool is_dead(struct qb_session *session, int64_t now_us)
{
    const struct qb_edge_options *options = &session->edge->options;
    struct qb_connection *connection = session->outbox.connection;
    int64_t heard_us = qb_connection_heard_us(connection);

    if (session->pinged_us != 0 && heard_us < session->pinged_us) {
        return now_us - session->pinged_us >= (int64_t)options->pong_ms * QB_MS_US;
    }
    session->pinged_us = 0;
    if (now_us - heard_us < (int64_t)options->ping_ms * QB_MS_US) return false;
    if (qb_connection_is_blocked(connection)) return false;
    session->pinged_us = now_us;
    qb_connection_ping(connection);
    return false;
}

/* A stream cannot answer; a client that is gone does not acknowledge, which ends the socket. */
static void keep_alive(struct qb_session *session, int64_t now_us)
{
    int64_t ping_us = (int64_t)session->edge->options.ping_ms * QB_MS_US;

    if (session->pinged_us == 0) session->pinged_us = session->begun_us;
    if (now_us - session->pinged_us < ping_us) return;
    if (qb_connection_is_blocked(session->outbox.connection)) return;
    session->pinged_us = now_us;
    qb_connection_ping(session->outbox.connection);
}

static void time_passed(void *context, int64_t now_us)
{
    struct qb_session *session = context;
    int64_t first_us = (int64_t)session->edge->options.first_command_ms * QB_MS_US;

    if (session->outbox.is_closing) return;
    if (is_stalled(session, now_us))
        qb_session_close(session, QB_CLOSE_SLOW_READER, NULL);
    else if (is_expired(session, now_us))
        qb_session_close(session, QB_CLOSE_TOKEN_EXPIRED, NULL);
    else if (!session->has_spoken && now_us - session->begun_us >= first_us)
        qb_session_close(session, QB_CLOSE_SILENT, NULL);
    else if (session->is_events)
        keep_alive(session, now_us);
    else if (is_dead(session, now_us))
        qb_session_close(session, QB_CLOSE_NO_PONG, NULL);
    else
        forget_resumes(session, now_us);
}

static void became_writable(void *context)
{
    struct qb_session *session = context;

    session->blocked_us = 0;
    if (session->outbox.is_closing || !qb_outbox_flush(&session->outbox)) return;
    if (session->is_leaving)
        qb_outbox_close(&session->outbox, (enum qb_close)session->leave_reason, NULL);
    else
        qb_watcher_writable(session->edge->rooms, &session->watcher);
}

static void connection_ended(void *context, enum qb_close reason)
{
    struct qb_session *session = context;

    qb_metric_add(QB_METRIC_sessions_closed_total, qb_close_metric(reason), 1);
    qb_log(QB_LOG_DEBUG, "session.closed", QB_TEXT("reason", qb_close_metric(reason)));
    qb_session_free(&session);
}

const struct qb_connection_handlers qb_session_handlers = {
    .message = message_came,
    .writable = became_writable,
    .tick = time_passed,
    .closed = connection_ended,
};

/* --- life --- */

struct qb_session *qb_session_new(struct qb_edge *edge, const struct qb_identity *identity,
                                  int64_t now_us)
{
    struct qb_session *session = calloc(1, sizeof *session);

    QB_ASSERT(session != NULL);
    session->edge = edge;
    session->identity = *identity;
    session->watcher.outbox = &session->outbox;
    session->begun_us = now_us;
    session->has_spoken = identity->user != 0;
    return session;
}

void qb_session_free(struct qb_session **session)
{
    struct qb_session *old = *session;

    *session = NULL;
    old->outbox.is_closing = true; /* what the handlers below may send goes nowhere */
    qb_rooms_leave_all(old->edge->rooms, &old->watcher);
    qb_edge_remove_from_user(old->edge, old);
    qb_edge_exit(old->edge, old);
    qb_outbox_fini(&old->outbox);
    free(old->resumes);
    free(old);
}

/* --- for app/ --- */

const struct qb_identity *qb_session_identity(const struct qb_session *session)
{
    return &session->identity;
}

bool qb_session_identify(struct qb_session *session, const struct qb_identity *identity)
{
    struct qb_edge *edge = session->edge;

    if (identity->user == session->identity.user) {
        session->identity = *identity;
        return true;
    }
    if (!qb_edge_has_room_for(edge, identity->user)) return false;
    qb_edge_remove_from_user(edge, session);
    session->identity = *identity;
    qb_edge_add_to_user(edge, session);
    return true;
}

void qb_session_send_frame(struct qb_session *session, struct qb_frame *frame)
{
    qb_outbox_send(&session->outbox, frame, session->edge->options.outbox_bytes_max);
}

void qb_session_send(struct qb_session *session, const char *json, size_t length)
{
    if (session->outbox.is_closing) return;
    struct qb_frame *frame = qb_edge_seal(json, length);
    qb_session_send_frame(session, frame);
    qb_frame_free(&frame);
}

void qb_session_error(struct qb_session *session, const char *command_id, const char *code,
                      const char *message, bool is_temporary, int64_t retry_after_ms,
                      const char *extra)
{
    const struct qb_error_answer answer = {
        .id = command_id,
        .code = code,
        .message = message,
        .is_temporary = is_temporary,
        .retry_after_ms = retry_after_ms,
        .extra = extra,
    };
    QB_CLEANUP(qb_text_fini) struct qb_text text = {.bytes_max = ANSWER_BYTES_MAX};

    qb_protocol_error_json(&text, &answer);
    QB_ASSERT(!text.is_full);
    qb_session_send(session, text.bytes, text.length);
}

void qb_session_close(struct qb_session *session, enum qb_close reason, const char *detail)
{
    qb_outbox_close(&session->outbox, reason, detail);
}

void qb_session_leave(struct qb_session *session, enum qb_close reason)
{
    session->is_leaving = true;
    session->leave_reason = (uint8_t)reason;
    if (qb_outbox_is_clear(&session->outbox)) qb_session_close(session, reason, NULL);
}

bool qb_session_watch(struct qb_session *session, qb_id auction, uint64_t seq)
{
    if (!qb_rooms_join(session->edge->rooms, &session->watcher, auction, seq)) return false;
    qb_edge_watched(session->edge, session, auction);
    return true;
}

void qb_session_unwatch(struct qb_session *session, qb_id auction)
{
    qb_rooms_leave(session->edge->rooms, &session->watcher, auction);
}
