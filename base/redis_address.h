/*
 * What an address of Redis says. Private to base/redis*.c; base/redis.h describes the two forms.
 *
 * Any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/attributes.h"
#include "base/error.h"

#define QB_REDIS_HOSTS_MAX  8
#define QB_REDIS_HOST_BYTES 256
#define QB_REDIS_WORD_BYTES 256

struct qb_redis_host {
    char name[QB_REDIS_HOST_BYTES];
    char port[6];
};

struct qb_redis_address {
    bool is_sentinel; /* `hosts` are Sentinels, which are asked for `primary` */
    bool has_login;
    char user[QB_REDIS_WORD_BYTES]; /* empty: the default user */
    char password[QB_REDIS_WORD_BYTES];
    char primary[QB_REDIS_WORD_BYTES];
    char sentinel_password[QB_REDIS_WORD_BYTES];    /* empty: none */
    struct qb_redis_host hosts[QB_REDIS_HOSTS_MAX]; /* in the order of the address */
    size_t host_count;
};

/* False with `error` set, which never quotes the address: it may hold a password. */
QB_MUST_USE bool qb_redis_address_parse(const char *text, struct qb_redis_address *address,
                                        struct qb_error *error);
/* Leaves no password behind. */
void qb_redis_address_clear(struct qb_redis_address *address);
