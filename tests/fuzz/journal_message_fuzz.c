#include "bidding/entry.h"
#include "storage/journal_message.h"
#include "tests/fuzz/fuzz.h"

/* Bytes that are taken as a message are exactly the ones that it is written as. */

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    struct qb_journal_message message;
    uint8_t *copy = copy_of(bytes, length);
    enum qb_journal_message_result result = qb_journal_message_read(copy, length, &message);

    uint8_t version = length > 0 ? copy[0] : 0;

    if (version == 0 || version > QB_JOURNAL_MESSAGE_VERSION_MAX)
        QB_ASSERT(result == QB_JOURNAL_MESSAGE_UNREADABLE);
    else if (version > QB_JOURNAL_MESSAGE_VERSION)
        QB_ASSERT(result == QB_JOURNAL_MESSAGE_NEWER);
    if (result == QB_JOURNAL_MESSAGE_READ) {
        uint8_t *again = malloc(length);
        QB_ASSERT(again != NULL);
        qb_journal_message_head(&message, again);
        size_t at = QB_JOURNAL_MESSAGE_HEAD_BYTES;
        size_t written = QB_JOURNAL_MESSAGE_HEAD_BYTES;
        bool has_entries = message.kind == QB_JOURNAL_MESSAGE_ENTRIES;
        for (uint16_t i = 0; has_entries && i < message.count; i++) {
            struct qb_journal_item item;
            qb_journal_message_next(copy, &message, &at, &item);
            QB_ASSERT(item.epoch == message.epoch && item.length <= QB_ENTRY_BYTES_MAX);
            written += qb_journal_message_entry(&item, &again[written]);
        }
        QB_ASSERT(at == length && written == length);
        QB_ASSERT(memcmp(again, bytes, length) == 0);
        free(again);
    }
    free(copy);
    return 0;
}
