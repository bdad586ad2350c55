/*
 * SHA-256 and HMAC-SHA-256 (FIPS 180-4, RFC 2104), pure, so that `bidding/` can hash without a
 * library. A test holds it against OpenSSL.
 *
 * Any thread; no allocation.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define QB_SHA256_BYTES 32

struct qb_sha256 {
    uint32_t state[8];
    uint64_t length; /* bytes taken so far */
    uint8_t block[64];
};

void qb_sha256_init(struct qb_sha256 *sha);
void qb_sha256_update(struct qb_sha256 *sha, const void *bytes, size_t length);
void qb_sha256_final(struct qb_sha256 *sha, uint8_t digest[QB_SHA256_BYTES]);

/* The digest of one run of bytes. */
void qb_sha256_of(const void *bytes, size_t length, uint8_t digest[QB_SHA256_BYTES]);

/* HMAC-SHA-256 of `bytes` under `key`. */
void qb_sha256_hmac(const void *key, size_t key_length, const void *bytes, size_t length,
                    uint8_t digest[QB_SHA256_BYTES]);
