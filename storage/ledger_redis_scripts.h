/*
 * The scripts on Redis, of the ledger and of limits, for one epoch, which is a literal of their
 * texts: their SHA-1 is computed here, so that who only calls them needs no right to load them, and
 * a script that is missing stays missing (reliability.md P1). Also one command being put together.
 *
 * Any thread; what is made belongs to its caller.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/redis.h"
#include "base/text.h"

enum qb_script {
    QB_SCRIPT_APPEND,
    QB_SCRIPT_MARK,
    QB_SCRIPT_HEADS,
    QB_SCRIPT_READ,
    QB_SCRIPT_SAFE,
    QB_SCRIPT_SWEEP,
    QB_SCRIPT_SNAPSHOT,
    QB_SCRIPT_TRIM,   /* storage/ledger_redis_trim.h */
    QB_SCRIPT_LIMITS, /* storage/limits_redis.h */
    QB_SCRIPT_TALLY,  /* storage/tally_redis.h */
    QB_SCRIPT_COUNT
};

#define QB_SCRIPT_SHA_BYTES 41 /* 40 hex digits and a zero byte */

/* The text of a script for `epoch`, added to `text`. */
void qb_script_text(enum qb_script script, uint32_t epoch, struct qb_text *text);
/* By what EVALSHA knows it. */
void qb_script_sha(enum qb_script script, uint32_t epoch, char sha[QB_SCRIPT_SHA_BYTES]);

/* A command being put together word by word. Zero-filled is empty; its memory is used again. */
struct qb_words {
    struct qb_text bytes;
    size_t *ends;
    const char **words;
    size_t *lengths;
    size_t count;
    size_t room;
};

void qb_words_fini(struct qb_words *words);
void qb_words_clear(struct qb_words *words);
void qb_words_add(struct qb_words *words, const void *bytes, size_t length);
void qb_words_string(struct qb_words *words, const char *string);
void qb_words_int(struct qb_words *words, int64_t value);
/* How many entries the journal lacks, in a shard. */
#define QB_OUTBOX_KEY "outbox:entries"
/* "qb:{q<shard>}:<name>" */
void qb_words_shard_key(struct qb_words *words, unsigned shard, const char *name);
/* "qb:{q<shard>}:<16 hex digits of the auction>:<name>" */
void qb_words_auction_key(struct qb_words *words, unsigned shard, qb_id auction, const char *name);
/* What limits keep begins with this behind "qb:{q<shard>}:". A recovery leaves it as it is: nobody
 * gets a new start by crashing Redis (reliability.md H30). */
#define QB_LIMIT_KEYS "limit:"
/* "qb:{q<shard>}:limit:<16 hex digits of the user>:<name>" */
void qb_words_user_key(struct qb_words *words, unsigned shard, qb_id user, const char *name);
/* "qb:{q<shard>}:log:<16 hex digits>": the channel of an auction's log. */
void qb_words_channel(struct qb_words *words, unsigned shard, qb_id auction);
/* The 16 hex digits. */
void qb_words_id(struct qb_words *words, qb_id auction);

void qb_words_send(struct qb_words *words, struct qb_redis *redis, qb_redis_answer *answer,
                   void *context);
