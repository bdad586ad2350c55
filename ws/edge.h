/*
 * The client-facing edge of one I/O thread, as app/ sees it: HTTP requests and WebSocket commands
 * come up, answers and announcements go down. It knows no auction rule and no store.
 *
 * Thread    all calls on the edge's I/O thread, except where said.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attributes.h"
#include "base/error.h"
#include "base/frame.h"
#include "base/ip.h"
#include "bidding/money.h"
#include "ws/close.h"
#include "ws/http.h"

struct qb_edge;
struct qb_session;

/* Names a session safely: also when it is gone, and from other threads. 0 is none. */
typedef uint64_t qb_session_id;

/* Who is asking, from a verified token, cookie or ticket. */
struct qb_identity {
    qb_id user;     /* 0: a visitor */
    unsigned roles; /* enum qb_role of storage/store.h, or-ed */
    uint64_t login; /* names the login it came from; 0: none */
    qb_time_us
        expires_us; /* wall clock: the session ends then unless a newer one comes; 0: never */
    qb_time_us checked_us; /* wall clock: when all this was known to hold */
};

enum qb_command_kind {
#define QB_MESSAGE(name, wire, is_open, help) QB_COMMAND_##name,
#include "ws/protocol.def"
    QB_COMMAND_COUNT
};

#define QB_COMMAND_ID_BYTES 40
#define QB_TOKEN_BYTES_MAX  4096

/* A decoded command: only the fields of its kind (protocol.def) are set. */
struct qb_command {
    uint8_t kind;                 /* enum qb_command_kind */
    char id[QB_COMMAND_ID_BYTES]; /* as JSON, to be echoed: 7 or "a7" */
    qb_id auction;
    int64_t max; /* bid, preview: the maximum; buy: the price */
    char currency[QB_CURRENCY_BYTES];
    char key[65];
    uint8_t reason; /* retract: enum qb_retract_reason */
    bool has_position;
    uint32_t epoch;
    uint64_t seq;
    const char *token; /* auth; borrowed for the call */
    int64_t read_us;   /* monotonic: when the frame's last byte was read */
};

/* What app/ does for an edge. `context` is the options'. */
struct qb_edge_handlers {
    /*
     * Counts a request whose head is good, before any of its body is read; may be null. `is_api`:
     * of the API, or a handshake. Returns 0 when let through, else the time to wait in us, and in
     * `limit` a literal, the name of the limit that was reached.
     */
    int64_t (*admit)(void *context, const struct qb_peer *peer, bool is_api, const char **limit);
    /* An HTTP request; answer it now or later (qb_http_respond, qb_http_problem, or
     * qb_edge_accept for a WebSocket handshake). */
    void (*request)(void *context, struct qb_http_request *request);
    /* A command that parsed and that the session's identity may give. */
    void (*command)(void *context, struct qb_session *session, const struct qb_command *command);
    /* The first watcher of an auction here came, or the last one left. */
    void (*room)(void *context, qb_id auction, bool is_open);
    /* The first connection of a user here came, or the last one left. */
    void (*presence)(void *context, qb_id user, bool is_here);
    void *context;
};

struct qb_edge_options {
    void *loop;    /* uv_loop_t of the thread */
    int listen_fd; /* bound and listening (qb_edge_listen); owned by the edge from now on */
    uint32_t connections_max;         /* of this thread */
    uint32_t connections_per_address; /* over all threads */
    uint32_t connections_per_user;    /* of this thread */
    uint32_t handshakes_per_second;   /* of this thread */
    uint32_t head_bytes_max;          /* request line and headers */
    uint32_t url_bytes_max;
    uint32_t headers_max;
    uint32_t body_bytes_max;
    uint64_t bodies_bytes_max; /* of all threads together */
    uint32_t head_timeout_ms;  /* for the whole head */
    uint32_t keep_alive_ms;    /* between requests */
    uint32_t message_bytes_max;
    uint32_t messages_per_second; /* per connection */
    uint32_t messages_burst;
    uint32_t watches_max;       /* per connection */
    uint32_t outbox_bytes_max;  /* answers waiting per connection */
    uint32_t socket_send_bytes; /* that the kernel keeps for a slow socket */
    uint32_t first_command_ms;
    uint32_t ping_ms;
    uint32_t pong_ms;
    uint32_t stalled_ms;                /* a socket that takes nothing for so long is closed */
    uint32_t sweep_slice;               /* watchers served before bids are read again */
    int64_t amount_max;                 /* largest amount on the wire */
    unsigned shards;                    /* of auctions, for qb_edge_set_stale(), at most 16; 0: 1 */
    const char *hosts;                  /* comma-separated Host values served; empty: any */
    const struct qb_ip_ranges *proxies; /* whose X-Forwarded-For is believed; null: nobody's;
                                           borrowed for the edge's life */
    struct qb_edge_handlers handlers;
};

/*
 * A listening socket, non-blocking.
 *
 * port       0: any free one; the one taken is written back
 * is_shared  with SO_REUSEPORT: one per thread on the same port
 * returns  the descriptor, or -1 with `error` set ("port 4010 is in use: …")
 */
int qb_edge_listen(const char *address, uint16_t *port, bool is_shared, struct qb_error *error);

