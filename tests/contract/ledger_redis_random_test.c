/*
 * Random commands by three replicas over twenty auctions, with links that break and messages that
 * are lost: what the ledger promises holds, whatever happens in between.
 */
#include "tests/contract/ledger_redis_world.h"
#include "tests/kit/test.h"

enum { AUCTIONS = 20, REPLICAS = 3, COMMANDS = 1000, BATCH_MAX = 6, USERS = 5 };

static struct replica *replicas[REPLICAS];
static struct qb_random dice;
static int waiting_since[REPLICAS]; /* calls before the one under way; -1: none */
static int answered;
static int unknowns;

static uint64_t throw(uint64_t below)
{
    return qb_random_below(&dice, below);
}

static void start_call(int i)
{
    struct qb_entry entries[BATCH_MAX];
    size_t count = 1 + throw(BATCH_MAX);

    for (size_t at = 0; at < count; at++) { /* few keys: the same come again and again */
        entries[at] = world_entry(1 + throw(AUCTIONS), 1 + throw(USERS), 1 + throw(12));
    }
    waiting_since[i] = replicas[i]->calls;
    replica_call(replicas[i], entries, count);
}

/* As an auctioneer does: what is unknown is asked again, all of it together here. */
static void end_call(int i)
{
    struct replica *replica = replicas[i];

    if (waiting_since[i] < 0 || replica->calls == waiting_since[i]) return;
    waiting_since[i] = -1;
    for (size_t at = 0; at < replica->command_count; at++) {
        uint8_t outcome = replica->results[at].outcome;
        if (outcome == QB_APPEND_UNKNOWN || outcome == QB_APPEND_FENCED) unknowns++;
        if (outcome != QB_APPEND_UNKNOWN) continue;
        waiting_since[i] = replica->calls;
    }
    if (waiting_since[i] >= 0)
        replica_again(replica);
    else
        answered += (int)replica->command_count;
}

static void trouble(void)
{
    int i = (int) throw(REPLICAS);

    switch (throw(60)) {
    case 0:
        replica_drop(replicas[i], (unsigned) throw(WORLD_SHARDS));
        break;
    case 1:
        replicas[i]->loss_percent = (int64_t) throw(3) * 50;
        break;
    case 2:
        if (throw(4) == 0) /* every connection of every replica at once */
            (void)world_command(4, (const char *[]){"CLIENT", "KILL", "USER", "quickbid"});
        break;
    default:
        break;
    }
}

static bool are_open(void)
{
    for (int i = 0; i < REPLICAS; i++) {
        if (!qb_ledger_redis_is_ready(replicas[i]->ledger)) return false;
    }
    return true;
}

/* The fence trips amid the calls, and a recovery that keeps all the data opens the next epoch. */
static void recover(uint32_t epoch)
{
    for (unsigned i = 0; i < WORLD_SHARDS; i++) {
        (void)world_command_to(i, 2, (const char *[]){"SCRIPT", "FLUSH"});
    }
    for (uint64_t turns = throw(40); turns > 0; turns--) world_turn();
    world_open(epoch);
    for (int i = 0; i < REPLICAS; i++) qb_ledger_redis_open(replicas[i]->ledger, epoch, world_ack);
    WORLD_UNTIL(are_open(), 10000);
    for (qb_id lot = 1; lot <= AUCTIONS; lot++) {
        for (int i = 0; i < REPLICAS; i++) {
            enum qb_ledger_found found = QB_LEDGER_NO_ANSWER;
            for (int again = 0; again < 5 && found != QB_LEDGER_FOUND; again++) {
                found = replica_follow(replicas[i], lot); /* a link may just be broken */
                if (found != QB_LEDGER_FOUND) world_run(300);
            }
            QB_EXPECT_EQ(found, QB_LEDGER_FOUND, "followed again");
        }
    }
}

