/*
 * The ledger in Redis, held to the contract of every ledger, and to what two replicas on one Redis
 * may expect of each other.
 */
#include "bidding/lot.h"
#include "tests/contract/expect.h"
#include "tests/contract/ledger_contract.h"
#include "tests/contract/ledger_redis_world.h"
#include "tests/kit/test.h"

enum { LOT = 7, OTHER = 8, ANN = 11, BOB = 12 };

static struct replica *subject_replica;

static void end_subject(void)
{
    if (subject_replica == NULL) return;
    subject_replica->ledger = NULL; /* the contract has freed it */
    replica_free(&subject_replica);
}

static struct qb_ledger *make(uint32_t marks_max, uint64_t unconfirmed_max)
{
    static const struct qb_ledger_listener nobody = {0};

    end_subject();
    world_reset(3);
    subject_replica = replica_new("contract", 3, marks_max, unconfirmed_max);
    qb_ledger_listen(subject_replica->ledger, &nobody);
    return subject_replica->ledger;
}

static void settle(struct qb_ledger *ledger)
{
    (void)ledger;
    world_settle();
}

QB_TEST(the_ledger_in_redis_keeps_the_contract)
{
    const struct ledger_subject subject = {"ledger_redis", make, settle, NULL};

    world_start();
    ledger_contract(&subject);
    end_subject();
    QB_EXPECT_EQ(expect_failures(), 0, "the contract");
}

/* Two replicas in epoch 3 of an empty Redis; the first has opened LOT, the second follows it. */
struct pair {
    struct replica *a;
    struct replica *b;
};

static struct pair pair_new(void)
{
    struct pair pair;

    world_start();
    world_reset(3);
    pair.a = replica_new("a", 3, 100, 1000);
    pair.b = replica_new("b", 3, 100, 1000);
    replica_subscribe(pair.a, LOT);
    QB_EXPECT_EQ(replica_append(pair.a, world_entry(LOT, 0, 0)).outcome, QB_APPEND_DONE, "opened");
    QB_EXPECT_EQ(replica_follow(pair.b, LOT), QB_LEDGER_FOUND, "found");
    QB_EXPECT_EQ(pair.b->told[LOT].seq, 1, "with its OPEN");
    return pair;
}

static void pair_free(struct pair *pair)
{
    replica_free(&pair->a);
    replica_free(&pair->b);
    QB_EXPECT_EQ(world_failures(), 0, "order and the rest");
}

QB_TEST(two_replicas_see_one_order)
{
    struct pair pair = pair_new();
    uint64_t number = 1;

    for (int round = 0; round < 100; round++) {
        struct qb_entry entries[2][4];
        int calls_a = pair.a->calls;
        int calls_b = pair.b->calls;
        for (size_t i = 0; i < 4; i++) {
            entries[0][i] = world_entry(LOT, ANN, number++);
            entries[1][i] = world_entry(LOT, BOB, number++);
        }
        replica_call(pair.a, entries[0], 4);
        replica_call(pair.b, entries[1], 4);
        WORLD_UNTIL(pair.a->calls > calls_a && pair.b->calls > calls_b, 5000);
    }
    world_run(50);
    QB_EXPECT_EQ(pair.a->told[LOT].seq, 801, "all");
    QB_EXPECT(world_is_same(pair.a, pair.b, LOT), "the same order, each entry the own one of one");
    pair_free(&pair);
}

QB_TEST(what_the_bus_loses_is_read)
{
    struct pair pair = pair_new();
    int looks = 0;

    pair.b->loss_percent = 100;
    for (uint64_t i = 1; i <= 300; i++) {
        struct qb_entry bid = world_entry(LOT, ANN, i);
        (void)replica_append(pair.a, bid);
        pair.b->loss_percent = i % 3 == 0 ? 100 : 50;
    }
    pair.b->loss_percent = 100;
    WORLD_UNTIL(pair.b->told[LOT].seq == 301, 2500);
    QB_EXPECT(world_is_same(pair.a, pair.b, LOT), "within the check of the heads");
    for (uint64_t i = 0; i < 20; i++) { /* mostly between two checks */
        (void)replica_append(pair.a, world_entry(LOT, ANN, 301 + i));
        qb_ledger_missed(pair.b->ledger, i % 2 == 0 ? LOT : 0);
        WORLD_UNTIL(pair.b->told[LOT].seq == 302 + i, 300);
        looks += pair.b->told[LOT].seq == 302 + i ? 1 : 0;
    }
    QB_EXPECT(looks >= 18, "or as soon as it is said");
    QB_EXPECT_EQ(replica_append(pair.b, world_entry(LOT, BOB, 1)).seq, 322, "goes on");
    pair_free(&pair);
}

