/*
 * What persisters take away from Redis (reliability.md P7): only what Postgres has for good and
 * nobody needs, and whoever reads, loads or asks again afterwards gets the same answers.
 */
#include <stdio.h>

#include "base/shard.h"
#include "tests/contract/ledger_redis_world.h"
#include "tests/kit/test.h"

enum { LOT = 7, ANN = 11, BOB = 12, EPOCH = 3 };

/* Of a stream that is trimmed by whole blocks of entries. */
enum { BLOCK = 100 };

#define KEEP UINT64_C(10)

static const struct qb_trim_options at_once = {.entries_kept = KEEP};

/* Two replicas that follow LOT, which has its OPEN and `bids` bids of ANN. */
struct pair {
    struct replica *a;
    struct replica *b;
};

static struct pair pair_with(uint64_t bids)
{
    struct pair pair;

    world_start();
    world_reset(EPOCH);
    pair.a = replica_new("a", EPOCH, 100, 5000);
    pair.b = replica_new("b", EPOCH, 100, 5000);
    replica_subscribe(pair.a, LOT);
    QB_EXPECT_EQ(replica_append(pair.a, world_entry(LOT, 0, 0)).outcome, QB_APPEND_DONE, "opened");
    QB_EXPECT_EQ(replica_follow(pair.b, LOT), QB_LEDGER_FOUND, "followed");
    for (uint64_t i = 1; i <= bids;) {
        struct qb_entry entries[60];
        size_t count = 0;
        int calls = pair.a->calls;
        while (count < 60 && i <= bids) entries[count++] = world_entry(LOT, ANN, i++);
        replica_call(pair.a, entries, count);
        WORLD_UNTIL(pair.a->calls > calls, 5000);
    }
    WORLD_UNTIL(pair.b->told[LOT].seq == bids + 1, 5000);
    QB_EXPECT_EQ(pair.b->told[LOT].seq, bids + 1, "heard");
    return pair;
}

static void pair_free(struct pair *pair)
{
    replica_free(&pair->a);
    replica_free(&pair->b);
    QB_EXPECT_EQ(world_failures(), 0, "order and the rest");
}

static void make_durable(const struct pair *pair, uint64_t seq)
{
    qb_ledger_durable(pair->a->ledger, LOT, seq);
    WORLD_UNTIL(pair->a->told[LOT].durable == seq, 5000);
    QB_EXPECT_EQ(pair->a->told[LOT].durable, seq, "durable");
}

static void keep_snapshot(const struct pair *pair, uint64_t seq)
{
    const struct qb_lot lot = world_folded(LOT, ANN, seq);

    qb_ledger_snapshot(pair->a->ledger, &lot, NULL, 0);
    world_settle();
}

static struct qb_trim_item committed(const struct qb_trim_options *options, uint64_t seq,
                                     bool is_over)
{
    struct qb_trim_item item = {.auction = LOT, .committed = seq, .is_over = is_over};

    QB_EXPECT(world_committed(EPOCH, options, &item), "said");
    return item;
}

/* Of `seq` entries all above `last` are left, and of the others at most those of its block. */
static void expect_left(const struct qb_trim_item *item, uint64_t last, const char *why)
{
    QB_EXPECT(item->left >= item->seq - last, why);
    QB_EXPECT(item->left < item->seq - last + BLOCK, why);
}

/* An entry's answer asked for again at a replica that has just loaded the auction. */
static void expect_loaded(const char *name, uint64_t seq)
{
    struct replica *c = replica_new(name, EPOCH, 100, 5000);

    QB_EXPECT_EQ(replica_follow(c, LOT), QB_LEDGER_FOUND, "loaded");
    QB_EXPECT_EQ(c->told[LOT].seq, seq, "all of it");
    struct qb_ledger_result again = replica_append(c, world_entry(LOT, ANN, 1));
    QB_EXPECT_EQ(again.outcome, QB_APPEND_DUPLICATE, "a key from before the trim");
    QB_EXPECT_EQ(again.seq, 2, "has its place");
    replica_free(&c);
}

