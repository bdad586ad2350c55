/*
 * The ledger in Redis when Redis or the way to it fails: nothing is appended that the fence should
 * have stopped, nothing is lost that was, and nothing counts twice.
 */
#include "base/shard.h"
#include "tests/contract/ledger_redis_world.h"
#include "tests/kit/stack.h"
#include "tests/kit/test.h"

enum { LOT = 7, ANN = 11 };

static struct replica *replica_with_lot(uint32_t epoch)
{
    world_start();
    world_reset(epoch);
    struct replica *a = replica_new("a", epoch, 100, 1000);
    replica_subscribe(a, LOT);
    QB_EXPECT_EQ(replica_append(a, world_entry(LOT, 0, 0)).outcome, QB_APPEND_DONE, "opened");
    return a;
}

static void end(struct replica **replica)
{
    replica_free(replica);
    QB_EXPECT_EQ(world_failures(), 0, "order and the rest");
}

static int64_t stream_length(void)
{
    static const char *const keys[] = {"qb:{q0}:0000000000000007:stream",
                                       "qb:{q1}:0000000000000007:stream"};
    int64_t length = 0;

    for (size_t i = 0; i < 2; i++) length += world_command(2, (const char *[]){"XLEN", keys[i]});
    return length;
}

QB_TEST(an_answer_lost_on_the_way_is_found_by_the_same_call)
{
    struct replica *a = replica_with_lot(3);
    int found = 0;

    for (uint64_t i = 1; i <= 20; i++) {
        struct qb_entry bid = world_entry(LOT, ANN, i);
        world_run(5); /* for a break that came too late in the round before */
        WORLD_UNTIL(qb_ledger_redis_is_ready(a->ledger), 5000);
        int calls = a->calls;
        int64_t length = stream_length();
        replica_call(a, &bid, 1);
        for (int turn = 0; turn < 2; turn++) world_turn(); /* it leaves */
        qb_clock_sleep_us(10000);                          /* and is carried out */
        replica_drop(a, qb_shard_of(LOT, WORLD_SHARDS));
        qb_clock_sleep_us(3000); /* the loop breaks the link before it reads the answer */
        WORLD_UNTIL(a->calls > calls, 3000);
        if (a->results[0].outcome == QB_APPEND_DONE) continue; /* it was quicker */
        QB_EXPECT_EQ(a->results[0].outcome, QB_APPEND_UNKNOWN, "may or may not be there");
        WORLD_UNTIL(qb_ledger_redis_is_ready(a->ledger), 5000);
        bool is_there = stream_length() > length;
        calls = a->calls;
        replica_again(a);
        WORLD_UNTIL(a->calls > calls, 3000);
        if (!is_there) continue;
        found++;
        QB_EXPECT_EQ(a->results[0].outcome, QB_APPEND_DUPLICATE, "it is there");
        QB_EXPECT_EQ(a->results[0].seq, length + 1, "once");
        QB_EXPECT_EQ(a->told[LOT].seq, length + 1, "and was heard like another's");
    }
    QB_EXPECT(found > 0, "at least one answer was lost");
    QB_EXPECT_EQ(a->closed, 0, "a lost connection closes nothing");
    end(&a);
}

QB_TEST(what_is_never_sent_is_refused)
{
    struct replica *a = replica_with_lot(3);
    int calls = a->calls;
    struct qb_entry bid = world_entry(LOT, ANN, 1);

    replica_drop(a, qb_shard_of(LOT, WORLD_SHARDS));
    WORLD_UNTIL(!qb_ledger_redis_is_ready(a->ledger), 1000);
    replica_call(a, &bid, 1);
    WORLD_UNTIL(a->calls > calls, 50);
    QB_EXPECT_EQ(a->results[0].outcome, QB_APPEND_FENCED, "at once");
    WORLD_UNTIL(qb_ledger_redis_is_ready(a->ledger), 5000);
    QB_EXPECT_EQ(stream_length(), 1, "nothing was appended");
    QB_EXPECT_EQ(replica_append(a, bid).outcome, QB_APPEND_DONE, "it goes on by itself");
    end(&a);
}

QB_TEST(a_server_that_stalls_leaves_the_outcome_open)
{
    struct replica *a = replica_with_lot(3);
    struct qb_entry bid = world_entry(LOT, ANN, 1);
    int64_t began_us = qb_clock_mono_us();
    int calls = a->calls;

    (void)world_command(3, (const char *[]){"CLIENT", "PAUSE", "3000"});
    replica_call(a, &bid, 1);
    WORLD_UNTIL(a->calls > calls, 10000);
    QB_EXPECT_EQ(a->results[0].outcome, QB_APPEND_UNKNOWN, "no answer");
    QB_EXPECT(qb_clock_mono_us() - began_us < 4 * QB_SECOND_US, "in time");
    WORLD_UNTIL(qb_ledger_redis_is_ready(a->ledger), 10000);
    calls = a->calls;
    replica_again(a);
    WORLD_UNTIL(a->calls > calls, 3000);
    uint8_t outcome = a->results[0].outcome;
    QB_EXPECT(outcome == QB_APPEND_DONE || outcome == QB_APPEND_DUPLICATE, "the same call decides");
    QB_EXPECT_EQ(a->results[0].seq, 2, "its place");
    QB_EXPECT_EQ(stream_length(), 2, "one place");
    end(&a);
}

