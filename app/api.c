#include "app/api.h"

#include <openssl/crypto.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/api_parts.h"
#include "base/assert.h"
#include "base/log.h"
#include "base/metrics.h"
#include "static/origin.h"

#define BODY_BYTES_MAX 65536

static const struct {
    int status;
    const char *code;
    const char *text;
} problems[] = {
    {0, "", ""},
#define QB_API_PROBLEM(name, status, code, text) {status, code, text},
#include "app/problem.def"
};

struct qb_api *qb_api_new(const struct qb_api_options *options)
{
    struct qb_api *api = calloc(1, sizeof *api);

    QB_ASSERT(api != NULL);
    api->options = *options;
    return api;
}

void qb_api_free(struct qb_api **api)
{
    free(*api);
    *api = NULL;
}

void qb_call_free(struct qb_call *call)
{
    OPENSSL_cleanse(call->password, sizeof call->password);
    OPENSSL_cleanse(call->secret, sizeof call->secret);
    if (call->rules != NULL) OPENSSL_cleanse(call->rules->secret, sizeof call->rules->secret);
    free(call->rules);
    free(call->listing);
    free(call->ban.auctions);
    qb_json_free(&call->body);
    qb_text_fini(&call->text);
    free(call);
}

void qb_call_fail(struct qb_call *call, enum qb_api_problem problem)
{
    if (call->problem == QB_API_NONE) call->problem = problem;
}

void qb_call_limit(struct qb_call *call, enum qb_api_problem problem, const char *limit)
{
    call->limit = limit;
    qb_metric_add(QB_METRIC_limited_total, limit, 1);
    qb_call_fail(call, problem);
}

const char *qb_call_outcome(const struct qb_call *call)
{
    return call->problem == QB_API_NONE ? "ok" : problems[call->problem].code;
}

struct qb_problem qb_api_problem_of(enum qb_api_problem problem)
{
    return (struct qb_problem){problems[problem].code, problems[problem].text, false};
}

void qb_call_head(struct qb_call *call, const char *format, ...)
{
    size_t length = strlen(call->head);
    va_list arguments;

    va_start(arguments, format);
    int added = vsnprintf(call->head + length, sizeof call->head - length, format, arguments);
    va_end(arguments);
    QB_ASSERT(added >= 0 && (size_t)added < sizeof call->head - length);
}

void qb_call_keep_tags(struct qb_call *call)
{
    const char *known = qb_http_header(call->request, "if-none-match");

    if (known != NULL && strlen(known) < sizeof call->if_none_match)
        (void)memcpy(call->if_none_match, known, strlen(known) + 1);
}

void qb_call_tag(struct qb_call *call, const char *tag)
{
    (void)snprintf(call->etag, sizeof call->etag, "\"%s\"", tag);
    if (strstr(call->if_none_match, call->etag) == NULL && strcmp(call->if_none_match, "*") != 0)
        return;
    call->status = 304;
    qb_text_fini(&call->text);
    call->text = (struct qb_text){0};
}

static void answer_problem(struct qb_call *call)
{
    struct qb_text text = {0};
    const char *own = problems[call->problem].text;
    int64_t wait_s = (call->wait_us + QB_SECOND_US - 1) / QB_SECOND_US;

    if (call->problem == QB_API_BUSY && wait_s == 0) wait_s = 1;
    if (wait_s > 0) qb_call_head(call, "Retry-After: %lld\r\n", (long long)wait_s);
    qb_text_string(&text, "{");
    qb_text_json_text(&text, "type", "about:blank");
    qb_text_json_text(&text, "title", problems[call->problem].code);
    qb_text_json_int(&text, "status", problems[call->problem].status);
    qb_text_json_text(&text, "code", problems[call->problem].code);
    qb_text_json_text(&text, "detail", call->detail.text[0] != '\0' ? call->detail.text : own);
    if (wait_s > 0) qb_text_json_int(&text, "retry_after_ms", wait_s * 1000);
    if (call->limit != NULL) qb_text_json_text(&text, "limit", call->limit);
    qb_text_string(&text, "}");
    const struct qb_http_response response = {
        .status = problems[call->problem].status,
        .content_type = "application/problem+json",
        .headers = call->head[0] != '\0' ? call->head : NULL,
        .body = text.bytes,
        .length = text.length,
    };
    qb_http_respond(call->request, &response);
    qb_text_fini(&text);
}