QB_TEST(only_what_is_durable_committed_old_and_in_the_snapshot_goes)
{
    struct pair pair = pair_with(600);

    make_durable(&pair, 500);
    struct qb_trim_item item = committed(&at_once, 480, false);
    QB_EXPECT_EQ(item.taken, 0, "without a snapshot it could not be loaded");
    QB_EXPECT_EQ(item.seq, 601, "where it stands");
    QB_EXPECT_EQ(item.durable, 500, "and what is durable");
    QB_EXPECT_EQ(item.said, 0, "the first time");
    keep_snapshot(&pair, 300);
    item = committed(&at_once, 480, false);
    expect_left(&item, 300, "nothing behind the snapshot");
    QB_EXPECT(item.taken > 0, "the rest");
    QB_EXPECT_EQ(item.said, 480, "as was said");
    expect_loaded("c", 601);
    keep_snapshot(&pair, 500);
    item = committed(&at_once, 480, false);
    expect_left(&item, 480 - KEEP, "nothing that is not committed, nor the newest of that");
    item = committed(&at_once, 601, false);
    expect_left(&item, 500 - KEEP, "nothing that is not durable");
    item = committed(&at_once, 200, false);
    QB_EXPECT_EQ(item.taken, 0, "said late it takes nothing away");
    expect_loaded("d", 601);
    QB_EXPECT_EQ(replica_append(pair.b, world_entry(LOT, BOB, 1)).seq, 602, "it goes on");
    WORLD_UNTIL(pair.a->told[LOT].seq == 602, 5000);
    QB_EXPECT(world_is_same(pair.a, pair.b, LOT), "for both");
    QB_EXPECT_EQ(pair.a->told[LOT].losses + pair.b->told[LOT].losses, 0, "without a break");
    pair_free(&pair);
}

QB_TEST(what_postgres_may_still_lose_stays)
{
    static const struct qb_trim_options hour = {.entries_kept = KEEP,
                                                .failover_us = 3600 * QB_SECOND_US};
    static const struct qb_trim_options moment = {.entries_kept = KEEP,
                                                  .failover_us = 300 * QB_MS_US};
    struct pair pair = pair_with(400);

    make_durable(&pair, 401);
    keep_snapshot(&pair, 401);
    QB_EXPECT_EQ(committed(&moment, 200, false).taken, 0, "just committed");
    world_run(350);
    QB_EXPECT_EQ(committed(&hour, 401, false).taken, 0, "not for long enough");
    struct qb_trim_item item = committed(&moment, 401, false);
    expect_left(&item, 200 - KEEP, "what was committed then");
    world_run(350);
    item = committed(&moment, 401, false);
    expect_left(&item, 401 - KEEP, "and the rest in its time");
    pair_free(&pair);
}

QB_TEST(what_postgres_has_lost_is_safe_no_longer)
{
    static const struct qb_trim_options hour = {.entries_kept = KEEP,
                                                .failover_us = 3600 * QB_SECOND_US};
    struct pair pair = pair_with(400);

    make_durable(&pair, 401);
    keep_snapshot(&pair, 100);
    struct qb_trim_item item = committed(&at_once, 401, false);
    expect_left(&item, 100, "all of it was safe");
    item = committed(&hour, 300, false);
    QB_EXPECT_EQ(item.said, 401, "more was said before");
    keep_snapshot(&pair, 401);
    item = committed(&hour, 401, false);
    QB_EXPECT_EQ(item.said, 300, "which counts no more");
    expect_left(&item, 300 - KEEP, "what was lost and came again is new");
    pair_free(&pair);
}

QB_TEST(bids_go_on_while_the_log_is_trimmed)
{
    struct pair pair = pair_with(1);
    uint64_t taken = 0;
    uint64_t seq = 2;

    pair.a->must_journal = true;
    pair.b->must_journal = true;
    pair.b->loss_percent = 60;
    make_durable(&pair, 2);
    for (int round = 0; round < 60; round++) {
        struct qb_entry entries[20];
        int calls_a = pair.a->calls;
        int calls_b = pair.b->calls;
        for (size_t i = 0; i < 20; i++)
            entries[i] = world_entry(LOT, ANN, (uint64_t)round * 20 + i + 2);
        replica_call(pair.a, entries, 20);
        replica_call(pair.b, (const struct qb_entry[]){world_entry(LOT, BOB, (uint64_t)round)}, 1);
        WORLD_UNTIL(pair.a->calls > calls_a && pair.b->calls > calls_b, 5000);
        if (pair.b->told[LOT].losses > 0) { /* it fell behind by more than is kept */
            pair.b->told[LOT].losses = 0;
            QB_EXPECT_EQ(replica_follow(pair.b, LOT), QB_LEDGER_FOUND, "it begins again");
        }
        keep_snapshot(&pair, pair.a->told[LOT].durable);
        taken += committed(&at_once, pair.a->told[LOT].durable, false).taken;
        seq = pair.a->told[LOT].seq;
    }
    QB_EXPECT(taken > 0, "some went meanwhile");
    pair.b->loss_percent = 0;
    WORLD_UNTIL(pair.b->told[LOT].seq == seq || pair.b->told[LOT].losses > 0, 5000);
    if (pair.b->told[LOT].losses > 0) (void)replica_follow(pair.b, LOT);
    WORLD_UNTIL(pair.a->told[LOT].seq == pair.b->told[LOT].seq, 5000);
    QB_EXPECT(world_is_same(pair.a, pair.b, LOT), "one log");
    expect_loaded("c", pair.a->told[LOT].seq);
    pair_free(&pair);
}

