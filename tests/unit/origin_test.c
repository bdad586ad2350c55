/*
 * The origin as a browser, a CDN and a stranger meet it, against the page that is really packed.
 */
#include <stdlib.h>

#include "static/negotiate.h"
#include "static/origin.h"
#include "static/pack.h"
#include "tests/kit/test.h"

static struct qb_origin_response ask(struct qb_origin_request request)
{
    struct qb_origin_response response;

    if (request.method == NULL) request.method = "GET";
    qb_origin_answer(&request, &response);
    return response;
}

/* The fingerprinted name of the asset with this plain path. */
static const char *immutable_path(const char *plain)
{
    size_t stem = strlen(plain) - strlen(strrchr(plain, '.'));

    for (size_t i = 0; i < qb_pack_asset_count; i++) {
        const struct qb_pack_asset *asset = &qb_pack_assets[i];
        if (asset->is_immutable && strncmp(asset->path, plain, stem) == 0 &&
            strlen(asset->path) == strlen(plain) + 13) {
            return asset->path;
        }
    }
    return "(none)";
}

static bool has(const struct qb_origin_response *response, const char *text)
{
    return strstr(response->headers, text) != NULL;
}

QB_TEST(every_view_of_the_page_is_its_html)
{
    static const char *const views[] = {"/",   "/a/01jabcdefghjk", "/sell", "/login", "/join",
                                        "/me", "/me/payments",     "/help"};

    for (size_t i = 0; i < QB_COUNT(views); i++) {
        struct qb_origin_response response = ask((struct qb_origin_request){.path = views[i]});
        QB_EXPECT_EQ(response.status, 200, views[i]);
        QB_EXPECT_TEXT(response.content_type, "text/html; charset=utf-8", views[i]);
        QB_EXPECT_TEXT(response.cache_control, "no-cache", views[i]);
        QB_EXPECT(has(&response, "Content-Security-Policy: default-src 'self'"), views[i]);
        QB_EXPECT(!has(&response, "unsafe"), views[i]);
    }
}

QB_TEST(an_unknown_path_is_not_found)
{
    static const char *const paths[] = {"/nowhere",
                                        "/a/",
                                        "/a/short",
                                        "/a/01JABCDEFGHJK",
                                        "/a/01jabcdefghjk/x",
                                        "/static/",
                                        "/static/app.js.map",
                                        "/me/",
                                        "/index.html/",
                                        "/../etc/passwd",
                                        ""};

    for (size_t i = 0; i < QB_COUNT(paths); i++) {
        struct qb_origin_response response = ask((struct qb_origin_request){.path = paths[i]});
        QB_EXPECT_EQ(response.status, 404, paths[i]);
        QB_EXPECT(response.body == NULL, paths[i]);
    }
}

QB_TEST(a_person_who_is_lost_gets_the_page_but_not_a_cacheable_one)
{
    struct qb_origin_response response = ask((struct qb_origin_request){
        .path = "/nowhere", .accept = "text/html,*/*", .if_none_match = "*", .range = "bytes=0-1"});

    QB_EXPECT_EQ(response.status, 404, "still not found");
    QB_EXPECT(response.length > 100, "the page says so");
    QB_EXPECT(response.etag[0] == '\0', "nothing to compare with");
    QB_EXPECT(has(&response, "Vary: Accept\r\n"), "by what was asked for");
}

QB_TEST(a_fingerprinted_name_may_be_kept_for_ever)
{
    const char *path = immutable_path("/static/app.js");
    struct qb_origin_response response = ask((struct qb_origin_request){.path = path});

    QB_EXPECT_EQ(response.status, 200, path);
    QB_EXPECT_TEXT(response.cache_control, "public, max-age=31536000, immutable", path);
    QB_EXPECT_TEXT(response.content_type, "text/javascript; charset=utf-8", path);
    QB_EXPECT(!has(&response, "Content-Security-Policy"), "only pages need one");
    response = ask((struct qb_origin_request){.path = "/static/sdk/quickbid.js"});
    QB_EXPECT_EQ(response.status, 200, "the plain name");
    QB_EXPECT_TEXT(response.cache_control, "no-cache", "the plain name");
}

