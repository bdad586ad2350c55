/*
 * What every journal must do. The subject says how to make one, how to open what it left, and how
 * to keep it from committing for a while.
 */
#pragma once

#include "storage/journal.h"

struct journal_subject {
    const char *name;
    struct qb_journal *(*make)(size_t waiting_bytes_max); /* new and empty */
    struct qb_journal *(*again)(void);                    /* on what the last one left, freed */
    void (*stall)(bool is_stalled);                       /* appends wait meanwhile */
    void (*end)(struct qb_journal **journal);             /* frees it and what it left */
};

void journal_contract(const struct journal_subject *subject);
