#include "ws/edge.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/metrics.h"
#include "base/text.h"
#include "ws/server.h"
#include "ws/session.h"

#define NO_SLOT UINT32_MAX

/* When a stream breaks its client waits so long, each for a time of its own. */
#define RETRY_LEAST_MS  1000
#define RETRY_SPREAD_MS 2000

/* The connections of one user here. */
struct qb_user_sessions {
    qb_id user;
    uint32_t count;
    uint32_t room;
    struct qb_session **list;
};

/* --- the server's and the rooms' calls --- */

static int64_t admit(void *context, const struct qb_peer *peer, bool is_api, const char **limit)
{
    const struct qb_edge_handlers *handlers = &((const struct qb_edge *)context)->options.handlers;

    return handlers->admit != NULL ? handlers->admit(handlers->context, peer, is_api, limit) : 0;
}

static void request_came(void *context, struct qb_http_request *request)
{
    const struct qb_edge *edge = context;
    edge->options.handlers.request(edge->options.handlers.context, request);
}

static void turn_came(void *context)
{
    struct qb_edge *edge = context;
    bool is_more = qb_rooms_sweep(edge->rooms);

    if (qb_edge_tell_stale(edge) || is_more) qb_server_want_turn(edge->server);
}

static const struct qb_server_handlers server_handlers = {
    .admit = admit,
    .request = request_came,
    .turn = turn_came,
};

static void wants_sweep(void *context)
{
    const struct qb_edge *edge = context;
    qb_server_want_turn(edge->server);
}

static void room_opened(void *context, qb_id auction, bool is_open)
{
    const struct qb_edge *edge = context;
    edge->options.handlers.room(edge->options.handlers.context, auction, is_open);
}

/* --- the table of sessions --- */

static void add_slots(struct qb_edge *edge)
{
    uint32_t count = edge->slot_count == 0 ? 64 : edge->slot_count * 2;

    edge->slots = realloc(edge->slots, count * sizeof *edge->slots);
    QB_ASSERT(edge->slots != NULL);
    for (uint32_t i = count; i > edge->slot_count; i--) {
        edge->slots[i - 1] = (struct qb_slot){.next_free = edge->first_free};
        edge->first_free = i - 1;
    }
    edge->slot_count = count;
}

void qb_edge_enter(struct qb_edge *edge, struct qb_session *session)
{
    if (edge->first_free == NO_SLOT) add_slots(edge);
    struct qb_slot *slot = &edge->slots[edge->first_free];

    session->slot = edge->first_free;
    edge->first_free = slot->next_free;
    slot->session = session;
    slot->generation++;
    edge->session_count++;
}

void qb_edge_exit(struct qb_edge *edge, struct qb_session *session)
{
    struct qb_slot *slot = &edge->slots[session->slot];

    QB_ASSERT(slot->session == session);
    slot->session = NULL;
    slot->next_free = edge->first_free;
    edge->first_free = session->slot;
    edge->session_count--;
}

struct qb_session *qb_edge_session(struct qb_edge *edge, qb_session_id id)
{
    uint32_t place = (uint32_t)id;

    if (place >= edge->slot_count) return NULL;
    const struct qb_slot *slot = &edge->slots[place];
    if (slot->session == NULL || slot->generation != (uint32_t)(id >> 32)) return NULL;
    return slot->session->outbox.is_closing ? NULL : slot->session;
}

qb_session_id qb_session_id_of(const struct qb_session *session)
{
    /* Generations begin at 1: no id is 0. */
    uint64_t generation = session->edge->slots[session->slot].generation;
    return generation << 32 | session->slot;
}

/* --- users --- */

bool qb_edge_has_room_for(const struct qb_edge *edge, qb_id user)
{
    if (user == 0) return true;
    const struct qb_user_sessions *sessions = qb_map_get(&edge->users, &user);
    return sessions == NULL || sessions->count < edge->options.connections_per_user;
}

void qb_edge_add_to_user(struct qb_edge *edge, struct qb_session *session)
{
    qb_id user = session->identity.user;

    QB_ASSERT(session->of_user == NULL);
    if (user == 0) return;
    struct qb_user_sessions *sessions = qb_map_get(&edge->users, &user);
    bool is_first = sessions == NULL;
    if (is_first) {
        sessions = calloc(1, sizeof *sessions);
        QB_ASSERT(sessions != NULL);
        sessions->user = user;
        (void)qb_map_set(&edge->users, &user, sessions);
    }
    if (sessions->count == sessions->room) {
        sessions->room = sessions->room == 0 ? 1 : sessions->room * 2;
        sessions->list = realloc(sessions->list, sessions->room * sizeof(struct qb_session *));
        QB_ASSERT(sessions->list != NULL);
    }
    session->of_user = sessions;
    session->user_index = sessions->count;
    sessions->list[sessions->count++] = session;
    if (is_first) edge->options.handlers.presence(edge->options.handlers.context, user, true);
}