QB_TEST(the_page_names_only_what_is_packed)
{
    struct qb_origin_response page = ask((struct qb_origin_request){.path = "/"});
    char *html = strndup(page.body, page.length);
    int count = 0;

    for (char *at = html; (at = strstr(at, "\"/static/")) != NULL; count++) {
        char *end = strchr(++at, '"');
        QB_EXPECT(end != NULL, "a closing quote");
        if (end == NULL) break;
        *end = '\0';
        struct qb_origin_response response = ask((struct qb_origin_request){.path = at});
        QB_EXPECT_EQ(response.status, 200, at);
        QB_EXPECT_TEXT(response.cache_control, "public, max-age=31536000, immutable", at);
        at = end + 1;
    }
    QB_EXPECT(count >= 3, "script, style, icon");
    free(html);
}

QB_TEST(the_policy_names_the_host_only_if_it_is_one)
{
    static const struct {
        const char *host;
        const char *expected;
    } rows[] = {
        {"bids.example:4010",
         "connect-src 'self' ws://bids.example:4010 wss://bids.example:4010\r\n"},
        {"[::1]:4010", "connect-src 'self' ws://[::1]:4010 wss://[::1]:4010\r\n"},
        {"evil; script-src *", "connect-src 'self'\r\n"},
        {"a b", "connect-src 'self'\r\n"},
        {"a\r\nX: y", "connect-src 'self'\r\n"},
        {"", "connect-src 'self'\r\n"},
        {NULL, "connect-src 'self'\r\n"},
    };

    for (size_t i = 0; i < QB_COUNT(rows); i++) {
        struct qb_origin_response response =
            ask((struct qb_origin_request){.path = "/", .host = rows[i].host});
        QB_EXPECT(has(&response, rows[i].expected), rows[i].host != NULL ? rows[i].host : "null");
    }
    char longest[300];
    (void)memset(longest, 'a', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    struct qb_origin_response response =
        ask((struct qb_origin_request){.path = "/", .host = longest});
    QB_EXPECT(has(&response, "connect-src 'self'\r\n"), "too long");
}

QB_TEST(an_encoding_is_taken_from_what_the_client_likes)
{
    static const bool all[] = {true, true, true};
    static const bool plain[] = {false, false, true};
    static const struct {
        const char *accept;
        const bool *offered;
        enum qb_pack_encoding expected;
    } rows[] = {
        {NULL, all, QB_PACK_IDENTITY},
        {"", all, QB_PACK_IDENTITY},
        {"gzip, deflate, br, zstd", all, QB_PACK_BROTLI},
        {"gzip", all, QB_PACK_GZIP},
        {"GZIP ; Q=0.5", all, QB_PACK_GZIP},
        {"x-gzip", all, QB_PACK_GZIP},
        {"br;q=0.5, gzip", all, QB_PACK_GZIP},
        {"br;q=0.500,gzip;q=0.501", all, QB_PACK_GZIP},
        {"br;q=0, gzip;q=0", all, QB_PACK_IDENTITY},
        {"*", all, QB_PACK_BROTLI},
        {"*;q=0", all, QB_PACK_ENCODINGS},
        {"*;q=0, gzip", all, QB_PACK_GZIP},
        {"identity;q=0", all, QB_PACK_ENCODINGS},
        {"identity;q=0, *", all, QB_PACK_BROTLI},
        {"identity, br;q=0.9", all, QB_PACK_IDENTITY},
        {"identity;q=0, br", plain, QB_PACK_ENCODINGS},
        {"br, gzip", plain, QB_PACK_IDENTITY},
        {"br;q=2, gzip;q=0.2", all, QB_PACK_GZIP},
        {"br;q=, br;x=1, gzip", all, QB_PACK_GZIP},
        {"br;q=0.0001, gzip", all, QB_PACK_GZIP},
        {",,  ,br", all, QB_PACK_BROTLI},
        {"brr, gzi", all, QB_PACK_IDENTITY},
    };

    for (size_t i = 0; i < QB_COUNT(rows); i++) {
        QB_EXPECT_EQ(qb_negotiate_encoding(rows[i].accept, rows[i].offered), rows[i].expected,
                     rows[i].accept != NULL ? rows[i].accept : "null");
    }
}

QB_TEST(each_encoding_has_its_own_strong_tag)
{
    const char *path = immutable_path("/static/vendor/chart.js");
    struct qb_origin_response plain = ask((struct qb_origin_request){.path = path});
    struct qb_origin_response gzip =
        ask((struct qb_origin_request){.path = path, .accept_encoding = "gzip"});
    struct qb_origin_response brotli =
        ask((struct qb_origin_request){.path = path, .accept_encoding = "br"});

    QB_EXPECT(brotli.length < gzip.length && gzip.length < plain.length, "each one smaller");
    QB_EXPECT(has(&brotli, "Content-Encoding: br\r\n"), "says so");
    QB_EXPECT(has(&gzip, "Content-Encoding: gzip\r\n"), "says so");
    QB_EXPECT(!has(&plain, "Content-Encoding"), "nothing to say");
    QB_EXPECT(has(&plain, "Vary: Accept-Encoding\r\n"), "so that caches keep them apart");
    QB_EXPECT(strcmp(plain.etag, gzip.etag) != 0 && strcmp(gzip.etag, brotli.etag) != 0, "tags");
    QB_EXPECT(plain.etag[0] == '"', "strong");
    QB_EXPECT_EQ(memcmp(gzip.body, "\x1f\x8b\x08\x00\x00\x00\x00\x00", 8), 0,
                 "gzip without a time");
    QB_EXPECT_EQ(plain.frame->length, plain.length, "the frame is the whole body");
}

QB_TEST(what_the_client_has_is_not_sent_again)
{
    struct qb_origin_response first = ask((struct qb_origin_request){.path = "/"});
    char list[256];
    static const char *const forms[] = {"%s", "W/%s", "\"x\", %s", "\"x\" , W/\"y\",%s", " * "};

    for (size_t i = 0; i < QB_COUNT(forms); i++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        (void)snprintf(list, sizeof list, forms[i], first.etag);
#pragma GCC diagnostic pop
        struct qb_origin_response again =
            ask((struct qb_origin_request){.path = "/", .if_none_match = list});
        QB_EXPECT_EQ(again.status, 304, list);
        QB_EXPECT(again.body == NULL && again.content_type == NULL && again.frame == NULL, list);
        QB_EXPECT_TEXT(again.etag, first.etag, list);
        QB_EXPECT_TEXT(again.cache_control, "no-cache", list);
        QB_EXPECT(has(&again, "Vary: Accept-Encoding\r\n"), list);
    }
    static const char *const others[] = {"", "\"x\"", "x", "W/", "\"", "*x", "\"x\" \"y\"", ",,"};
    for (size_t i = 0; i < QB_COUNT(others); i++) {
        struct qb_origin_response again =
            ask((struct qb_origin_request){.path = "/", .if_none_match = others[i]});
        QB_EXPECT_EQ(again.status, 200, others[i]);
    }
}

QB_TEST(a_range_is_cut_out_of_the_plain_body)
{
    static const struct {
        const char *range;
        enum qb_range_outcome outcome;
        size_t first;
        size_t length;
    } rows[] = {
        {NULL, QB_RANGE_NONE, 0, 0},
        {"bytes=0-9", QB_RANGE_PART, 0, 10},
        {"BYTES=10-", QB_RANGE_PART, 10, 90},
        {"bytes=-5", QB_RANGE_PART, 95, 5},
        {"bytes=-500", QB_RANGE_PART, 0, 100},
        {"bytes=99-5000", QB_RANGE_PART, 99, 1},
        {"bytes=100-", QB_RANGE_UNSATISFIABLE, 0, 0},
        {"bytes=-0", QB_RANGE_UNSATISFIABLE, 0, 0},
        {"bytes=5-4", QB_RANGE_NONE, 0, 0},
        {"bytes=0-1,3-4", QB_RANGE_NONE, 0, 0},
        {"bytes=-", QB_RANGE_NONE, 0, 0},
        {"bytes=a-b", QB_RANGE_NONE, 0, 0},
        {"bytes= 0-1", QB_RANGE_NONE, 0, 0},
        {"lines=0-1", QB_RANGE_NONE, 0, 0},
        {"bytes=99999999999999999999-", QB_RANGE_NONE, 0, 0},
    };

    for (size_t i = 0; i < QB_COUNT(rows); i++) {
        const char *says = rows[i].range != NULL ? rows[i].range : "null";
        size_t first = 0;
        size_t length = 0;
        QB_EXPECT_EQ(qb_negotiate_range(rows[i].range, 100, &first, &length), rows[i].outcome,
                     says);
        QB_EXPECT_EQ(first, rows[i].first, says);
        QB_EXPECT_EQ(length, rows[i].length, says);
    }
}

QB_TEST(a_range_is_answered_with_its_place)
{
    const char *path = immutable_path("/static/vendor/chart.js");
    struct qb_origin_response whole = ask((struct qb_origin_request){.path = path});
    struct qb_origin_response part =
        ask((struct qb_origin_request){.path = path, .range = "bytes=2-5"});

    QB_EXPECT_EQ(part.status, 206, "a part");
    QB_EXPECT_EQ(part.length, 4, "as much as asked for");
    QB_EXPECT(part.frame == NULL, "no frame: it is not the whole");
    QB_EXPECT(part.body == (const char *)whole.body + 2, "from there");
    QB_EXPECT(has(&part, "Content-Range: bytes 2-5/"), "its place");
    part = ask((struct qb_origin_request){.path = path, .range = "bytes=99999999-"});
    QB_EXPECT_EQ(part.status, 416, "beyond the end");
    QB_EXPECT(has(&part, "Content-Range: bytes */"), "how long it is");
    QB_EXPECT(part.body == NULL, "nothing to send");
    part = ask((struct qb_origin_request){.path = path, .range = "bytes=2-5", .method = "HEAD"});
    QB_EXPECT_EQ(part.status, 200, "HEAD has no ranges");
    part = ask((struct qb_origin_request){
        .path = path, .range = "bytes=2-5", .if_range = "\"another version\""});
    QB_EXPECT_EQ(part.status, 200, "of another version: all of it");
    part =
        ask((struct qb_origin_request){.path = path, .range = "bytes=2-5", .if_range = whole.etag});
    QB_EXPECT_EQ(part.status, 206, "of this version");
    part = ask(
        (struct qb_origin_request){.path = path, .range = "bytes=2-5", .accept_encoding = "gzip"});
    QB_EXPECT_EQ(part.status, 200, "never out of a compressed body");
}

QB_TEST(only_reading_is_allowed)
{
    static const char *const methods[] = {"POST", "PUT", "DELETE", "OPTIONS", "get", ""};

    for (size_t i = 0; i < QB_COUNT(methods); i++) {
        struct qb_origin_response response =
            ask((struct qb_origin_request){.path = "/", .method = methods[i]});
        QB_EXPECT_EQ(response.status, 405, methods[i]);
        QB_EXPECT(has(&response, "Allow: GET, HEAD\r\n"), methods[i]);
    }
    struct qb_origin_response head = ask((struct qb_origin_request){.path = "/", .method = "HEAD"});
    QB_EXPECT_EQ(head.status, 200, "HEAD");
    QB_EXPECT(head.length > 0, "tells the length");
}

QB_TEST(who_takes_nothing_that_there_is_is_told_so)
{
    struct qb_origin_response response =
        ask((struct qb_origin_request){.path = "/", .accept_encoding = "*;q=0"});

    QB_EXPECT_EQ(response.status, 406, "not acceptable");
    QB_EXPECT(response.body == NULL, "without a body");
}
