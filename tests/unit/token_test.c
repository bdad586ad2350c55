/*
 * Tokens: ours are good, everything forged is not (S23 to S27). Each row is signed with the right
 * key, so that what refuses it is the check that the row names.
 */
#include <stdlib.h>
#include <sys/stat.h>

#include "app/token.h"
#include "base/error.h"
#include "tests/kit/test.h"

#define S   INT64_C(1000000)
#define NOW (1700000100 * S)

#define ISS ",\"iss\":\"quickbid\""
#define AUD ",\"aud\":\"quickbid\""
#define SUB "\"sub\":\"0000000000007\""
#define JTI ",\"jti\":\"AAAAAAAAAAAAAAAAAAAAAA\""
#define IAT ",\"iat\":1700000000"
#define NBF ",\"nbf\":1700000000"
#define EXP ",\"exp\":1700000900"
#define SID ",\"sid\":\"0000000000009\""
#define ROL ",\"roles\":[\"bidder\"]"

static const struct {
    const char *says;
    const char *payload;
    enum qb_token_outcome outcome;
} rows[] = {
    /* clang-format off */
    {"whole",            "{" SUB ISS AUD JTI IAT NBF EXP SID ROL "}", QB_TOKEN_GOOD},
    {"no iss",           "{" SUB AUD JTI IAT NBF EXP SID ROL "}", QB_TOKEN_BAD_CLAIMS},
    {"no aud",           "{" SUB ISS JTI IAT NBF EXP SID ROL "}", QB_TOKEN_BAD_CLAIMS},
    {"no sub",           "{\"x\":1" ISS AUD JTI IAT NBF EXP SID ROL "}", QB_TOKEN_BAD_CLAIMS},
    {"no jti",           "{" SUB ISS AUD IAT NBF EXP SID ROL "}", QB_TOKEN_BAD_CLAIMS},
    {"no iat",           "{" SUB ISS AUD JTI NBF EXP SID ROL "}", QB_TOKEN_BAD_CLAIMS},
    {"no nbf",           "{" SUB ISS AUD JTI IAT EXP SID ROL "}", QB_TOKEN_BAD_CLAIMS},
    {"no exp",           "{" SUB ISS AUD JTI IAT NBF SID ROL "}", QB_TOKEN_BAD_CLAIMS},
    {"no sid",           "{" SUB ISS AUD JTI IAT NBF EXP ROL "}", QB_TOKEN_BAD_CLAIMS},
    {"no roles",         "{" SUB ISS AUD JTI IAT NBF EXP SID "}", QB_TOKEN_BAD_CLAIMS},
    {"one more",         "{" SUB ISS AUD JTI IAT NBF EXP SID ROL ",\"x\":1}", QB_TOKEN_BAD_CLAIMS},
    {"sub twice",        "{" SUB "," SUB ISS AUD JTI IAT NBF EXP SID ROL "}", QB_TOKEN_BAD_CLAIMS},
    {"other iss",        "{" SUB ",\"iss\":\"Quickbid\"" AUD JTI IAT NBF EXP SID ROL "}", QB_TOKEN_BAD_CLAIMS},
    {"aud a list",       "{" SUB ISS ",\"aud\":[\"quickbid\"]" JTI IAT NBF EXP SID ROL "}", QB_TOKEN_BAD_CLAIMS},
    {"sub a number",     "{\"sub\":7" ISS AUD JTI IAT NBF EXP SID ROL "}", QB_TOKEN_BAD_CLAIMS},
    {"sub nobody",       "{\"sub\":\"0000000000000\"" ISS AUD JTI IAT NBF EXP SID ROL "}", QB_TOKEN_BAD_CLAIMS},
    {"short jti",        "{" SUB ISS AUD ",\"jti\":\"AAAA\"" IAT NBF EXP SID ROL "}", QB_TOKEN_BAD_CLAIMS},
    {"padded jti",       "{" SUB ISS AUD ",\"jti\":\"AAAAAAAAAAAAAAAAAAAAAA==\"" IAT NBF EXP SID ROL "}", QB_TOKEN_BAD_CLAIMS},
    {"exp a text",       "{" SUB ISS AUD JTI IAT NBF ",\"exp\":\"1700000900\"" SID ROL "}", QB_TOKEN_BAD_CLAIMS},
    {"exp a real",       "{" SUB ISS AUD JTI IAT NBF ",\"exp\":1700000900.0" SID ROL "}", QB_TOKEN_BAD_CLAIMS},
    {"exp negative",     "{" SUB ISS AUD JTI IAT NBF ",\"exp\":-1" SID ROL "}", QB_TOKEN_BAD_CLAIMS},
    {"lives too long",   "{" SUB ISS AUD JTI IAT NBF ",\"exp\":1700000901" SID ROL "}", QB_TOKEN_BAD_CLAIMS},
    {"exp before nbf",   "{" SUB ISS AUD JTI IAT NBF ",\"exp\":1699999999" SID ROL "}", QB_TOKEN_BAD_CLAIMS},
    {"expired in leeway","{" SUB ISS AUD JTI IAT NBF ",\"exp\":1700000071" SID ROL "}", QB_TOKEN_GOOD},
    {"expired",          "{" SUB ISS AUD JTI IAT NBF ",\"exp\":1700000070" SID ROL "}", QB_TOKEN_EXPIRED},
    {"nbf in leeway",    "{" SUB ISS AUD JTI IAT ",\"nbf\":1700000130" EXP SID ROL "}", QB_TOKEN_GOOD},
    {"not yet",          "{" SUB ISS AUD JTI IAT ",\"nbf\":1700000131" EXP SID ROL "}", QB_TOKEN_NOT_YET},
    {"role unknown",     "{" SUB ISS AUD JTI IAT NBF EXP SID ",\"roles\":[\"root\"]}", QB_TOKEN_BAD_CLAIMS},
    {"all roles",        "{" SUB ISS AUD JTI IAT NBF EXP SID ",\"roles\":[\"bidder\",\"seller\",\"admin\"]}", QB_TOKEN_GOOD},
    {"role twice",       "{" SUB ISS AUD JTI IAT NBF EXP SID ",\"roles\":[\"admin\",\"admin\"]}", QB_TOKEN_BAD_CLAIMS},
    {"roles a text",     "{" SUB ISS AUD JTI IAT NBF EXP SID ",\"roles\":\"admin\"}", QB_TOKEN_BAD_CLAIMS},
    {"an array",         "[1,2,3,4,5,6,7,8,9]", QB_TOKEN_BAD_CLAIMS},
    {"no JSON",          "x", QB_TOKEN_BAD_CLAIMS},
    /* clang-format on */
};

