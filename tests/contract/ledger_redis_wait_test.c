/*
 * ack = ledger on real servers, shard 0 with a replica behind Sentinel, shard 1 alone: an entry is
 * durable when all replicas that may be promoted have it, and never before.
 */
#include <stdio.h>

#include "app/recovery_republish.h"
#include "base/shard.h"
#include "tests/contract/ledger_redis_world.h"
#include "tests/kit/stack.h"
#include "tests/kit/test.h"

enum { ANN = 11, BOB = 12 };

/* An auction of a shard. */
static qb_id lot_of(unsigned shard)
{
    qb_id lot = 1;

    while (qb_shard_of(lot, WORLD_SHARDS) != shard) lot++;
    return lot;
}

static void begin(unsigned replicas)
{
    world_start_with("redis");
    world_ack = QB_ACK_LEDGER;
    world_replicas[0] = replicas;
    world_reset(3);
}

static bool is_stuck(const struct replica *replica, unsigned shard)
{
    return qb_ledger_redis_is_stuck(replica->ledger, shard);
}

/* A replica that is not stuck, with an opened auction of each shard. */
static struct replica *replica_with_lots(const char *name)
{
    struct replica *made = replica_new(name, 3, 100, 1000);

    WORLD_UNTIL(!is_stuck(made, 0) && !is_stuck(made, 1), 10000);
    QB_EXPECT(!is_stuck(made, 0), "all replicas are there");
    for (unsigned shard = 0; shard < WORLD_SHARDS; shard++) {
        replica_subscribe(made, lot_of(shard));
        QB_EXPECT_EQ(replica_append(made, world_entry(lot_of(shard), 0, 0)).seq, 1, "opened");
        WORLD_UNTIL(made->told[lot_of(shard)].durable == 1, 5000);
        QB_EXPECT_EQ(made->told[lot_of(shard)].durable, 1, "durable without the journal");
    }
    return made;
}

static void end(struct replica **replica)
{
    replica_free(replica);
    QB_EXPECT_EQ(world_failures(), 0, "order and the rest");
}

static int64_t field(qb_id lot, const char *name)
{
    char key[64];
    unsigned shard = qb_shard_of(lot, WORLD_SHARDS);

    (void)snprintf(key, sizeof key, "qb:{q%u}:%016llx:state", shard, (unsigned long long)lot);
    return world_command_to_primary(shard, 3, (const char *[]){"HGET", key, name});
}

static int64_t outbox(unsigned shard)
{
    char key[64];

    (void)snprintf(key, sizeof key, "qb:{q%u}:outbox:entries", shard);
    return world_command_to(shard, 2, (const char *[]){"GET", key});
}

QB_TEST(nothing_is_durable_while_a_replica_lacks_it)
{
    begin(1);
    struct replica *a = replica_with_lots("a");
    struct replica *b = replica_new("b", 3, 100, 1000);
    qb_id lot = lot_of(0);
    struct told *told = &a->told[lot];

    QB_EXPECT_EQ(replica_follow(b, lot), QB_LEDGER_FOUND, "followed elsewhere");
    qb_stack_freeze("redis-0-replica");
    QB_EXPECT_EQ(replica_append(a, world_entry(lot, ANN, 1)).seq, 2, "it has its place");
    WORLD_UNTIL(is_stuck(a, 0), 5000);
    QB_EXPECT(is_stuck(a, 0), "bids are refused before they have a place");
    world_run(1500);
    QB_EXPECT_EQ(told->durable, 1, "not acknowledged");
    QB_EXPECT_EQ(b->told[lot].durable, 1, "nor told elsewhere");
    QB_EXPECT_EQ(field(lot, "dur"), 1, "nor kept as such");
    QB_EXPECT(!is_stuck(a, 1), "but for the other shard");
    QB_EXPECT_EQ(replica_append(a, world_entry(lot_of(1), ANN, 1)).seq, 2, "the other shard");
    WORLD_UNTIL(a->told[lot_of(1)].durable == 2, 5000);
    QB_EXPECT_EQ(a->told[lot_of(1)].durable, 2, "goes on");
    qb_stack_thaw("redis-0-replica");
    WORLD_UNTIL(told->durable == 2 && b->told[lot].durable == 2 && !is_stuck(a, 0), 20000);
    QB_EXPECT_EQ(told->durable, 2, "acknowledged by itself, once it has it");
    QB_EXPECT_EQ(b->told[lot].durable, 2, "and told elsewhere");
    QB_EXPECT(!is_stuck(a, 0), "bids are taken again");
    QB_EXPECT_EQ(a->closed, 0, "none of this is a case for recovery");
    replica_free(&b);
    end(&a);
}

