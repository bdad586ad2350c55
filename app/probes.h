/*
 * /health, /ready and /metrics for a command that serves nothing else: a listener and a loop on a
 * thread of its own.
 *
 * Thread    made and freed by one; what the options name is called on the probes' own thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "app/settings.h"
#include "base/attributes.h"
#include "base/error.h"

struct qb_probes;

struct qb_probes_options {
    const struct qb_settings *settings; /* borrowed: the host and the limits of connections */
    uint16_t port;                      /* 0: any free one */
    bool (*is_alive)(void *context);    /* false: /health says 503, to be started anew */
    bool (*is_ready)(void *context);    /* false: /ready says 503 */
    void (*measure)(void *context);     /* sets what /metrics then shows */
    void *context;
};

/* Listens, and answers from now on. Null with `error` set: the port is taken. */
struct qb_probes *qb_probes_new(const struct qb_probes_options *options, struct qb_error *error);
/* Accepts null. */
void qb_probes_free(struct qb_probes **probes);

uint16_t qb_probes_port(const struct qb_probes *probes);
