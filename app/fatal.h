/*
 * The end of the process for what it cannot go on with: a disk that no longer takes bids, say.
 * What was acknowledged is durable; the next start decides about the rest. Any thread.
 */
#pragma once

#include "base/attributes.h"

/* Logs `event` with the text and exits with 1 at once, without any clean-up. */
QB_NORETURN void qb_fatal(const char *event, const char *text);
