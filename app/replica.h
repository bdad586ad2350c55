/*
 * A whole server: stores, threads, edges, wired together from the settings.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "app/settings.h"
#include "base/error.h"

struct qb_replica;

/* Opens the data folder, rebuilds what was live, listens. Null with `error` set. */
QB_MUST_USE struct qb_replica *qb_replica_new(const struct qb_settings *settings,
                                              struct qb_error *error);
/* Starts the threads; /ready answers 200 from now on. */
void qb_replica_run(struct qb_replica *replica);

/* Not ready, no new commands, clients told to come back, verdicts given, journal flushed, threads
 * ended. False when something was left behind in the time given. */
QB_MUST_USE bool qb_replica_drain(struct qb_replica *replica);
void qb_replica_free(struct qb_replica **replica);

uint16_t qb_replica_port(const struct qb_replica *replica);
unsigned qb_replica_threads(const struct qb_replica *replica);
