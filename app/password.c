#include "app/password.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/random.h"
#include "base/text.h"

#define SALT_BYTES 16
#define HASH_BYTES 32

/* The largest accepted parameters take 128 MiB; OpenSSL's own cap would refuse them. */
#define MEMORY_BYTES_MAX (UINT64_C(160) << 20)

struct parameters {
    unsigned log_n;
    unsigned r;
    unsigned p;
};

static const struct parameters today = {.log_n = 14, .r = 8, .p = 5};

struct verifier {
    struct parameters cost;
    uint8_t salt[SALT_BYTES];
    uint8_t hash[HASH_BYTES];
};

const char *qb_password_problem(const char *password, size_t length)
{
    if (length < QB_PASSWORD_BYTES_MIN) return "The password is too short: use 8 bytes or more.";
    if (length > QB_PASSWORD_BYTES_MAX) return "The password is too long: use at most 128 bytes.";
    if (memchr(password, '\0', length) != NULL)
        return "The password holds a zero byte. Leave it out.";
    if (!qb_utf8_is_valid(password, length)) return "The password is not valid UTF-8.";
    return NULL;
}

static bool derive(const char *password, size_t length, const struct parameters *cost,
                   const uint8_t salt[SALT_BYTES], uint8_t hash[HASH_BYTES])
{
    return EVP_PBE_scrypt(password, length, salt, SALT_BYTES, UINT64_C(1) << cost->log_n, cost->r,
                          cost->p, MEMORY_BYTES_MAX, hash, HASH_BYTES) == 1;
}

/* Reads `before` and then a number of one or two digits. */
static bool take_number(const char **at, const char *before, unsigned *number)
{
    size_t length = strlen(before);

    if (strncmp(*at, before, length) != 0) return false;
    *at += length;
    *number = 0;
    int digits = 0;
    for (; **at >= '0' && **at <= '9' && digits < 2; digits++, (*at)++)
        *number = *number * 10 + (unsigned)(**at - '0');
    return digits > 0;
}

static bool take_bytes(const char **at, uint8_t *bytes, size_t length)
{
    size_t parsed = 0;

    if (**at != '$') return false;
    (*at)++;
    size_t text_length = strcspn(*at, "$");
    if (!qb_base64url_parse(*at, text_length, bytes, length, &parsed)) return false;
    *at += text_length;
    return parsed == length;
}

static bool parse(const char *text, struct verifier *verifier)
{
    struct parameters *cost = &verifier->cost;
    const char *at = text;

    if (!take_number(&at, "$scrypt$ln=", &cost->log_n)) return false;
    if (!take_number(&at, ",r=", &cost->r)) return false;
    if (!take_number(&at, ",p=", &cost->p)) return false;
    if (cost->log_n < 10 || cost->log_n > 17 || cost->r != 8) return false;
    if (cost->p < 1 || cost->p > 8) return false;
    if (!take_bytes(&at, verifier->salt, SALT_BYTES)) return false;
    if (!take_bytes(&at, verifier->hash, HASH_BYTES)) return false;
    return *at == '\0';
}

bool qb_password_hash(const char *password, size_t length,
                      char verifier[QB_PASSWORD_VERIFIER_BYTES])
{
    uint8_t salt[SALT_BYTES];
    uint8_t hash[HASH_BYTES];
    char salt_text[SALT_BYTES * 2];
    char hash_text[HASH_BYTES * 2];

    qb_random_secret(salt, sizeof salt);
    if (!derive(password, length, &today, salt, hash)) return false;
    (void)qb_base64url(salt, sizeof salt, salt_text);
    (void)qb_base64url(hash, sizeof hash, hash_text);
    (void)snprintf(verifier, QB_PASSWORD_VERIFIER_BYTES, "$scrypt$ln=%u,r=%u,p=%u$%s$%s",
                   today.log_n, today.r, today.p, salt_text, hash_text);
    OPENSSL_cleanse(hash, sizeof hash);
    OPENSSL_cleanse(hash_text, sizeof hash_text);
    return true;
}

bool qb_password_verify(const char *password, size_t length, const char *text, bool *is_outdated)
{
    struct verifier verifier = {.cost = today};
    uint8_t hash[HASH_BYTES];

    /* Without a readable verifier there is still one hash, so that time tells nothing (S19). */
    bool is_known = text != NULL && parse(text, &verifier);
    if (!is_known) verifier.cost = today;
    bool is_derived = derive(password, length, &verifier.cost, verifier.salt, hash);
    bool is_same = is_derived && qb_equal_secret(hash, verifier.hash, sizeof hash);
    OPENSSL_cleanse(hash, sizeof hash);
    *is_outdated = verifier.cost.log_n != today.log_n || verifier.cost.p != today.p;
    return is_known && is_same;
}
