/*
 * What journals share on the way in: writers, which are told what became durable, and the pile of
 * what was handed in and waits for the journal's thread. Private to storage/journal_*.c.
 *
 * Thread    a pile belongs to its journal's lock; telling is for any thread.
 */
#pragma once

#include "storage/journal.h"

#define QB_JOURNAL_WRITERS_MAX 64

struct qb_journal_writer {
    struct qb_journal *journal;
    struct qb_mailbox *mailbox;
    qb_journal_durable *durable;
    void *context;
};

/* Answers through the writer's mailbox, which may be drained after the journal's end. */
void qb_journal_tell(struct qb_journal_writer *writer, qb_id auction, uint64_t seq);

struct qb_journal_waiting {
    struct qb_journal_writer *writer;
    qb_id auction;
    uint64_t seq;
    uint32_t epoch;
    uint32_t length;
    size_t offset;  /* of its bytes in the pile */
    bool is_others; /* begins what another call handed in */
};

/* Items and, one behind the other, their bytes. Zero is empty. */
struct qb_journal_pile {
    struct qb_journal_waiting *items;
    size_t count;
    size_t room;
    uint8_t *bytes;
    size_t length;
    size_t bytes_room;
};

/* The bytes of all these items. */
size_t qb_journal_items_bytes(const struct qb_journal_item *items, size_t count);
/* Puts what one call handed in on the pile; all is copied. */
void qb_journal_pile_add(struct qb_journal_pile *pile, struct qb_journal_writer *writer,
                         const struct qb_journal_item *items, size_t count);
void qb_journal_pile_fini(struct qb_journal_pile *pile);
