/*
 * `quickbid persist`: confirmed entries from RabbitMQ into Postgres, until SIGTERM.
 */
#pragma once

#include "app/settings.h"

/* The exit code. */
int qb_persist(const struct qb_settings *settings, const char *argument);
