#include "base/ip.h"

#include <arpa/inet.h>
#include <string.h>

#define V4_BITS 96 /* of the prefix that IPv4 has in IPv6 */

static const uint8_t mapped[V4_BITS / 8] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

static bool is_v4(const struct qb_ip *ip)
{
    return memcmp(ip->bytes, mapped, sizeof mapped) == 0;
}

bool qb_ip_parse(const char *text, size_t length, struct qb_ip *ip)
{
    char copy[QB_IP_TEXT_BYTES];

    if (length == 0 || length >= sizeof copy || memchr(text, '\0', length) != NULL) return false;
    (void)memcpy(copy, text, length);
    copy[length] = '\0';
    if (inet_pton(AF_INET6, copy, ip->bytes) == 1) return true;
    (void)memcpy(ip->bytes, mapped, sizeof mapped);
    return inet_pton(AF_INET, copy, &ip->bytes[sizeof mapped]) == 1;
}

void qb_ip_text(const struct qb_ip *ip, char text[QB_IP_TEXT_BYTES])
{
    if (is_v4(ip))
        (void)inet_ntop(AF_INET, &ip->bytes[sizeof mapped], text, QB_IP_TEXT_BYTES);
    else
        (void)inet_ntop(AF_INET6, ip->bytes, text, QB_IP_TEXT_BYTES);
}

bool qb_ip_is_loopback(const struct qb_ip *ip)
{
    static const uint8_t one[QB_IP_BYTES] = {[QB_IP_BYTES - 1] = 1};

    return is_v4(ip) ? ip->bytes[sizeof mapped] == 127 : memcmp(ip->bytes, one, sizeof one) == 0;
}

bool qb_ip_is_unspecified(const struct qb_ip *ip)
{
    static const uint8_t none[QB_IP_BYTES];
    size_t from = is_v4(ip) ? sizeof mapped : 0;

    return memcmp(&ip->bytes[from], none, QB_IP_BYTES - from) == 0;
}

void qb_ip_key(const struct qb_ip *ip, uint8_t key[QB_IP_BYTES])
{
    (void)memset(key, 0, QB_IP_BYTES);
    (void)memcpy(key, ip->bytes, is_v4(ip) ? QB_IP_BYTES : QB_IP_BYTES / 2);
}

/* Whether the first `bits` of both are the same. */
static bool is_same_prefix(const struct qb_ip *a, const struct qb_ip *b, unsigned bits)
{
    unsigned whole = bits / 8;
    unsigned rest = bits % 8;

    if (memcmp(a->bytes, b->bytes, whole) != 0) return false;
    return rest == 0 || (a->bytes[whole] ^ b->bytes[whole]) >> (8 - rest) == 0;
}

static bool has_bits_behind(const struct qb_ip_range *range)
{
    struct qb_ip cut = {{0}};
    unsigned whole = range->bits / 8;
    unsigned rest = range->bits % 8;

    (void)memcpy(cut.bytes, range->first.bytes, whole);
    if (rest > 0) cut.bytes[whole] = (uint8_t)(range->first.bytes[whole] & (0xff00U >> rest));
    return memcmp(cut.bytes, range->first.bytes, sizeof cut.bytes) != 0;
}

/* The digits behind a slash; -1: no number up to 128. */
static int parse_bits(const char *text, size_t length)
{
    int bits = 0;

    if (length == 0 || length > 3) return -1;
    for (size_t i = 0; i < length; i++) {
        if (text[i] < '0' || text[i] > '9') return -1;
        bits = bits * 10 + (text[i] - '0');
    }
    return bits <= 128 ? bits : -1;
}

static bool parse_range(const char *text, size_t length, struct qb_ip_range *range,
                        struct qb_error *error)
{
    const char *slash = memchr(text, '/', length);
    size_t address = slash != NULL ? (size_t)(slash - text) : length;
    int shown = (int)(length < 60 ? length : 60);
    int bits = 128;
    static const struct qb_ip all_v4 = {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}};

    if (!qb_ip_parse(text, address, &range->first))
        return qb_error_set(error, "\"%.*s\" is no address like 192.0.2.7 or 10.0.0.0/8", shown,
                            text);
    bool is_dotted = memchr(text, ':', address) == NULL;
    if (slash != NULL) {
        bits = parse_bits(slash + 1, length - address - 1);
        if (bits >= 0 && is_dotted) bits += V4_BITS;
        if (bits < 0 || bits > 128)
            return qb_error_set(error, "\"%.*s\" has no prefix length from 1 to %d", shown, text,
                                is_dotted ? 128 - V4_BITS : 128);
    }
    range->bits = (uint8_t)bits;
    if (bits <= V4_BITS && is_same_prefix(&range->first, &all_v4, (unsigned)bits))
        return qb_error_set(error, "\"%.*s\" holds every address", shown, text);
    if (has_bits_behind(range))
        return qb_error_set(error, "\"%.*s\" has bits behind its prefix length", shown, text);
    return true;
}

bool qb_ip_ranges_parse(const char *text, struct qb_ip_ranges *ranges, struct qb_error *error)
{
    ranges->count = 0;
    while (*text != '\0') {
        text += strspn(text, " ");
        size_t length = strcspn(text, ",");
        size_t end = length;
        while (end > 0 && text[end - 1] == ' ') end--;
        if (ranges->count == QB_IP_RANGES_MAX)
            return qb_error_set(error, "more than %d addresses and prefixes", QB_IP_RANGES_MAX);
        QB_TRY(parse_range(text, end, &ranges->list[ranges->count], error));
        ranges->count++;
        text += length;
        if (*text == '\0') break;
        text++;
        if (*text == '\0') return qb_error_set(error, "an address is missing after a comma");
    }
    return true;
}

bool qb_ip_ranges_have(const struct qb_ip_ranges *ranges, const struct qb_ip *ip)
{
    for (size_t i = 0; i < ranges->count; i++) {
        if (is_same_prefix(&ranges->list[i].first, ip, ranges->list[i].bits)) return true;
    }
    return false;
}
