/*
 * The signing keys behind app/token.h; private to app/token*.c.
 */
#pragma once

#include <openssl/evp.h>

#include "app/token.h"

#define QB_TOKEN_KEYS_MAX     2
#define QB_TOKEN_HEADER_BYTES 96

struct qb_token_key {
    EVP_PKEY *pair;
    char header[QB_TOKEN_HEADER_BYTES]; /* JSON */
};

struct qb_token_keys {
    struct qb_token_key keys[QB_TOKEN_KEYS_MAX]; /* the first one signs */
    size_t count;
};
