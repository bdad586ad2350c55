#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/random.h"
#include "base/text.h"

#define ID_EPOCH_MS INT64_C(1704067200000) /* 2024-01-01 */

static const char base32[] = "0123456789abcdefghjkmnpqrstvwxyz";
static const char base64url[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

void qb_id_text(qb_id id, char text[QB_ID_TEXT_BYTES])
{
    for (int i = QB_ID_TEXT_BYTES - 2; i >= 0; i--) {
        text[i] = base32[id & 31];
        id >>= 5;
    }
    text[QB_ID_TEXT_BYTES - 1] = '\0';
}

bool qb_id_parse(const char *text, size_t length, qb_id *id)
{
    qb_id value = 0;

    if (length != QB_ID_TEXT_BYTES - 1) return false;
    if (text[0] < '0' || text[0] > '7') return false; /* 63 bits */
    for (size_t i = 0; i < length; i++) {
        const char *digit = text[i] != '\0' ? strchr(base32, text[i]) : NULL;
        if (digit == NULL) return false;
        value = value << 5 | (qb_id)(digit - base32);
    }
    *id = value;
    return value != 0;
}

qb_id qb_id_new(void)
{
    uint32_t low = 0;

    qb_random_secret(&low, sizeof low);
    uint64_t ms = (uint64_t)(qb_clock_wall_us() / QB_MS_US - ID_EPOCH_MS);
    return (ms & ((UINT64_C(1) << 41) - 1)) << 22 | (low & 0x3fffff) | (ms == 0 ? 1 : 0);
}

void qb_hex(const void *bytes, size_t length, char *text)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *at = bytes;

    for (size_t i = 0; i < length; i++) {
        text[i * 2] = digits[at[i] >> 4];
        text[i * 2 + 1] = digits[at[i] & 15];
    }
    text[length * 2] = '\0';
}

bool qb_hex_parse(const char *text, size_t length, uint8_t *bytes)
{
    static const char digits[] = "0123456789abcdef";

    if (length % 2 != 0) return false;
    for (size_t i = 0; i < length; i++) {
        const char *digit = text[i] != '\0' ? strchr(digits, text[i]) : NULL;
        if (digit == NULL) return false;
        uint8_t value = (uint8_t)(digit - digits);
        bytes[i / 2] = (uint8_t)(i % 2 == 0 ? value << 4 : bytes[i / 2] | value);
    }
    return true;
}

size_t qb_base64url(const void *bytes, size_t length, char *text)
{
    const uint8_t *at = bytes;
    size_t out = 0;

    for (size_t i = 0; i < length; i += 3) {
        size_t left = length - i;
        uint32_t group = (uint32_t)at[i] << 16;
        if (left > 1) group |= (uint32_t)at[i + 1] << 8;
        if (left > 2) group |= at[i + 2];
        text[out++] = base64url[group >> 18 & 63];
        text[out++] = base64url[group >> 12 & 63];
        if (left > 1) text[out++] = base64url[group >> 6 & 63];
        if (left > 2) text[out++] = base64url[group & 63];
    }
    text[out] = '\0';
    return out;
}

bool qb_base64url_parse(const char *text, size_t length, uint8_t *bytes, size_t room,
                        size_t *parsed)
{
    uint32_t group = 0;
    unsigned bits = 0;
    size_t out = 0;

    if (length % 4 == 1) return false;
    for (size_t i = 0; i < length; i++) {
        const char *digit = text[i] != '\0' ? strchr(base64url, text[i]) : NULL;
        if (digit == NULL) return false;
        group = group << 6 | (uint32_t)(digit - base64url);
        bits += 6;
        if (bits < 8) continue;
        bits -= 8;
        if (out == room) return false;
        bytes[out++] = (uint8_t)(group >> bits);
    }
    *parsed = out;
    return (group & ((1U << bits) - 1)) == 0; /* stray bits make a second text for one value */
}

bool qb_equal_secret(const void *a, const void *b, size_t length)
{
    const volatile uint8_t *left = a;
    const volatile uint8_t *right = b;
    uint8_t difference = 0;

    for (size_t i = 0; i < length; i++) difference |= (uint8_t)(left[i] ^ right[i]);
    return difference == 0;
}