void qb_edge_remove_from_user(struct qb_edge *edge, struct qb_session *session)
{
    struct qb_user_sessions *sessions = session->of_user;

    if (sessions == NULL) return;
    QB_ASSERT(sessions->list[session->user_index] == session);
    session->of_user = NULL;
    struct qb_session *last = sessions->list[--sessions->count];
    sessions->list[session->user_index] = last;
    last->user_index = session->user_index;
    if (sessions->count > 0) return;
    qb_id user = sessions->user;
    (void)qb_map_remove(&edge->users, &user);
    free(sessions->list);
    free(sessions);
    edge->options.handlers.presence(edge->options.handlers.context, user, false);
}

/* --- life --- */

struct qb_edge *qb_edge_new(const struct qb_edge_options *options, struct qb_error *error)
{
    struct qb_edge *edge = calloc(1, sizeof *edge);
    uint64_t seed = 0;

    QB_ASSERT(edge != NULL);
    QB_ASSERT(options->messages_per_second > 0);
    QB_ASSERT(options->messages_burst > 0);
    QB_ASSERT(options->shards <= 16);
    edge->options = *options;
    if (options->shards == 0) edge->options.shards = 1;
    edge->first_free = NO_SLOT;
    qb_random_secret(&seed, sizeof seed);
    qb_random_seed(&edge->random, seed);
    edge->server = qb_server_new(options, &server_handlers, edge, error);
    if (edge->server == NULL) {
        free(edge);
        return NULL;
    }
    const struct qb_rooms_options rooms = {
        .sweep_slice = options->sweep_slice,
        .watches_max = options->watches_max,
        .outbox_bytes_max = options->outbox_bytes_max,
        .opened = room_opened,
        .wants_sweep = wants_sweep,
        .context = edge,
    };
    edge->rooms = qb_rooms_new(&rooms);
    qb_map_init(&edge->users, sizeof(qb_id));
    return edge;
}

void qb_edge_free(struct qb_edge **edge)
{
    struct qb_edge *old = *edge;

    *edge = NULL;
    if (old == NULL) return;
    qb_server_free(&old->server); /* ends every session */
    QB_ASSERT(old->session_count == 0);
    QB_ASSERT(old->users.count == 0);
    qb_rooms_free(&old->rooms);
    qb_map_fini(&old->users);
    free(old->slots);
    free(old);
}

/* False: the account has too many connections here, and the request is answered. */
static bool may_enter(const struct qb_edge *edge, struct qb_http_request *request,
                      const struct qb_identity *identity)
{
    if (qb_edge_has_room_for(edge, identity->user)) return true;
    qb_metric_add(QB_METRIC_limited_total, "connections_per_user", 1);
    qb_http_problem(request, 429, "too_many_connections",
                    "Your account has too many connections. Close one, then try again.", 5);
    return false;
}

void qb_edge_accept(struct qb_edge *edge, struct qb_http_request *request,
                    const struct qb_identity *identity)
{
    if (!may_enter(edge, request, identity)) return;
    struct qb_session *session = qb_session_new(edge, identity, qb_clock_mono_us());
    struct qb_connection *connection =
        qb_server_accept_websocket(edge->server, request, session, &qb_session_handlers);
    if (connection == NULL) {
        free(session);
        return;
    }
    session->outbox.connection = connection;
    qb_edge_enter(edge, session);
    qb_edge_add_to_user(edge, session);
}