QB_TEST(a_missing_script_is_the_fence)
{
    struct replica *a = replica_with_lot(3);

    (void)world_command(2, (const char *[]){"SCRIPT", "FLUSH"});
    QB_EXPECT_EQ(replica_append(a, world_entry(LOT, ANN, 1)).outcome, QB_APPEND_FENCED, "refused");
    QB_EXPECT(!a->is_open, "and told");
    QB_EXPECT_EQ(replica_append(a, world_entry(LOT, ANN, 2)).outcome, QB_APPEND_FENCED, "all");
    QB_EXPECT_EQ(stream_length(), 1, "nothing was appended");
    WORLD_UNTIL(false, 1200);
    QB_EXPECT_EQ(a->closed, 1, "told once");
    world_open(4);
    qb_ledger_redis_open(a->ledger, 4, world_ack);
    WORLD_UNTIL(a->is_open, 3000);
    QB_EXPECT_EQ(a->epoch, 4, "open again in another epoch");
    QB_EXPECT_EQ(replica_append(a, world_entry(LOT, ANN, 1)).outcome, QB_APPEND_FENCED,
                 "where nothing is followed any more");
    end(&a);
}

QB_TEST(a_fence_is_found_without_commands)
{
    struct replica *a = replica_with_lot(3);

    (void)world_command(2, (const char *[]){"SCRIPT", "FLUSH"});
    WORLD_UNTIL(!a->is_open, 3000);
    QB_EXPECT(!a->is_open, "within the check of the heads");
    end(&a);
}

QB_TEST(another_epoch_is_the_fence)
{
    struct replica *a = replica_with_lot(3);

    (void)world_command(3, (const char *[]){"SET", "qb:{q0}:epoch", "4"});
    (void)world_command(3, (const char *[]){"SET", "qb:{q1}:epoch", "4"});
    QB_EXPECT_EQ(replica_append(a, world_entry(LOT, ANN, 1)).outcome, QB_APPEND_FENCED, "stale");
    QB_EXPECT(!a->is_open, "closed");
    QB_EXPECT_EQ(stream_length(), 1, "nothing was appended");
    world_reset(5);
    qb_ledger_redis_open(a->ledger, 3, world_ack);
    WORLD_UNTIL(a->closed == 2, 3000);
    QB_EXPECT_EQ(a->closed, 2, "an old epoch does not open");
    QB_EXPECT_EQ(a->opened, 1, "for nobody");
    end(&a);
}

QB_TEST(a_missing_epoch_is_the_fence)
{
    struct replica *a = replica_with_lot(3);

    (void)world_command(3, (const char *[]){"DEL", "qb:{q0}:epoch", "qb:{q1}:epoch"});
    QB_EXPECT_EQ(replica_append(a, world_entry(LOT, ANN, 1)).outcome, QB_APPEND_FENCED, "refused");
    end(&a);
}

QB_TEST(a_restarted_server_is_the_fence)
{
    struct replica *a = replica_with_lot(3);
    struct qb_entry bid = world_entry(LOT, ANN, 1);
    int calls = 0;

    qb_stack_kill("redis-0");
    WORLD_UNTIL(!qb_ledger_redis_is_ready(a->ledger), 5000);
    QB_EXPECT_EQ(a->closed, 0, "a server out of reach may still be the same");
    qb_stack_revive("redis-0");
    for (int i = 0; i < 200 && a->is_open; i++) {
        calls = a->calls;
        replica_call(a, &bid, 1);
        WORLD_UNTIL(a->calls > calls, 3000);
        QB_EXPECT_EQ(a->results[0].outcome, QB_APPEND_FENCED, "nothing gets in");
        world_run(20);
    }
    QB_EXPECT(!a->is_open, "its data are there, its scripts are not");
    QB_EXPECT_EQ(stream_length(), 1, "nothing was appended");
    qb_stack_kill("redis-0");
    qb_stack_revive("redis-0");
    world_open(4);
    qb_ledger_redis_open(a->ledger, 4, world_ack); /* it does not know of this server yet */
    WORLD_UNTIL(a->is_open, 5000);
    QB_EXPECT(a->is_open, "open again");
    QB_EXPECT_EQ(replica_follow(a, LOT), QB_LEDGER_FOUND, "where it stood");
    QB_EXPECT_EQ(replica_append(a, bid).seq, 2, "and it goes on");
    end(&a);
}

QB_TEST(memory_that_is_full_is_an_answer)
{
    struct replica *a = replica_with_lot(3);

    (void)world_command(4, (const char *[]){"CONFIG", "SET", "maxmemory", "1"});
    QB_EXPECT_EQ(replica_append(a, world_entry(LOT, ANN, 1)).outcome, QB_APPEND_BUSY, "busy");
    QB_EXPECT_EQ(stream_length(), 1, "nothing was appended");
    qb_ledger_durable(a->ledger, LOT, 1);
    WORLD_UNTIL(a->told[LOT].durable == 1, 3000);
    QB_EXPECT_EQ(a->told[LOT].durable, 1, "marks still work: they free memory");
    (void)world_command(4, (const char *[]){"CONFIG", "SET", "maxmemory", "256mb"});
    QB_EXPECT_EQ(replica_append(a, world_entry(LOT, ANN, 1)).outcome, QB_APPEND_DONE, "goes on");
    end(&a);
}

QB_TEST(what_is_under_way_is_answered_at_the_end)
{
    struct replica *a = replica_with_lot(3);
    struct qb_entry bid = world_entry(LOT, ANN, 1);
    int calls = a->calls;

    replica_call(a, &bid, 1);
    qb_ledger_free(&a->ledger);
    QB_EXPECT_EQ(a->calls, calls + 1, "answered");
    QB_EXPECT_EQ(a->results[0].outcome, QB_APPEND_UNKNOWN, "with what is known");
    end(&a);
}
