#include "storage/journal_waiting.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

struct told {
    qb_journal_durable *durable;
    void *context;
    qb_id auction;
    uint64_t seq;
};

static void deliver(void *context, void *message)
{
    struct told *told = message;

    (void)context;
    told->durable(told->context, told->auction, told->seq);
    free(told);
}

void qb_journal_tell(struct qb_journal_writer *writer, qb_id auction, uint64_t seq)
{
    struct told *told = malloc(sizeof *told);

    QB_ASSERT(told != NULL);
    *told = (struct told){writer->durable, writer->context, auction, seq};
    qb_mailbox_post_answer(writer->mailbox, deliver, NULL, told);
}

size_t qb_journal_items_bytes(const struct qb_journal_item *items, size_t count)
{
    size_t bytes = 0;

    for (size_t i = 0; i < count; i++) bytes += items[i].length;
    return bytes;
}

static void reserve_room(struct qb_journal_pile *pile, size_t items, size_t bytes)
{
    size_t room = pile->room == 0 ? 256 : pile->room;
    size_t bytes_room = pile->bytes_room == 0 ? 65536 : pile->bytes_room;

    while (room < pile->count + items) room *= 2;
    while (bytes_room < pile->length + bytes) bytes_room *= 2;
    if (room != pile->room) {
        pile->items = realloc(pile->items, room * sizeof pile->items[0]);
        QB_ASSERT(pile->items != NULL);
        pile->room = room;
    }
    if (bytes_room == pile->bytes_room) return;
    pile->bytes = realloc(pile->bytes, bytes_room);
    QB_ASSERT(pile->bytes != NULL);
    pile->bytes_room = bytes_room;
}

void qb_journal_pile_add(struct qb_journal_pile *pile, struct qb_journal_writer *writer,
                         const struct qb_journal_item *items, size_t count)
{
    reserve_room(pile, count, qb_journal_items_bytes(items, count));
    for (size_t i = 0; i < count; i++) {
        (void)memcpy(&pile->bytes[pile->length], items[i].bytes, items[i].length);
        pile->items[pile->count++] = (struct qb_journal_waiting){
            .writer = writer,
            .auction = items[i].auction,
            .seq = items[i].seq,
            .epoch = items[i].epoch,
            .length = (uint32_t)items[i].length,
            .offset = pile->length,
            .is_others = i == 0,
        };
        pile->length += items[i].length;
    }
}

void qb_journal_pile_fini(struct qb_journal_pile *pile)
{
    free(pile->items);
    free(pile->bytes);
    *pile = (struct qb_journal_pile){0};
}
