/*
 * A leader that is told to end in the midst of a recovery stops at the next auction, and whoever
 * leads next does all of it, on a real Redis.
 */
#include <stdlib.h>

#include "app/recovery_rebuild.h"
#include "app/recovery_republish.h"
#include "tests/kit/archive.h"
#include "tests/kit/stack.h"
#include "tests/kit/test.h"

enum { LOTS = 20, ENDS_AT = 5 };

static struct qb_store_ops ops; /* the store's, but for what it counts */
static int reads;
static int ends_at; /* told to end with so many auctions read; 0: not */
static atomic_bool is_ending;

static enum qb_store_result read_and_end(struct qb_store_link *link, qb_id auction,
                                         uint64_t after_seq, size_t rows_max,
                                         qb_store_archived *each, void *context,
                                         struct qb_error *error)
{
    if (++reads == ends_at) atomic_store(&is_ending, true);
    return qb_world.store->ops->entries(link, auction, after_seq, rows_max, each, context, error);
}

/* Live auctions in the store, each with ANN in the lead; and a connection to every shard. */
static struct qb_redis_desk *begin(void)
{
    struct qb_shard_addresses addresses;
    struct qb_error error = {""};

    qb_world_new();
    for (qb_id lot = 1; lot <= LOTS; lot++) {
        qb_world_listing(lot, 1);
        qb_world_append(qb_test_entry(lot, 1, QB_ENTRY_OPEN));
        qb_world_append(qb_test_bid(lot, 2, QB_ANN, 500));
    }
    qb_must(qb_world_archive(&error), error.text);
    ops = *qb_world.store->ops;
    ops.entries = read_and_end;
    reads = 0;
    ends_at = 0;
    atomic_store(&is_ending, false);
    qb_stack_start("redis-single");
    qb_must(qb_shard_addresses_read(qb_stack_value("REDIS_COORDINATOR_URL"), &addresses, &error),
            error.text);
    struct qb_redis_desk *desk = qb_redis_desk_new(&addresses, "quickbid-test", &error);
    qb_must(desk != NULL && qb_redis_desk_wait(desk, 10 * QB_SECOND_US, &error), error.text);
    return desk;
}

static struct qb_rebuild rebuild_with(struct qb_redis_desk *desk)
{
    return (struct qb_rebuild){.desk = desk,
                               .store = &ops,
                               .link = qb_world.link,
                               .ring_entries = 10,
                               .is_ending = &is_ending};
}

QB_TEST(who_is_told_to_end_stops_and_the_next_one_does_all)
{
    static const atomic_bool is_going_on;
    struct qb_redis_desk *desk = begin();
    struct qb_rebuild rebuild = rebuild_with(desk);
    const struct qb_journal_rabbit_options journal = {.shards = qb_redis_desk_shards(desk)};
    struct qb_error error = {""};
    size_t set = 0;

    ends_at = ENDS_AT;
    QB_EXPECT(!qb_rebuild_run(&rebuild, &error), "not done");
    QB_EXPECT_TEXT(error.text, "this replica ends", "and says why");
    QB_EXPECT_EQ(reads, ENDS_AT, "no other auction is read");
    qb_recovery_holds_fini(&rebuild.holds);

    rebuild = rebuild_with(desk);
    QB_EXPECT(!qb_rebuild_run(&rebuild, &error), "told before it begins");
    QB_EXPECT_EQ(reads, ENDS_AT, "nothing is read");
    atomic_store(&is_ending, false);
    rebuild = rebuild_with(desk);
    QB_EXPECT(qb_rebuild_run(&rebuild, &error), error.text);
    QB_EXPECT_EQ(rebuild.auctions, LOTS, "all of them");
    QB_EXPECT_EQ(rebuild.holds.count, LOTS, "each with its leader");

    atomic_store(&is_ending, true);
    struct qb_republish republish = {.journal = &journal,
                                     .store = &ops,
                                     .link = qb_world.link,
                                     .desk = desk,
                                     .upto = UINT64_MAX,
                                     .is_ending = &is_ending};
    QB_EXPECT(!qb_republish_run(&republish, &error), "nor is anything published");
    QB_EXPECT_TEXT(error.text, "this replica ends", "and says why");
    qb_must(ops.limit_set(qb_world.link, QB_SELLER, "USD", 1000, &error) == QB_STORE_OK,
            error.text);
    QB_EXPECT(qb_recovery_holds_set(&rebuild.holds, desk, &ops, qb_world.link, 1, &is_going_on,
                                    &set, &error),
              error.text);
    QB_EXPECT_EQ(set, 0, "no leader has a limit");
    qb_recovery_holds_fini(&rebuild.holds);
    qb_redis_desk_free(&desk);
    qb_world_end();
}
