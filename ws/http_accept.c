/*
 * The one hash of the WebSocket handshake; OpenSSL behind one file.
 */
#include <openssl/evp.h>
#include <string.h>

#include "base/assert.h"
#include "ws/http_head.h"

void qb_http_accept_key(const char *key, char accept[QB_HTTP_ACCEPT_BYTES])
{
    static const char magic[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    unsigned char text[24 + sizeof magic - 1];
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int length = 0;

    QB_ASSERT(strlen(key) == 24);
    (void)memcpy(text, key, 24);
    (void)memcpy(&text[24], magic, sizeof magic - 1);
    int is_done = EVP_Digest(text, sizeof text, digest, &length, EVP_sha1(), NULL);
    QB_ASSERT(is_done == 1);
    int written = EVP_EncodeBlock((unsigned char *)accept, digest, (int)length);
    QB_ASSERT(written == QB_HTTP_ACCEPT_BYTES - 1);
}
