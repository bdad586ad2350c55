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
#define QB_CALL_HEAD_BYTES  768
#define QB_ETAG_BYTES       40

struct qb_call;

enum qb_body {
    QB_BODY_NONE,     /* ignored */
    QB_BODY_JSON,     /* needed */
    QB_BODY_OPTIONAL, /* JSON, or nothing at all */
    QB_BODY_IMAGE,    /* as it is, of one of the types of images */
};

/* The steps of a route, each of which may be null: the first that fails ends the call. */
struct qb_route {
    enum qb_http_method method;
    const char *path; /* "{id}" stands for an id, "{hash}" for an image's */
    bool needs_user;
    uint8_t body;                          /* enum qb_body */
    void (*prepare)(struct qb_call *call); /* on the I/O thread: what the worker needs of it */
    void (*work)(struct qb_call *call, struct qb_store_link *link); /* on a worker */
    void (*finish)(struct qb_call *call); /* on the I/O thread; null: the answer is ready */
};

#define QB_SEARCH_BYTES 201

/* The query of a list, read on the I/O thread. */
struct qb_page {
    char search[QB_SEARCH_BYTES];
    char category[QB_CATEGORY_BYTES_MAX + 1];
    char currency[QB_CURRENCY_BYTES];
    qb_id seller;
    uint8_t phase; /* enum qb_listing_phase */
    uint8_t sort;  /* enum qb_listing_sort */
    size_t limit;
    int64_t key; /* of the cursor, or a number to begin with */
    qb_id id;
};

/* A ban on its way through the auctions in which the account has bid. */
struct qb_ban {
    bool is_on; /* false: it ends */
    bool is_unsure;
    qb_id *auctions; /* owned */
    size_t count;
    size_t room;
    size_t waiting; /* for their answers */
    size_t blocked;
};

struct qb_api {
    struct qb_api_options options;
};

struct qb_call {
    struct qb_api *api;
    struct qb_http_request *request;
    const struct qb_route *route;
    qb_id id;                           /* of the path */
    uint8_t image[QB_IMAGE_HASH_BYTES]; /* of the path */
    struct qb_json *body;
    const char *bytes; /* the body as it came; the request's */
    size_t byte_count;
    struct qb_page page;
    struct qb_ban ban;
    struct qb_rules *rules;         /* of an auction to open; owned */
    struct qb_listing *listing;     /* owned */
    struct qb_entry entry;          /* of an operator's command */
    char label[QB_LABEL_BYTES];     /* of whom it is about; empty: nobody */
    char key[QB_KEY_BYTES_MAX + 1]; /* of the command */
    bool has_login;                 /* a cookie came: `hash` is its */
    uint8_t hash[QB_SHA256_BYTES];  /* of the login's secret */
    struct qb_user user;            /* id 0: a visitor */
    uint64_t login;                 /* as tokens and sessions name it */
    qb_time_us expires_us;          /* of the token or the login */
    qb_time_us checked_us;          /* when that was known to hold: of the token's issue, or before
                                       the store was asked */
    int64_t submitted_us;           /* monotonic: when it began to wait for a worker */
    enum qb_api_problem problem;
    struct qb_error detail;        /* empty: the problem's own text */
    int64_t wait_us;               /* for Retry-After */
    const char *limit;             /* which one was reached; null: none */
    int status;                    /* of a good answer */
    struct qb_text text;           /* its body; empty: none */
    char head[QB_CALL_HEAD_BYTES]; /* further header lines */
    const char *cache_control;     /* null: no-store */
    char etag[QB_ETAG_BYTES];      /* empty: none */
    char if_none_match[QB_ETAG_BYTES * 4];
    const char *content_type;         /* null: JSON */
    char secret[QB_LOGIN_TEXT_BYTES]; /* of a new login */
    char password[QB_PASSWORD_BYTES_MAX + 1];
    size_t password_length;
    bool is_match;
    bool is_open;   /* an auction that was published before, under the same key */
    bool is_shared; /* with a page of an allowed origin */
    bool is_banned; /* a visitor because of that */
    bool is_ready;  /* the answer, after prepare() already: no worker is asked */
    bool wants_token;
    bool is_outdated;
};

extern const struct qb_route qb_api_routes[];
extern const size_t qb_api_route_count;
/* The table in Markdown. */
void qb_api_routes_docs(struct qb_text *text);

/* Answers with what is in `call`, and frees it. */
void qb_call_answer(struct qb_call *call);
void qb_call_free(struct qb_call *call);
void qb_call_fail(struct qb_call *call, enum qb_api_problem problem);
/* The same for a limit that was reached: `limit`, a literal, names it and is counted. */
void qb_call_limit(struct qb_call *call, enum qb_api_problem problem, const char *limit);
/* "ok", or the code of its problem; a literal. */
const char *qb_call_outcome(const struct qb_call *call);
/* Runs `run` on a worker of `pool`, then `done` here; a full queue answers BUSY. */
void qb_call_submit(struct qb_call *call, struct qb_work_pool *pool,
                    void (*run)(void *job, void *worker), void (*done)(void *job));
/* True for OK. FAILED is logged and becomes UNAVAILABLE. */
bool qb_call_stored(struct qb_call *call, enum qb_store_result result, const char *query,
                    const struct qb_error *error);
/* Fails a call that would begin to watch where nothing is heard from the other replicas. */
void qb_call_turn_away(struct qb_call *call);
/* Marks the call BUSY for a job that has waited too long, as one without a worker has. */
bool qb_call_is_late(struct qb_call *call);

