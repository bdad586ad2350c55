/*
 * What waits for a broker's confirms: how it is gathered, and who is told what when confirms come
 * out of order, late or never.
 */
#include "base/clock.h"
#include "base/shard.h"
#include "storage/journal_outbox.h"
#include "tests/kit/test.h"

enum { LOT = 7, OTHER_LOT = 8, TOLD_MAX = 32 };

static struct {
    size_t count;
    qb_id auctions[TOLD_MAX];
    uint64_t seqs[TOLD_MAX];
} told;

static void no_wake(void *context)
{
    (void)context;
}

static void hear(void *context, qb_id auction, uint64_t seq)
{
    (void)context;
    told.auctions[told.count] = auction;
    told.seqs[told.count++] = seq;
}

static struct qb_journal_outbox outbox;
static struct qb_journal_writer writer;
static uint64_t serial;
static uint32_t epoch_least;

static void begin(unsigned shards, size_t entries_max)
{
    qb_journal_outbox_init(&outbox, shards, entries_max);
    writer =
        (struct qb_journal_writer){.mailbox = qb_mailbox_new(10, no_wake, NULL), .durable = hear};
    told.count = 0;
    serial = 0;
    epoch_least = 0;
}

static void end(void)
{
    qb_journal_outbox_fini(&outbox);
    qb_mailbox_free(&writer.mailbox);
}

static void add(qb_id auction, uint64_t seq, uint32_t epoch, bool is_others)
{
    const struct qb_journal_waiting waiting = {.writer = &writer,
                                               .auction = auction,
                                               .seq = seq,
                                               .epoch = epoch,
                                               .length = 3,
                                               .is_others = is_others};

    qb_journal_outbox_add(&outbox, &waiting, (const uint8_t *)"abc", ++serial, 1000);
}

/* How many were told since it was asked last. */
static size_t tell(void)
{
    told.count = 0;
    qb_journal_outbox_tell(&outbox, epoch_least);
    while (qb_mailbox_drain(writer.mailbox) > 0) continue;
    return told.count;
}

QB_TEST(entries_are_gathered_by_call_up_to_the_limit)
{
    begin(1, 2);
    add(LOT, 1, 1, true);
    QB_EXPECT(qb_journal_outbox_next(&outbox, 0, false) == NULL, "one gathers");
    add(LOT, 2, 1, false);
    add(OTHER_LOT, 1, 1, false);
    add(LOT, 3, 1, true);
    struct qb_journal_outgoing *first = qb_journal_outbox_next(&outbox, 0, false);
    QB_EXPECT(first != NULL && first->head.count == 3, "a call stays together");
    QB_EXPECT(qb_journal_outbox_next(&outbox, 0, false) == NULL, "the next call gathers");
    struct qb_journal_outgoing *second = qb_journal_outbox_next(&outbox, 0, true);
    QB_EXPECT(second != NULL && second->head.count == 1, "unless it may be cut short");
    struct qb_journal_message message;
    QB_EXPECT_EQ(qb_journal_message_read(first->bytes, first->length, &message),
                 QB_JOURNAL_MESSAGE_READ, "a whole message");
    QB_EXPECT_EQ(message.count, 3, "of all of them");
    qb_journal_outbox_confirmed(&outbox, &first);
    qb_journal_outbox_confirmed(&outbox, &second);
    QB_EXPECT_EQ(tell(), 2, "one answer for each auction");
    end();
}

QB_TEST(no_message_grows_without_a_limit)
{
    static const uint8_t long_entry[2048];
    struct qb_journal_waiting waiting = {.writer = &writer, .auction = LOT, .length = 2048};
    size_t entries = 0;

    begin(1, 100);
    for (uint64_t seq = 1; seq <= 200; seq++) {
        waiting.seq = seq;
        qb_journal_outbox_add(&outbox, &waiting, long_entry, seq, 1000);
    }
    struct qb_journal_outgoing *outgoing = NULL;
    while ((outgoing = qb_journal_outbox_next(&outbox, 0, true)) != NULL) {
        QB_EXPECT(outgoing->length <= QB_JOURNAL_OUTGOING_BYTES_MAX, "not too long");
        entries += outgoing->head.count;
        qb_journal_outbox_confirmed(&outbox, &outgoing);
    }
    QB_EXPECT_EQ(entries, 200, "and none is left out");
    end();
}

QB_TEST(shards_and_epochs_have_messages_of_their_own)
{
    begin(16, 100);
    unsigned shard = qb_shard_of(LOT, 16);
    unsigned other = qb_shard_of(OTHER_LOT, 16);
    QB_EXPECT(shard != other, "the two lots are apart");
    add(LOT, 1, 1, true);
    add(OTHER_LOT, 1, 1, false);
    add(LOT, 2, 2, true);
    for (uint32_t epoch = 1; epoch <= 2; epoch++) {
        struct qb_journal_outgoing *outgoing = qb_journal_outbox_next(&outbox, shard, true);
        QB_EXPECT(outgoing != NULL && outgoing->head.count == 1, "one entry");
        QB_EXPECT_EQ(outgoing->head.epoch, epoch, "of one epoch");
        QB_EXPECT_EQ(outgoing->head.shard, shard, "and shard");
        qb_journal_outbox_confirmed(&outbox, &outgoing);
    }
    QB_EXPECT(qb_journal_lane_oldest(&outbox.lanes[other]) != NULL, "the other waits");
    end();
}

