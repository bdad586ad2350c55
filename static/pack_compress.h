/*
 * Compression at its hardest setting, for what is compressed once and sent often. Build time only;
 * the same bytes give the same result.
 */
#pragma once

#include <stddef.h>

#include "base/attributes.h"

struct qb_pack_bytes {
    void *bytes; /* null: not smaller than the original */
    size_t length;
};

void qb_pack_bytes_fini(struct qb_pack_bytes *bytes);

/* gzip (RFC 1952) without a time or a name in its head. Null bytes unless it gets smaller. */
QB_MUST_USE struct qb_pack_bytes qb_pack_gzip(const void *bytes, size_t length);

/* Brotli (RFC 7932). Null bytes unless it gets smaller. */
QB_MUST_USE struct qb_pack_bytes qb_pack_brotli(const void *bytes, size_t length);
