#include "app/token.h"

#include <openssl/evp.h>
#include <string.h>

#include "app/token_keys.h"
#include "base/assert.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/random.h"
#include "base/text.h"
#include "storage/store.h"

#define PARTY           "quickbid" /* iss and aud: tokens of this server for this server */
#define SIGNATURE_BYTES 64
#define CLAIM_COUNT     9
#define SECONDS_MAX     INT64_C(4102444800) /* the year 2100 */

static const struct {
    const char *name;
    unsigned role;
} roles[] = {{"bidder", QB_ROLE_BIDDER}, {"seller", QB_ROLE_SELLER}, {"admin", QB_ROLE_ADMIN}};

static void json_done(struct qb_json **json)
{
    qb_json_free(json);
}

static void context_done(EVP_MD_CTX **context)
{
    EVP_MD_CTX_free(*context);
}

bool qb_token_sign(const struct qb_token_keys *keys, const char *header, const char *payload,
                   char token[QB_TOKEN_TEXT_BYTES])
{
    uint8_t signature[SIGNATURE_BYTES];
    size_t signature_length = sizeof signature;

    /* Each part is 4/3 of its bytes; 88 are for the signature. */
    if ((strlen(header) + strlen(payload)) / 3 * 4 + 104 > QB_TOKEN_TEXT_BYTES) return false;
    size_t length = qb_base64url(header, strlen(header), token);
    token[length++] = '.';
    length += qb_base64url(payload, strlen(payload), token + length);
    QB_CLEANUP(context_done) EVP_MD_CTX *context = EVP_MD_CTX_new();
    if (context == NULL || EVP_DigestSignInit(context, NULL, NULL, NULL, keys->keys[0].pair) != 1 ||
        EVP_DigestSign(context, signature, &signature_length, (const uint8_t *)token, length) != 1)
        return false;
    token[length++] = '.';
    (void)qb_base64url(signature, signature_length, token + length);
    return true;
}

bool qb_token_header(const struct qb_token_keys *keys, char *header, size_t room)
{
    size_t length = strlen(keys->keys[0].header);

    if (length >= room) return false;
    (void)memcpy(header, keys->keys[0].header, length + 1);
    return true;
}

static void roles_json(struct qb_text *text, unsigned set)
{
    bool is_first = true;

    qb_text_json_name(text, "roles");
    qb_text_string(text, "[");
    for (size_t i = 0; i < QB_COUNT(roles); i++) {
        if ((set & roles[i].role) == 0) continue;
        qb_text_format(text, "%s\"%s\"", is_first ? "" : ",", roles[i].name);
        is_first = false;
    }
    qb_text_string(text, "]");
}

bool qb_token_issue(const struct qb_token_keys *keys, struct qb_token_claims *claims,
                    char token[QB_TOKEN_TEXT_BYTES])
{
    struct qb_text text = {0};
    char id[QB_TOKEN_ID_BYTES * 2];

    QB_ASSERT(claims->user != 0);
    QB_ASSERT(claims->login != 0);
    QB_ASSERT(claims->expires_us - claims->issued_us <= QB_TOKEN_LIFE_MAX_US);
    qb_random_secret(claims->id, sizeof claims->id);
    (void)qb_base64url(claims->id, sizeof claims->id, id);
    int64_t issued_s = claims->issued_us / QB_SECOND_US;
    qb_text_string(&text, "{");
    qb_text_json_text(&text, "iss", PARTY);
    qb_text_json_text(&text, "aud", PARTY);
    qb_text_json_id(&text, "sub", claims->user);
    qb_text_json_text(&text, "jti", id);
    qb_text_json_int(&text, "iat", issued_s);
    qb_text_json_int(&text, "nbf", issued_s);
    qb_text_json_int(&text, "exp", claims->expires_us / QB_SECOND_US);
    qb_text_json_id(&text, "sid", claims->login);
    roles_json(&text, claims->roles);
    qb_text_string(&text, "}");
    bool is_signed = qb_token_sign(keys, keys->keys[0].header, text.bytes, token);
    qb_text_fini(&text);
    return is_signed;
}

static bool take_text(const struct qb_json *payload, const char *name, const char *expected)
{
    size_t length = 0;
    const char *text = qb_json_string(qb_json_member(payload, name), &length);

    return text != NULL && length == strlen(expected) && memcmp(text, expected, length) == 0;
}

static bool take_id(const struct qb_json *payload, const char *name, qb_id *id)
{
    size_t length = 0;
    const char *text = qb_json_string(qb_json_member(payload, name), &length);

    return text != NULL && qb_id_parse(text, length, id);
}

static bool take_time(const struct qb_json *payload, const char *name, qb_time_us *time_us)
{
    int64_t seconds = 0;

    if (!qb_json_integer(qb_json_member(payload, name), &seconds)) return false;
    if (seconds < 0 || seconds > SECONDS_MAX) return false;
    *time_us = seconds * QB_SECOND_US;
    return true;
}

static bool take_token_id(const struct qb_json *payload, uint8_t id[QB_TOKEN_ID_BYTES])
{
    size_t length = 0;
    size_t parsed = 0;
    const char *text = qb_json_string(qb_json_member(payload, "jti"), &length);

    return text != NULL && qb_base64url_parse(text, length, id, QB_TOKEN_ID_BYTES, &parsed) &&
           parsed == QB_TOKEN_ID_BYTES;
}

