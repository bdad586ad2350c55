/*
 * One-time tickets for a WebSocket handshake (security.md S28): 192 random bits, 30 s, single use,
 * bound to the identity that asked. Only their SHA-256 is kept.
 *
 * Any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/attributes.h"
#include "ws/edge.h"

#define QB_TICKET_BYTES        33 /* 32 characters of base64url and a zero byte */
#define QB_TICKET_LIFE_US      INT64_C(30000000)
#define QB_TICKETS_OF_USER_MAX 32

struct qb_tickets;

/* At most `tickets_max` unused ones at a time. */
struct qb_tickets *qb_tickets_new(size_t tickets_max);
void qb_tickets_free(struct qb_tickets **tickets);

/* False: the table is full, or this user has QB_TICKETS_OF_USER_MAX unused ones. */
QB_MUST_USE bool qb_tickets_issue(struct qb_tickets *tickets, const struct qb_identity *identity,
                                  int64_t mono_us, char ticket[QB_TICKET_BYTES]);

/* Uses up `ticket`. False: unknown, used or older than its life. */
QB_MUST_USE bool qb_tickets_take(struct qb_tickets *tickets, const char *ticket, size_t length,
                                 int64_t mono_us, struct qb_identity *identity);
