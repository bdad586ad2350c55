/*
 * The command `quickbid replay`.
 */
#pragma once

#include "app/settings.h"

/* Decides an auction again from its ledger, verifies the chain and prints the story. Needs the
 * data folder for itself or a stopped server; 0 when the chain holds. */
int qb_replay(const struct qb_settings *settings, const char *argument);
