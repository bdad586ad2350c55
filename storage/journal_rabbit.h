/*
 * The journal on RabbitMQ: one quorum queue a shard, many publishing processes, one active reader a
 * queue. docs/journal.md says what is declared there and what a message holds.
 *
 * Writing   a thread of its own publishes. What is handed in is durable when the broker confirmed
 * it within QB_JOURNAL_RABBIT_CONFIRM_US and did not return it; otherwise it is published again,
 * for as long as the journal lives. The entry's own epoch chooses the route, so nothing goes round
 * a seal. Reading   take, settle and free on one thread. Settling acknowledges whole messages: what
 * was settled in the middle of one comes again after a restart, as does everything unsettled when a
 * connection breaks. Positions are local. Readers drop what they have already. Limits    it never
 * gives up and never says that it can confirm no more: watch qb_journal_rabbit_is_open before
 * anything new is decided.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "storage/journal.h"

#define QB_JOURNAL_RABBIT_CONFIRM_US   INT64_C(2000000) /* P2's D, from the publish */
#define QB_JOURNAL_RABBIT_ENTRIES_MAX  1000             /* unconfirmed; beyond, the breaker opens */
#define QB_JOURNAL_RABBIT_BYTES_MAX    (4U << 20)       /* the same */
#define QB_JOURNAL_RABBIT_SHARDS_MAX   64
#define QB_JOURNAL_RABBIT_PREFIX_BYTES 32

struct qb_journal_rabbit_options {
    const char *urls;         /* amqp:// or amqps://, with commas between; copied */
    const char *ca_file;      /* whom to trust at amqps://; null: none is allowed */
    const char *prefix;       /* of all names at the broker: "qb"; copied */
    unsigned shards;          /* 1 to QB_JOURNAL_RABBIT_SHARDS_MAX; the same in all processes */
    uint32_t epoch;           /* older entries are not taken; see qb_journal_rabbit_set_epoch */
    size_t entries_max;       /* of a message; 0: 100 */
    size_t waiting_bytes_max; /* of entries not confirmed yet; beyond, append takes no more */
    bool is_reader;           /* whether take is ever called */
    bool has_no_writer;       /* nothing is ever handed in: there is no thread that publishes */
    uint16_t prefetch;        /* messages held and not settled, a shard; 0: 200 */
    /* On the reader's thread, once all before the marker is settled (P5): record it durably, then
     * return true; false or a crash: it comes again. May be null: markers are dropped. */
    bool (*barrier)(void *context, uint32_t epoch, unsigned shard, unsigned number);
    void *context;
    uint32_t queue_messages_max; /* of a queue; beyond, publishes are nacked;
                                    qb_journal_rabbit_prepare only; 0: no limit */
};

/* A journal whose thread connects by itself, as often as it must. Null with `error` set: the
 * options are wrong. */
struct qb_journal *qb_journal_rabbit_new(const struct qb_journal_rabbit_options *options,
                                         struct qb_error *error);

/*
 * The breaker (P9): whether nothing new may be decided now, because it could not be made durable
 * soon: the broker blocks, there is no channel or no queue, something waits for its confirm for
 * more than a second or too much does, or the broker refused the newest. It closes by itself.
 * Any thread, no lock.
 *
 * retry_after_ms   when it is open: what to tell a client, 1 to 3 seconds by chance; may be null
 */
bool qb_journal_rabbit_is_open(struct qb_journal *journal, uint32_t *retry_after_ms);

/* Whether a queue is missing at the broker, which is a case for recovery (P5). Any thread. */
bool qb_journal_rabbit_lacks_queue(struct qb_journal *journal);

/* Whether the broker has no route for `epoch`: so it is while a recovery seals it, and when the
 * broker died so soon after that epoch was opened that it forgot (seen with 3.10.8). Of an epoch
 * that is open it is a case for recovery, or nothing is confirmed ever again. Any thread. */
bool qb_journal_rabbit_lacks_route(struct qb_journal *journal, uint32_t epoch);

/* From now on entries of `epoch`: what waits of older ones is forgotten, since recovery has voided
 * it, and no more of it is taken. Any thread. */
void qb_journal_rabbit_set_epoch(struct qb_journal *journal, uint32_t epoch);

/* Gives back what was taken and is not settled, by cutting the connections: somebody else may have
 * it. The next take connects again. The reader's thread. */
void qb_journal_rabbit_let_go(struct qb_journal *journal, const char *why);
