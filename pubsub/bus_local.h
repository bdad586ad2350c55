/*
 * The bus within one process: from any I/O thread to all that have subscribed.
 */
#pragma once

#include "pubsub/bus.h"

#define QB_BUS_MEMBERS_MAX 64

/* A message finds a full mailbox: it is dropped and counted (bus_dropped_total). */
struct qb_bus *qb_bus_local_new(void);
