/*
 * The command `quickbid serve`.
 */
#pragma once

#include "app/settings.h"

/* Serves auctions until SIGTERM or SIGINT, then drains. Returns the exit code. */
int qb_serve(const struct qb_settings *settings, const char *argument);