static void open_all(void)
{
    for (int i = 0; i < REPLICAS; i++) {
        replicas[i] = replica_new(i == 0 ? "a" : i == 1 ? "b" : "c", 3, 1000, 1000);
        replicas[i]->must_journal = true;
        replicas[i]->must_adopt = true;
        waiting_since[i] = -1;
    }
    for (qb_id lot = 1; lot <= AUCTIONS; lot++) {
        struct replica *opener = replicas[lot % REPLICAS];
        replica_subscribe(opener, lot);
        QB_EXPECT_EQ(replica_append(opener, world_entry(lot, 0, 0)).seq, 1, "opened");
        for (int i = 0; i < REPLICAS; i++) {
            if (replicas[i] == opener) continue;
            QB_EXPECT_EQ(replica_follow(replicas[i], lot), QB_LEDGER_FOUND, "followed");
        }
    }
}

/* All know the same log, dense, at most one place for an id, all of it durable. */
static void check(qb_id lot)
{
    const struct told *told = &replicas[0]->told[lot];

    for (int i = 0; i < REPLICAS; i++) {
        if (i > 0) QB_EXPECT(world_is_same(replicas[0], replicas[i], lot), "one log");
        QB_EXPECT_EQ(replicas[i]->told[lot].durable, told->seq, "durable");
    }
    for (uint64_t a = 1; a <= told->seq; a++) {
        for (uint64_t b = a + 1; b <= told->seq; b++) {
            QB_EXPECT(told->ids[a] != told->ids[b], "an id has one place");
        }
    }
}

static bool is_settled(void)
{
    for (qb_id lot = 1; lot <= AUCTIONS; lot++) {
        for (int i = 0; i < REPLICAS; i++) {
            const struct told *told = &replicas[i]->told[lot];
            if (told->seq != replicas[0]->told[lot].seq || told->durable != told->seq) return false;
        }
    }
    return true;
}

static void run_seed(uint64_t seed, bool has_recoveries)
{
    uint32_t epoch = 3;

    world_start();
    world_reset(3);
    qb_random_seed(&dice, seed);
    answered = 0;
    open_all();
    int64_t until_us = qb_clock_mono_us() + 60 * QB_SECOND_US;
    while (answered < COMMANDS && qb_clock_mono_us() < until_us) {
        for (int i = 0; i < REPLICAS; i++) {
            end_call(i);
            if (waiting_since[i] < 0 && qb_ledger_redis_is_ready(replicas[i]->ledger)) {
                start_call(i);
            }
        }
        trouble();
        if (has_recoveries && answered > 300 * (int)(epoch - 2)) recover(++epoch);
        world_turn();
    }
    QB_EXPECT(answered >= COMMANDS, "all answered");
    for (int i = 0; i < REPLICAS; i++) {
        replicas[i]->loss_percent = 0;
        WORLD_UNTIL(qb_ledger_redis_is_ready(replicas[i]->ledger), 5000);
        while (waiting_since[i] >= 0 && qb_clock_mono_us() < until_us) {
            world_turn();
            end_call(i);
        }
    }
    WORLD_UNTIL(is_settled(), 5000);
    uint64_t entries = 0;
    for (qb_id lot = 1; lot <= AUCTIONS; lot++) {
        check(lot);
        entries += replicas[0]->told[lot].seq;
    }
    QB_EXPECT(entries > 400, "many entries");
    for (int i = 0; i < REPLICAS; i++) replica_free(&replicas[i]);
    QB_EXPECT_EQ(world_failures(), 0, "order and the rest");
}

QB_TEST(random_commands_amid_trouble)
{
    for (uint64_t seed = 1; seed <= 3; seed++) run_seed(seed, false);
    QB_EXPECT(unknowns > 0, "some answers were lost");
    (void)printf("%d commands without an answer at first\n", unknowns);
}

QB_TEST(random_commands_over_recoveries)
{
    for (uint64_t seed = 101; seed <= 102; seed++) run_seed(seed, true);
}

/* Durable by WAIT, while the journal empties the outbox. */
QB_TEST(random_commands_with_an_outbox)
{
    world_ack = QB_ACK_LEDGER;
    run_seed(201, false);
    run_seed(202, true);
    world_ack = QB_ACK_JOURNAL;
}
