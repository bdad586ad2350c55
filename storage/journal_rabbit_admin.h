/*
 * What the leader of a recovery (reliability.md P5) does to the journal's queues, and the test at a
 * start that the broker keeps its promises. Each call makes a connection of its own and blocks for
 * some seconds at most; all may be repeated. Only the leader calls any but the self-test, put and
 * is_empty.
 */
#pragma once

#include "storage/journal_rabbit.h"
#include "storage/rabbit.h"

/* Creates exchange, queues and dead letters' queue where they are missing, and opens the routes of
 * `epoch`. False also when one is there with other arguments; `error` says what to change. */
QB_MUST_USE bool qb_journal_rabbit_prepare(const struct qb_journal_rabbit_options *options,
                                           uint32_t epoch, struct qb_error *error);

/* Seals: from here on nothing of `epoch` is routed; publishers get it returned. */
QB_MUST_USE bool qb_journal_rabbit_seal(const struct qb_journal_rabbit_options *options,
                                        uint32_t epoch, struct qb_error *error);

/* Publishes the `number`-th barrier of `epoch` into every queue, past the routes. True: confirmed
 * by all. */
QB_MUST_USE bool qb_journal_rabbit_mark(const struct qb_journal_rabbit_options *options,
                                        uint32_t epoch, unsigned number, struct qb_error *error);

/* Publishes entries of one shard and one epoch past the routes, for what was lost by a queue or by
 * Postgres: `count` is at most QB_JOURNAL_RABBIT_PUT_MAX. True: confirmed. */
#define QB_JOURNAL_RABBIT_PUT_MAX 100
QB_MUST_USE bool qb_journal_rabbit_put(const struct qb_journal_rabbit_options *options,
                                       unsigned shard, const struct qb_journal_item *items,
                                       size_t count, struct qb_error *error);

/* Whether a queue is missing. False: the broker cannot be asked. */
QB_MUST_USE bool qb_journal_rabbit_find(const struct qb_journal_rabbit_options *options,
                                        bool *is_missing, struct qb_error *error);

/* Whether no message waits in a shard's queue; what a reader holds is not counted. False: it is
 * missing, or the broker cannot be asked. */
QB_MUST_USE bool qb_journal_rabbit_is_empty(const struct qb_journal_rabbit_options *options,
                                            unsigned shard, bool *is_empty, struct qb_error *error);

/* What is in the queues, and in that of dead letters. Passive: makes nothing. */
struct qb_journal_rabbit_seen {
    struct qb_rabbit_count queues[QB_JOURNAL_RABBIT_SHARDS_MAX];
    struct qb_rabbit_count dead;
};
QB_MUST_USE bool qb_journal_rabbit_look(const struct qb_journal_rabbit_options *options,
                                        struct qb_journal_rabbit_seen *seen,
                                        struct qb_error *error);

/*
 * P0's self-test, on a queue of its own with the arguments of the real ones: what is published is
 * confirmed and taken, what cannot be routed is returned, lost connections bring back what was not
 * settled, in its order and as often as it takes, one reader gets all, a full queue refuses, and
 * what is given up is kept with the dead letters. About half a second. False: `error` says why, and
 * with `*is_unfit` what to change at the broker: do not serve; else it could not be asked.
 */
QB_MUST_USE bool qb_journal_rabbit_self_test(const struct qb_journal_rabbit_options *options,
                                             bool *is_unfit, struct qb_error *error);

/* Removes everything, with what is in it. For tests and for who starts anew. */
QB_MUST_USE bool qb_journal_rabbit_remove(const struct qb_journal_rabbit_options *options,
                                          struct qb_error *error);
