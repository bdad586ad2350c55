/*
 * What one message of the journal's queues holds: many entries of one shard and epoch, or a marker.
 * docs/journal.md has the layout. Readers take this version and the one before; 1 is the first.
 *
 * Pure; any thread; no allocation.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/attributes.h"
#include "storage/journal.h"

#define QB_JOURNAL_MESSAGE_VERSION 1
#define QB_JOURNAL_MESSAGE_VERSION_MAX                                                             \
    31 /* there will never be a higher one: texts begin there                                      \
        */
#define QB_JOURNAL_MESSAGE_HEAD_BYTES  10
#define QB_JOURNAL_MESSAGE_ENTRY_BYTES 18 /* before each entry's own bytes */

enum qb_journal_message_kind { /* numbers are part of the layout: only ever appended */
                               QB_JOURNAL_MESSAGE_ENTRIES = 1,
                               QB_JOURNAL_MESSAGE_BARRIER, /* P5: of its epoch nothing follows */
                               QB_JOURNAL_MESSAGE_PROBE,   /* says nothing; its confirm does */
                               QB_JOURNAL_MESSAGE_KIND_COUNT
};

struct qb_journal_message {
    uint8_t kind; /* enum qb_journal_message_kind */
    uint32_t epoch;
    uint16_t shard;
    uint16_t count; /* ENTRIES: how many, at least 1; BARRIER: its number; PROBE: 0 */
};

enum qb_journal_message_result {
    QB_JOURNAL_MESSAGE_READ,
    QB_JOURNAL_MESSAGE_UNREADABLE, /* nobody's: broken bytes, or a version that never was */
    QB_JOURNAL_MESSAGE_NEWER,      /* of a version above ours: leave it to a newer program */
};

/* Writes the head of a message: QB_JOURNAL_MESSAGE_HEAD_BYTES. */
void qb_journal_message_head(const struct qb_journal_message *message, uint8_t *bytes);

/* Writes one entry behind what is there: room for QB_JOURNAL_MESSAGE_ENTRY_BYTES and its bytes.
 * Returns the length. Its epoch is the message's. */
size_t qb_journal_message_entry(const struct qb_journal_item *item, uint8_t *bytes);

/*
 * Reads the head and checks that all entries are whole and nothing is left over. Version 1 is read.
 * 2 to QB_JOURNAL_MESSAGE_VERSION_MAX are NEWER, whatever follows: a reader must not guess, and
 * must not settle what it cannot read. 0 and what is above are UNREADABLE, so that a stranger's
 * text does not look like something to wait for.
 */
QB_MUST_USE enum qb_journal_message_result
qb_journal_message_read(const uint8_t *bytes, size_t length, struct qb_journal_message *message);

/* The entry at `*offset` (QB_JOURNAL_MESSAGE_HEAD_BYTES at first), which moves on, of ENTRIES that
 * were READ. Its bytes point into the message; its position is the caller's. */
void qb_journal_message_next(const uint8_t *bytes, const struct qb_journal_message *message,
                             size_t *offset, struct qb_journal_item *item);