QB_TEST(a_call_brings_what_its_caller_missed)
{
    struct pair pair = pair_new();

    pair.b->loss_percent = 100;
    for (uint64_t call = 0; call < 10; call++) { /* more than one answer brings along */
        struct qb_entry bids[60];
        int calls = pair.a->calls;
        for (size_t i = 0; i < 60; i++) bids[i] = world_entry(LOT, ANN, 1 + call * 60 + i);
        replica_call(pair.a, bids, 60);
        WORLD_UNTIL(pair.a->calls > calls, 5000);
    }
    QB_EXPECT_EQ(replica_append(pair.b, world_entry(LOT, BOB, 1)).seq, 602, "behind the others");
    QB_EXPECT_EQ(pair.b->told[LOT].seq, 602, "all of which were heard before");
    pair.b->loss_percent = 0;
    world_run(20);
    QB_EXPECT(world_is_same(pair.a, pair.b, LOT), "the same log");
    pair_free(&pair);
}

static void count_call(void *context, const struct qb_ledger_result *results, size_t count)
{
    static uint64_t seq;
    int *calls = context;

    QB_EXPECT_EQ(count, 2, "the results of that call");
    if (*calls == 0) seq = results[0].seq - 1;
    for (size_t i = 0; i < count; i++) {
        QB_EXPECT_EQ(results[i].outcome, QB_APPEND_DONE, "done");
        QB_EXPECT_EQ(results[i].seq, ++seq, "in the order of the calls");
    }
    (*calls)++;
}

QB_TEST(calls_may_follow_each_other_without_an_answer)
{
    struct pair pair = pair_new();
    int calls = 0;

    for (uint64_t call = 0; call < 20; call++) {
        const struct qb_entry bids[2] = {world_entry(LOT, ANN, call * 2 + 1),
                                         world_entry(LOT, ANN, call * 2 + 2)};
        const struct qb_ledger_command commands[2] = {{.entry = &bids[0], .expires_us = INT64_MAX},
                                                      {.entry = &bids[1], .expires_us = INT64_MAX}};
        qb_ledger_call(pair.a->ledger, commands, 2, count_call, &calls);
    }
    WORLD_UNTIL(calls == 20 && pair.b->told[LOT].seq == 41, 3000);
    QB_EXPECT_EQ(calls, 20, "each answered once");
    QB_EXPECT_EQ(pair.b->told[LOT].seq, 41, "and heard by another");
    pair_free(&pair);
}

QB_TEST(a_broken_log_stops_no_other)
{
    struct pair pair = pair_new();
    const qb_id broken = OTHER;

    QB_EXPECT_EQ(replica_append(pair.a, world_entry(broken, 0, 0)).seq, 1, "opened");
    world_break(broken);
    const struct qb_entry bids[2] = {world_entry(broken, ANN, 1), world_entry(LOT, ANN, 1)};
    int calls = pair.a->calls;
    replica_call(pair.a, bids, 2);
    WORLD_UNTIL(pair.a->calls > calls, 3000);
    QB_EXPECT_EQ(pair.a->results[0].outcome, QB_APPEND_BUSY, "nothing was written");
    QB_EXPECT_EQ(pair.a->results[1].outcome, QB_APPEND_DONE, "the other goes on");
    pair_free(&pair);
}

QB_TEST(durable_is_only_what_has_no_gap_below)
{
    struct pair pair = pair_new();

    for (uint64_t i = 1; i <= 2; i++) {
        (void)replica_append(pair.a, world_entry(LOT, ANN, i)); /* 2, 4 */
        (void)replica_append(pair.b, world_entry(LOT, BOB, i)); /* 3, 5 */
    }
    qb_ledger_durable(pair.b->ledger, LOT, 5);
    world_settle();
    world_run(20);
    QB_EXPECT_EQ(pair.b->told[LOT].durable, 0, "1, 2 and 4 are not");
    qb_ledger_durable(pair.a->ledger, LOT, 2);
    WORLD_UNTIL(pair.b->told[LOT].durable >= 3, 3000);
    QB_EXPECT_EQ(pair.a->told[LOT].durable, 3, "up to the gap");
    QB_EXPECT_EQ(pair.b->told[LOT].durable, 3, "whoever made it so");
    qb_ledger_durable(pair.a->ledger, LOT, 4);
    WORLD_UNTIL(pair.b->told[LOT].durable >= 5, 3000);
    QB_EXPECT_EQ(pair.a->told[LOT].durable, 5, "and over what came before");
    pair_free(&pair);
}

