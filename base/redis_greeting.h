/*
 * The first words to a server: log in, say who we are, see whether it may be used. Private to
 * base/redis*.c.
 *
 * Thread    the loop's.
 */
#pragma once

#include "base/redis_address.h"
#include "base/redis_wire.h"

#define QB_REDIS_SETTINGS   5
#define QB_REDIS_RUN_ID_MAX 64

struct qb_redis_greeting;

/* A setting that is being asked for. */
struct qb_redis_setting {
    struct qb_redis_greeting *greeting;
    size_t row;
};

struct qb_redis_greeting {
    struct qb_redis_wire *wire; /* open */
    const struct qb_redis_address *address;
    const char *name;
    bool must_be_safe;
    /* Once, with null when all is well; not at all when the wire ends before. */
    void (*done)(void *context, const char *trouble);
    void *context;
    char run_id[QB_REDIS_RUN_ID_MAX]; /* known when it is done well */
    bool is_done;
    struct qb_redis_setting settings[QB_REDIS_SETTINGS];
};

/* Asks; `greeting` and what it points to stay until `done` or until the wire is freed. */
void qb_redis_greet(struct qb_redis_greeting *greeting);

/* Logs in; `user` may be empty. `answer` gets what qb_redis_login_check() judges. */
void qb_redis_login(struct qb_redis_wire *wire, const char *user, const char *password,
                    qb_redis_answer *answer, void *context);
/* False with `error` set, which does not quote the server: it may repeat the password. */
QB_MUST_USE bool qb_redis_login_check(const struct qb_redis_reply *reply, struct qb_error *error);
/* Whether the answer to ROLE is a primary's. */
QB_MUST_USE bool qb_redis_role_check(const struct qb_redis_reply *reply, struct qb_error *error);
