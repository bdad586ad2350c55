/*
 * The layout of the journal's messages, byte for byte, and what a reader does with others'.
 */
#include "storage/journal_message.h"
#include "tests/kit/test.h"

static const uint8_t two_entries[] = {
    1, 1, 3, 0, 0, 0, 2, 0, 2, 0,                               /* version, kind, E, s, count */
    7, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 1, 0, 0x55, /* 7, 257, one byte */
    8, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0,       /* 8, 9, none */
};

QB_TEST(a_message_is_laid_out_as_documented)
{
    const struct qb_journal_message message = {QB_JOURNAL_MESSAGE_ENTRIES, 3, 2, 2};
    const struct qb_journal_item first = {
        .auction = 7, .seq = 257, .bytes = (const uint8_t *)"\x55", .length = 1};
    const struct qb_journal_item second = {.auction = 8, .seq = 9};
    uint8_t bytes[sizeof two_entries];
    size_t length = QB_JOURNAL_MESSAGE_HEAD_BYTES;

    qb_journal_message_head(&message, bytes);
    length += qb_journal_message_entry(&first, &bytes[length]);
    length += qb_journal_message_entry(&second, &bytes[length]);
    QB_EXPECT_EQ(length, sizeof bytes, "its length");
    QB_EXPECT(memcmp(bytes, two_entries, sizeof bytes) == 0, "its bytes");
}

QB_TEST(what_was_written_is_read)
{
    struct qb_journal_message message;
    struct qb_journal_item item;
    size_t at = QB_JOURNAL_MESSAGE_HEAD_BYTES;

    QB_EXPECT_EQ(qb_journal_message_read(two_entries, sizeof two_entries, &message),
                 QB_JOURNAL_MESSAGE_READ, "readable");
    QB_EXPECT_EQ(message.epoch, 3, "epoch");
    QB_EXPECT_EQ(message.shard, 2, "shard");
    QB_EXPECT_EQ(message.count, 2, "count");
    qb_journal_message_next(two_entries, &message, &at, &item);
    QB_EXPECT_EQ(item.auction, 7, "auction");
    QB_EXPECT_EQ(item.seq, 257, "seq");
    QB_EXPECT_EQ(item.epoch, 3, "the message's epoch");
    QB_EXPECT(item.length == 1 && item.bytes[0] == 0x55, "bytes");
    qb_journal_message_next(two_entries, &message, &at, &item);
    QB_EXPECT_EQ(item.auction, 8, "the next");
    QB_EXPECT_EQ(item.length, 0, "which may be empty");
    QB_EXPECT_EQ(at, sizeof two_entries, "and no more");
}

QB_TEST(every_cut_and_every_surplus_is_unreadable)
{
    uint8_t longer[sizeof two_entries + 1] = {0};
    struct qb_journal_message message;

    (void)memcpy(longer, two_entries, sizeof two_entries);
    for (size_t length = 0; length <= sizeof longer; length++) {
        enum qb_journal_message_result expected =
            length == sizeof two_entries ? QB_JOURNAL_MESSAGE_READ : QB_JOURNAL_MESSAGE_UNREADABLE;
        QB_EXPECT_EQ(qb_journal_message_read(longer, length, &message), expected, "its length");
    }
}

QB_TEST(a_newer_version_is_told_from_nonsense)
{
    static const struct {
        uint8_t bytes[QB_JOURNAL_MESSAGE_HEAD_BYTES];
        size_t length;
        enum qb_journal_message_result result;
    } rows[] = {
        {{1, 2, 3, 0, 0, 0, 2, 0, 1, 0}, 10, QB_JOURNAL_MESSAGE_READ},       /* a barrier */
        {{1, 3, 3, 0, 0, 0, 2, 0, 0, 0}, 10, QB_JOURNAL_MESSAGE_READ},       /* a probe */
        {{1, 2, 3, 0, 0, 0, 2, 0, 0, 0}, 10, QB_JOURNAL_MESSAGE_UNREADABLE}, /* no number */
        {{1, 3, 3, 0, 0, 0, 2, 0, 1, 0}, 10, QB_JOURNAL_MESSAGE_UNREADABLE}, /* a probe of one */
        {{1, 1, 3, 0, 0, 0, 2, 0, 0, 0}, 10, QB_JOURNAL_MESSAGE_UNREADABLE}, /* no entries */
        {{1, 4, 3, 0, 0, 0, 2, 0, 0, 0}, 10, QB_JOURNAL_MESSAGE_UNREADABLE}, /* no such kind */
        {{0, 3, 3, 0, 0, 0, 2, 0, 0, 0}, 10, QB_JOURNAL_MESSAGE_UNREADABLE}, /* never was */
        {{2, 3, 3, 0, 0, 0, 2, 0, 0, 0}, 10, QB_JOURNAL_MESSAGE_NEWER},
        {{2}, 1, QB_JOURNAL_MESSAGE_NEWER},
        {{31}, 1, QB_JOURNAL_MESSAGE_NEWER},
        {{32}, 1, QB_JOURNAL_MESSAGE_UNREADABLE}, /* a text */
        {{255}, 1, QB_JOURNAL_MESSAGE_UNREADABLE},
    };
    struct qb_journal_message message;

    for (size_t i = 0; i < QB_COUNT(rows); i++) {
        QB_EXPECT_EQ(qb_journal_message_read(rows[i].bytes, rows[i].length, &message),
                     rows[i].result, "the row's result");
    }
}
