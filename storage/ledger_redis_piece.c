#include "storage/ledger_redis_piece.h"

#include "bidding/entry.h"

#define PIECE_VERSION 1

/* Passes over one entry and says where it is. */
static bool take_entry(struct qb_reader *reader, const uint8_t **bytes, size_t *length)
{
    *length = (size_t)qb_take_uint(reader, 2);
    if (reader->is_bad || *length > reader->length - reader->at) return false;
    *bytes = &reader->bytes[reader->at];
    reader->at += *length;
    return true;
}

bool qb_piece_open(struct qb_piece *piece, const void *bytes, size_t length)
{
    struct qb_reader reader = {.bytes = bytes, .length = length};
    const uint8_t *entry = NULL;
    size_t entry_length = 0;

    if (qb_take_uint(&reader, 1) != PIECE_VERSION) return false;
    piece->flags = (uint8_t)qb_take_uint(&reader, 1);
    piece->epoch = (uint32_t)qb_take_uint(&reader, 4);
    piece->seq = qb_take_uint(&reader, 8);
    piece->durable = qb_take_uint(&reader, 8);
    piece->left = (size_t)qb_take_uint(&reader, 2);
    if (reader.is_bad) return false;
    piece->reader = reader;
    for (size_t i = 0; i < piece->left; i++) {
        if (!take_entry(&reader, &entry, &entry_length)) return false;
        if (qb_piece_seq(entry, entry_length) == 0) return false;
    }
    return reader.at == reader.length;
}

bool qb_piece_next(struct qb_piece *piece, const uint8_t **bytes, size_t *length)
{
    if (piece->left == 0) return false;
    piece->left--;
    return take_entry(&piece->reader, bytes, length);
}

uint64_t qb_piece_seq(const uint8_t *bytes, size_t length)
{
    struct qb_reader reader = {.bytes = bytes, .length = length, .at = QB_ENTRY_SEQ_AT};

    if (length < QB_ENTRY_SEQ_AT + 8) return 0;
    return qb_take_uint(&reader, 8);
}
