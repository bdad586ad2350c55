/*
 * What a process that trims Redis (storage/ledger_redis_trim.h) asks of Postgres beside the
 * commits.
 *
 * Thread    the link's.
 */
#pragma once

#include <stdbool.h>

#include "base/attributes.h"
#include "base/error.h"
#include "storage/sql.h"

/*
 * Whether it is this session, of all that ask, that trims: until the session ends. For economy:
 * that two do it is no harm. False with `error` set also when this Postgres may lose commits by a
 * setting (reliability.md P0): then nothing may be taken away that only it has.
 */
QB_MUST_USE bool qb_trims_turn(struct qb_sql_link *link, bool *is_mine, struct qb_error *error);
