/*
 * Where the brokers are: amqp://user:password@host:port/vhost, or amqps:// for TLS; several with
 * commas between. Parts are percent-decoded; an IPv6 host stands in brackets.
 *
 * Pure; any thread. What is wrong is said without the text itself, which holds a password.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/attributes.h"
#include "base/error.h"

#define QB_RABBIT_ADDRESSES_MAX  8
#define QB_RABBIT_PART_BYTES_MAX 255

struct qb_rabbit_address {
    bool is_tls;
    uint16_t port; /* if none is given: 5672, or 5671 with TLS */
    char host[QB_RABBIT_PART_BYTES_MAX + 1];
    char user[QB_RABBIT_PART_BYTES_MAX + 1]; /* "guest" if none is given, as the broker has it */
    char password[QB_RABBIT_PART_BYTES_MAX + 1];
    char vhost[QB_RABBIT_PART_BYTES_MAX + 1]; /* "/" if none is given */
};

/* Reads 1 to QB_RABBIT_ADDRESSES_MAX addresses into `addresses`, which has room for so many. */
QB_MUST_USE bool qb_rabbit_addresses_parse(const char *urls, struct qb_rabbit_address *addresses,
                                           size_t *count, struct qb_error *error);