static struct qb_token_keys *open_keys(char *folder)
{
    struct qb_error error = {""};

    (void)snprintf(folder, 32, "/tmp/qb-token-XXXXXX");
    QB_EXPECT(mkdtemp(folder) != NULL, "a folder");
    struct qb_token_keys *keys = qb_token_keys_open(folder, &error);
    QB_EXPECT(keys != NULL, error.text);
    return keys;
}

static void remove_keys(struct qb_token_keys **keys, const char *folder)
{
    char path[64];

    qb_token_keys_free(keys);
    (void)snprintf(path, sizeof path, "%s/token.key", folder);
    (void)unlink(path);
    (void)rmdir(folder);
}

static struct qb_token_claims issue(const struct qb_token_keys *keys, char *token)
{
    struct qb_token_claims claims = {
        .user = 7, .login = 9, .roles = 5, .issued_us = NOW, .expires_us = NOW + 900 * S};

    QB_EXPECT(qb_token_issue(keys, &claims, token), "issued");
    return claims;
}

QB_TEST(claims_are_all_needed_and_checked)
{
    char folder[32];
    char token[QB_TOKEN_TEXT_BYTES];
    char header[256] = "";
    struct qb_token_keys *keys = open_keys(folder);
    struct qb_token_claims claims;

    (void)issue(keys, token);
    QB_EXPECT(qb_token_header(keys, header, sizeof header), "its header");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        QB_EXPECT(qb_token_sign(keys, header, rows[i].payload, token), rows[i].says);
        QB_EXPECT_EQ(qb_token_verify(keys, token, strlen(token), NOW, &claims), rows[i].outcome,
                     rows[i].says);
    }
    remove_keys(&keys, folder);
}

