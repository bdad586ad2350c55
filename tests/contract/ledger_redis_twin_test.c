/*
 * The ledger in Redis against the one in memory: the same random commands get the same answers,
 * and the script knows as little of time as it should.
 */
#include <inttypes.h>

#include "storage/ledger_memory.h"
#include "tests/contract/ledger_redis_world.h"
#include "tests/kit/test.h"

enum { AUCTIONS = 5, CALLS = 400, BATCH_MAX = 12, KEYS = 25, MARKS_MAX = 8, UNCONFIRMED_MAX = 12 };

static struct qb_random dice;
static qb_time_us memory_us;
static struct qb_ledger_result in_memory[BATCH_MAX];
static bool is_answered;

static uint64_t throw(uint64_t below)
{
    return qb_random_below(&dice, below);
}

static qb_time_us read_clock(void *context)
{
    (void)context;
    return memory_us;
}

static void no_wake(void *context)
{
    (void)context;
}

static void keep(void *context, const struct qb_ledger_result *results, size_t count)
{
    (void)context;
    (void)memcpy(in_memory, results, count * sizeof results[0]);
    is_answered = true;
}

static struct qb_ledger_command random_command(struct qb_entry *entry)
{
    uint64_t kind = throw(20);
    struct qb_ledger_command command = {.entry = entry, .expires_us = INT64_MAX};

    *entry = world_entry(1 + throw(AUCTIONS), kind == 0 ? 0 : 1 + throw(2), throw(KEYS));
    if (entry->bidder != 0 && throw(3) == 0) entry->max += 100; /* another content, the same key */
    if (kind == 1) entry->type = QB_ENTRY_DISCARD;
    if (kind == 2) command.expires_us = 1;
    if (kind >= 14) {
        command.is_mark = true;
        command.refusal = (uint8_t)(1 + throw(5));
        command.as_of = throw(4);
    }
    return command;
}

/* All marks become older than they are by 20 s. */
static void age(void)
{
    static const char *const script =
        "for _, key in ipairs(redis.call('KEYS', '*:marks')) do "
        "  for i, mark in ipairs(redis.call('LRANGE', key, 0, -1)) do "
        "    local made = struct.unpack('<I8', mark:sub(17)) - 20000000 "
        "    redis.call('LSET', key, i - 1, mark:sub(1, 16) .. struct.pack('<I8', made)) "
        "  end "
        "end return 1";

    QB_EXPECT_EQ(world_command(3, (const char *[]){"EVAL", script, "0"}), 1, "aged");
    memory_us += 20 * QB_SECOND_US;
}

static void compare(const struct replica *replica, uint64_t seed)
{
    for (size_t i = 0; i < replica->command_count; i++) {
        const struct qb_ledger_result *seen = &replica->results[i];
        const struct qb_ledger_result *wanted = &in_memory[i];
        bool is_same = seen->outcome == wanted->outcome && seen->seq == wanted->seq &&
                       seen->refusal == wanted->refusal && seen->asked == wanted->asked &&
                       seen->epoch == wanted->epoch;
        QB_EXPECT(is_same, "the same answer");
        if (is_same) continue;
        (void)printf("seed %" PRIu64 ": outcome %d, seq %" PRIu64 ", expected %d, %" PRIu64 "\n",
                     seed, seen->outcome, seen->seq, wanted->outcome, wanted->seq);
    }
}

static void make_durable(struct replica *replica, struct qb_ledger *memory)
{
    qb_id auction = 1 + throw(AUCTIONS);
    uint64_t seq = replica->told[auction].seq;

    if (seq == 0) return;
    seq = 1 + throw(seq);
    qb_ledger_durable(replica->ledger, auction, seq);
    qb_ledger_durable(memory, auction, seq);
    world_settle();
}

static void run_seed(uint64_t seed)
{
    struct qb_mailbox *mailbox = qb_mailbox_new(100, no_wake, NULL);
    const struct qb_ledger_memory_options options = {
        .epoch = 3,
        .mailbox = mailbox,
        .marks_max = MARKS_MAX,
        .unconfirmed_max = UNCONFIRMED_MAX,
        .clock = read_clock,
    };
    struct qb_ledger *memory = qb_ledger_memory_new(&options);
    uint64_t outcomes[QB_APPEND_UNKNOWN + 1] = {0};

    world_start();
    world_reset(3);
    qb_random_seed(&dice, seed);
    memory_us = qb_clock_wall_us();
    struct replica *replica = replica_new("twin", 3, MARKS_MAX, UNCONFIRMED_MAX);
    for (int call = 0; call < CALLS; call++) {
        struct qb_entry entries[BATCH_MAX];
        struct qb_ledger_command commands[BATCH_MAX];
        size_t count = call == 0 ? AUCTIONS : 1 + throw(BATCH_MAX);
        int calls = replica->calls;
        for (size_t i = 0; i < count; i++) {
            commands[i] = random_command(&entries[i]);
            if (call > 0) continue; /* the first call opens all, the last one too late */
            entries[i] = world_entry(1 + i, 0, KEYS);
            commands[i] = (struct qb_ledger_command){
                .entry = &entries[i], .expires_us = i + 1 < AUCTIONS ? INT64_MAX : 1};
        }
        is_answered = false;
        qb_ledger_call(memory, commands, count, keep, NULL);
        (void)qb_mailbox_drain(mailbox);
        replica_give(replica, commands, count);
        WORLD_UNTIL(replica->calls > calls, 5000);
        QB_EXPECT(is_answered && replica->calls == calls + 1, "both answer");
        compare(replica, seed);
        for (size_t i = 0; i < count; i++) outcomes[replica->results[i].outcome]++;
        if (throw(4) == 0) make_durable(replica, memory);
        if (throw(25) == 0) age();
    }
    for (int i = 0; i <= QB_APPEND_BUSY; i++) QB_EXPECT(outcomes[i] > 0, "every outcome occurs");
    replica_free(&replica);
    qb_ledger_free(&memory);
    (void)qb_mailbox_drain(mailbox);
    qb_mailbox_free(&mailbox);
    QB_EXPECT_EQ(world_failures(), 0, "order and the rest");
}

QB_TEST(redis_and_memory_give_the_same_answers)
{
    for (uint64_t seed = 1; seed <= 5; seed++) run_seed(seed);
}