QB_TEST(nothing_is_told_before_what_was_handed_in_earlier)
{
    struct qb_journal_outgoing *messages[4];

    begin(1, 1);
    for (uint64_t seq = 1; seq <= 4; seq++) add(LOT, seq, 1, true);
    for (size_t i = 0; i < 4; i++) messages[i] = qb_journal_outbox_next(&outbox, 0, true);
    qb_journal_outbox_confirmed(&outbox, &messages[1]);
    qb_journal_outbox_confirmed(&outbox, &messages[3]);
    QB_EXPECT_EQ(tell(), 0, "the first is missing");
    qb_journal_outbox_confirmed(&outbox, &messages[0]);
    QB_EXPECT_EQ(tell(), 1, "now it is told");
    QB_EXPECT_EQ(told.seqs[0], 2, "up to the gap");
    qb_journal_outbox_again(&outbox, &messages[2]);
    add(LOT, 5, 1, true);
    messages[2] = qb_journal_outbox_next(&outbox, 0, true);
    QB_EXPECT_EQ(messages[2]->serial, 3, "what comes back stands before what came later");
    qb_journal_outbox_confirmed(&outbox, &messages[2]);
    QB_EXPECT_EQ(tell(), 1, "the gap is closed");
    QB_EXPECT_EQ(told.seqs[0], 4, "up to the newest confirmed");
    end();
}

QB_TEST(an_old_epoch_is_dropped_and_its_seqs_may_come_again)
{
    begin(1, 100);
    add(LOT, 8, 1, true);
    add(LOT, 9, 1, true);
    struct qb_journal_outgoing *under_way = qb_journal_outbox_next(&outbox, 0, true);
    add(LOT, 10, 1, true);
    add(LOT, 8, 2, true);
    struct qb_journal_outgoing *stale = qb_journal_outbox_stale(&outbox, 2);
    QB_EXPECT(stale != NULL && stale->head.epoch == 1, "what waits of the old one");
    qb_journal_outbox_dropped(&outbox, &stale);
    QB_EXPECT(qb_journal_outbox_stale(&outbox, 2) == NULL, "and no more");
    struct qb_journal_outgoing *newer = qb_journal_outbox_next(&outbox, 0, true);
    QB_EXPECT(newer != NULL && newer->head.epoch == 2, "the new one stays");
    qb_journal_outbox_confirmed(&outbox, &newer);
    QB_EXPECT_EQ(tell(), 0, "not before the older ones are settled");
    qb_journal_outbox_dropped(&outbox, &under_way);
    QB_EXPECT_EQ(tell(), 1, "then it is");
    QB_EXPECT_EQ(told.seqs[0], 8, "with its own seq, not a dropped one");
    end();
}

QB_TEST(a_confirm_of_an_old_epoch_vouches_for_nothing_in_the_next)
{
    struct qb_journal_outgoing *messages[3];

    begin(1, 1);
    for (uint64_t seq = 99; seq <= 101; seq++) add(LOT, seq, 1, true);
    for (size_t i = 0; i < 3; i++) messages[i] = qb_journal_outbox_next(&outbox, 0, true);
    qb_journal_outbox_confirmed(&outbox, &messages[2]);
    QB_EXPECT_EQ(tell(), 0, "held back behind 99 and 100");
    epoch_least = 2; /* recovery took 100 back: its place is another's now */
    add(LOT, 100, 2, true);
    qb_journal_outbox_confirmed(&outbox, &messages[0]);
    qb_journal_outbox_dropped(&outbox, &messages[1]);
    QB_EXPECT_EQ(tell(), 0, "neither up to 99 nor up to 101");
    messages[0] = qb_journal_outbox_next(&outbox, 0, true);
    qb_journal_outbox_confirmed(&outbox, &messages[0]);
    QB_EXPECT_EQ(tell(), 1, "its own confirm");
    QB_EXPECT_EQ(told.seqs[0], 100, "of the new epoch");
    end();
}

QB_TEST(a_probe_leaves_nothing_behind)
{
    begin(1, 100);
    struct qb_journal_outgoing *probe = qb_journal_outbox_probe(&outbox, 0, 3);
    struct qb_journal_message message;
    QB_EXPECT_EQ(qb_journal_message_read(probe->bytes, probe->length, &message),
                 QB_JOURNAL_MESSAGE_READ, "a whole message");
    QB_EXPECT_EQ(message.kind, QB_JOURNAL_MESSAGE_PROBE, "that says nothing");
    qb_journal_outbox_again(&outbox, &probe);
    QB_EXPECT(qb_journal_outbox_next(&outbox, 0, true) == NULL, "nor does it come again");
    end();
}
