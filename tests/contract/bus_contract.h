/*
 * What every bus must do. The subject says how to make one and how to let it work until all that
 * was published has been heard.
 */
#pragma once

#include "pubsub/bus.h"

struct bus_subject {
    const char *name;
    struct qb_bus *(*make)(void);
    /* Joins a member of its own thread or of this one; drained by `settle`. */
    struct qb_bus_member *(*join)(struct qb_bus *bus, qb_bus_heard *heard, void *context);
    void (*settle)(void);
    /* Joins a member whose mailbox takes `messages` and is not drained until `settle`. */
    struct qb_bus_member *(*join_small)(struct qb_bus *bus, size_t messages, qb_bus_heard *heard,
                                        void *context);
    void (*end)(struct qb_bus **bus);
};

void bus_contract(const struct bus_subject *subject);
