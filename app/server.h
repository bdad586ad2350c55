/*
 * A whole server: stores, threads, edges, wired together from the settings.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "app/settings.h"
#include "base/error.h"

struct qb_server;

/* Opens the data folder, rebuilds what was live, listens. Null with `error` set. */
QB_MUST_USE struct qb_server *qb_server_new(const struct qb_settings *settings,
                                            struct qb_error *error);
/* Starts the threads; /ready answers 200 from now on. */
void qb_server_run(struct qb_server *server);

/* Not ready, no new commands, clients told to come back, verdicts given, journal flushed, threads
 * ended. False when something was left behind in the time given. */
QB_MUST_USE bool qb_server_drain(struct qb_server *server);
void qb_server_free(struct qb_server **server);

uint16_t qb_server_port(const struct qb_server *server);
unsigned qb_server_threads(const struct qb_server *server);
