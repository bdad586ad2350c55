#include "storage/journal_message.h"

#include <string.h>

#include "base/assert.h"
#include "bidding/entry.h"

/* version u8, kind u8, epoch u32, shard u16, count u16; then auction u64, seq u64, length u16 */
enum { KIND = 1, EPOCH = 2, SHARD = 6, COUNT = 8, SEQ = 8, LENGTH = 16 };

static void put(uint8_t *bytes, uint64_t value, size_t width)
{
    for (size_t i = 0; i < width; i++) bytes[i] = (uint8_t)(value >> (8 * i));
}

static uint64_t get(const uint8_t *bytes, size_t width)
{
    uint64_t value = 0;

    for (size_t i = 0; i < width; i++) value |= (uint64_t)bytes[i] << (8 * i);
    return value;
}

void qb_journal_message_head(const struct qb_journal_message *message, uint8_t *bytes)
{
    QB_ASSERT(message->kind > 0 && message->kind < QB_JOURNAL_MESSAGE_KIND_COUNT);
    bytes[0] = QB_JOURNAL_MESSAGE_VERSION;
    bytes[KIND] = message->kind;
    put(&bytes[EPOCH], message->epoch, 4);
    put(&bytes[SHARD], message->shard, 2);
    put(&bytes[COUNT], message->count, 2);
}

size_t qb_journal_message_entry(const struct qb_journal_item *item, uint8_t *bytes)
{
    QB_ASSERT(item->length <= QB_ENTRY_BYTES_MAX);
    put(bytes, item->auction, 8);
    put(&bytes[SEQ], item->seq, 8);
    put(&bytes[LENGTH], item->length, 2);
    if (item->length > 0) {
        (void)memcpy(&bytes[QB_JOURNAL_MESSAGE_ENTRY_BYTES], item->bytes, item->length);
    }
    return QB_JOURNAL_MESSAGE_ENTRY_BYTES + item->length;
}

/* Whether `count` whole entries fill the bytes behind the head exactly. */
static bool are_whole(const uint8_t *bytes, size_t length, uint16_t count)
{
    size_t at = QB_JOURNAL_MESSAGE_HEAD_BYTES;

    for (uint16_t i = 0; i < count; i++) {
        if (length - at < QB_JOURNAL_MESSAGE_ENTRY_BYTES) return false;
        size_t entry_length = (size_t)get(&bytes[at + LENGTH], 2);
        at += QB_JOURNAL_MESSAGE_ENTRY_BYTES;
        if (entry_length > QB_ENTRY_BYTES_MAX || length - at < entry_length) return false;
        at += entry_length;
    }
    return at == length;
}

enum qb_journal_message_result qb_journal_message_read(const uint8_t *bytes, size_t length,
                                                       struct qb_journal_message *message)
{
    *message = (struct qb_journal_message){0};
    if (length == 0 || bytes[0] == 0 || bytes[0] > QB_JOURNAL_MESSAGE_VERSION_MAX)
        return QB_JOURNAL_MESSAGE_UNREADABLE;
    if (bytes[0] > QB_JOURNAL_MESSAGE_VERSION) return QB_JOURNAL_MESSAGE_NEWER;
    if (length < QB_JOURNAL_MESSAGE_HEAD_BYTES) return QB_JOURNAL_MESSAGE_UNREADABLE;
    message->kind = bytes[KIND];
    message->epoch = (uint32_t)get(&bytes[EPOCH], 4);
    message->shard = (uint16_t)get(&bytes[SHARD], 2);
    message->count = (uint16_t)get(&bytes[COUNT], 2);
    bool is_good = false;
    switch (message->kind) {
    case QB_JOURNAL_MESSAGE_ENTRIES:
        is_good = message->count > 0 && are_whole(bytes, length, message->count);
        break;
    case QB_JOURNAL_MESSAGE_BARRIER:
        is_good = message->count > 0 && length == QB_JOURNAL_MESSAGE_HEAD_BYTES;
        break;
    case QB_JOURNAL_MESSAGE_PROBE:
        is_good = message->count == 0 && length == QB_JOURNAL_MESSAGE_HEAD_BYTES;
        break;
    default:
        break;
    }
    return is_good ? QB_JOURNAL_MESSAGE_READ : QB_JOURNAL_MESSAGE_UNREADABLE;
}

void qb_journal_message_next(const uint8_t *bytes, const struct qb_journal_message *message,
                             size_t *offset, struct qb_journal_item *item)
{
    const uint8_t *at = &bytes[*offset];

    QB_ASSERT(message->kind == QB_JOURNAL_MESSAGE_ENTRIES);
    *item = (struct qb_journal_item){
        .auction = get(at, 8),
        .seq = get(&at[SEQ], 8),
        .epoch = message->epoch,
        .bytes = &at[QB_JOURNAL_MESSAGE_ENTRY_BYTES],
        .length = (size_t)get(&at[LENGTH], 2),
    };
    *offset += QB_JOURNAL_MESSAGE_ENTRY_BYTES + item->length;
}
