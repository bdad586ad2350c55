/*
 * Addresses of the internet protocol, both versions in one form, and ranges of them.
 *
 * Pure. Any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attributes.h"
#include "base/error.h"

#define QB_IP_BYTES      16
#define QB_IP_TEXT_BYTES 48
#define QB_IP_RANGES_MAX 128

/* IPv4 as mapped into IPv6, so that an address has one form however it came (security.md S51). */
struct qb_ip {
    uint8_t bytes[QB_IP_BYTES];
};

/* Exactly an address: no port, zone, brackets or white space. */
QB_MUST_USE bool qb_ip_parse(const char *text, size_t length, struct qb_ip *ip);
/* IPv4 with its dots. */
void qb_ip_text(const struct qb_ip *ip, char text[QB_IP_TEXT_BYTES]);

bool qb_ip_is_loopback(const struct qb_ip *ip);
/* 0.0.0.0 or ::, which nobody has. */
bool qb_ip_is_unspecified(const struct qb_ip *ip);
/* What limits count: IPv4 whole, IPv6 by its /64, which one customer has (S51). */
void qb_ip_key(const struct qb_ip *ip, uint8_t key[QB_IP_BYTES]);

struct qb_ip_range {
    struct qb_ip first;
    uint8_t bits; /* of the prefix, counted over all 128 */
};

struct qb_ip_ranges {
    struct qb_ip_range list[QB_IP_RANGES_MAX];
    size_t count;
};

/*
 * "10.0.0.0/8, fd00::/8,192.0.2.7": addresses and prefixes, separated by commas; none of "".
 *
 * False with `error` set: one that cannot be read, that has bits behind its prefix, that holds
 * everybody, or too many.
 */
QB_MUST_USE bool qb_ip_ranges_parse(const char *text, struct qb_ip_ranges *ranges,
                                    struct qb_error *error);
bool qb_ip_ranges_have(const struct qb_ip_ranges *ranges, const struct qb_ip *ip);
