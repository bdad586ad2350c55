/*
 * Which replicas hear their bus whole, as far as Postgres knows: each that does holds a shared
 * advisory lock in its session, so that whoever ends or loses Postgres is no longer one of them.
 * Nothing is written.
 *
 * Thread    the link's.
 */
#pragma once

#include <stdbool.h>

#include "base/attributes.h"
#include "base/error.h"
#include "storage/sql.h"

/* This session's replica hears from now on, or does not. Said again it does no harm, and holds
 * after the session broke and came back. */
QB_MUST_USE bool qb_hearers_say(struct qb_sql_link *link, bool hears, struct qb_error *error);

/* Whether any other session of the installation has said that it hears. */
QB_MUST_USE bool qb_hearers_others(struct qb_sql_link *link, bool *is_there,
                                   struct qb_error *error);
