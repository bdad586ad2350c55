#include "base/redis_address.h"

#include <ctype.h>
#include <string.h>

#include "base/redis.h"
#include "base/text.h"

#define PLAIN    "redis://"
#define SENTINEL "redis+sentinel://"
#define OPTION   "sentinel_password"

struct span {
    const char *bytes;
    size_t length;
};

/* Up to the first `mark`, which is skipped; all of it, and nothing left, without one. */
static struct span take_until(struct span *rest, char mark)
{
    const char *found = memchr(rest->bytes, mark, rest->length);
    struct span taken = *rest;

    if (found == NULL) {
        *rest = (struct span){rest->bytes + rest->length, 0};
        return taken;
    }
    taken.length = (size_t)(found - rest->bytes);
    *rest = (struct span){found + 1, rest->length - taken.length - 1};
    return taken;
}

/* Passwords hold signs that an address gives a meaning to: they are written as %40. */
static bool decode(struct span span, char *word, size_t room)
{
    size_t length = 0;

    for (size_t i = 0; i < span.length; i++) {
        if (length == room - 1) return false;
        if (span.bytes[i] != '%') {
            word[length++] = span.bytes[i];
            continue;
        }
        if (span.length - i < 3) return false;
        const char digits[2] = {(char)tolower((unsigned char)span.bytes[i + 1]),
                                (char)tolower((unsigned char)span.bytes[i + 2])};
        uint8_t byte = 0;
        if (!qb_hex_parse(digits, sizeof digits, &byte) || byte == 0) return false;
        word[length++] = (char)byte;
        i += 2;
    }
    word[length] = '\0';
    return true;
}

static bool is_port(struct span span)
{
    unsigned value = 0;

    if (span.length == 0 || span.length > 5) return false;
    for (size_t i = 0; i < span.length; i++) {
        if (span.bytes[i] < '0' || span.bytes[i] > '9') return false;
        value = value * 10 + (unsigned)(span.bytes[i] - '0');
    }
    return value > 0 && value <= 65535;
}

/* HOST, HOST:PORT or [IPV6]:PORT. */
static bool parse_host(struct span span, const char *port, struct qb_redis_host *host,
                       struct qb_error *error)
{
    struct span name;
    struct span rest = span;

    if (span.length > 0 && span.bytes[0] == '[') {
        rest = (struct span){span.bytes + 1, span.length - 1};
        name = take_until(&rest, ']');
        if (rest.length > 0 && rest.bytes[0] != ':')
            return qb_error_set(error, "nothing but :PORT follows an address in brackets");
        if (rest.length > 0) rest = (struct span){rest.bytes + 1, rest.length - 1};
    } else {
        name = take_until(&rest, ':');
    }
    if (name.length == 0 || name.length >= sizeof host->name)
        return qb_error_set(error, "a host is missing or too long");
    (void)memcpy(host->name, name.bytes, name.length);
    host->name[name.length] = '\0';
    struct span number = rest.length > 0 ? rest : (struct span){port, strlen(port)};
    if (!is_port(number)) return qb_error_set(error, "a port is a number from 1 to 65535");
    (void)memcpy(host->port, number.bytes, number.length);
    host->port[number.length] = '\0';
    return true;
}

static bool parse_login(struct span *rest, struct qb_redis_address *address, struct qb_error *error)
{
    const char *at = memrchr(rest->bytes, '@', rest->length);

    if (at == NULL) return true;
    struct span password = {rest->bytes, (size_t)(at - rest->bytes)};
    *rest = (struct span){at + 1, rest->length - password.length - 1};
    struct span user = take_until(&password, ':');
    if (!decode(user, address->user, sizeof address->user) ||
        !decode(password, address->password, sizeof address->password))
        return qb_error_set(error, "user or password is too long, or a %% without two hex digits");
    address->has_login = true;
    return true;
}

static bool parse_hosts(struct span hosts, struct qb_redis_address *address, struct qb_error *error)
{
    const char *port = address->is_sentinel ? "26379" : "6379";

    if (hosts.length > 0 && hosts.bytes[hosts.length - 1] == ',')
        return qb_error_set(error, "a host is missing after a comma");
    do {
        if (address->host_count == (address->is_sentinel ? QB_REDIS_HOSTS_MAX : 1))
            return qb_error_set(error, "more hosts than the %d that are allowed",
                                address->is_sentinel ? QB_REDIS_HOSTS_MAX : 1);
        struct span host = take_until(&hosts, ',');
        if (!parse_host(host, port, &address->hosts[address->host_count], error)) return false;
        address->host_count++;
    } while (hosts.length > 0);
    return true;
}

static bool parse_option(struct span option, struct qb_redis_address *address,
                         struct qb_error *error)
{
    struct span name = take_until(&option, '=');
    bool is_known = name.length == strlen(OPTION) && memcmp(name.bytes, OPTION, name.length) == 0;

    if (is_known && decode(option, address->sentinel_password, sizeof address->sentinel_password))
        return true;
    return qb_error_set(error, "the only option is ?" OPTION "=PASSWORD");
}

bool qb_redis_address_parse(const char *text, struct qb_redis_address *address,
                            struct qb_error *error)
{
    struct span rest = {text, strlen(text)};
    bool is_sentinel = qb_redis_address_has_sentinel(text);
    size_t scheme = is_sentinel ? strlen(SENTINEL) : strlen(PLAIN);

    *address = (struct qb_redis_address){.is_sentinel = is_sentinel};
    if (!is_sentinel && strncmp(text, PLAIN, strlen(PLAIN)) != 0)
        return qb_error_set(error, "an address begins with %s or %s", PLAIN, SENTINEL);
    rest = (struct span){rest.bytes + scheme, rest.length - scheme};
    if (!parse_login(&rest, address, error)) return false;
    struct span hosts = take_until(&rest, '/');
    if (!parse_hosts(hosts, address, error)) return false;
    if (is_sentinel) {
        struct span name = take_until(&rest, '?');
        if (rest.length > 0 && !parse_option(rest, address, error)) return false;
        if (name.length == 0 || !decode(name, address->primary, sizeof address->primary))
            return qb_error_set(error, "the name of the primary follows the Sentinels: /NAME");
        return true;
    }
    if (rest.length > 0 && !(rest.length == 1 && rest.bytes[0] == '0'))
        return qb_error_set(error, "only database 0 is used");
    return true;
}

void qb_redis_address_clear(struct qb_redis_address *address)
{
    explicit_bzero(address, sizeof *address);
}

bool qb_redis_address_has_sentinel(const char *address)
{
    return strncmp(address, SENTINEL, strlen(SENTINEL)) == 0;
}

bool qb_redis_address_check(const char *address, struct qb_error *error)
{
    struct qb_redis_address parsed;
    bool is_good = qb_redis_address_parse(address, &parsed, error);

    qb_redis_address_clear(&parsed);
    return is_good;
}