void qb_edge_accept_events(struct qb_edge *edge, struct qb_http_request *request,
                           const struct qb_identity *identity, const char *headers, qb_id auction,
                           struct qb_frame *first, bool is_live)
{
    if (!may_enter(edge, request, identity)) return;
    struct qb_session *session = qb_session_new(edge, identity, qb_clock_mono_us());
    struct qb_connection *connection =
        qb_server_accept_events(edge->server, request, headers, session, &qb_session_handlers);
    if (connection == NULL) {
        free(session);
        return;
    }
    session->outbox.connection = connection;
    session->is_events = true;
    session->has_spoken = true;
    qb_edge_enter(edge, session);
    qb_edge_add_to_user(edge, session);
    qb_connection_set_retry(
        connection, RETRY_LEAST_MS + (uint32_t)qb_random_below(&edge->random, RETRY_SPREAD_MS));
    qb_session_send_frame(session, first);
    if (!is_live) return;
    bool is_in = qb_session_watch(session, auction, first->position);
    QB_ASSERT(is_in); /* it watches nothing else */
}

/* --- to many --- */

struct qb_frame *qb_edge_seal(const char *json, size_t length)
{
    struct qb_frame *frame = qb_frame_new(json, length);

    qb_websocket_seal(frame);
    return frame;
}

void qb_edge_publish(struct qb_edge *edge, qb_id auction, uint64_t seq, struct qb_frame *frame,
                     bool is_protected)
{
    qb_rooms_publish(edge->rooms, auction, seq, frame, is_protected);
}

void qb_edge_publish_crowd(struct qb_edge *edge, qb_id auction, struct qb_frame *frame)
{
    qb_rooms_publish_crowd(edge->rooms, auction, frame);
}

void qb_edge_notify(struct qb_edge *edge, qb_id user, struct qb_frame *frame)
{
    const struct qb_user_sessions *sessions = qb_map_get(&edge->users, &user);

    if (sessions == NULL) return;
    for (uint32_t i = 0; i < sessions->count; i++) qb_session_send_frame(sessions->list[i], frame);
}

void qb_edge_log_out(struct qb_edge *edge, uint64_t login, enum qb_close reason)
{
    if (login == 0) return;
    for (uint32_t i = 0; i < edge->slot_count; i++) {
        struct qb_session *session = edge->slots[i].session;
        if (session == NULL || session->identity.login != login) continue;
        qb_session_close(session, reason, NULL);
    }
}

void qb_edge_end_user(struct qb_edge *edge, qb_id user, enum qb_close reason)
{
    if (user == 0) return;
    for (uint32_t i = 0; i < edge->slot_count; i++) {
        struct qb_session *session = edge->slots[i].session;
        if (session == NULL || session->identity.user != user) continue;
        qb_session_close(session, reason, NULL);
    }
}

void qb_edge_refuse_new(struct qb_edge *edge)
{
    qb_server_refuse_new(edge->server);
}

static void tell_to_reconnect(struct qb_edge *edge, struct qb_session *session, uint32_t spread_ms,
                              enum qb_close reason)
{
    uint64_t after_ms = spread_ms > 0 ? qb_random_below(&edge->random, spread_ms) : 0;
    QB_CLEANUP(qb_text_fini) struct qb_text text = {0};

    qb_text_string(&text, "{\"on\":\"reconnect\"");
    qb_text_json_int(&text, "after_ms", (int64_t)after_ms);
    qb_text_string(&text, "}");
    qb_connection_set_retry(session->outbox.connection, (uint32_t)after_ms);
    qb_session_send(session, text.bytes, text.length);
    qb_session_leave(session, reason);
}

void qb_edge_drain(struct qb_edge *edge, uint32_t spread_ms)
{
    for (uint32_t i = 0; i < edge->slot_count; i++) {
        struct qb_session *session = edge->slots[i].session;
        if (session == NULL || session->is_leaving) continue;
        tell_to_reconnect(edge, session, spread_ms, QB_CLOSE_RESTART);
    }
}

uint32_t qb_edge_send_away(struct qb_edge *edge, uint32_t count, uint32_t spread_ms)
{
    uint32_t told = 0;

    for (uint32_t i = 0; i < edge->slot_count && told < count; i++) {
        struct qb_session *session = edge->slots[i].session;
        if (session == NULL || session->is_leaving) continue;
        tell_to_reconnect(edge, session, spread_ms, QB_CLOSE_DEAF);
        told++;
    }
    return told;
}

size_t qb_edge_watchers(const struct qb_edge *edge, qb_id auction)
{
    return qb_rooms_watchers(edge->rooms, auction);
}

void qb_edge_recount(struct qb_edge *edge,
                     void (*each)(void *context, qb_id auction, uint32_t count), void *context)
{
    qb_rooms_recount(edge->rooms, each, context);
}

size_t qb_edge_connections(const struct qb_edge *edge)
{
    return qb_server_connections(edge->server);
}