QB_TEST(an_orphan_is_found_by_another)
{
    struct pair pair = pair_new();
    int64_t began_us = qb_clock_mono_us();

    pair.b->must_adopt = true;
    (void)replica_append(pair.a, world_entry(LOT, ANN, 1));
    replica_free(&pair.a); /* before it made anything durable */
    WORLD_UNTIL(pair.b->told[LOT].durable == 2, 2000);
    QB_EXPECT_EQ(pair.b->told[LOT].durable, 2, "adopted");
    QB_EXPECT_EQ(pair.b->told[LOT].orphans, 2, "each once");
    QB_EXPECT(qb_clock_mono_us() - began_us >= 250 * QB_MS_US, "not before it is one");
    QB_EXPECT(qb_clock_mono_us() - began_us <= 1500 * QB_MS_US, "soon");
    world_run(400);
    QB_EXPECT_EQ(pair.b->told[LOT].orphans, 2, "and no more");
    pair.a = replica_new("c", 3, 100, 1000);
    pair.a->must_adopt = true;
    (void)replica_append(pair.b, world_entry(LOT, BOB, 1));
    WORLD_UNTIL(pair.b->told[LOT].durable == 3, 3000);
    QB_EXPECT_EQ(pair.b->told[LOT].orphans, 2, "what is on its own way is no orphan here");
    QB_EXPECT_EQ(pair.a->told[LOT].orphans, 1, "elsewhere, and not followed, it is");
    QB_EXPECT_EQ(pair.b->told[LOT].durable, 3, "and helped on");
    pair_free(&pair);
}

QB_TEST(an_orphan_that_is_not_taken_is_not_vouched_for_and_told_again)
{
    struct pair pair = pair_new();

    pair.b->must_adopt = true;
    pair.b->refused_orphans = 1;
    (void)replica_append(pair.a, world_entry(LOT, ANN, 1));
    replica_free(&pair.a);
    WORLD_UNTIL(pair.b->told[LOT].durable == 2, 5000);
    QB_EXPECT_EQ(pair.b->told[LOT].durable, 2, "in the end");
    QB_EXPECT(pair.b->told[LOT].orphans >= 3, "the OPEN was told twice");
    pair.a = replica_new("c", 3, 100, 1000);
    pair_free(&pair);
}

QB_TEST(an_orphan_vouches_for_nothing_else)
{
    struct pair pair = pair_new();

    (void)replica_append(pair.b, world_entry(LOT, BOB, 1));
    WORLD_UNTIL(pair.b->told[LOT].orphans > 0, 3000);
    QB_EXPECT_EQ(pair.b->told[LOT].orphan_seq, 1, "the OPEN of the other");
    qb_ledger_durable(pair.b->ledger, LOT, 2);
    world_settle();
    world_run(20);
    QB_EXPECT_EQ(pair.b->told[LOT].durable, 0, "what was appended here says nothing of it");
    qb_ledger_adopted(pair.b->ledger, LOT, 1);
    WORLD_UNTIL(pair.b->told[LOT].durable == 2, 3000);
    QB_EXPECT_EQ(pair.b->told[LOT].durable, 2, "both are durable");
    pair_free(&pair);
}

QB_TEST(an_auction_is_loaded_from_its_snapshot)
{
    struct pair pair = pair_new();
    const struct qb_bid_record records[2] = {{2, QB_ENTRY_BID, true, ANN, 300, 1002},
                                             {3, QB_ENTRY_BID, false, ANN, 400, 1003}};

    for (uint64_t i = 1; i <= 600; i++) (void)replica_append(pair.a, world_entry(LOT, ANN, i));
    QB_EXPECT_EQ(replica_follow(pair.b, OTHER), QB_LEDGER_NOT_FOUND, "no such auction");
    struct replica *c = replica_new("c", 3, 100, 1000);
    QB_EXPECT_EQ(replica_follow(c, LOT), QB_LEDGER_FOUND, "found");
    QB_EXPECT_EQ(c->told[LOT].seq, 601, "all of it, in several pieces");
    QB_EXPECT_EQ(c->told[LOT].durable, 0, "none of it durable");
    struct qb_lot lot = world_folded(LOT, ANN, 550);
    qb_ledger_snapshot(pair.a->ledger, &lot, records, 2);
    world_settle();
    qb_ledger_forget(c->ledger, LOT);
    QB_EXPECT_EQ(replica_follow(c, LOT), QB_LEDGER_FOUND, "found again");
    QB_EXPECT_EQ(c->told[LOT].state_seq, 0, "a snapshot waits until it is durable");
    qb_ledger_durable(pair.a->ledger, LOT, 580);
    WORLD_UNTIL(pair.a->told[LOT].durable == 580, 3000);
    world_settle();
    qb_ledger_forget(c->ledger, LOT);
    QB_EXPECT_EQ(replica_follow(c, LOT), QB_LEDGER_FOUND, "and again");
    QB_EXPECT_EQ(c->told[LOT].state_seq, 550, "from the snapshot");
    QB_EXPECT_EQ(c->told[LOT].record_count, 2, "with its records");
    QB_EXPECT_EQ(c->told[LOT].seq, 601, "and what lies behind it");
    QB_EXPECT_EQ(c->told[LOT].durable, 580, "durable as far as it is");
    QB_EXPECT_EQ(replica_append(c, world_entry(LOT, BOB, 1)).seq, 602, "goes on");
    WORLD_UNTIL(pair.a->told[LOT].seq == 602, 3000);
    QB_EXPECT(world_is_same(pair.a, c, LOT), "the same log");
    world_trim(LOT, 540);
    qb_ledger_forget(c->ledger, LOT);
    QB_EXPECT_EQ(replica_follow(c, LOT), QB_LEDGER_FOUND, "whatever lies below is not needed");
    QB_EXPECT_EQ(c->told[LOT].seq, 602, "all the rest");
    world_trim(LOT, 560);
    qb_ledger_forget(c->ledger, LOT);
    QB_EXPECT_EQ(replica_follow(c, LOT), QB_LEDGER_NO_ANSWER, "rather nothing than a gap");
    replica_free(&c);
    pair_free(&pair);
}

