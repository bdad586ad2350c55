/*
 * `quickbid recover --explain` from inside: what was found, and what follows from it. Private to
 * app/explain*.c and its test.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "app/cluster.h"
#include "base/text.h"
#include "storage/journal_rabbit_admin.h"
#include "storage/situation.h"

#define QB_EXPLAIN_TEXT_BYTES   256
#define QB_EXPLAIN_AUCTIONS_MAX 10000 /* looked at, a shard */

/* Why a service cannot be asked; empty: it answers. */
struct qb_explain_answer {
    char why[QB_EXPLAIN_TEXT_BYTES];
};

/* Whether a shard of Redis is still the one that its epoch was opened in. */
enum qb_explain_fence {
    QB_EXPLAIN_INTACT,
    QB_EXPLAIN_NO_EPOCH,   /* it has none: its data is lost, or it is new */
    QB_EXPLAIN_REBUILDING, /* a leader writes it anew */
    QB_EXPLAIN_RESTARTED,  /* the epoch, but not its scripts */
    QB_EXPLAIN_OTHER,      /* of another epoch than Postgres says */
};

/* An auction in Redis. */
struct qb_explain_head {
    qb_id auction;
    uint64_t seq;
    uint64_t durable;
};

struct qb_explain_shard {
    struct qb_explain_answer answer;
    enum qb_explain_fence fence;
    int64_t epoch;        /* 0: none */
    int64_t live;         /* auctions that have keys */
    int64_t pending;      /* auctions with entries that are not confirmed (pend) */
    int64_t pending_us;   /* for how long the oldest is so */
    int64_t due;          /* auctions that have an end to come (due) */
    int64_t next_end_us;  /* from now; below 0: it is past */
    uint64_t unconfirmed; /* entries of them above what is confirmed */
    uint64_t unarchived;  /* entries above what Postgres has; set by qb_explain_compare() */
    struct qb_explain_head *heads; /* owned */
    size_t head_count;
};

struct qb_explain {
    unsigned shards;
    struct qb_explain_answer postgres;
    struct qb_situation situation;
    struct qb_explain_answer rabbit;
    struct qb_journal_rabbit_seen seen;
    struct qb_explain_shard redis[QB_SHARDS_MAX];
    const char *prefix; /* of the names at RabbitMQ */
};

/* What the exit status says. */
enum qb_explain_verdict {
    QB_EXPLAIN_FINE = 0,
    QB_EXPLAIN_ATTENTION = 1, /* a recovery is needed or under way, or a person is */
    QB_EXPLAIN_UNKNOWN = 3,   /* a service does not answer */
};

/* explain_redis.c: asks one shard; `epoch` is Postgres's, -1: not known. */
void qb_explain_ask_shard(const struct qb_cluster *cluster, unsigned shard, int64_t epoch,
                          struct qb_explain_shard *found);

/* explain_advice.c: pure. Adds what is known of the recovery, what it waits for and what to do. */
enum qb_explain_verdict qb_explain_advise(const struct qb_explain *explain, struct qb_text *text);
