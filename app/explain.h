/*
 * `quickbid recover --explain`: for whoever is on call. Asks Postgres, every shard of Redis and
 * RabbitMQ where the cluster stands, and says in plain words whether a recovery is needed or under
 * way, what it waits for and what to do next. Changes nothing; whichever of them is down, it says
 * what the others know. Recoveries themselves are led by `quickbid serve`.
 */
#pragma once

#include "app/settings.h"

/* Returns the exit status: 0 all is well; 1 a recovery is needed or under way, or somebody has to
 * do something; 3 a service does not answer, so that this is not known; 2 wrong words. */
int qb_explain_command(const struct qb_settings *settings, const char *argument);