QB_TEST(who_was_away_for_too_long_begins_again)
{
    struct pair pair = pair_new();

    pair.b->loss_percent = 100;
    for (uint64_t i = 1; i <= 20; i++) {
        struct qb_entry bid = world_entry(LOT, ANN, i);
        int calls = pair.a->calls;
        replica_call(pair.a, &bid, 1);
        WORLD_UNTIL(pair.a->calls > calls, 3000);
        if (i == 10) world_trim(LOT, 9);
    }
    world_trim(LOT, 18);
    bool was_behind = pair.b->told[LOT].seq < 17; /* else a check of the heads was quicker */
    WORLD_UNTIL(pair.b->told[LOT].losses > 0 || pair.b->told[LOT].seq == 21, 3000);
    QB_EXPECT_EQ(pair.b->told[LOT].losses, was_behind ? 1 : 0, "it is told");
    pair_free(&pair);
}

QB_TEST(what_is_due_is_told_until_it_is_over)
{
    struct pair pair = pair_new();
    struct qb_entry open = world_entry(OTHER, 0, 0);
    struct qb_rules rules = *open.rules;

    rules.ends_at_us = qb_clock_wall_us() + 3 * QB_SECOND_US;
    open.rules = &rules;
    pair.a->must_journal = true;
    QB_EXPECT_EQ(replica_append(pair.a, open).outcome, QB_APPEND_DONE, "opened");
    world_run(1200);
    WORLD_UNTIL(pair.b->told[OTHER].dues > 0, 3000);
    QB_EXPECT(pair.b->told[OTHER].dues > 0, "told to who does not follow it");
    QB_EXPECT_EQ(pair.a->told[OTHER].dues, 0, "and not to who does");
    QB_EXPECT_EQ(pair.b->told[LOT].dues, 0, "nor is another");
    struct qb_lot lot = {.auction = OTHER};
    open.seq = 1;
    (void)qb_lot_fold(&lot, &open, NULL, 0);
    pair.a->must_journal = false;
    QB_EXPECT_EQ(replica_append(pair.a, world_entry(OTHER, ANN, 1)).seq, 2, "one more");
    lot.seq = 2;
    qb_ledger_snapshot(pair.a->ledger, &lot, NULL, 0); /* waits until that is durable */
    lot.status = QB_STATUS_UNSOLD;
    lot.outcome = QB_OUTCOME_NO_BIDS;
    qb_ledger_snapshot(pair.a->ledger, &lot, NULL, 0); /* and this, which counts, with it */
    qb_ledger_durable(pair.a->ledger, OTHER, 2);
    world_settle();
    world_run(50);
    int dues = pair.b->told[OTHER].dues;
    world_run(1200);
    QB_EXPECT_EQ(pair.b->told[OTHER].dues, dues, "not once it is over");
    pair_free(&pair);
}

QB_TEST(the_clock_is_that_of_redis)
{
    struct pair pair = pair_new();
    int64_t uncertainty_us = 0;

    qb_time_us now_us = qb_ledger_now_us(pair.a->ledger, &uncertainty_us);
    QB_EXPECT(uncertainty_us < 5000, "well known");
    int64_t off_us = now_us - qb_clock_wall_us(); /* they are one machine here */
    QB_EXPECT(off_us <= uncertainty_us && -off_us <= uncertainty_us + 100, "and right");
    struct qb_ledger_result bid = replica_append(pair.a, world_entry(LOT, ANN, 1));
    QB_EXPECT(bid.now_us >= now_us - uncertainty_us, "as are the stamps");
    pair_free(&pair);
}