void qb_call_answer(struct qb_call *call)
{
    if (call->text.is_full) qb_call_fail(call, QB_API_INTERNAL);
    if (call->problem != QB_API_NONE) {
        answer_problem(call);
    } else {
        const char *type = call->content_type != NULL ? call->content_type : "application/json";
        const struct qb_http_response response = {
            .status = call->status != 0 ? call->status : 200,
            .content_type = call->text.length > 0 ? type : NULL,
            .cache_control = call->cache_control,
            .etag = call->etag[0] != '\0' ? call->etag : NULL,
            .headers = call->head[0] != '\0' ? call->head : NULL,
            .body = call->text.bytes,
            .length = call->text.length,
        };
        qb_http_respond(call->request, &response);
    }
    qb_call_free(call);
}

void qb_call_submit(struct qb_call *call, struct qb_work_pool *pool,
                    void (*run)(void *job, void *worker), void (*done)(void *job))
{
    call->submitted_us = qb_clock_mono_us();
    if (qb_work_submit(pool, call->api->options.mailbox, run, done, call)) return;
    qb_call_fail(call, QB_API_BUSY);
    done(call);
}

bool qb_call_is_late(struct qb_call *call)
{
    if (qb_clock_mono_us() - call->submitted_us <= call->api->options.wait_us) return false;
    qb_call_fail(call, QB_API_BUSY);
    return true;
}

bool qb_call_stored(struct qb_call *call, enum qb_store_result result, const char *query,
                    const struct qb_error *error)
{
    if (qb_store_is_down(result)) {
        qb_log(QB_LOG_ERROR, "store.failed", QB_TEXT("query", query),
               QB_TEXT("error", error->text));
        qb_call_fail(call, QB_API_UNAVAILABLE);
    }
    return result == QB_STORE_OK;
}

static void run(void *job, void *worker)
{
    struct qb_call *call = job;

    if (qb_call_is_late(call)) return;
    qb_call_identify(call, worker);
    if (call->route->needs_user && call->user.id == 0) qb_call_fail(call, QB_API_SIGN_IN);
    if (call->problem == QB_API_NONE && call->route->work != NULL) call->route->work(call, worker);
}

static void done(void *job)
{
    struct qb_call *call = job;

    if (call->problem != QB_API_NONE || call->route->finish == NULL)
        qb_call_answer(call);
    else
        call->route->finish(call);
}

/* Whether `path` is `pattern`; its hole, if there is one, goes into the call. */
static bool is_match(const char *pattern, const char *path, struct qb_call *call)
{
    const char *hole = strchr(pattern, '{');

    if (hole == NULL) return strcmp(pattern, path) == 0;
    size_t before = (size_t)(hole - pattern);
    if (strncmp(pattern, path, before) != 0) return false;
    size_t length = strcspn(path + before, "/");
    const char *rest = strchr(hole, '}') + 1;
    if (strcmp(rest, path + before + length) != 0) return false;
    if (hole[1] == 'i') return qb_id_parse(path + before, length, &call->id);
    return length == sizeof call->image * 2 && qb_hex_parse(path + before, length, call->image);
}

static bool read_json(struct qb_call *call)
{
    static const struct qb_json_limits limits = {
        .bytes_max = BODY_BYTES_MAX, .depth_max = 16, .members_max = 100};
    const char *type = qb_http_header(call->request, "content-type");

    size_t type_length = type != NULL ? strcspn(type, "; ") : 0;
    if (type_length != 16 || strncasecmp(type, "application/json", 16) != 0) {
        qb_call_fail(call, QB_API_CONTENT_TYPE);
        return false;
    }
    if (call->byte_count > BODY_BYTES_MAX) {
        qb_call_fail(call, QB_API_TOO_LARGE);
        return false;
    }
    call->body = qb_json_parse(call->bytes, call->byte_count, &limits, &call->detail);
    if (call->body == NULL) qb_call_fail(call, QB_API_BAD_BODY);
    return call->body != NULL;
}

static bool read_body(struct qb_call *call)
{
    call->bytes = qb_http_body(call->request, &call->byte_count);
    switch ((enum qb_body)call->route->body) {
    case QB_BODY_NONE:
    case QB_BODY_IMAGE:
        return true;
    case QB_BODY_OPTIONAL:
        return call->byte_count == 0 || read_json(call);
    case QB_BODY_JSON:
        break;
    }
    return read_json(call);
}

