/*
 * What a journal on a broker has not had confirmed yet: entries gathered into messages by shard and
 * epoch, and for each writer and auction how far everything handed in is confirmed.
 *
 * An entry may be confirmed before one that was handed in earlier; it is told only when that one is
 * confirmed, too. What one call handed in of a shard stays in one message.
 *
 * Pure but for memory; one thread: the journal's publisher.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/map.h"
#include "storage/journal_message.h"
#include "storage/journal_waiting.h"

#define QB_JOURNAL_OUTGOING_BYTES_MAX 65536 /* of a message; a first entry has room in any case */

struct qb_journal_handed;

/* A message that waits, or is under way; the publisher's fields are its own. */
struct qb_journal_outgoing {
    struct qb_journal_outgoing *next;
    struct qb_journal_message head;
    uint8_t *bytes;
    size_t length;
    size_t room;
    struct qb_journal_handed **entries; /* head.count of them */
    size_t entries_room;
    size_t entry_bytes; /* as the journal's limit of waiting bytes counts */
    uint64_t serial;    /* of its first entry, among all ever handed in */
    uint64_t id;        /* grows from message to message */
    int64_t since_us;   /* its first entry was taken out of the pile */
    /* the publisher's */
    uint64_t tag;
    int64_t published_us;
    bool is_returned;
    bool was_published;
};

/* The messages of one shard, oldest first; `open` still gathers. */
struct qb_journal_lane {
    struct qb_journal_outgoing *first;
    struct qb_journal_outgoing *open;
};

struct qb_journal_outbox {
    struct qb_journal_lane *lanes;
    unsigned shards;
    size_t entries_max; /* of a message, unless one call hands in more */
    uint64_t next_id;
    struct qb_map tracks; /* writer and auction -> struct track */
    struct track *changed;
};

void qb_journal_outbox_init(struct qb_journal_outbox *outbox, unsigned shards, size_t entries_max);
/* Frees all that waits; what is under way is the caller's to give back first. */
void qb_journal_outbox_fini(struct qb_journal_outbox *outbox);

/* Takes an entry of a pile in, the `serial`-th ever. */
void qb_journal_outbox_add(struct qb_journal_outbox *outbox,
                           const struct qb_journal_waiting *waiting, const uint8_t *bytes,
                           uint64_t serial, int64_t now_us);

/* The shard's next message to publish, which the caller gives back by one of the three below.
 * Null: none, or one that gathers and is neither full nor, unless `may_cut`, to be cut short. */
struct qb_journal_outgoing *qb_journal_outbox_next(struct qb_journal_outbox *outbox, unsigned shard,
                                                   bool may_cut);
/* A message without entries for the same use. */
struct qb_journal_outgoing *qb_journal_outbox_probe(struct qb_journal_outbox *outbox,
                                                    unsigned shard, uint32_t epoch);

/* Confirmed: its entries count, and it is gone. */
void qb_journal_outbox_confirmed(struct qb_journal_outbox *outbox,
                                 struct qb_journal_outgoing **outgoing);
/* Not confirmed: back in its place, to be published again; a probe is gone. */
void qb_journal_outbox_again(struct qb_journal_outbox *outbox,
                             struct qb_journal_outgoing **outgoing);
/* Never to be published: its entries are forgotten. */
void qb_journal_outbox_dropped(struct qb_journal_outbox *outbox,
                               struct qb_journal_outgoing **outgoing);

/* Takes out one waiting message of an epoch below; null: none is left. */
struct qb_journal_outgoing *qb_journal_outbox_stale(struct qb_journal_outbox *outbox,
                                                    uint32_t epoch);

/* Tells each writer how far its auctions are confirmed now, once for each that has moved. What is
 * confirmed of an epoch below is told no more: what lay below it may have been dropped, and the
 * next epoch gives the same seqs to others. */
void qb_journal_outbox_tell(struct qb_journal_outbox *outbox, uint32_t epoch_least);

/* The oldest message that waits in the lane; null: none. */
const struct qb_journal_outgoing *qb_journal_lane_oldest(const struct qb_journal_lane *lane);
