/*
 * An entry of an auction's log: one command in its place. One canonical encoding for ledger, bus,
 * journal and store, and the public form over which the hash chain goes (reliability.md 2.3).
 *
 * Pure; any thread; no allocation.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attributes.h"
#include "base/sha256.h"
#include "bidding/money.h"
#include "bidding/rules.h"

#define QB_ENTRY_VERSION    1
#define QB_ENTRY_BYTES_MAX  2048
#define QB_BID_ID_BYTES     16
#define QB_REASON_BYTES_MAX 200
#define QB_KEY_BYTES_MAX    64

/* Where the canonical bytes hold what the ledger adds: storage/redis/append.lua writes it there. */
#define QB_ENTRY_EPOCH_AT 9
#define QB_ENTRY_SEQ_AT   13
#define QB_ENTRY_NOW_AT   84

enum qb_entry_type { /* numbers are part of the encoding: only ever appended */
                     QB_ENTRY_OPEN = 1,
                     QB_ENTRY_BID,
                     QB_ENTRY_BUY_NOW,
                     QB_ENTRY_RETRACT,
                     QB_ENTRY_VOID,
                     QB_ENTRY_BLOCK,
                     QB_ENTRY_UNBLOCK,
                     QB_ENTRY_RESERVE,
                     QB_ENTRY_EXTEND,
                     QB_ENTRY_PAUSE,
                     QB_ENTRY_RESUME,
                     QB_ENTRY_CLOSE,
                     QB_ENTRY_CANCEL,
                     QB_ENTRY_DISCARD,
                     QB_ENTRY_TYPE_COUNT
};

/* "OPEN", "BID" … or null. */
const char *qb_entry_type_name(enum qb_entry_type type);

enum qb_actor { QB_ACTOR_SYSTEM, QB_ACTOR_BIDDER, QB_ACTOR_SELLER, QB_ACTOR_ADMIN };

enum qb_retract_reason { /* rules.md 8 */
                         QB_RETRACT_WRONG_AMOUNT = 1,
                         QB_RETRACT_DESCRIPTION_CHANGED,
                         QB_RETRACT_SELLER_UNREACHABLE,
};

struct qb_entry {
    qb_id auction;
    uint32_t epoch; /* by the ledger */
    uint64_t seq;   /* by the ledger, from 1 without gaps */
    uint8_t type;   /* enum qb_entry_type */
    uint8_t by;     /* enum qb_actor: on whose authority */
    uint8_t reason; /* RETRACT: enum qb_retract_reason */
    uint8_t bid_id[QB_BID_ID_BYTES];
    qb_id bidder; /* BID, BUY_NOW, RETRACT: who asks; VOID, BLOCK, UNBLOCK: on whom; else 0 */
    qb_id actor;  /* the account that gave the command; 0: the system */
    int64_t max;  /* BID: the maximum; BUY_NOW: the price; RESERVE: the new one; else NONE */
    char currency[QB_CURRENCY_BYTES]; /* BID, BUY_NOW; else empty */
    int64_t allowance;   /* BID, BUY_NOW: what the account can grant here; -1: no limit */
    qb_time_us recv_us;  /* BID, BUY_NOW: the edge's stamp in the ledger's time; 0: none */
    qb_time_us now_us;   /* by the ledger at the append */
    uint64_t target_seq; /* VOID: entry to strike; 0: all live bids of `bidder` */
    qb_time_us end_us;   /* EXTEND: the new end */
    uint16_t text_length;
    char text[QB_REASON_BYTES_MAX + 1]; /* an operator's reason; UTF-8 */
    const struct qb_rules *rules;       /* OPEN only; borrowed */
};

/*
 * Canonical bytes: every field of the entry in fixed order, integers little-endian, byte strings
 * after a u16 length, OPEN's rules at the end.
 *
 * bytes    room for QB_ENTRY_BYTES_MAX
 * returns  the length
 */
size_t qb_entry_encode(const struct qb_entry *entry, uint8_t *bytes);

/*
 * Reads what qb_entry_encode() wrote, of this version or the one before. Strict: false for
 * anything else, for times out of range and for an OPEN by whose rules the fold cannot work,
 * without reading past `length`.
 *
 * rules    filled for an OPEN, to which entry->rules then points; may not be null
 */
QB_MUST_USE bool qb_entry_decode(const uint8_t *bytes, size_t length, struct qb_entry *entry,
                                 struct qb_rules *rules);

/*
 * The public form: the canonical bytes with bidder, actor, max, allowance, reserve and secret
 * replaced or left out as reliability.md 2.3 says, under the auction's `secret`.
 *
 * bytes    room for QB_ENTRY_BYTES_MAX + 128
 * returns  the length
 */
size_t qb_entry_public_form(const struct qb_entry *entry, const uint8_t secret[QB_SECRET_BYTES],
                            uint8_t *bytes);

/* First 16 bytes of SHA-256(auction, bidder, key), each with its length before it (rules.md 7). */
void qb_bid_id(qb_id auction, qb_id bidder, const char *key, size_t key_length,
               uint8_t bid_id[QB_BID_ID_BYTES]);

/* 1 to 64 of [A-Za-z0-9_-]. */
bool qb_key_is_valid(const char *key, size_t length);

/* A digest of what was asked (type, bidder, max, currency, target…), to tell a resend from a
 * reused key. Never 0. */
uint64_t qb_entry_asked(const struct qb_entry *entry);

/* HMAC-SHA-256(secret, bidder): how the chain names a bidder. */
void qb_bidder_hidden(const uint8_t secret[QB_SECRET_BYTES], qb_id bidder,
                      uint8_t digest[QB_SHA256_BYTES]);

#define QB_LABEL_BYTES 6 /* five characters of base 32 and a zero byte: "K7Q2F" */

/* The bidder's public label in one auction: 25 bits of HMAC-SHA-256(secret, bidder) (rules.md 11).
 */
void qb_bidder_label(const uint8_t secret[QB_SECRET_BYTES], qb_id bidder,
                     char label[QB_LABEL_BYTES]);