QB_TEST(an_entry_whose_appender_died_is_made_durable_by_another)
{
    begin(1);
    struct replica *a = replica_with_lots("a");
    struct replica *b = replica_new("b", 3, 100, 1000);
    qb_id lot = lot_of(0);

    QB_EXPECT_EQ(replica_follow(b, lot), QB_LEDGER_FOUND, "followed");
    qb_stack_freeze("redis-0-replica");
    QB_EXPECT_EQ(replica_append(a, world_entry(lot, ANN, 1)).seq, 2, "it has its place");
    replica_free(&a); /* before the replica had it */
    qb_stack_thaw("redis-0-replica");
    WORLD_UNTIL(b->told[lot].durable == 2, 20000);
    QB_EXPECT_EQ(b->told[lot].seq, 2, "heard");
    QB_EXPECT_EQ(b->told[lot].durable, 2, "and durable");
    end(&b);
}

QB_TEST(a_replica_more_than_is_waited_for_is_refused)
{
    begin(0);
    struct replica *a = replica_new("a", 3, 100, 1000);
    qb_id lot = lot_of(0);

    world_run(500);
    QB_EXPECT(is_stuck(a, 0), "it might be promoted without what was acknowledged");
    replica_subscribe(a, lot);
    QB_EXPECT_EQ(replica_append(a, world_entry(lot, 0, 0)).seq, 1, "if something comes in");
    world_run(500);
    QB_EXPECT_EQ(a->told[lot].durable, 0, "it is not acknowledged");
    end(&a);
}

QB_TEST(a_replica_that_is_missing_stops_all)
{
    begin(2);
    struct replica *a = replica_new("a", 3, 100, 1000);

    world_run(800);
    QB_EXPECT(is_stuck(a, 0), "one of two is not there");
    replica_free(&a);
    begin(1);
    a = replica_new("b", 3, 100, 1000);
    WORLD_UNTIL(!is_stuck(a, 0), 10000);
    QB_EXPECT(!is_stuck(a, 0), "one of one is");
    end(&a);
}

QB_TEST(the_journal_empties_the_outbox_and_makes_nothing_durable)
{
    begin(1);
    struct replica *a = replica_with_lots("a");
    qb_id lot = lot_of(1);
    struct told *told = &a->told[lot];

    a->is_journal_away = true;
    for (uint64_t i = 1; i <= 10; i++) {
        QB_EXPECT_EQ(replica_append(a, world_entry(lot, ANN, i)).seq, i + 1, "a bid");
        if (i > 4) qb_ledger_redis_leave(a->ledger, lot, i + 1); /* 2 to 5 were handed in */
    }
    WORLD_UNTIL(told->durable == 11, 5000);
    QB_EXPECT_EQ(told->durable, 11, "acknowledged");
    QB_EXPECT_EQ(outbox(1), 11, "all is in the outbox");
    world_run(1000);
    QB_EXPECT_EQ(told->orphans, 0, "nothing is looked for while the journal takes nothing");
    qb_ledger_durable(a->ledger, lot, 5);
    WORLD_UNTIL(field(lot, "out") == 5, 5000);
    QB_EXPECT_EQ(outbox(1), 6, "what was handed in is gone from it");
    a->must_adopt = true;
    a->is_journal_away = false;
    WORLD_UNTIL(field(lot, "out") == 11, 10000);
    QB_EXPECT_EQ(told->orphans, 6, "what was left there is found, each once");
    QB_EXPECT_EQ(field(lot, "out"), 11, "and gone");
    QB_EXPECT_EQ(outbox(1), 0, "and the outbox is empty");
    end(&a);
}

QB_TEST(what_was_left_is_not_vouched_for_by_what_came_later)
{
    begin(1);
    struct replica *a = replica_with_lots("a");
    qb_id lot = lot_of(1);

    a->is_journal_away = true;
    for (uint64_t i = 1; i <= 4; i++) (void)replica_append(a, world_entry(lot, ANN, i));
    qb_ledger_redis_leave(a->ledger, lot, 3); /* 1, 2, 4 and 5 were handed in */
    qb_ledger_durable(a->ledger, lot, 5);
    WORLD_UNTIL(field(lot, "out") == 2, 5000);
    world_run(300);
    QB_EXPECT_EQ(field(lot, "out"), 2, "up to the one that was left");
    end(&a);
}

