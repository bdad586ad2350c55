/*
 * The command `quickbid seed`.
 */
#pragma once

#include "app/settings.h"

/* Fills an empty data folder with demo accounts and auctions (argument: --demo). */
int qb_seed(const struct qb_settings *settings, const char *argument);
