/*
 * The command `quickbid health`.
 */
#pragma once

#include "app/settings.h"

/* Asks /health of the server on this machine; 0 when it answers 200. */
int qb_health(const struct qb_settings *settings, const char *argument);