/* The sweeper reads it from the stream when the journal is back. */
QB_TEST(nothing_that_is_in_the_outbox_is_trimmed)
{
    static const struct qb_trim_options at_once = {0};
    begin(1);
    struct replica *a = replica_with_lots("a");
    qb_id lot = lot_of(1);
    struct qb_trim_item item = {.auction = lot, .committed = 301};

    a->is_journal_away = true;
    for (uint64_t i = 1; i <= 300;) {
        struct qb_entry entries[60];
        size_t count = 0;
        int calls = a->calls;
        while (count < 60) entries[count++] = world_entry(lot, ANN, i++);
        replica_call(a, entries, count);
        WORLD_UNTIL(a->calls > calls, 5000);
    }
    WORLD_UNTIL(a->told[lot].durable == 301, 5000);
    QB_EXPECT_EQ(a->told[lot].durable, 301, "acknowledged");
    const struct qb_lot folded = world_folded(lot, ANN, 301);
    qb_ledger_snapshot(a->ledger, &folded, NULL, 0);
    world_settle();
    QB_EXPECT(world_committed(3, &at_once, &item), "said");
    QB_EXPECT_EQ(item.taken, 0, "the journal has nothing");
    qb_ledger_durable(a->ledger, lot, 150);
    WORLD_UNTIL(field(lot, "out") == 150, 5000);
    QB_EXPECT(world_committed(3, &at_once, &item), "said");
    QB_EXPECT(item.taken > 0 && item.left >= 151, "what it has, and no more");
    item.is_over = true;
    QB_EXPECT(world_committed(3, &at_once, &item) && !item.is_gone, "nor does the auction go");
    qb_ledger_durable(a->ledger, lot, 301);
    WORLD_UNTIL(field(lot, "out") == 301, 5000);
    QB_EXPECT(world_committed(3, &at_once, &item) && item.is_gone, "all of it may");
    QB_EXPECT_EQ(outbox(1), 0, "and the outbox is empty");
    end(&a);
}

QB_TEST(an_outbox_that_is_full_takes_no_more)
{
    begin(1);
    world_outbox_max = 5;
    struct replica *a = replica_with_lots("a");
    qb_id lot = lot_of(1);

    a->is_journal_away = true;
    for (uint64_t i = 1; i <= 4; i++)
        QB_EXPECT_EQ(replica_append(a, world_entry(lot, ANN, i)).outcome, QB_APPEND_DONE, "room");
    QB_EXPECT_EQ(replica_append(a, world_entry(lot, ANN, 5)).outcome, QB_APPEND_BUSY, "full");
    WORLD_UNTIL(is_stuck(a, 1), 5000);
    QB_EXPECT(is_stuck(a, 1), "and told");
    QB_EXPECT_EQ(outbox(1), 5, "no more than the limit");
    qb_ledger_durable(a->ledger, lot, 5);
    WORLD_UNTIL(!is_stuck(a, 1), 5000);
    QB_EXPECT(!is_stuck(a, 1), "emptied, it goes on");
    QB_EXPECT_EQ(replica_append(a, world_entry(lot, ANN, 5)).outcome, QB_APPEND_DONE, "room again");
    world_outbox_max = 100000;
    end(&a);
}

/* A recovery reads the logs to publish them: what comes into them behind that would be voided. */
QB_TEST(nothing_is_appended_once_a_recovery_reads_the_logs)
{
    begin(1);
    struct replica *a = replica_with_lots("a");
    struct qb_error error = {{0}};
    struct qb_shard_addresses addresses = {.count = WORLD_SHARDS};

    for (unsigned shard = 0; shard < WORLD_SHARDS; shard++) {
        static const char *const live[] = {"qb:{q0}:live", "qb:{q1}:live"};
        addresses.list[shard] = world_coordinator_address(shard);
        /* No log is read here: that asks for a store and a broker. */
        (void)world_command_to(shard, 2, (const char *[]){"DEL", live[shard]});
    }
    struct qb_redis_desk *desk = qb_redis_desk_new(&addresses, "world", &error);
    struct qb_republish republish = {.desk = desk, .upto = UINT64_MAX, .must_fence = true};
    QB_EXPECT(qb_redis_desk_wait(desk, 10 * QB_SECOND_US, &error), error.text);
    QB_EXPECT(qb_republish_run(&republish, &error), error.text);
    for (unsigned shard = 0; shard < WORLD_SHARDS; shard++) {
        struct qb_ledger_result result = replica_append(a, world_entry(lot_of(shard), ANN, 1));
        QB_EXPECT_EQ(result.outcome, QB_APPEND_FENCED, "nothing gets in");
        QB_EXPECT_EQ(field(lot_of(shard), "seq"), 1, "nowhere");
    }
    qb_redis_desk_free(&desk);
    end(&a);
}

QB_TEST(what_was_acknowledged_is_on_the_promoted_replica)
{
    begin(1);
    struct replica *a = replica_with_lots("a");
    qb_id lot = lot_of(0);

    qb_stack_await_replicas(1);
    for (uint64_t i = 1; i <= 50; i++) (void)replica_append(a, world_entry(lot, ANN, i));
    WORLD_UNTIL(a->told[lot].durable > 1, 5000);
    uint64_t acknowledged = a->told[lot].durable;
    qb_stack_kill("redis-0");
    QB_EXPECT(acknowledged > 1, "some were");
    WORLD_UNTIL(!a->is_open, 40000);
    QB_EXPECT(!a->is_open, "another server");
    qb_stack_revive("redis-0"); /* as a replica */
    world_run(3000);
    QB_EXPECT(field(lot, "seq") >= (int64_t)acknowledged, "it has all of them");
    end(&a);
}
