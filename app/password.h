/*
 * Passwords as scrypt verifiers (security.md S17, S19, S20): "$scrypt$ln=14,r=8,p=5$SALT$HASH",
 * salt and hash in base64url. One hash takes 16 MiB and about 0.2 s: worker threads only.
 *
 * Any thread. Derived bytes are wiped here; the caller wipes the password.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/attributes.h"

#define QB_PASSWORD_BYTES_MIN      8
#define QB_PASSWORD_BYTES_MAX      128
#define QB_PASSWORD_VERIFIER_BYTES 201 /* with its zero byte */

/* Null if it may be a password, else a sentence that says what would do. */
const char *qb_password_problem(const char *password, size_t length);

/* Makes a verifier with a new salt. False when OpenSSL lacks the memory. */
QB_MUST_USE bool qb_password_hash(const char *password, size_t length,
                                  char verifier[QB_PASSWORD_VERIFIER_BYTES]);

/*
 * Whether `password` is the one of `verifier`, compared in constant time. A null or unreadable
 * verifier costs the same hash and is false.
 *
 * is_outdated  set when it matches but was made with other parameters than today's: hash again
 */
QB_MUST_USE bool qb_password_verify(const char *password, size_t length, const char *verifier,
                                    bool *is_outdated);