static inline const struct qb_store_ops *qb_call_ops(const struct qb_call *call)
{
    return call->api->options.store->ops;
}

/* api.c */
struct qb_problem qb_api_problem_of(enum qb_api_problem problem);
void qb_call_head(struct qb_call *call, const char *format, ...) QB_PRINTF(2, 3);

/* Sets a strong ETag, and answers 304 when the client has it. On any thread, after
 * qb_call_keep_tags() in the route's prepare(). */
void qb_call_tag(struct qb_call *call, const char *tag);
void qb_call_keep_tags(struct qb_call *call);

/* api_identity.c */
bool qb_origin_is_listed(const char *list, const char *origin);
bool qb_call_origin_allowed(const struct qb_call *call, const char *origin);
const char *qb_cookie_name(const struct qb_call *call);
bool qb_call_is_local(const struct qb_call *call); /* asked from this machine itself */
bool qb_call_is_plain(const struct qb_call *call); /* plain HTTP on loopback: no Secure cookie */
/* Who asks, as far as that can be told without the store. False: the call has failed. */
bool qb_call_credentials(struct qb_call *call);
/* The rest, on a worker. A missing, ended or banned account is a visitor; routes that need a user
 * then refuse. */
void qb_call_identify(struct qb_call *call, struct qb_store_link *link);
struct qb_identity qb_call_identity(const struct qb_call *call);

/* api_accounts.c */
void qb_user_json(struct qb_text *text, const struct qb_user *user);
void qb_api_sign_up(struct qb_call *call);
void qb_api_log_in(struct qb_call *call);
void qb_api_session_body(struct qb_call *call);
void qb_api_renew(struct qb_call *call);
void qb_api_log_out_work(struct qb_call *call, struct qb_store_link *link);
void qb_api_log_out(struct qb_call *call);
void qb_api_ticket(struct qb_call *call);
void qb_api_me(struct qb_call *call);

/* api_page.c: false, and the call has failed, when the query is wrong. */
bool qb_page_limit(struct qb_call *call);
bool qb_page_listings(struct qb_call *call); /* all that a list of auctions takes */
bool qb_page_cursor(struct qb_call *call);
bool qb_page_number(struct qb_call *call, const char *name); /* into key */
void qb_page_next(struct qb_text *text, bool is_more, int64_t key, qb_id id);

/* api_publish.c */
void qb_api_publish_prepare(struct qb_call *call);
void qb_api_publish_work(struct qb_call *call, struct qb_store_link *link);
void qb_api_publish(struct qb_call *call);

/* api_auctions.c */
void qb_api_list_prepare(struct qb_call *call);
void qb_api_list(struct qb_call *call, struct qb_store_link *link);
void qb_api_catalogue_prepare(struct qb_call *call);
void qb_api_catalogue(struct qb_call *call, struct qb_store_link *link);
void qb_api_state(struct qb_call *call);
/* Listings by `query` with the page's rows and cursor, as {"auctions":[…],"next":…}; `more` (may be
 * null) adds members to each. */
void qb_api_listings(struct qb_call *call, struct qb_store_link *link,
                     struct qb_listing_query *query,
                     void (*more)(struct qb_call *call, struct qb_store_link *link,
                                  const struct qb_listing *listing));

/* api_commands.c */
void qb_api_bid(struct qb_call *call);
void qb_api_buy(struct qb_call *call);
void qb_call_command(struct qb_call *call, const struct qb_entry *entry);

/* api_documents.c */
void qb_api_openapi(struct qb_call *call);
void qb_api_asyncapi(struct qb_call *call);

/* api_events.c */
void qb_api_events(struct qb_call *call);

/* api_history.c */
void qb_api_bids_prepare(struct qb_call *call);
void qb_api_bids(struct qb_call *call, struct qb_store_link *link);
void qb_api_ledger_prepare(struct qb_call *call);
void qb_api_ledger(struct qb_call *call, struct qb_store_link *link);

/* api_operators.c */
void qb_api_operate_work(struct qb_call *call, struct qb_store_link *link);
void qb_api_operate_prepare(struct qb_call *call);
void qb_api_operate(struct qb_call *call);

/* api_me.c */
void qb_api_mine_prepare(struct qb_call *call);
void qb_api_my_bids(struct qb_call *call, struct qb_store_link *link);
void qb_api_my_auctions(struct qb_call *call, struct qb_store_link *link);
void qb_api_my_watched(struct qb_call *call, struct qb_store_link *link);
void qb_api_watch(struct qb_call *call, struct qb_store_link *link);
void qb_api_payments_prepare(struct qb_call *call);
void qb_api_payments(struct qb_call *call, struct qb_store_link *link);

/* api_images.c */
void qb_api_image_prepare(struct qb_call *call);
void qb_api_image_add(struct qb_call *call, struct qb_store_link *link);
void qb_api_image(struct qb_call *call, struct qb_store_link *link);

/* api_users.c: what admins do to accounts */
void qb_api_user_limit_work(struct qb_call *call, struct qb_store_link *link);
void qb_api_user_roles_work(struct qb_call *call, struct qb_store_link *link);
void qb_api_user_ban_prepare(struct qb_call *call);
void qb_api_user_ban_work(struct qb_call *call, struct qb_store_link *link);
void qb_api_user_ban(struct qb_call *call);

/* api_server.c */
void qb_api_time(struct qb_call *call);
void qb_api_categories(struct qb_call *call);
void qb_api_health(struct qb_call *call);
void qb_api_ready(struct qb_call *call);
void qb_api_metrics(struct qb_call *call);
void qb_api_websocket(struct qb_call *call);
