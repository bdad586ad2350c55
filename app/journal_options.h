/*
 * The journal of a cluster as the settings describe it, for who publishes and who persists.
 */
#pragma once

#include "app/settings.h"
#include "storage/journal_rabbit.h"

/* Neither reader nor epoch, which the caller sets; texts are borrowed from `settings`. */
struct qb_journal_rabbit_options qb_journal_options(const struct qb_settings *settings,
                                                    unsigned shards);
