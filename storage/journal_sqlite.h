/*
 * The journal as a table of the embedded database: a thread with group commit. What came while one
 * commit ran goes together into the next; each commit is one fsync.
 */
#pragma once

#include "storage/journal.h"
#include "storage/sqlite.h"

struct qb_journal_sqlite_options {
    struct qb_database *database; /* kept; migrated; outlives the journal */
    size_t waiting_bytes_max;     /* entries that wait for their commit; beyond: append refuses */
};

/* Null with `error` set when the database cannot be opened. Settling happens inside the archiver's
 * transaction when its link is given to qb_journal_sqlite_share(). */
QB_MUST_USE struct qb_journal *
qb_journal_sqlite_new(const struct qb_journal_sqlite_options *options, struct qb_error *error);

/* Reads and settles through `link` from now on, in whatever transaction it is: so that a batch and
 * its settling commit together. Borrowed until the journal is freed or null is given. */
void qb_journal_sqlite_share(struct qb_journal *journal, struct qb_sql_link *link);