static unsigned role_of(const struct qb_json *value)
{
    size_t length = 0;
    const char *text = qb_json_string(value, &length);

    for (size_t i = 0; text != NULL && i < QB_COUNT(roles); i++)
        if (length == strlen(roles[i].name) && memcmp(text, roles[i].name, length) == 0)
            return roles[i].role;
    return 0;
}

static bool take_roles(const struct qb_json *payload, unsigned *set)
{
    const struct qb_json *array = qb_json_member(payload, "roles");

    *set = 0;
    if (array == NULL || qb_json_kind_of(array) != QB_JSON_ARRAY) return false;
    for (size_t i = 0; i < qb_json_count(array); i++) {
        unsigned role = role_of(qb_json_element(array, i));
        if (role == 0 || (*set & role) != 0) return false;
        *set |= role;
    }
    return true;
}

static enum qb_token_outcome judge(const char *bytes, size_t length, qb_time_us now_us,
                                   struct qb_token_claims *claims)
{
    static const struct qb_json_limits limits = {.bytes_max = QB_TOKEN_LENGTH_MAX,
                                                 .depth_max = 2,
                                                 .members_max = CLAIM_COUNT + QB_COUNT(roles)};
    QB_CLEANUP(json_done) struct qb_json *payload = qb_json_parse(bytes, length, &limits, NULL);
    qb_time_us not_before_us = 0;

    if (payload == NULL || qb_json_kind_of(payload) != QB_JSON_OBJECT) return QB_TOKEN_BAD_CLAIMS;
    bool is_whole =
        qb_json_count(payload) == CLAIM_COUNT && take_text(payload, "iss", PARTY) &&
        take_text(payload, "aud", PARTY) && take_id(payload, "sub", &claims->user) &&
        take_id(payload, "sid", &claims->login) && take_token_id(payload, claims->id) &&
        take_roles(payload, &claims->roles) && take_time(payload, "iat", &claims->issued_us) &&
        take_time(payload, "nbf", &not_before_us) && take_time(payload, "exp", &claims->expires_us);
    if (!is_whole || not_before_us < claims->issued_us || claims->expires_us <= not_before_us ||
        claims->expires_us - claims->issued_us > QB_TOKEN_LIFE_MAX_US)
        return QB_TOKEN_BAD_CLAIMS;
    if (claims->issued_us > now_us + QB_TOKEN_LEEWAY_US) return QB_TOKEN_NOT_YET;
    if (not_before_us > now_us + QB_TOKEN_LEEWAY_US) return QB_TOKEN_NOT_YET;
    if (claims->expires_us + QB_TOKEN_LEEWAY_US <= now_us) return QB_TOKEN_EXPIRED;
    return QB_TOKEN_GOOD;
}

/* The encoding is strict, so equal bytes and equal text are the same thing. */
static const struct qb_token_key *key_of(const struct qb_token_keys *keys, const uint8_t *header,
                                         size_t length)
{
    for (size_t i = 0; i < keys->count; i++) {
        const char *ours = keys->keys[i].header;
        if (strlen(ours) == length && memcmp(ours, header, length) == 0) return &keys->keys[i];
    }
    return NULL;
}

static bool is_signed_by(const struct qb_token_key *key, const char *bytes, size_t length,
                         const uint8_t signature[SIGNATURE_BYTES])
{
    QB_CLEANUP(context_done) EVP_MD_CTX *context = EVP_MD_CTX_new();

    return context != NULL && EVP_DigestVerifyInit(context, NULL, NULL, NULL, key->pair) == 1 &&
           EVP_DigestVerify(context, signature, SIGNATURE_BYTES, (const uint8_t *)bytes, length) ==
               1;
}

enum qb_token_outcome qb_token_verify(const struct qb_token_keys *keys, const char *token,
                                      size_t length, qb_time_us now_us,
                                      struct qb_token_claims *claims)
{
    uint8_t bytes[QB_TOKEN_LENGTH_MAX];
    uint8_t signature[SIGNATURE_BYTES];
    size_t parsed = 0;
    struct qb_token_claims found = {0};

    if (length > QB_TOKEN_LENGTH_MAX) return QB_TOKEN_MALFORMED;
    const char *dot = memchr(token, '.', length);
    const char *last = memrchr(token, '.', length);
    if (dot == NULL || dot == last) return QB_TOKEN_MALFORMED;
    if (!qb_base64url_parse(token, (size_t)(dot - token), bytes, sizeof bytes, &parsed))
        return QB_TOKEN_MALFORMED;
    const struct qb_token_key *key = key_of(keys, bytes, parsed);
    if (key == NULL) return QB_TOKEN_UNKNOWN_KEY;
    if (!qb_base64url_parse(last + 1, length - (size_t)(last + 1 - token), signature,
                            sizeof signature, &parsed) ||
        parsed != sizeof signature)
        return QB_TOKEN_MALFORMED;
    if (!qb_base64url_parse(dot + 1, (size_t)(last - dot - 1), bytes, sizeof bytes, &parsed))
        return QB_TOKEN_MALFORMED;
    if (!is_signed_by(key, token, (size_t)(last - token), signature)) return QB_TOKEN_BAD_SIGNATURE;
    enum qb_token_outcome outcome = judge((const char *)bytes, parsed, now_us, &found);
    if (outcome == QB_TOKEN_GOOD) *claims = found;
    return outcome;
}
