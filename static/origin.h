/*
 * The page and the client module as a CDN's origin: everything under static/site and static/sdk is
 * inside the binary (static/pack.c puts it there), fingerprinted, compressed beforehand, and
 * answered without touching a file.
 *
 * A name with a fingerprint never changes its content, so caches may keep it for ever; HTML and
 * plain names are asked for again each time and mostly answered with 304.
 *
 * Pure look-up; any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/frame.h"

#define QB_ORIGIN_HEADERS_BYTES 1024
#define QB_ORIGIN_ETAG_BYTES    64

/* A request as the HTTP server parsed it. Any header may be null: it was not sent. Values are
 * untrusted; what is malformed in them is ignored as RFC 9110 says. */
struct qb_origin_request {
    const char *method; /* "GET" */
    const char *path;   /* decoded, without the query */
    const char *accept;
    const char *accept_encoding;
    const char *if_none_match;
    const char *range;
    const char *if_range;
    const char *host; /* named in the page's policy, for browsers where 'self' leaves out ws: */
};

struct qb_origin_response {
    int status;                      /* 200, 206, 304, 404, 405, 406 or 416 */
    const char *content_type;        /* static; null: no body */
    const char *cache_control;       /* static; null: none */
    char etag[QB_ORIGIN_ETAG_BYTES]; /* strong, with its quotes; empty: none */
    /* Further header lines, each ending in \r\n: Vary, Content-Encoding, Accept-Ranges,
     * Content-Range, Allow and, for HTML, Content-Security-Policy. */
    char headers[QB_ORIGIN_HEADERS_BYTES];
    const void *body; /* static; what to send; null: nothing (304, 404 and other errors) */
    size_t length;
    struct qb_frame *frame; /* borrowed for ever, its bytes are the whole body; null for a range */
};

/*
 * Answers a request for anything that is not the API. Paths of the page's own views (`/`,
 * `/a/{id}`, `/sell`, `/me/…`, `/login`, `/join`, `/help`) give its HTML. An unknown path is 404,
 * with the HTML as its body for a browser that asks for a page, without a body for all others.
 *
 * The body of a HEAD is filled in like that of a GET, so that the server can tell its length.
 */
void qb_origin_answer(const struct qb_origin_request *request, struct qb_origin_response *response);
