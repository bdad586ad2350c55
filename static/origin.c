#include "static/origin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "static/negotiate.h"
#include "static/pack.h"

#define PAGE           "/index.html"
#define HOST_BYTES_MAX 260

/* Views of the page, each at its own address so that it can be linked to and reloaded. */
static const char *const views[] = {
    "/",        "/help",       "/join",       "/login",       "/me",
    "/me/bids", "/me/selling", "/me/watched", "/me/payments", "/sell",
};

/* Nothing but the page's own files may run, and nobody may frame it. Styles set by scripts through
 * the CSSOM (the chart) are not inline styles and pass. */
static const char policy[] = "default-src 'self'; script-src 'self'; style-src 'self'; "
                             "img-src 'self' data: blob:; font-src 'none'; object-src 'none'; "
                             "base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
                             "connect-src 'self'";

static const char *const encoding_names[QB_PACK_ENCODINGS] = {"br", "gzip", NULL};
static const char *const etag_suffixes[QB_PACK_ENCODINGS] = {"-br", "-gz", ""};

static int compare_path(const void *path, const void *asset)
{
    return strcmp(path, ((const struct qb_pack_asset *)asset)->path);
}

static const struct qb_pack_asset *find_asset(const char *path)
{
    return bsearch(path, qb_pack_assets, qb_pack_asset_count, sizeof qb_pack_assets[0],
                   compare_path);
}

/* `/a/` and an id: 13 characters, as qb_id_text() writes them. */
static bool is_auction_view(const char *path)
{
    static const char alphabet[] = "0123456789abcdefghjkmnpqrstvwxyz";

    return strncmp(path, "/a/", 3) == 0 && strlen(path) == 16 && strspn(path + 3, alphabet) == 13;
}

static bool is_view(const char *path)
{
    for (size_t i = 0; i < QB_COUNT(views); i++) {
        if (strcmp(path, views[i]) == 0) return true;
    }
    return is_auction_view(path);
}

/* A host and port that may stand in a policy: no space, comma or semicolon can end it early. */
static bool is_host(const char *host)
{
    static const char alphabet[] = "0123456789abcdefghijklmnopqrstuvwxyz"
                                   "ABCDEFGHIJKLMNOPQRSTUVWXYZ.-:[]";

    if (host == NULL || host[0] == '\0') return false;
    size_t length = strlen(host);
    return length <= HOST_BYTES_MAX && strspn(host, alphabet) == length;
}

static void add_header(struct qb_origin_response *response, const char *name, const char *value)
{
    size_t used = strlen(response->headers);
    size_t room = sizeof response->headers - used;
    int length = snprintf(response->headers + used, room, "%s: %s\r\n", name, value);

    QB_ASSERT(length > 0 && (size_t)length < room);
}

static void add_policy(struct qb_origin_response *response, const char *host)
{
    char value[sizeof policy + 2 * HOST_BYTES_MAX + 16];

    if (is_host(host)) {
        (void)snprintf(value, sizeof value, "%s ws://%s wss://%s", policy, host, host);
    } else {
        (void)snprintf(value, sizeof value, "%s", policy);
    }
    add_header(response, "Content-Security-Policy", value);
}

static void fill_body(struct qb_origin_response *response, const struct qb_pack_asset *asset,
                      enum qb_pack_encoding encoding)
{
    response->content_type = asset->content_type;
    response->frame = asset->bodies[encoding];
    response->body = response->frame->bytes;
    response->length = response->frame->length;
    if (encoding_names[encoding] != NULL) {
        add_header(response, "Content-Encoding", encoding_names[encoding]);
    }
}

static void clear_body(struct qb_origin_response *response)
{
    response->content_type = NULL;
    response->frame = NULL;
    response->body = NULL;
    response->length = 0;
}

/* Whether a Range applies: it does not if the client's copy is of another version (If-Range). */
static bool wants_range(const struct qb_origin_request *request, const char *etag)
{
    if (request->range == NULL || strcmp(request->method, "GET") != 0) return false;
    return request->if_range == NULL || strcmp(request->if_range, etag) == 0;
}

static void answer_range(const struct qb_origin_request *request,
                         struct qb_origin_response *response)
{
    char content_range[80];
    size_t first = 0;
    size_t length = 0;
    size_t whole = response->length;

    switch (qb_negotiate_range(request->range, whole, &first, &length)) {
    case QB_RANGE_NONE:
        return;
    case QB_RANGE_PART:
        (void)snprintf(content_range, sizeof content_range, "bytes %zu-%zu/%zu", first,
                       first + length - 1, whole);
        response->status = 206;
        response->body = response->frame->bytes + first;
        response->length = length;
        break;
    case QB_RANGE_UNSATISFIABLE:
        (void)snprintf(content_range, sizeof content_range, "bytes */%zu", whole);
        response->status = 416;
        response->content_type = NULL;
        response->body = NULL;
        response->length = 0;
        break;
    }
    response->frame = NULL;
    add_header(response, "Content-Range", content_range);
}

static void answer_asset(const struct qb_origin_request *request, const struct qb_pack_asset *asset,
                         struct qb_origin_response *response)
{
    bool offered[QB_PACK_ENCODINGS];

    for (int i = 0; i < QB_PACK_ENCODINGS; i++) offered[i] = asset->bodies[i] != NULL;
    enum qb_pack_encoding encoding = qb_negotiate_encoding(request->accept_encoding, offered);

    add_header(response, "Vary", "Accept-Encoding");
    if (encoding == QB_PACK_ENCODINGS) {
        response->status = 406;
        return;
    }
    response->status = 200;
    response->cache_control =
        asset->is_immutable ? "public, max-age=31536000, immutable" : "no-cache";
    (void)snprintf(response->etag, sizeof response->etag, "\"%s%s\"", asset->hash,
                   etag_suffixes[encoding]);
    if (asset->is_page) add_policy(response, request->host);
    if (qb_negotiate_etag(request->if_none_match, response->etag)) {
        response->status = 304;
        return;
    }
    fill_body(response, asset, encoding);
    if (encoding != QB_PACK_IDENTITY) return;
    add_header(response, "Accept-Ranges", "bytes");
    if (wants_range(request, response->etag)) answer_range(request, response);
}

static void answer_unknown(const struct qb_origin_request *request,
                           struct qb_origin_response *response)
{
    const struct qb_pack_asset *page = find_asset(PAGE);
    struct qb_origin_request plain = *request;

    add_header(response, "Vary", "Accept");
    if (page != NULL && request->accept != NULL && strstr(request->accept, "text/html") != NULL) {
        plain.if_none_match = NULL;
        plain.range = NULL;
        answer_asset(&plain, page, response);
        response->etag[0] = '\0'; /* an error has no version to compare with */
    }
    response->status = 404;
}

void qb_origin_answer(const struct qb_origin_request *request, struct qb_origin_response *response)
{
    const char *path = is_view(request->path) ? PAGE : request->path;
    const struct qb_pack_asset *asset = find_asset(path);

    (void)memset(response, 0, sizeof *response);
    if (asset == NULL) {
        answer_unknown(request, response);
        return;
    }
    if (strcmp(request->method, "GET") != 0 && strcmp(request->method, "HEAD") != 0) {
        add_header(response, "Allow", "GET, HEAD");
        response->status = 405;
        return;
    }
    answer_asset(request, asset, response);
    if (response->status != 200 && response->status != 206) clear_body(response);
}
