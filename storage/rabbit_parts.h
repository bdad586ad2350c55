/*
 * A connection to RabbitMQ from inside: what rabbit_connect.c and rabbit.c share. Private to
 * storage/rabbit*.c; the only header that includes the library's.
 */
#pragma once

#include <amqp.h>

#include "storage/rabbit.h"
#include "storage/rabbit_address.h"

#define QB_RABBIT_WORK 1 /* the channel of publishing and consuming */

/* A message whose header and body are still to come. */
struct qb_rabbit_arriving {
    enum qb_rabbit_event_kind kind; /* NOTHING: none */
    uint64_t tag;
    uint64_t id;
    uint64_t expected; /* bytes of its body */
    uint64_t arrived;
};

struct qb_rabbit {
    struct qb_rabbit_options options;
    char *ca_file;
    struct qb_rabbit_address addresses[QB_RABBIT_ADDRESSES_MAX];
    size_t address_count;
    size_t next_address;
    amqp_connection_state_t link; /* null: not connected */
    bool has_admin;
    uint16_t refusal; /* the number of the last one */
    uint64_t published;
    struct qb_rabbit_arriving arriving;
    uint8_t *body;
    size_t body_room;
};

/* Cuts a connection that is of no more use, and says why by the library's number. Returns false. */
bool qb_rabbit_lost(struct qb_rabbit *rabbit, int status, struct qb_error *error);

/* The same for one that the broker closes, with its own words. Returns false. */
bool qb_rabbit_closed(struct qb_rabbit *rabbit, const amqp_method_t *method,
                      struct qb_error *error);
