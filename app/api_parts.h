/*
 * What the API's files share; private to app/api*.c. A call is one request on its way: first the
 * I/O thread, then a worker for who asks and for the store, then the I/O thread again.
 */
#pragma once

#include "app/api.h"
#include "app/password.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/text.h"

enum qb_api_problem {
    QB_API_NONE,
#define QB_API_PROBLEM(name, status, code, text) QB_API_##name,
#include "app/problem.def"
};

#define QB_LOGIN_TEXT_BYTES 44 /* 32 bytes in base64url and a zero byte */
#define QB_CALL_HEAD_BYTES  512

struct qb_call;

struct qb_route {
    enum qb_http_method method;
    const char *path; /* "{id}" stands for an id */
    bool needs_user;
    bool has_body;                                                  /* a JSON body is needed */
    void (*work)(struct qb_call *call, struct qb_store_link *link); /* on a worker; may be null */
    void (*finish)(struct qb_call *call); /* then on the I/O thread; null: the answer is ready */
};

struct qb_api {
    struct qb_api_options options;
};

struct qb_call {
    struct qb_api *api;
    struct qb_http_request *request;
    const struct qb_route *route;
    qb_id id; /* of the path */
    struct qb_json *body;
    bool has_login;                /* a cookie came: `hash` is its */
    uint8_t hash[QB_SHA256_BYTES]; /* of the login's secret */
    struct qb_user user;           /* id 0: a visitor */
    uint64_t login;                /* as tokens and sessions name it */
    int64_t submitted_us;          /* monotonic: when it began to wait for a worker */
    enum qb_api_problem problem;
    struct qb_error detail;           /* empty: the problem's own text */
    int64_t wait_us;                  /* for Retry-After */
    int status;                       /* of a good answer */
    struct qb_text text;              /* its body; empty: none */
    char head[QB_CALL_HEAD_BYTES];    /* further header lines */
    char secret[QB_LOGIN_TEXT_BYTES]; /* of a new login */
    char password[QB_PASSWORD_BYTES_MAX + 1];
    size_t password_length;
    bool is_match;
    bool wants_token;
    bool is_outdated;
};

extern const struct qb_route qb_api_routes[];
extern const size_t qb_api_route_count;

/* Answers with what is in `call`, and frees it. */
void qb_call_answer(struct qb_call *call);
void qb_call_free(struct qb_call *call);
void qb_call_fail(struct qb_call *call, enum qb_api_problem problem);
/* Runs `run` on a worker of `pool`, then `done` here; a full queue answers BUSY. */
void qb_call_submit(struct qb_call *call, struct qb_work_pool *pool,
                    void (*run)(void *job, void *worker), void (*done)(void *job));
/* True for OK. FAILED is logged and becomes UNAVAILABLE. */
bool qb_call_stored(struct qb_call *call, enum qb_store_result result, const char *query,
                    const struct qb_error *error);
/* Marks the call UNAVAILABLE for a job that has waited too long. */
bool qb_call_is_late(struct qb_call *call);

static inline const struct qb_store_ops *qb_call_ops(const struct qb_call *call)
{
    return call->api->options.store->ops;
}

void qb_user_json(struct qb_text *text, const struct qb_user *user);
uint64_t qb_login_name(const uint8_t hash[QB_SHA256_BYTES]);
const char *qb_cookie_name(const struct qb_call *call);

void qb_api_sign_up(struct qb_call *call);
void qb_api_log_in(struct qb_call *call);
void qb_api_renew(struct qb_call *call);
void qb_api_log_out_work(struct qb_call *call, struct qb_store_link *link);
void qb_api_log_out(struct qb_call *call);
void qb_api_ticket(struct qb_call *call);
void qb_api_me(struct qb_call *call);
