#include <string.h>

#include "app/control_parts.h"
#include "base/assert.h"
#include "bidding/bytes.h"

#define VERSION 1

/* Little-endian: version u8, kind u8, process u64, login u64, user u64, since u64 or the amount,
 * until u64, currency 4. Of DESCRIBED the user is an auction and the amount a seq. */
void qb_control_write(const struct qb_control_word *word, uint64_t process,
                      uint8_t bytes[QB_CONTROL_BYTES])
{
    struct qb_writer writer = {.bytes = bytes, .room = QB_CONTROL_BYTES};
    bool is_revoked = word->kind == QB_CONTROL_REVOKED;

    qb_put_uint(&writer, VERSION, 1);
    qb_put_uint(&writer, (uint64_t)word->kind, 1);
    qb_put_uint(&writer, process, 8);
    qb_put_uint(&writer, word->revocation.login, 8);
    qb_put_uint(&writer, word->revocation.user, 8);
    qb_put_int(&writer, is_revoked ? word->revocation.since_us : word->amount);
    qb_put_int(&writer, word->revocation.until_us);
    qb_put(&writer, word->currency, QB_CURRENCY_BYTES);
    QB_ASSERT(writer.length == QB_CONTROL_BYTES);
}

bool qb_control_read(const void *bytes, size_t length, struct qb_control_word *word,
                     uint64_t *process)
{
    struct qb_reader reader = {.bytes = bytes, .length = length};

    *word = (struct qb_control_word){0};
    if (length != QB_CONTROL_BYTES || qb_take_uint(&reader, 1) != VERSION) return false;
    uint64_t kind = qb_take_uint(&reader, 1);
    *process = qb_take_uint(&reader, 8);
    word->revocation.login = qb_take_uint(&reader, 8);
    word->revocation.user = qb_take_uint(&reader, 8);
    int64_t number = qb_take_int(&reader);
    word->revocation.until_us = qb_take_int(&reader);
    qb_take(&reader, word->currency, QB_CURRENCY_BYTES);
    if (kind < QB_CONTROL_REVOKED || kind > QB_CONTROL_DESCRIBED) return false;
    word->kind = (enum qb_control_kind)kind;
    if (word->kind == QB_CONTROL_REVOKED)
        word->revocation.since_us = number;
    else
        word->amount = number;
    return word->currency[QB_CURRENCY_BYTES - 1] == '\0';
}
