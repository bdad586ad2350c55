/*
 * A journal on a broker with one writer, and what its reader took: for the tests of its faults.
 * Entries are of auctions 1 to AUCTIONS and epoch `epoch`; the bytes of seq n are its number.
 */
#pragma once

#include <string.h>

#include "tests/kit/rabbit.h"
#include "tests/kit/test.h"

#define AUCTIONS  8
#define SEQS_MAX  4000
#define MINUTE_US INT64_C(60000000)

static struct {
    unsigned shards;
    struct qb_journal *journal;
    struct qb_mailbox *mailbox;
    struct qb_journal_writer *writer;
    uint32_t epoch;
    uint64_t appended[AUCTIONS + 1];
    uint64_t durable[AUCTIONS + 1]; /* as the writer was told */
    unsigned taken[AUCTIONS + 1][SEQS_MAX + 1];
    uint64_t position; /* of the newest item taken */
    size_t count;      /* taken in one call */
    size_t stop_at;
    bool is_out_of_order; /* within what came for the first time */
} world;

static inline void world_no_wake(void *context)
{
    (void)context;
}

static inline void world_hear(void *context, qb_id auction, uint64_t seq)
{
    (void)context;
    QB_EXPECT(seq > world.durable[auction], "what is told rises");
    world.durable[auction] = seq;
}

static inline void world_open(const struct qb_journal_rabbit_options *options)
{
    struct qb_error error = {""};

    world.journal = qb_journal_rabbit_new(options, &error);
    qb_must(world.journal != NULL, error.text);
    world.mailbox = qb_mailbox_new(10, world_no_wake, NULL);
    world.writer = qb_journal_writer(world.journal, world.mailbox, world_hear, NULL);
    qb_test_rabbit_await_closed(world.journal);
}

/* Empty queues, the route of epoch 1, a journal that reads and writes. */
static inline void world_begin(const struct qb_journal_rabbit_options *options)
{
    struct qb_error error = {""};

    (void)memset(&world, 0, sizeof world);
    world.shards = options->shards;
    world.epoch = 1;
    qb_test_rabbit_clear(options->shards);
    qb_must(qb_journal_rabbit_prepare(options, 1, &error), error.text);
    world_open(options);
}

static inline void world_listen(void)
{
    while (qb_mailbox_drain(world.mailbox) > 0) continue;
}

static inline void world_end(void)
{
    qb_journal_free(&world.journal);
    world_listen();
    qb_mailbox_free(&world.mailbox);
}

static inline bool world_append(qb_id auction)
{
    uint64_t seq = world.appended[auction] + 1;
    const struct qb_journal_item item = {.auction = auction,
                                         .seq = seq,
                                         .epoch = world.epoch,
                                         .bytes = (const uint8_t *)&seq,
                                         .length = sizeof seq};

    qb_must(seq <= SEQS_MAX, "too many entries");
    if (!qb_journal_append(world.journal, world.writer, &item, 1)) return false;
    world.appended[auction] = seq;
    return true;
}

/* One of each auction, so many times. */
static inline void world_append_all(size_t times)
{
    for (size_t i = 0; i < times; i++) {
        for (qb_id auction = 1; auction <= AUCTIONS; auction++) {
            QB_EXPECT(world_append(auction), "there is room");
        }
    }
}

static inline bool world_flush(int64_t timeout_us)
{
    bool is_durable = qb_journal_flush(world.journal, timeout_us);

    world_listen();
    return is_durable;
}

static inline bool world_keep(void *context, const struct qb_journal_item *item)
{
    (void)context;
    QB_EXPECT(item->auction >= 1 && item->auction <= AUCTIONS && item->seq <= SEQS_MAX, "ours");
    QB_EXPECT(item->length == 8 && memcmp(item->bytes, &item->seq, 8) == 0, "unchanged");
    world.position = item->position;
    if (world.taken[item->auction][item->seq]++ == 0 && item->seq > 1 &&
        world.taken[item->auction][item->seq - 1] == 0)
        world.is_out_of_order = true;
    return ++world.count != world.stop_at;
}

/* Takes once, up to so many; returns how many came. */
static inline size_t world_take(size_t items_max, int64_t wait_us)
{
    struct qb_error error = {""};

    world.count = 0;
    bool is_taken = qb_journal_take(world.journal, items_max, wait_us, world_keep, NULL, &error);
    return is_taken ? world.count : 0;
}

/* Takes and settles until nothing comes for `quiet_us`. Returns how many came. */
static inline size_t world_drain(int64_t quiet_us)
{
    struct qb_error error = {""};
    size_t sum = 0;
    size_t count = 0;

    while ((count = world_take(500, quiet_us)) > 0) {
        QB_EXPECT(qb_journal_settle(world.journal, world.position, &error), error.text);
        sum += count;
    }
    return sum;
}

/* How many up to `upto` of all auctions were never taken. */
static inline size_t world_missing(const uint64_t upto[AUCTIONS + 1])
{
    size_t missing = 0;

    for (qb_id auction = 1; auction <= AUCTIONS; auction++) {
        for (uint64_t seq = 1; seq <= upto[auction]; seq++) {
            if (world.taken[auction][seq] == 0) missing++;
        }
    }
    return missing;
}
