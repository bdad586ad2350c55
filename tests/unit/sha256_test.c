/*
 * SHA-256 and HMAC-SHA-256: the published vectors of FIPS 180-4 and RFC 4231, and every length
 * around the edges of a block, in pieces of every size, held against OpenSSL.
 */
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/attributes.h"
#include "base/random.h"
#include "base/sha256.h"
#include "base/sha256_block.h"
#include "tests/kit/test.h"

#define BYTES_MAX 300

static void to_hex(const uint8_t digest[QB_SHA256_BYTES], char hex[2 * QB_SHA256_BYTES + 1])
{
    for (size_t i = 0; i < QB_SHA256_BYTES; i++) (void)snprintf(&hex[2 * i], 3, "%02x", digest[i]);
}

static const struct {
    const char *says;
    const char *text;
    const char *digest;
} rows[] = {
    /* clang-format off */
    {"nothing", "",
     "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
    {"one block", "abc",
     "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
    {"two blocks", "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
     "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    /* clang-format on */
};

QB_TEST(the_published_digests_come_out)
{
    for (size_t i = 0; i < QB_COUNT(rows); i++) {
        uint8_t digest[QB_SHA256_BYTES];
        char hex[2 * QB_SHA256_BYTES + 1];
        qb_sha256_of(rows[i].text, strnlen(rows[i].text, BYTES_MAX), digest);
        to_hex(digest, hex);
        QB_EXPECT_TEXT(hex, rows[i].digest, rows[i].says);
    }
}

QB_TEST(a_million_times_a_comes_out)
{
    struct qb_sha256 sha;
    uint8_t digest[QB_SHA256_BYTES];
    char hex[2 * QB_SHA256_BYTES + 1];
    char piece[1000];

    (void)memset(piece, 'a', sizeof piece);
    qb_sha256_init(&sha);
    for (int i = 0; i < 1000; i++) qb_sha256_update(&sha, piece, sizeof piece);
    qb_sha256_final(&sha, digest);
    to_hex(digest, hex);
    QB_EXPECT_TEXT(hex, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0",
                   "FIPS 180-4");
}

QB_TEST(the_published_hmac_comes_out)
{
    static const char asked[] = "what do ya want for nothing?";
    uint8_t digest[QB_SHA256_BYTES];
    char hex[2 * QB_SHA256_BYTES + 1];

    qb_sha256_hmac("Jefe", 4, asked, sizeof asked - 1, digest);
    to_hex(digest, hex);
    QB_EXPECT_TEXT(hex, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
                   "RFC 4231, case 2");
}

QB_TEST(every_length_is_as_openssl_has_it)
{
    uint8_t bytes[BYTES_MAX];
    struct qb_random random;

    qb_random_seed(&random, 3);
    for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (uint8_t)qb_random_below(&random, 256);
    for (size_t length = 0; length <= sizeof bytes; length++) {
        uint8_t seen[QB_SHA256_BYTES];
        uint8_t expected[QB_SHA256_BYTES];
        unsigned size = 0;
        qb_sha256_of(bytes, length, seen);
        QB_EXPECT_EQ(EVP_Digest(bytes, length, expected, &size, EVP_sha256(), NULL), 1, "OpenSSL");
        QB_EXPECT(memcmp(seen, expected, sizeof seen) == 0, "digest");
        /* As key and as text: keys longer than a block are hashed first. */
        qb_sha256_hmac(bytes, length, bytes, BYTES_MAX - length, seen);
        QB_EXPECT(HMAC(EVP_sha256(), bytes, (int)length, bytes, BYTES_MAX - length, expected,
                       &size) != NULL,
                  "OpenSSL");
        QB_EXPECT(memcmp(seen, expected, sizeof seen) == 0, "HMAC");
    }
}

QB_TEST(pieces_give_the_digest_of_the_whole)
{
    uint8_t bytes[BYTES_MAX];
    uint8_t whole[QB_SHA256_BYTES];

    for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (uint8_t)(i * 7);
    qb_sha256_of(bytes, sizeof bytes, whole);
    for (size_t piece = 1; piece <= sizeof bytes; piece++) {
        struct qb_sha256 sha;
        uint8_t digest[QB_SHA256_BYTES];
        qb_sha256_init(&sha);
        for (size_t at = 0; at < sizeof bytes; at += piece) {
            size_t left = sizeof bytes - at;
            qb_sha256_update(&sha, &bytes[at], left < piece ? left : piece);
        }
        qb_sha256_final(&sha, digest);
        QB_EXPECT(memcmp(digest, whole, sizeof whole) == 0, "in pieces");
    }
}

/* Without the instructions this holds the plain way against itself; the tests above then hold it
 * against OpenSSL. */
QB_TEST(the_processors_instructions_give_what_plain_code_gives)
{
    uint32_t plain[8] = {0};
    uint32_t fast[8] = {0};
    struct qb_random random;

    qb_random_seed(&random, 7);
    for (int i = 0; i < 2000; i++) {
        uint8_t block[QB_SHA256_BLOCK_BYTES];
        for (size_t at = 0; at < sizeof block; at++)
            block[at] = (uint8_t)qb_random_below(&random, 256);
        qb_sha256_block_plain(plain, block);
        if (qb_sha256_has_instructions())
            qb_sha256_block_instructions(fast, block);
        else
            qb_sha256_block_plain(fast, block);
        QB_EXPECT(memcmp(plain, fast, sizeof plain) == 0, "state after a block");
    }
}