static int64_t ask_key(const char *command, const char *name, const char *word)
{
    unsigned shard = qb_shard_of(LOT, WORLD_SHARDS);
    char key[64];

    (void)snprintf(key, sizeof key, "qb:{q%u}:%s", shard, name);
    return world_command(word != NULL ? 3 : 2, (const char *[]){command, key, word});
}

/* How many of the keys of LOT there are, and whether lists of auctions name it. */
static int64_t keys_left(void)
{
    static const char lot[] = "0000000000000007";
    static const char *const names[] = {"state", "stream", "ids", "marks", "conf", "snap"};
    int64_t left = 0;

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char name[40];
        (void)snprintf(name, sizeof name, "%s:%s", lot, names[i]);
        left += ask_key("EXISTS", name, NULL);
    }
    left += ask_key("SISMEMBER", "live", lot);
    left += ask_key("ZSCORE", "due", lot) >= 0;
    left += ask_key("ZSCORE", "pend", lot) >= 0;
    return left;
}

QB_TEST(an_auction_that_is_over_goes_when_all_of_it_is_safe)
{
    static const struct qb_trim_options later = {.over_us = 400 * QB_MS_US};
    struct pair pair = pair_with(30);
    const struct qb_entry late = world_entry(LOT, ANN, 99);
    const struct qb_ledger_command mark = {.entry = &late,
                                           .expires_us = INT64_MAX,
                                           .is_mark = true,
                                           .refusal = QB_REFUSAL_ENDED,
                                           .as_of = 31};

    int calls = pair.b->calls;
    replica_give(pair.b, &mark, 1);
    WORLD_UNTIL(pair.b->calls > calls, 5000);
    make_durable(&pair, 30);
    keep_snapshot(&pair, 30);
    QB_EXPECT(!committed(&at_once, 31, true).is_gone, "its end is not durable");
    make_durable(&pair, 31);
    QB_EXPECT(!committed(&at_once, 30, true).is_gone, "its end is not committed");
    QB_EXPECT(!committed(&at_once, 31, false).is_gone, "it is not over");
    QB_EXPECT(!committed(&later, 31, true).is_gone, "for a while it stays");
    QB_EXPECT_EQ(keys_left(), 7, "all of it");
    world_run(450);
    QB_EXPECT(committed(&later, 31, true).is_gone, "gone");
    QB_EXPECT_EQ(keys_left(), 1, "all but a note that it was there");
    QB_EXPECT(ask_key("PTTL", "0000000000000007:state", NULL) > 0, "which goes by itself");
    QB_EXPECT_EQ(committed(&later, 31, true).seq, 0, "again is nothing");

    uint8_t outcome = replica_append(pair.a, late).outcome;
    QB_EXPECT(outcome == QB_APPEND_EXPIRED || outcome == QB_APPEND_FENCED, "too late for a bid");
    WORLD_UNTIL(pair.a->told[LOT].losses > 0 && pair.b->told[LOT].losses > 0, 5000);
    QB_EXPECT_EQ(pair.a->told[LOT].losses, 1, "who follows it is told");
    QB_EXPECT_EQ(pair.b->told[LOT].losses, 1, "everywhere");
    QB_EXPECT_EQ(replica_follow(pair.b, LOT), QB_LEDGER_NOT_FOUND, "there is nothing to load");
    QB_EXPECT_EQ(replica_append(pair.a, world_entry(LOT, 0, 0)).outcome, QB_APPEND_EXPIRED,
                 "its OPEN begins no second log");
    QB_EXPECT_EQ(keys_left(), 1, "nothing came back");
    QB_EXPECT_EQ(pair.a->closed + pair.b->closed, 0, "and no fence has tripped");
    pair_free(&pair);
}

QB_TEST(nothing_goes_of_another_epoch)
{
    struct pair pair = pair_with(200);
    struct qb_trim_item item = {.auction = LOT, .committed = 201, .is_over = true};

    make_durable(&pair, 201);
    keep_snapshot(&pair, 201);
    QB_EXPECT(!world_committed(EPOCH - 1, &at_once, &item), "an epoch that is over");
    (void)ask_key("SET", "epoch", "rebuilding 123");
    QB_EXPECT(!world_committed(EPOCH, &at_once, &item), "while a recovery rebuilds");
    world_open(EPOCH + 1);
    QB_EXPECT(!world_committed(EPOCH, &at_once, &item), "nor afterwards");
    QB_EXPECT_EQ(ask_key("XLEN", "0000000000000007:stream", NULL), 201, "all is there");
    QB_EXPECT(world_committed(EPOCH + 1, &at_once, &item), "the epoch that is open");
    QB_EXPECT(item.is_gone, "may");
    pair_free(&pair);
}