QB_TEST(a_header_is_ours_byte_for_byte)
{
    static const char *const headers[] = {
        "{\"alg\":\"none\"}",
        "{\"alg\":\"HS256\",\"typ\":\"JWT\"}",
        "{\"alg\":\"EdDSA\",\"typ\":\"JWT\"}",
        "{\"alg\":\"EdDSA\",\"kid\":\"../../dev/null\",\"typ\":\"JWT\"}",
        "{\"alg\":\"EdDSA\",\"kid\":\"0000000000000000\",\"typ\":\"JWT\",\"jku\":\"http://x\"}",
        "",
    };
    char folder[32];
    char token[QB_TOKEN_TEXT_BYTES];
    struct qb_token_keys *keys = open_keys(folder);
    struct qb_token_claims claims;

    for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++) {
        QB_EXPECT(qb_token_sign(keys, headers[i], rows[0].payload, token), headers[i]);
        QB_EXPECT(qb_token_verify(keys, token, strlen(token), NOW, &claims) != QB_TOKEN_GOOD,
                  headers[i]);
    }
    remove_keys(&keys, folder);
}

QB_TEST(no_changed_byte_of_a_token_goes_through)
{
    char folder[32];
    char token[QB_TOKEN_TEXT_BYTES];
    struct qb_token_keys *keys = open_keys(folder);
    struct qb_token_claims claims = {0};
    const struct qb_token_claims issued = issue(keys, token);
    size_t length = strlen(token);

    QB_EXPECT_EQ(qb_token_verify(keys, token, length, NOW, &claims), QB_TOKEN_GOOD, "as issued");
    QB_EXPECT_EQ(claims.roles, issued.roles, "roles");
    QB_EXPECT(memcmp(claims.id, issued.id, sizeof claims.id) == 0, "its id");
    for (size_t i = 0; i < length; i++) {
        char before = token[i];
        token[i] = before == 'A' ? 'B' : 'A';
        QB_EXPECT(qb_token_verify(keys, token, length, NOW, &claims) != QB_TOKEN_GOOD, "changed");
        token[i] = before;
        QB_EXPECT(qb_token_verify(keys, token, i, NOW, &claims) != QB_TOKEN_GOOD, "cut");
    }
    remove_keys(&keys, folder);
}

QB_TEST(a_key_is_kept_and_its_file_private)
{
    char folder[32];
    char path[64];
    char token[QB_TOKEN_TEXT_BYTES];
    struct qb_error error = {""};
    struct qb_token_claims claims;
    struct qb_token_keys *keys = open_keys(folder);

    (void)issue(keys, token);
    qb_token_keys_free(&keys);
    keys = qb_token_keys_open(folder, &error);
    QB_EXPECT(keys != NULL, "opened again");
    QB_EXPECT_EQ(qb_token_verify(keys, token, strlen(token), NOW, &claims), QB_TOKEN_GOOD, "kept");
    qb_token_keys_free(&keys);
    (void)snprintf(path, sizeof path, "%s/token.key", folder);
    QB_EXPECT_EQ(chmod(path, 0640), 0, "opened to the group");
    keys = qb_token_keys_open(folder, &error);
    QB_EXPECT(keys == NULL, "refused");
    remove_keys(&keys, folder);
}

QB_TEST(a_shared_key_is_never_made_and_may_be_read_by_its_group)
{
    char folder[32];
    char path[64];
    char token[QB_TOKEN_TEXT_BYTES];
    struct qb_error error = {""};
    struct qb_token_claims claims;
    struct qb_token_keys *keys = open_keys(folder);

    (void)issue(keys, token);
    (void)snprintf(path, sizeof path, "%s/token.key", folder);
    QB_EXPECT_EQ(chmod(path, 0440), 0, "as a mounted secret");
    struct qb_token_keys *shared = qb_token_keys_open_shared(path, &error);
    QB_EXPECT(shared != NULL, "opened");
    QB_EXPECT_EQ(qb_token_verify(shared, token, strlen(token), NOW, &claims), QB_TOKEN_GOOD,
                 "the same key");
    qb_token_keys_free(&shared);
    QB_EXPECT_EQ(chmod(path, 0444), 0, "for everybody");
    QB_EXPECT(qb_token_keys_open_shared(path, &error) == NULL, "refused");
    QB_EXPECT_EQ(chmod(path, 0600), 0, "as it was");
    (void)snprintf(path, sizeof path, "%s/none.key", folder);
    QB_EXPECT(qb_token_keys_open_shared(path, &error) == NULL, "not made");
    QB_EXPECT(access(path, F_OK) != 0, "no file");
    remove_keys(&keys, folder);
}
