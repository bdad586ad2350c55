#include "storage/verdict_codec.h"

#include "bidding/bytes.h"

void qb_verdict_encode(const struct qb_verdict *verdict, uint8_t bytes[QB_VERDICT_BYTES])
{
    struct qb_writer writer = {.bytes = bytes, .room = QB_VERDICT_BYTES};

    qb_put_uint(&writer, 1, 1); /* version */
    qb_put_uint(&writer, verdict->code, 1);
    qb_put_uint(&writer, verdict->refusal, 1);
    qb_put_int(&writer, verdict->t_us);
    qb_put_int(&writer, verdict->price);
    qb_put_int(&writer, verdict->minimum);
    qb_put_uint(&writer, verdict->leader, 8);
    qb_put_uint(&writer, verdict->outbid, 8);
    qb_put_int(&writer, verdict->ends_at_us);
    qb_put_uint(&writer, verdict->bids, 8);
    qb_put_uint(&writer, verdict->status, 1);
    qb_put_uint(&writer, verdict->is_extended, 1);
    qb_put_uint(&writer, verdict->is_public_change, 1);
    qb_put(&writer, "\0\0\0", QB_VERDICT_BYTES - writer.length);
}

bool qb_verdict_decode(const uint8_t *bytes, size_t length, struct qb_verdict *verdict)
{
    struct qb_reader reader = {.bytes = bytes, .length = length};

    (void)memset(verdict, 0, sizeof *verdict);
    if (length != QB_VERDICT_BYTES || qb_take_uint(&reader, 1) != 1) return false;
    verdict->code = (uint8_t)qb_take_uint(&reader, 1);
    verdict->refusal = (uint8_t)qb_take_uint(&reader, 1);
    verdict->t_us = qb_take_int(&reader);
    verdict->price = qb_take_int(&reader);
    verdict->minimum = qb_take_int(&reader);
    verdict->leader = qb_take_uint(&reader, 8);
    verdict->outbid = qb_take_uint(&reader, 8);
    verdict->ends_at_us = qb_take_int(&reader);
    verdict->bids = (uint32_t)qb_take_uint(&reader, 8);
    verdict->status = (uint8_t)qb_take_uint(&reader, 1);
    verdict->is_extended = qb_take_bool(&reader);
    verdict->is_public_change = qb_take_bool(&reader);
    return !reader.is_bad && verdict->code <= QB_VERDICT_VOID &&
           verdict->refusal < QB_REFUSAL_COUNT && verdict->status <= QB_STATUS_CANCELLED;
}
