/*
 * Tokens that are refused before they end by themselves (security.md S27, S29): those of a login
 * that was logged out, and those that an account got before its roles changed.
 *
 * In memory, because every use of a token asks, and a WebSocket's `auth` and handshake must be
 * decided on their I/O thread: whoever is let in after a look here is found by the closing of
 * sessions that follows a revocation, so none slips in between. The store keeps the same rows for
 * the next start. A row goes when the last token it is about has ended.
 *
 * Bounded. When it is full the oldest row goes, and from then on a token of anybody issued up to
 * that row's time is refused: a flood of logouts makes some clients renew, and lets nobody in.
 *
 * Any thread; one mutex, held for less than a microsecond.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/attributes.h"
#include "storage/store.h"
#include "ws/edge.h"

struct qb_revoked;

/* Of `login`, or, when that is 0, of what `user` has got until now. */
struct qb_revocation qb_revocation_now(uint64_t login, qb_id user);

struct qb_revoked *qb_revoked_new(size_t rows_max);
void qb_revoked_free(struct qb_revoked **revoked);

/* One more, or a newer one of the same login or account. Copied. */
void qb_revoked_add(struct qb_revoked *revoked, const struct qb_revocation *revocation,
                    qb_time_us now_us);

/* The same of what another replica or the store tells, unless as new a one is known, or a newer
 * one. Returns whether it was added: then sessions that it ends may still be there. */
QB_MUST_USE bool qb_revoked_learn(struct qb_revoked *revoked,
                                  const struct qb_revocation *revocation, qb_time_us now_us);

/* Whether what was known of `identity` at its checked_us holds no longer. */
QB_MUST_USE bool qb_revoked_has(struct qb_revoked *revoked, const struct qb_identity *identity);

/*
 * The whole second that a token for `identity` shall call its time of issue. Tokens know no parts
 * of a second: one made in the second of a revocation, but after it, is of the second that follows,
 * or it would be taken for one from before.
 */
qb_time_us qb_revoked_issue_us(struct qb_revoked *revoked, const struct qb_identity *identity);
