/*
 * The ledger over two servers, of which one fails over to its replica: the promoted one knows no
 * script, so that nothing is appended to it before a recovery has opened an epoch there.
 */
#include <stdio.h>

#include "base/shard.h"
#include "tests/contract/ledger_redis_world.h"
#include "tests/kit/stack.h"
#include "tests/kit/test.h"

enum { ANN = 11 };

/* An auction of a shard. */
static qb_id lot_of(unsigned shard)
{
    qb_id lot = 1;

    while (qb_shard_of(lot, WORLD_SHARDS) != shard) lot++;
    return lot;
}

static struct qb_ledger_result append_to(struct replica *replica, unsigned shard, uint64_t number)
{
    return replica_append(replica, world_entry(lot_of(shard), ANN, number));
}

QB_TEST(a_promoted_replica_is_the_fence)
{
    world_start_with("redis");
    world_reset(3);
    struct replica *a = replica_new("a", 3, 100, 1000);
    for (unsigned shard = 0; shard < WORLD_SHARDS; shard++) {
        replica_subscribe(a, lot_of(shard));
        QB_EXPECT_EQ(replica_append(a, world_entry(lot_of(shard), 0, 0)).seq, 1, "opened");
        QB_EXPECT_EQ(append_to(a, shard, 1).seq, 2, "a bid");
    }
    qb_stack_await_replicas(1);
    qb_stack_kill("redis-0");
    WORLD_UNTIL(!qb_ledger_redis_is_ready(a->ledger), 5000);
    QB_EXPECT_EQ(append_to(a, 0, 2).outcome, QB_APPEND_FENCED, "out of reach");
    QB_EXPECT_EQ(append_to(a, 1, 2).seq, 3, "the other shard goes on");
    WORLD_UNTIL(!a->is_open, 30000);
    QB_EXPECT(!a->is_open, "another server");
    QB_EXPECT_EQ(append_to(a, 0, 3).outcome, QB_APPEND_FENCED, "nothing gets in");
    QB_EXPECT_EQ(append_to(a, 1, 3).outcome, QB_APPEND_FENCED, "anywhere");
    qb_stack_revive("redis-0"); /* as a replica: a primary without one takes no write */
    world_run(3000);
    world_open(4);
    qb_ledger_redis_open(a->ledger, 4, world_ack);
    WORLD_UNTIL(a->is_open, 5000);
    QB_EXPECT_EQ(a->epoch, 4, "open again");
    for (unsigned shard = 0; shard < WORLD_SHARDS; shard++) {
        QB_EXPECT_EQ(replica_follow(a, lot_of(shard)), QB_LEDGER_FOUND, "followed");
        QB_EXPECT_EQ(append_to(a, shard, 4).seq, shard == 0 ? 3 : 4, "and it goes on");
    }
    replica_free(&a);
    QB_EXPECT_EQ(world_failures(), 0, "order and the rest");
}
