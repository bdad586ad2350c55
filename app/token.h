/*
 * Access tokens: JWT in compact form, Ed25519, one fixed header per key (security.md S23 to S27).
 * What a token's header says selects nothing: it must be, byte for byte, the header of a key here.
 *
 * Any thread once the keys are open; a verification takes about 70 us.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attributes.h"
#include "base/error.h"

#define QB_TOKEN_TEXT_BYTES  1024 /* room for one of ours, with its zero byte */
#define QB_TOKEN_LENGTH_MAX  4096
#define QB_TOKEN_LIFE_MAX_US (INT64_C(15) * 60 * 1000000)
#define QB_TOKEN_LEEWAY_US   (INT64_C(30) * 1000000)
#define QB_TOKEN_ID_BYTES    16

struct qb_token_keys;

/*
 * Opens FOLDER/token.key, and FOLDER/token.key.old if it is there: tokens of both are good, the
 * first one signs. Without token.key a new key is made, mode 0600, durable before it is used.
 *
 * errors  a key file that others may read, that is no regular file, or that is not 64 hex digits
 */
QB_MUST_USE struct qb_token_keys *qb_token_keys_open(const char *folder, struct qb_error *error);
/* Opens a key file that several replicas share, and PATH.old if it is there. It is never made here:
 * two replicas with keys of their own would refuse each other's tokens. */
QB_MUST_USE struct qb_token_keys *qb_token_keys_open_shared(const char *path,
                                                            struct qb_error *error);
void qb_token_keys_free(struct qb_token_keys **keys);

struct qb_token_claims {
    qb_id user;                    /* sub */
    uint64_t login;                /* sid: at most 63 bits, not 0 */
    unsigned roles;                /* enum qb_role of storage/store.h, or-ed */
    qb_time_us issued_us;          /* iat and nbf; whole seconds count */
    qb_time_us expires_us;         /* exp */
    uint8_t id[QB_TOKEN_ID_BYTES]; /* jti; made by qb_token_issue() */
};

/* Signs `claims` and fills in their id. False when OpenSSL fails. */
QB_MUST_USE bool qb_token_issue(const struct qb_token_keys *keys, struct qb_token_claims *claims,
                                char token[QB_TOKEN_TEXT_BYTES]);

enum qb_token_outcome {
    QB_TOKEN_GOOD,
    QB_TOKEN_MALFORMED,   /* not three parts of strict base64url, or too long */
    QB_TOKEN_UNKNOWN_KEY, /* the header is none of ours */
    QB_TOKEN_BAD_SIGNATURE,
    QB_TOKEN_BAD_CLAIMS, /* signed, but a claim is missing, unknown, doubled or of a wrong form */
    QB_TOKEN_EXPIRED,
    QB_TOKEN_NOT_YET,
};

/* `claims` is filled only for a good token. */
QB_MUST_USE enum qb_token_outcome qb_token_verify(const struct qb_token_keys *keys,
                                                  const char *token, size_t length,
                                                  qb_time_us now_us,
                                                  struct qb_token_claims *claims);

/* Signs any header and payload with the signing key, so that tests can forge. */
QB_MUST_USE bool qb_token_sign(const struct qb_token_keys *keys, const char *header,
                               const char *payload, char token[QB_TOKEN_TEXT_BYTES]);

/* The header of the signing key. False if `room` is too small. */
QB_MUST_USE bool qb_token_header(const struct qb_token_keys *keys, char *header, size_t room);
