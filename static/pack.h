/*
 * What the build-time tool static/pack.c writes and static/origin.c reads: a sorted table of
 * assets. Each body is a qb_frame laid out in the binary's data with one holder for ever, so that
 * a socket can send it without a copy and nobody ever frees it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/frame.h"

/* In the order in which the server prefers them when a client likes them equally. */
enum qb_pack_encoding {
    QB_PACK_BROTLI,
    QB_PACK_GZIP,
    QB_PACK_IDENTITY,
    QB_PACK_ENCODINGS,
};

struct qb_pack_asset {
    const char *path; /* of the URL */
    const char *content_type;
    const char *hash;                           /* of the content, hex */
    bool is_immutable;                          /* the path has the hash in it */
    bool is_page;                               /* HTML */
    struct qb_frame *bodies[QB_PACK_ENCODINGS]; /* null: not smaller than the content itself */
};

/* Sorted by path in byte order. */
extern const struct qb_pack_asset qb_pack_assets[];
extern const size_t qb_pack_asset_count;
