/*
 * When an entry is durable in a cluster, so that its bidder is answered: the same for all replicas
 * within an epoch (reliability.md 2.3, `ack`).
 */
#pragma once

#include <stdbool.h>

enum qb_ack {
    QB_ACK_JOURNAL, /* RabbitMQ has confirmed it and all below: it is in two stores */
    QB_ACK_LEDGER,  /* Redis has it on disk, and all replicas that may be promoted have it, too */
    QB_ACKS
};

/* As the setting and Postgres have it. */
const char *qb_ack_name(enum qb_ack ack);
/* False: there is none of that name. */
bool qb_ack_parse(const char *name, enum qb_ack *ack);
