/*
 * What one replica decides about accounts and all must obey: logouts and changes of roles, bans,
 * limits; and what a replica did to an auction that the catalogue tells. The store is the truth;
 * whoever has changed it says so here, and it holds in this process at once, and in the others as
 * soon as they hear of it in Redis (channel qb:{q0}:control). What a message does not bring is
 * found by reading the store: every two seconds, and when the connection to Redis is back. Limits,
 * and revocations by a replica whose clock is off by more than a minute, are read only every 15th
 * time.
 *
 * Thread    any, for what is said; two of its own, one that hears and one that reads.
 * Order     a message that came while the store was read is newer than what was read.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "app/revoked.h"
#include "base/attributes.h"
#include "base/error.h"
#include "storage/catalogue.h"
#include "storage/holds_memory.h"
#include "storage/store.h"
#include "ws/close.h"

struct qb_control;

struct qb_control_options {
    const char *address; /* of shard 0 (base/redis.h); null: this process is alone. Borrowed */
    const char *name;    /* what CLIENT LIST shows, without spaces; borrowed for the call */
    /* These are kept and outlive the control. */
    struct qb_store *store;
    struct qb_revoked *revoked;
    struct qb_holds *holds;
    struct qb_catalogue *catalogue;
    /* Ends the sessions of a login and those of an account (0: of none) in this process; only for
     * what others said. Called on the control's threads; may not call the control. */
    void (*end_sessions)(void *context, uint64_t login, qb_id user, enum qb_close reason);
    void *context;
    int64_t read_us; /* between two reads of the store; 0: 2 s */
};

/* Null with `error` set: an address that cannot be read. Alone it starts no thread. What was loaded
 * from the store before is compared with it at once. */
struct qb_control *qb_control_new(const struct qb_control_options *options, struct qb_error *error);
void qb_control_free(struct qb_control **control);

/* Each after the store has it. Sessions of this process are the caller's. */
void qb_control_revoke(struct qb_control *control, const struct qb_revocation *revocation);
void qb_control_ban(struct qb_control *control, qb_id user, bool is_banned);
/* -1: none any more. */
void qb_control_limit(struct qb_control *control, qb_id user, const char *currency, int64_t amount);

/* Entry `seq`, which is durable, changed what the catalogue says of `auction`. Others that do not
 * hear of it tell the old until its life in their cache is over. */
void qb_control_described(struct qb_control *control, qb_id auction, uint64_t seq);
