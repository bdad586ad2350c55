/*
 * The HTTP API: routes, accounts, catalogue. One struct qb_api is one I/O thread's; blocking work
 * goes to the worker pools.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "app/runner.h"
#include "base/work.h"
#include "storage/store.h"
#include "ws/edge.h"

struct qb_api;
struct qb_token_keys;  /* app/token.h */
struct qb_auth_limits; /* app/auth_limits.h: counters per address and account, shared by threads */
struct qb_tickets;     /* app/ticket.h: one-time tickets, shared by threads */
struct qb_control;     /* app/control.h */
struct qb_catalogue;   /* storage/catalogue.h, shared by threads */
struct qb_revoked;     /* app/revoked.h: tokens that are refused, shared by threads */
struct qb_origin;      /* static/origin.h */
struct qb_documents;   /* app/documents.h */

struct qb_api_options {
    struct qb_edge *edge;
    struct qb_runner *runner;
    struct qb_mailbox *mailbox;         /* of this thread */
    struct qb_work_pool *store_pool;    /* its `worker` is a struct qb_store_link * */
    struct qb_work_pool *password_pool; /* 2 threads, no worker state */
    int64_t wait_us;                    /* of a job of either for its worker */
    const struct qb_store *store;
    struct qb_token_keys *keys;
    struct qb_auth_limits *limits;
    struct qb_tickets *tickets;
    struct qb_revoked *revoked;
    struct qb_control *control; /* app/control.h: what must hold in every replica */
    struct qb_catalogue *catalogue;
    struct qb_holds *holds; /* storage/holds_memory.h: a limit that an admin sets works at once */
    const struct qb_documents *documents;
    bool is_metrics_public;     /* /metrics for any address, not only loopback */
    const char *origins;        /* comma-separated allowed Origin values; empty: same host */
    bool *is_ready;             /* read atomically */
    const atomic_bool *is_away; /* takes no new watchers: others hear the bus, it does not */
    int64_t amount_max;
    int64_t over_keep_us; /* an auction is in memory for so long after its end */
    int64_t auctions_per_seller;
    int64_t auctions_per_day;
    int64_t image_bytes_per_user;
    uint32_t login_days;    /* life of a login, 30 */
    uint32_t token_minutes; /* life of a token, 15 */
    /* Ends the sessions of a login and those of an account (0: of none) on all threads. Any thread.
     */
    void (*end_sessions)(void *context, uint64_t login, qb_id user, enum qb_close reason);
    void *context;
};

struct qb_api *qb_api_new(const struct qb_api_options *options);
void qb_api_free(struct qb_api **api);

/* The edge's request handler: routes it and answers, now or later. */
void qb_api_request(struct qb_api *api, struct qb_http_request *request);

/* A WebSocket `auth {token}`: true and the identity, or false and what the error answer says. */
QB_MUST_USE bool qb_api_identify_token(struct qb_api *api, const char *token,
                                       struct qb_identity *identity, struct qb_problem *problem);
