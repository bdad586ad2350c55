#include "bidding/bytes.h"
#include "bidding/lot_state.h"
#include "bidding/rules_codec.h"

#define LOT_VERSION 1

size_t qb_lot_encode(const struct qb_lot *lot, uint8_t *bytes)
{
    struct qb_writer writer = {.bytes = bytes, .room = QB_LOT_BYTES_MAX};

    qb_put_uint(&writer, LOT_VERSION, 1);
    qb_rules_put(&writer, &lot->rules, false);
    qb_put_uint(&writer, lot->auction, 8);
    qb_put_uint(&writer, lot->seq, 8);
    qb_put_uint(&writer, lot->epoch, 4);
    qb_put_uint(&writer, lot->status, 1);
    qb_put_uint(&writer, lot->outcome, 1);
    qb_put_uint(&writer, lot->leader, 8);
    qb_put_int(&writer, lot->m1);
    qb_put_uint(&writer, lot->m1_seq, 8);
    qb_put_uint(&writer, lot->second, 8);
    qb_put_int(&writer, lot->m2);
    qb_put_uint(&writer, lot->m2_seq, 8);
    qb_put_int(&writer, lot->price);
    qb_put_uint(&writer, lot->bids, 4);
    qb_put_uint(&writer, lot->accepted, 4);
    qb_put_uint(&writer, lot->is_buy_now_gone, 1);
    qb_put_int(&writer, lot->ends_at_us);
    qb_put_uint(&writer, lot->extensions, 4);
    qb_put_int(&writer, lot->accepted_t_us);
    qb_put_int(&writer, lot->now_us);
    qb_put_int(&writer, lot->remaining_us);
    qb_put_uint(&writer, lot->winner, 8);
    qb_put_int(&writer, lot->final_price);
    qb_put_uint(&writer, lot->blocked_count, 2);
    for (size_t i = 0; i < lot->blocked_count; i++) qb_put_uint(&writer, lot->blocked[i], 8);
    qb_put(&writer, lot->chain, QB_SHA256_BYTES);
    return writer.length;
}

/* Whether the fold can go on from here: rules that it can work by, and times and counts that
 * cannot overflow. The fold keeps them so; bytes from a disk need not be. */
static bool is_in_range(const struct qb_lot *lot)
{
    return qb_rules_are_foldable(&lot->rules) && qb_time_is_in_range(lot->ends_at_us) &&
           qb_time_is_in_range(lot->accepted_t_us) && qb_time_is_in_range(lot->now_us) &&
           qb_time_is_in_range(lot->remaining_us) && lot->accepted < lot->seq &&
           lot->accepted < UINT32_MAX && lot->seq < UINT64_MAX;
}

bool qb_lot_decode(const uint8_t *bytes, size_t length, struct qb_lot *lot)
{
    struct qb_reader reader = {.bytes = bytes, .length = length};

    (void)memset(lot, 0, sizeof *lot);
    if (qb_take_uint(&reader, 1) != LOT_VERSION) return false;
    qb_rules_take(&reader, &lot->rules);
    lot->auction = qb_take_uint(&reader, 8);
    lot->seq = qb_take_uint(&reader, 8);
    lot->epoch = (uint32_t)qb_take_uint(&reader, 4);
    lot->status = (uint8_t)qb_take_uint(&reader, 1);
    lot->outcome = (uint8_t)qb_take_uint(&reader, 1);
    lot->leader = qb_take_uint(&reader, 8);
    lot->m1 = qb_take_int(&reader);
    lot->m1_seq = qb_take_uint(&reader, 8);
    lot->second = qb_take_uint(&reader, 8);
    lot->m2 = qb_take_int(&reader);
    lot->m2_seq = qb_take_uint(&reader, 8);
    lot->price = qb_take_int(&reader);
    lot->bids = (uint32_t)qb_take_uint(&reader, 4);
    lot->accepted = (uint32_t)qb_take_uint(&reader, 4);
    lot->is_buy_now_gone = qb_take_bool(&reader);
    lot->ends_at_us = qb_take_int(&reader);
    lot->extensions = (uint32_t)qb_take_uint(&reader, 4);
    lot->accepted_t_us = qb_take_int(&reader);
    lot->now_us = qb_take_int(&reader);
    lot->remaining_us = qb_take_int(&reader);
    lot->winner = qb_take_uint(&reader, 8);
    lot->final_price = qb_take_int(&reader);
    lot->blocked_count = (uint16_t)qb_take_uint(&reader, 2);
    if (reader.is_bad || lot->blocked_count > QB_BLOCKED_MAX) return false;
    for (size_t i = 0; i < lot->blocked_count; i++) lot->blocked[i] = qb_take_uint(&reader, 8);
    qb_take(&reader, lot->chain, QB_SHA256_BYTES);
    bool is_known = lot->status <= QB_STATUS_CANCELLED && lot->outcome <= QB_OUTCOME_CANCELLED;
    return !reader.is_bad && is_known && reader.at == reader.length && is_in_range(lot) &&
           qb_lot_broken(lot) == NULL;
}

size_t qb_verdict_public_form(const struct qb_verdict *verdict,
                              const uint8_t secret[QB_SECRET_BYTES], uint8_t *bytes)
{
    uint8_t leader[QB_SHA256_BYTES] = {0};
    struct qb_writer writer = {.bytes = bytes, .room = QB_VERDICT_FORM_BYTES_MAX};

    if (verdict->leader != 0) qb_bidder_hidden(secret, verdict->leader, leader);
    qb_put_uint(&writer, (uint64_t)verdict->code | (uint64_t)verdict->refusal << 8, 2);
    qb_put_int(&writer, verdict->price);
    qb_put(&writer, leader, sizeof leader);
    qb_put_uint(&writer, verdict->bids, 4);
    qb_put_int(&writer, verdict->ends_at_us);
    qb_put_uint(&writer, verdict->status, 1);
    return writer.length;
}

void qb_lot_chain(struct qb_lot *lot, const struct qb_entry *entry,
                  const struct qb_verdict *verdict)
{
    uint8_t form[QB_ENTRY_BYTES_MAX + 128];
    uint8_t digest[QB_SHA256_BYTES];
    uint8_t result[QB_VERDICT_FORM_BYTES_MAX];
    struct qb_sha256 sha;

    qb_sha256_of(form, qb_entry_public_form(entry, lot->rules.secret, form), digest);
    size_t length = qb_verdict_public_form(verdict, lot->rules.secret, result);
    qb_sha256_init(&sha);
    qb_sha256_update(&sha, lot->chain, QB_SHA256_BYTES);
    qb_sha256_update(&sha, digest, sizeof digest);
    qb_sha256_update(&sha, result, length);
    qb_sha256_final(&sha, lot->chain);
}
