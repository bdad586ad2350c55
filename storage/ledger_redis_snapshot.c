/* A folded state with its records as bytes: version u8, seq u64, length u16, the state; then
 * records of fixed width. The scripts read the first two. */
#include "bidding/bytes.h"
#include "storage/ledger_redis_open.h"
#include "storage/ledger_redis_state.h"

#define SNAPSHOT_VERSION 1
#define SNAPSHOT_HEAD    (1 + 8 + 2)
#define RECORD_BYTES     (8 + 1 + 1 + 8 + 8 + 8)

void qb_ledger_redis_id(uint64_t seq, uint64_t asked, uint8_t bytes[QB_LEDGER_REDIS_ID_BYTES])
{
    struct qb_writer writer = {.bytes = bytes, .room = QB_LEDGER_REDIS_ID_BYTES};

    qb_put_uint(&writer, seq, 8);
    qb_put_uint(&writer, asked, 8);
}

void qb_ledger_redis_snapshot(struct qb_text *text, const struct qb_lot *lot,
                              const struct qb_bid_record *records, size_t count)
{
    uint8_t bytes[SNAPSHOT_HEAD + QB_LOT_BYTES_MAX];
    size_t length = qb_lot_encode(lot, &bytes[SNAPSHOT_HEAD]);
    struct qb_writer head = {.bytes = bytes, .room = SNAPSHOT_HEAD};

    qb_put_uint(&head, SNAPSHOT_VERSION, 1);
    qb_put_uint(&head, lot->seq, 8);
    qb_put_uint(&head, length, 2);
    qb_text_add(text, (const char *)bytes, SNAPSHOT_HEAD + length);
    for (size_t i = 0; i < count; i++) {
        struct qb_writer writer = {.bytes = bytes, .room = RECORD_BYTES};
        qb_put_uint(&writer, records[i].seq, 8);
        qb_put_uint(&writer, records[i].type, 1);
        qb_put_uint(&writer, records[i].is_live, 1);
        qb_put_uint(&writer, records[i].bidder, 8);
        qb_put_int(&writer, records[i].max);
        qb_put_int(&writer, records[i].t_us);
        qb_text_add(text, (const char *)bytes, writer.length);
    }
}

uint64_t qb_snapshot_seq(const char *bytes, size_t length)
{
    struct qb_reader reader = {.bytes = (const uint8_t *)bytes, .length = length};

    if (qb_take_uint(&reader, 1) != SNAPSHOT_VERSION) return 0;
    return qb_take_uint(&reader, 8);
}

bool qb_snapshot_read(const char *bytes, size_t length, struct qb_lot *lot,
                      struct qb_bid_record *records, size_t *count)
{
    struct qb_reader reader = {.bytes = (const uint8_t *)bytes, .length = length};

    if (qb_take_uint(&reader, 1) != SNAPSHOT_VERSION) return false;
    uint64_t seq = qb_take_uint(&reader, 8);
    size_t lot_length = (size_t)qb_take_uint(&reader, 2);
    if (reader.is_bad || lot_length > reader.length - reader.at) return false;
    if (!qb_lot_decode(&reader.bytes[reader.at], lot_length, lot) || lot->seq != seq) return false;
    reader.at += lot_length;
    *count = (reader.length - reader.at) / RECORD_BYTES;
    if ((reader.length - reader.at) % RECORD_BYTES != 0) return false;
    for (size_t i = 0; i < *count && records != NULL; i++) {
        records[i].seq = qb_take_uint(&reader, 8);
        records[i].type = (uint8_t)qb_take_uint(&reader, 1);
        records[i].is_live = qb_take_bool(&reader);
        records[i].bidder = qb_take_uint(&reader, 8);
        records[i].max = qb_take_int(&reader);
        records[i].t_us = qb_take_int(&reader);
    }
    return !reader.is_bad;
}