static void start(struct qb_call *call)
{
    const struct qb_route *route = call->route;

    if (!qb_call_credentials(call) || !read_body(call)) {
        qb_call_answer(call);
        return;
    }
    if (route->prepare != NULL) route->prepare(call);
    bool is_known = call->has_login || call->user.id != 0;
    if (route->needs_user && !is_known) qb_call_fail(call, QB_API_SIGN_IN);
    if (call->problem == QB_API_NONE && !call->is_ready && (is_known || route->work != NULL))
        qb_call_submit(call, call->api->options.store_pool, run, done);
    else
        done(call);
}

static void serve_page(struct qb_http_request *request)
{
    struct qb_origin_response found;
    const struct qb_origin_request wanted = {
        .method = qb_http_method_name(request),
        .path = qb_http_path(request),
        .accept = qb_http_header(request, "accept"),
        .accept_encoding = qb_http_header(request, "accept-encoding"),
        .if_none_match = qb_http_header(request, "if-none-match"),
        .range = qb_http_header(request, "range"),
        .if_range = qb_http_header(request, "if-range"),
        .host = qb_http_header(request, "host"),
    };

    qb_origin_answer(&wanted, &found);
    const struct qb_http_response response = {
        .status = found.status,
        .content_type = found.content_type,
        .cache_control = found.cache_control,
        .etag = found.etag[0] != '\0' ? found.etag : NULL,
        .headers = found.headers,
        .body = found.frame == NULL ? found.body : NULL,
        .length = found.length,
        .frame = found.frame,
    };
    qb_http_respond(request, &response);
}

/* A page of an origin in the list may read answers; of all others the browser keeps them. */
static void allow_origin(struct qb_call *call)
{
    const char *origin = qb_http_header(call->request, "origin");

    if (call->api->options.origins[0] != '\0') qb_call_head(call, "Vary: Origin\r\n");
    if (origin == NULL || !qb_origin_is_listed(call->api->options.origins, origin)) return;
    call->is_shared = true;
    qb_call_head(call,
                 "Access-Control-Allow-Origin: %s\r\nAccess-Control-Allow-Credentials: true\r\n"
                 "Access-Control-Expose-Headers: ETag, Location, Retry-After\r\n",
                 origin);
}

/* `methods`, a set of bits by enum qb_http_method, as a header line of that name. */
static void allow_methods(struct qb_call *call, const char *name, unsigned methods)
{
    static const char *const names[] = {"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"};

    if ((methods & 1U << QB_HTTP_GET) != 0) methods |= 1U << QB_HTTP_HEAD;
    qb_call_head(call, "%s: OPTIONS", name);
    for (unsigned i = 0; i < QB_COUNT(names) - 1; i++)
        if ((methods & 1U << i) != 0) qb_call_head(call, ", %s", names[i]);
    qb_call_head(call, "\r\n");
}

static void answer_options(struct qb_call *call, unsigned methods)
{
    allow_methods(call, "Allow", methods);
    if (call->is_shared) {
        allow_methods(call, "Access-Control-Allow-Methods", methods);
        qb_call_head(call, "Access-Control-Allow-Headers: Authorization, Content-Type, "
                           "Idempotency-Key\r\nAccess-Control-Max-Age: 600\r\n");
    }
    call->status = 204;
    qb_call_answer(call);
}

void qb_api_request(struct qb_api *api, struct qb_http_request *request)
{
    const char *path = qb_http_path(request);
    enum qb_http_method method = qb_http_method_of(request);
    struct qb_call *call = calloc(1, sizeof *call);
    unsigned methods = 0;

    QB_ASSERT(call != NULL);
    call->api = api;
    call->request = request;
    if (method == QB_HTTP_HEAD) method = QB_HTTP_GET;
    for (size_t i = 0; i < qb_api_route_count && call->route == NULL; i++) {
        if (!is_match(qb_api_routes[i].path, path, call)) continue;
        methods |= 1U << qb_api_routes[i].method;
        if (qb_api_routes[i].method == method) call->route = &qb_api_routes[i];
    }
    if (methods == 0 && strncmp(path, "/api/", 5) != 0) {
        qb_call_free(call);
        serve_page(request);
        return;
    }
    allow_origin(call);
    if (call->route != NULL) {
        start(call);
    } else if (methods != 0 && method == QB_HTTP_OPTIONS) {
        answer_options(call, methods);
    } else {
        qb_call_fail(call, methods != 0 ? QB_API_METHOD : QB_API_NOT_FOUND);
        if (methods != 0) allow_methods(call, "Allow", methods);
        qb_call_answer(call);
    }
}
