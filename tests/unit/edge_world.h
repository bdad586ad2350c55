/*
 * An edge of sessions on connections and a server made of memory, for the tests of both. Time is
 * what the fake connection says.
 */
#pragma once

#include "base/clock.h"
#include "tests/kit/test.h"
#include "tests/unit/fake_connection.h"
#include "ws/server.h"
#include "ws/session.h"

#define S       QB_SECOND_US
#define CLIENTS 4

static struct qb_connection connections[CLIENTS];
static int accepted;
static int commands;
static int presence;
static int problem_status;
static uint32_t retry;

/* --- the lower half, made of memory --- */

void qb_websocket_seal(struct qb_frame *frame)
{
    (void)frame;
}

const struct qb_peer *qb_connection_peer(const struct qb_connection *connection)
{
    (void)connection;
    return NULL;
}

int64_t qb_connection_read_us(const struct qb_connection *connection)
{
    return connection->read_us;
}

int64_t qb_connection_heard_us(const struct qb_connection *connection)
{
    return connection->heard_us;
}

void qb_connection_ping(struct qb_connection *connection)
{
    connection->pings++;
}

struct qb_server *qb_server_new(const struct qb_edge_options *options,
                                const struct qb_server_handlers *handlers, void *context,
                                struct qb_error *error)
{
    (void)options;
    (void)handlers;
    (void)context;
    (void)error;
    return (struct qb_server *)&accepted; /* only ever compared with null */
}

void qb_server_free(struct qb_server **server)
{
    *server = NULL;
}

void qb_server_refuse_new(struct qb_server *server)
{
    (void)server;
}

void qb_server_want_turn(struct qb_server *server)
{
    (void)server;
}

size_t qb_server_connections(const struct qb_server *server)
{
    (void)server;
    return (size_t)accepted;
}

struct qb_connection *qb_server_accept_websocket(struct qb_server *server,
                                                 struct qb_http_request *request, void *session,
                                                 const struct qb_connection_handlers *handlers)
{
    (void)server;
    (void)request;
    (void)session;
    (void)handlers;
    return &connections[accepted++];
}

struct qb_connection *qb_server_accept_events(struct qb_server *server,
                                              struct qb_http_request *request, const char *headers,
                                              void *session,
                                              const struct qb_connection_handlers *handlers)
{
    (void)headers;
    return qb_server_accept_websocket(server, request, session, handlers);
}

void qb_connection_set_retry(struct qb_connection *connection, uint32_t retry_ms)
{
    (void)connection;
    retry = retry_ms;
}

void qb_http_problem(struct qb_http_request *request, int status, const char *code,
                     const char *detail, int retry_after_s)
{
    (void)request;
    (void)code;
    (void)detail;
    (void)retry_after_s;
    problem_status = status;
}

/* --- the upper half --- */

static inline void note_command(void *context, struct qb_session *session,
                                const struct qb_command *command)
{
    (void)context;
    (void)session;
    (void)command;
    commands++;
}

static inline void note_room(void *context, qb_id auction, bool is_open)
{
    (void)context;
    (void)auction;
    (void)is_open;
}

static inline void note_presence(void *context, qb_id user, bool is_here)
{
    (void)context;
    (void)user;
    presence += is_here ? 1 : -1;
}

static inline struct qb_edge *make_edge_of(unsigned shards, uint32_t watches_max)
{
    const struct qb_edge_options options = {
        .connections_per_user = 2,
        .messages_per_second = 20,
        .messages_burst = 40,
        .watches_max = watches_max,
        .shards = shards,
        .outbox_bytes_max = 4096,
        .first_command_ms = 5000,
        .ping_ms = 25000,
        .pong_ms = 10000,
        .stalled_ms = 10000,
        .sweep_slice = 10,
        .amount_max = 1000000,
        .handlers = {.command = note_command, .room = note_room, .presence = note_presence},
    };
    struct qb_error error = {{0}};

    accepted = 0;
    commands = 0;
    presence = 0;
    problem_status = 0;
    for (int i = 0; i < CLIENTS; i++) connections[i] = (struct qb_connection){.takes = -1};
    return qb_edge_new(&options, &error);
}

static inline struct qb_edge *make_edge(void)
{
    return make_edge_of(1, 4);
}

static inline struct qb_session *enter(struct qb_edge *edge, const struct qb_identity *identity)
{
    int before = accepted;

    qb_edge_accept(edge, NULL, identity);
    if (accepted == before) return NULL;
    for (uint32_t i = 0; i < edge->slot_count; i++) {
        struct qb_session *session = edge->slots[i].session;
        if (session == NULL || session->outbox.connection != &connections[before]) continue;
        session->begun_us = 0;
        return session;
    }
    return NULL;
}

static inline void end(struct qb_edge *edge)
{
    for (uint32_t i = 0; i < edge->slot_count; i++) {
        if (edge->slots[i].session == NULL) continue;
        qb_session_handlers.closed(edge->slots[i].session, QB_CLOSE_GONE);
    }
    for (int i = 0; i < CLIENTS; i++) fake_clear(&connections[i]);
    QB_EXPECT_EQ(presence, 0, "whoever came is gone");
    qb_edge_free(&edge);
}

static inline void say(struct qb_session *session, const char *text, int64_t now_us)
{
    char message[8192];
    int length = snprintf(message, sizeof message, "%s", text);

    session->outbox.connection->read_us = now_us;
    session->outbox.connection->heard_us = now_us;
    qb_session_handlers.message(session, message, (size_t)length);
}

static inline void expect_last(const struct qb_session *session, const char *part, const char *says)
{
    const struct qb_connection *connection = session->outbox.connection;
    const char *last = connection->count > 0 ? connection->sent[connection->count - 1] : "";
    QB_EXPECT(strstr(last, part) != NULL, says);
}

static inline void expect_closed(const struct qb_session *session, enum qb_close reason,
                                 const char *says)
{
    QB_EXPECT_EQ(session->outbox.connection->closes, 1, says);
    QB_EXPECT_EQ(session->outbox.connection->reason, reason, says);
}

static inline void expect_open(const struct qb_session *session, const char *says)
{
    QB_EXPECT_EQ(session->outbox.connection->closes, 0, says);
}

static const struct qb_identity visitor;
static const struct qb_identity ann = {.user = 2, .login = 20};
static const struct qb_identity bob = {.user = 3, .login = 30};
