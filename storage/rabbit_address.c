#include "storage/rabbit_address.h"

#include <string.h>

#include "base/text.h"

/* A part of an address, not yet decoded. */
struct part {
    const char *text;
    size_t length;
};

static bool decode(struct part part, char decoded[QB_RABBIT_PART_BYTES_MAX + 1])
{
    size_t length = 0;

    for (size_t i = 0; i < part.length; i++) {
        uint8_t byte = (uint8_t)part.text[i];
        if (byte == '%') {
            char digits[2];
            if (part.length - i < 3) return false;
            for (size_t j = 0; j < 2; j++) {
                char digit = part.text[i + 1 + j];
                digits[j] = (char)(digit >= 'A' && digit <= 'F' ? digit - 'A' + 'a' : digit);
            }
            if (!qb_hex_parse(digits, 2, &byte)) return false;
            i += 2;
        }
        if (byte < ' ' || length == QB_RABBIT_PART_BYTES_MAX) return false;
        decoded[length++] = (char)byte;
    }
    decoded[length] = '\0';
    return length > 0;
}

static bool parse_port(struct part part, uint16_t *port)
{
    uint32_t number = 0;

    if (part.length == 0 || part.length > 5) return false;
    for (size_t i = 0; i < part.length; i++) {
        if (part.text[i] < '0' || part.text[i] > '9') return false;
        number = number * 10 + (uint32_t)(part.text[i] - '0');
    }
    *port = (uint16_t)number;
    return number >= 1 && number <= UINT16_MAX;
}

/* Cuts `part` at the first `mark`: what is before it is returned, what is after stays. Without the
 * mark nothing stays, and `is_found` is false. */
static struct part cut(struct part *part, char mark, bool *is_found)
{
    const char *at = memchr(part->text, mark, part->length);
    struct part before = {part->text, at != NULL ? (size_t)(at - part->text) : part->length};
    size_t taken = at != NULL ? before.length + 1 : part->length;

    *is_found = at != NULL;
    *part = (struct part){part->text + taken, part->length - taken};
    return before;
}

static const char *parse_host(struct part place, struct qb_rabbit_address *address)
{
    bool has_port = false;
    struct part host;

    if (place.length > 0 && place.text[0] == '[') {
        bool is_closed = false;
        place = (struct part){place.text + 1, place.length - 1};
        host = cut(&place, ']', &is_closed);
        if (!is_closed) return "a host that begins with [ ends with ]";
        has_port = place.length > 0;
        if (has_port && place.text[0] != ':') return "after ] comes : and a port, or nothing";
        if (has_port) place = (struct part){place.text + 1, place.length - 1};
    } else {
        host = cut(&place, ':', &has_port);
    }
    if (!decode(host, address->host)) return "the host is missing or cannot be read";
    if (has_port && !parse_port(place, &address->port)) return "the port is no number to 65535";
    return NULL;
}

/* Null, or what is wrong. */
static const char *parse(struct part url, struct qb_rabbit_address *address)
{
    static const char plain[] = "amqp://";
    static const char tls[] = "amqps://";
    const char *at = NULL;
    bool is_found = false;

    *address = (struct qb_rabbit_address){
        .port = 5672, .user = "guest", .password = "guest", .vhost = "/"};
    if (url.length >= sizeof tls - 1 && memcmp(url.text, tls, sizeof tls - 1) == 0) {
        address->is_tls = true;
        address->port = 5671;
    } else if (url.length < sizeof plain - 1 || memcmp(url.text, plain, sizeof plain - 1) != 0) {
        return "it does not begin with amqp:// or amqps://";
    }
    size_t scheme = (address->is_tls ? sizeof tls : sizeof plain) - 1;
    url = (struct part){url.text + scheme, url.length - scheme};
    struct part authority = cut(&url, '/', &is_found);
    if (url.length > 0 && !decode(url, address->vhost)) return "the vhost cannot be read";
    at = memrchr(authority.text, '@', authority.length);
    if (at != NULL) {
        struct part user = cut(&authority, '@', &is_found);
        struct part password = user;
        user = cut(&password, ':', &is_found);
        if (!decode(user, address->user)) return "the user is missing or cannot be read";
        if (is_found && !decode(password, address->password)) return "the password cannot be read";
        if (memchr(authority.text, '@', authority.length) != NULL)
            return "a @ in a user or password is written %40";
    }
    return parse_host(authority, address);
}

bool qb_rabbit_addresses_parse(const char *urls, struct qb_rabbit_address *addresses, size_t *count,
                               struct qb_error *error)
{
    struct part rest = {urls, strlen(urls)};
    bool has_more = true;

    for (*count = 0; has_more; (*count)++) {
        struct part url = cut(&rest, ',', &has_more);
        if (*count == QB_RABBIT_ADDRESSES_MAX)
            return qb_error_set(error, "more than %d addresses of brokers",
                                QB_RABBIT_ADDRESSES_MAX);
        const char *wrong = parse(url, &addresses[*count]);
        if (wrong != NULL)
            return qb_error_set(error, "address %zu of a broker: %s", *count + 1, wrong);
    }
    return true;
}
