#include "app/token_keys.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/random.h"
#include "base/sha256.h"
#include "base/text.h"

#define SEED_BYTES 32
#define SEED_CHARS ((size_t)SEED_BYTES * 2)
#define KID_BYTES  8
#define PATH_BYTES 1024

static void close_file(const int *file)
{
    if (*file >= 0) (void)close(*file);
}

static bool add_key(struct qb_token_keys *keys, const uint8_t seed[SEED_BYTES],
                    struct qb_error *error)
{
    struct qb_token_key *key = &keys->keys[keys->count];
    uint8_t public_key[SEED_BYTES];
    uint8_t digest[QB_SHA256_BYTES];
    char kid[KID_BYTES * 2 + 1];
    size_t length = sizeof public_key;

    key->pair = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, SEED_BYTES);
    if (key->pair == NULL) return qb_error_set(error, "OpenSSL takes no Ed25519 key");
    keys->count++;
    if (EVP_PKEY_get_raw_public_key(key->pair, public_key, &length) != 1)
        return qb_error_set(error, "OpenSSL gives no public key");
    qb_sha256_of(public_key, length, digest);
    qb_hex(digest, KID_BYTES, kid);
    (void)snprintf(key->header, sizeof key->header,
                   "{\"alg\":\"EdDSA\",\"kid\":\"%s\",\"typ\":\"JWT\"}", kid);
    return true;
}

/* A key file may end in a newline. */
static bool read_seed(int file, mode_t forbidden, uint8_t seed[SEED_BYTES], struct qb_error *error)
{
    char text[SEED_CHARS + 2];
    struct stat status;

    if (fstat(file, &status) != 0) return qb_error_set(error, "%s", strerror(errno));
    if (!S_ISREG(status.st_mode)) return qb_error_set(error, "it is no regular file");
    if ((status.st_mode & forbidden) != 0)
        return qb_error_set(error, "others may read it: make it mode 0600 and change the key");
    ssize_t length = read(file, text, sizeof text);
    bool has_end = length == (ssize_t)SEED_CHARS + 1 && text[SEED_CHARS] == '\n';
    bool is_good =
        (length == (ssize_t)SEED_CHARS || has_end) && qb_hex_parse(text, SEED_CHARS, seed);
    OPENSSL_cleanse(text, sizeof text);
    return is_good || qb_error_set(error, "it is not 64 hex digits");
}

static bool write_all(int file, const char *bytes, size_t length, struct qb_error *error)
{
    while (length > 0) {
        ssize_t written = write(file, bytes, length);
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) return qb_error_set(error, "%s", strerror(errno));
        bytes += written;
        length -= (size_t)written;
    }
    if (fsync(file) != 0) return qb_error_set(error, "%s", strerror(errno));
    return true;
}

static bool sync_folder(const char *folder, struct qb_error *error)
{
    QB_CLEANUP(close_file) int file = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (file < 0 || fsync(file) != 0) return qb_error_set(error, "%s", strerror(errno));
    return true;
}

/* A half-written file must not be taken for a key later, so it goes again. */
static bool make_key(struct qb_token_keys *keys, const char *folder, const char *path,
                     struct qb_error *error)
{
    uint8_t seed[SEED_BYTES];
    char text[SEED_CHARS + 2];
    QB_CLEANUP(close_file) int file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    if (file < 0) return qb_error_set(error, "%s", strerror(errno));
    qb_random_secret(seed, sizeof seed);
    qb_hex(seed, sizeof seed, text);
    text[SEED_CHARS] = '\n';
    bool is_good = write_all(file, text, SEED_CHARS + 1, error) && sync_folder(folder, error) &&
                   add_key(keys, seed, error);
    if (!is_good) (void)unlink(path);
    OPENSSL_cleanse(seed, sizeof seed);
    OPENSSL_cleanse(text, sizeof text);
    return is_good;
}

static bool load(struct qb_token_keys *keys, const char *folder, const char *name, bool may_make,
                 struct qb_error *error)
{
    uint8_t seed[SEED_BYTES];
    char path[PATH_BYTES];

    int length = snprintf(path, sizeof path, "%s/%s", folder, name);
    if (length < 0 || (size_t)length >= sizeof path)
        return qb_error_set(error, "the path of %s is too long", name);
    QB_CLEANUP(close_file) int file = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (file < 0 && errno == ENOENT && !may_make) return true;
    if (file < 0 && errno == ENOENT)
        return make_key(keys, folder, path, error) || qb_error_wrap(error, "%s", path);
    if (file < 0) return qb_error_set(error, "%s: %s", path, strerror(errno));
    bool is_good = read_seed(file, S_IRWXG | S_IRWXO, seed, error) && add_key(keys, seed, error);
    OPENSSL_cleanse(seed, sizeof seed);
    return is_good || qb_error_wrap(error, "%s", path);
}

/* A file that the platform mounts: it may be a link, and its group may read it. */
static bool load_shared(struct qb_token_keys *keys, const char *path, bool must_exist,
                        struct qb_error *error)
{
    uint8_t seed[SEED_BYTES];
    QB_CLEANUP(close_file) int file = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);

    if (file < 0 && errno == ENOENT && !must_exist) return true;
    if (file < 0) return qb_error_set(error, "%s: %s", path, strerror(errno));
    bool is_good = read_seed(file, S_IWGRP | S_IRWXO, seed, error) && add_key(keys, seed, error);
    OPENSSL_cleanse(seed, sizeof seed);
    return is_good || qb_error_wrap(error, "%s", path);
}

struct qb_token_keys *qb_token_keys_open_shared(const char *path, struct qb_error *error)
{
    struct qb_token_keys *keys = calloc(1, sizeof *keys);
    char old[PATH_BYTES];

    QB_ASSERT(keys != NULL);
    (void)snprintf(old, sizeof old, "%.1000s.old", path);
    if (!load_shared(keys, path, true, error) || !load_shared(keys, old, false, error))
        qb_token_keys_free(&keys);
    return keys;
}

struct qb_token_keys *qb_token_keys_open(const char *folder, struct qb_error *error)
{
    struct qb_token_keys *keys = calloc(1, sizeof *keys);

    QB_ASSERT(keys != NULL);
    if (!load(keys, folder, "token.key", true, error) ||
        !load(keys, folder, "token.key.old", false, error))
        qb_token_keys_free(&keys);
    return keys;
}

void qb_token_keys_free(struct qb_token_keys **keys)
{
    if (*keys == NULL) return;
    for (size_t i = 0; i < (*keys)->count; i++) EVP_PKEY_free((*keys)->keys[i].pair);
    free(*keys);
    *keys = NULL;
}
