/*
 * One block of SHA-256, private to base/sha256*.c and its test: in plain C, and with the SHA
 * instructions of x86-64 processors that have them, about ten times as fast.
 *
 * Any thread; no allocation.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define QB_SHA256_BLOCK_BYTES 64

/* FIPS 180-4, 4.2.2 */
extern const uint32_t qb_sha256_constants[64];

void qb_sha256_block_plain(uint32_t state[8], const uint8_t block[QB_SHA256_BLOCK_BYTES]);

/* Whether this processor can do the next one. */
bool qb_sha256_has_instructions(void);
void qb_sha256_block_instructions(uint32_t state[8], const uint8_t block[QB_SHA256_BLOCK_BYTES]);