/* Null with `error` set when libwebsockets cannot start. Several edges are made one after the
 * other, from one thread, before their loops run. */
QB_MUST_USE struct qb_edge *qb_edge_new(const struct qb_edge_options *options,
                                        struct qb_error *error);
/* Ends all connections at once and frees; the loop must turn a few times after it (uv handles). */
void qb_edge_free(struct qb_edge **edge);

/* Answers a WebSocket handshake with 101; a session begins. Refuses by itself (503, 429) when a
 * cap is reached. The request is gone after the call. */
void qb_edge_accept(struct qb_edge *edge, struct qb_http_request *request,
                    const struct qb_identity *identity);

/*
 * Answers a GET with an event stream: the session gets `first` and then, if `is_live`, what is
 * published of the auction behind first->position. Refuses by itself (503, 429) when a cap is
 * reached. The request is gone after the call.
 *
 * headers   further header lines, each ending in \r\n; null: none
 * first     JSON that begins with {"on":"…; held
 */
void qb_edge_accept_events(struct qb_edge *edge, struct qb_http_request *request,
                           const struct qb_identity *identity, const char *headers, qb_id auction,
                           struct qb_frame *first, bool is_live);

/* The session, or null when it is gone. */
struct qb_session *qb_edge_session(struct qb_edge *edge, qb_session_id id);
qb_session_id qb_session_id_of(const struct qb_session *session);
const struct qb_identity *qb_session_identity(const struct qb_session *session);

/* A new identity by `auth`. False: the account has too many connections here. */
QB_MUST_USE bool qb_session_identify(struct qb_session *session,
                                     const struct qb_identity *identity);

/*
 * Sends a JSON text to one session, never conflated: answers, verdicts, notices. What the socket
 * does not take waits in the session's outbox; a full outbox closes it (SLOW_READER).
 */
void qb_session_send(struct qb_session *session, const char *json, size_t length);

/* An error answer: {"id":…,"ok":false,"error":{"code":…,"message":…,"temporary":…}}.
 * retry_after_ms > 0 is added; `extra` (may be null) is JSON members without a leading comma. */
void qb_session_error(struct qb_session *session, const char *command_id, const char *code,
                      const char *message, bool is_temporary, int64_t retry_after_ms,
                      const char *extra);

void qb_session_close(struct qb_session *session, enum qb_close reason, const char *detail);

/* Makes the session a watcher, from seq on. False: it has as many watches as it may. */
QB_MUST_USE bool qb_session_watch(struct qb_session *session, qb_id auction, uint64_t seq);
void qb_session_unwatch(struct qb_session *session, qb_id auction);

/*
 * A new state of an auction for its watchers here: `frame` holds JSON, sealed once by the caller
 * (qb_edge_seal) with its position, and shared. Conflated: who cannot take it now gets the newest
 * later. With `is_protected` (extension, close) who cannot take it now gets it after, as well as
 * the newest.
 */
void qb_edge_publish(struct qb_edge *edge, qb_id auction, uint64_t seq, struct qb_frame *frame,
                     bool is_protected);

/* How many watch an auction, for its watchers here; conflated. `frame` is sealed, without a
 * position. */
void qb_edge_publish_crowd(struct qb_edge *edge, qb_id auction, struct qb_frame *frame);

/* To all sessions of a user here; never conflated. `frame` is sealed. */
void qb_edge_notify(struct qb_edge *edge, qb_id user, struct qb_frame *frame);

/* Makes a frame of JSON ready to be sent to any number of sessions, on any thread. */
struct qb_frame *qb_edge_seal(const char *json, size_t length);

/* Ends all sessions that came from `login`. */
void qb_edge_log_out(struct qb_edge *edge, uint64_t login, enum qb_close reason);

/* Ends all sessions of `user`. */
void qb_edge_end_user(struct qb_edge *edge, qb_id user, enum qb_close reason);

/* No new connections or upgrades from now on (503 with Retry-After). */
void qb_edge_refuse_new(struct qb_edge *edge);

/* Tells every session {"on":"reconnect","after_ms":…} with a random time below `spread_ms`, then
 * closes it with 1012. */
void qb_edge_drain(struct qb_edge *edge, uint32_t spread_ms);

/* What is shown of the auctions of these shards (a bit for each, qb_shard_of()) is as of
 * `since_us`, of the clock of auctions, and may be behind; of all others it is not any longer.
 * Sessions that watch any are told {"on":"stale","since_ms":…,"auctions":[…]} or "live", a slice of
 * sessions at a turn; who begins to watch later is told then. */
void qb_edge_set_stale(struct qb_edge *edge, uint16_t shards, qb_time_us since_us);

/* Tells up to `count` sessions to reconnect at a random time below `spread_ms`, then closes them
 * with DEAF. Returns how many it was. */
uint32_t qb_edge_send_away(struct qb_edge *edge, uint32_t count, uint32_t spread_ms);

size_t qb_edge_watchers(const struct qb_edge *edge, qb_id auction);
/* The number of watchers here of each auction where that may have changed since the last call. */
void qb_edge_recount(struct qb_edge *edge,
                     void (*each)(void *context, qb_id auction, uint32_t count), void *context);
size_t qb_edge_connections(const struct qb_edge *edge);
