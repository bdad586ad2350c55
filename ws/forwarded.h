/*
 * Who is behind a proxy: X-Forwarded-For, read from the right (security.md S54, S55).
 *
 * Each proxy adds on the right whom it took the request from. So what a proxy of ours wrote is
 * true, and all that is left of the first address that is none of ours may be made up by it.
 *
 * Pure. Any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/ip.h"

#define QB_FORWARDED_HOPS_MAX 20

/* Zero-filled at its start. */
struct qb_forwarded {
    unsigned hops;   /* seen */
    bool is_found;   /* `client` is none of the proxies: what is left of it is not read */
    bool has_client; /* `client` is set: if all are proxies, the left-most one */
    struct qb_ip client;
};

/*
 * Reads the value of one header; of several, the last one first.
 *
 * proxies  whom to believe
 * returns  false for more than QB_FORWARDED_HOPS_MAX hops in all, or when what has to be read is no
 *          address (with or without a port; IPv6 with a port in brackets) or one that nobody has
 */
QB_MUST_USE bool qb_forwarded_read(struct qb_forwarded *forwarded,
                                   const struct qb_ip_ranges *proxies, const char *value,
                                   size_t length);
