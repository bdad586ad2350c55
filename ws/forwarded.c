#include "ws/forwarded.h"

#include <string.h>

static bool is_port(const char *text, size_t length)
{
    if (length == 0 || length > 5) return false;
    for (size_t i = 0; i < length; i++) {
        if (text[i] < '0' || text[i] > '9') return false;
    }
    return true;
}

/* 192.0.2.7, 192.0.2.7:4711, 2001:db8::7, [2001:db8::7], [2001:db8::7]:4711. */
static bool read_hop(const char *text, size_t length, struct qb_ip *ip)
{
    size_t address = length;
    const char *colon = memchr(text, ':', length);

    if (length > 0 && text[0] == '[') {
        const char *bracket = memchr(text, ']', length);
        if (bracket == NULL) return false;
        size_t rest = length - (size_t)(bracket - text) - 1;
        if (rest > 0 && (bracket[1] != ':' || !is_port(bracket + 2, rest - 1))) return false;
        text++;
        address = (size_t)(bracket - text);
        if (memchr(text, ':', address) == NULL) return false; /* no IPv4 in brackets */
    } else if (colon != NULL && memchr(text, '.', (size_t)(colon - text)) != NULL) {
        address = (size_t)(colon - text);
        if (!is_port(colon + 1, length - address - 1)) return false;
    }
    return qb_ip_parse(text, address, ip) && !qb_ip_is_unspecified(ip);
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t';
}

bool qb_forwarded_read(struct qb_forwarded *forwarded, const struct qb_ip_ranges *proxies,
                       const char *value, size_t length)
{
    for (size_t end = length;;) {
        const char *comma = end > 0 ? memrchr(value, ',', end) : NULL;
        size_t begin = comma != NULL ? (size_t)(comma - value) + 1 : 0;
        if (++forwarded->hops > QB_FORWARDED_HOPS_MAX) return false;
        if (!forwarded->is_found) {
            size_t from = begin;
            while (from < end && is_space(value[from])) from++;
            while (end > from && is_space(value[end - 1])) end--;
            if (!read_hop(&value[from], end - from, &forwarded->client)) return false;
            forwarded->has_client = true;
            forwarded->is_found = !qb_ip_ranges_have(proxies, &forwarded->client);
        }
        if (comma == NULL) return true;
        end = begin - 1;
    }
}
