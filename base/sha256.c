#include "base/sha256.h"

#include <stdatomic.h>
#include <string.h>

#include "base/sha256_block.h"

const uint32_t qb_sha256_constants[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static uint32_t rotate(uint32_t value, unsigned bits)
{
    return (value >> bits) | (value << (32 - bits));
}

static uint32_t load(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static void store(uint8_t *at, uint32_t value)
{
    at[0] = (uint8_t)(value >> 24);
    at[1] = (uint8_t)(value >> 16);
    at[2] = (uint8_t)(value >> 8);
    at[3] = (uint8_t)value;
}

void qb_sha256_block_plain(uint32_t state[8], const uint8_t block[QB_SHA256_BLOCK_BYTES])
{
    uint32_t w[64];
    uint32_t v[8];

    for (size_t i = 0; i < 16; i++) w[i] = load(&block[i * 4]);
    for (size_t i = 16; i < 64; i++) {
        uint32_t s0 = rotate(w[i - 15], 7) ^ rotate(w[i - 15], 18) ^ (w[i - 15] >> 3);
        uint32_t s1 = rotate(w[i - 2], 17) ^ rotate(w[i - 2], 19) ^ (w[i - 2] >> 10);
        w[i] = w[i - 16] + s0 + w[i - 7] + s1;
    }
    (void)memcpy(v, state, sizeof v);
    for (size_t i = 0; i < 64; i++) {
        uint32_t s1 = rotate(v[4], 6) ^ rotate(v[4], 11) ^ rotate(v[4], 25);
        uint32_t choice = (v[4] & v[5]) ^ (~v[4] & v[6]);
        uint32_t t1 = v[7] + s1 + choice + qb_sha256_constants[i] + w[i];
        uint32_t s0 = rotate(v[0], 2) ^ rotate(v[0], 13) ^ rotate(v[0], 22);
        uint32_t majority = (v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]);
        (void)memmove(&v[1], &v[0], 7 * sizeof v[0]);
        v[4] += t1;
        v[0] = t1 + s0 + majority;
    }
    for (size_t i = 0; i < 8; i++) state[i] += v[i];
}

static void compress(uint32_t state[8], const uint8_t block[QB_SHA256_BLOCK_BYTES])
{
    enum { UNKNOWN, PLAIN, INSTRUCTIONS };
    static atomic_int way; /* two threads that find it out at once find the same */

    if (atomic_load_explicit(&way, memory_order_relaxed) == UNKNOWN)
        atomic_store_explicit(&way, qb_sha256_has_instructions() ? INSTRUCTIONS : PLAIN,
                              memory_order_relaxed);
    if (atomic_load_explicit(&way, memory_order_relaxed) == INSTRUCTIONS)
        qb_sha256_block_instructions(state, block);
    else
        qb_sha256_block_plain(state, block);
}

void qb_sha256_init(struct qb_sha256 *sha)
{
    static const uint32_t start[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                      0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

    (void)memcpy(sha->state, start, sizeof start);
    sha->length = 0;
}

void qb_sha256_update(struct qb_sha256 *sha, const void *bytes, size_t length)
{
    const uint8_t *at = bytes;
    size_t filled = (size_t)(sha->length % 64);

    sha->length += length;
    while (length > 0) {
        size_t part = 64 - filled < length ? 64 - filled : length;
        (void)memcpy(&sha->block[filled], at, part);
        at += part;
        length -= part;
        filled += part;
        if (filled == 64) {
            compress(sha->state, sha->block);
            filled = 0;
        }
    }
}

void qb_sha256_final(struct qb_sha256 *sha, uint8_t digest[QB_SHA256_BYTES])
{
    uint64_t bits = sha->length * 8;
    size_t filled = (size_t)(sha->length % 64);

    sha->block[filled++] = 0x80;
    if (filled > 56) {
        (void)memset(&sha->block[filled], 0, 64 - filled);
        compress(sha->state, sha->block);
        filled = 0;
    }
    (void)memset(&sha->block[filled], 0, 56 - filled);
    store(&sha->block[56], (uint32_t)(bits >> 32));
    store(&sha->block[60], (uint32_t)bits);
    compress(sha->state, sha->block);
    for (size_t i = 0; i < 8; i++) store(&digest[i * 4], sha->state[i]);
}

void qb_sha256_of(const void *bytes, size_t length, uint8_t digest[QB_SHA256_BYTES])
{
    struct qb_sha256 sha;

    qb_sha256_init(&sha);
    qb_sha256_update(&sha, bytes, length);
    qb_sha256_final(&sha, digest);
}

void qb_sha256_hmac(const void *key, size_t key_length, const void *bytes, size_t length,
                    uint8_t digest[QB_SHA256_BYTES])
{
    uint8_t pad[64] = {0};
    struct qb_sha256 sha;

    if (key_length > sizeof pad)
        qb_sha256_of(key, key_length, pad);
    else if (key_length > 0)
        (void)memcpy(pad, key, key_length);
    for (size_t i = 0; i < sizeof pad; i++) pad[i] ^= 0x36;
    qb_sha256_init(&sha);
    qb_sha256_update(&sha, pad, sizeof pad);
    qb_sha256_update(&sha, bytes, length);
    qb_sha256_final(&sha, digest);
    for (size_t i = 0; i < sizeof pad; i++) pad[i] ^= 0x36 ^ 0x5c;
    qb_sha256_init(&sha);
    qb_sha256_update(&sha, pad, sizeof pad);
    qb_sha256_update(&sha, digest, QB_SHA256_BYTES);
    qb_sha256_final(&sha, digest);
}
