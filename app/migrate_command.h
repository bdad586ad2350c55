/*
 * The command `quickbid migrate`.
 */
#pragma once

#include "app/settings.h"

/* Applies what is missing of the numbered migrations to the data folder's database. */
int qb_migrate_command(const struct qb_settings *settings, const char *argument);
