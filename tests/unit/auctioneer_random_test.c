/*
 * The path of a bid as random histories against a ledger that fails: every asker gets one final
 * answer, none before its entry is durable, and an auction has one end.
 */
#include "base/random.h"
#include "tests/unit/auctioneer_world.h"

/* Random histories: every asker is answered once, nothing before it is durable, keys count once,
 * one end. The rules themselves have their own tests. */
static void random_history(uint64_t seed)
{
    struct qb_random random;
    static const enum qb_append_outcome faults[] = {QB_APPEND_UNKNOWN, QB_APPEND_BUSY,
                                                    QB_APPEND_EXPIRED, QB_APPEND_FENCED};

    const struct qb_auctioneer_outages outages = {
        .newest = seed % 3 == 0 ? newest_outage : NULL, .extend_us = 30 * S, .late_us = 5 * S};

    qb_random_seed(&random, seed);
    begin_with(16 + (uint32_t)qb_random_below(&random, 600),
               (uint32_t)qb_random_below(&random, 300) + 1, outages);
    world.now_us = 195 * S;
    for (int i = 0; i < 1500; i++) {
        char key[8];
        qb_id who = ANN + qb_random_below(&random, 3);
        (void)snprintf(key, sizeof key, "k%u", (unsigned)qb_random_below(&random, 400));
        switch (qb_random_below(&random, 12)) {
        case 0:
            if (world.call_count > 0 && qb_random_below(&random, 4) == 0) {
                answer_call(faults[qb_random_below(&random, 4)]);
            }
            break;
        case 1:
            world.now_us += (int64_t)qb_random_below(&random, 60) * MS;
            if (qb_random_below(&random, 8) == 0) {
                bool begins = !world.outage.is_on;
                world.outage.is_on = begins;
                if (begins) world.outage.since_us = world.now_us;
                if (!begins) world.outage.until_us = world.now_us;
            }
            tick();
            break;
        case 2:
            if (world.durable < world.journaled) {
                make_durable(world.durable + 1 +
                             qb_random_below(&random, world.journaled - world.durable));
            }
            break;
        case 3:
            (void)resolve(who, key);
            break;
        case 4:
            answer_lookups();
            break;
        case 5:
        case 6:
            if (world.call_count > 0) answer_call(QB_APPEND_DONE);
            break;
        case 7:
            hear_bid(who, 1000 + (int64_t)qb_random_below(&random, 400) * 50, key);
            break;
        default:
            (void)bid(who, 1000 + (int64_t)qb_random_below(&random, 400) * 50, key);
            break;
        }
    }
    if (seed % 4 == 0) { /* a recovery ends it for this replica */
        lose();
        while (world.call_count > 0) answer_call(faults[qb_random_below(&random, 4)]);
        answer_lookups();
        end("a history that a recovery cuts");
        return;
    }
    settle();
    world.outage = (struct qb_outage){0};
    world.now_us += 4000 * S;
    tick();
    settle();
    if (outages.newest != NULL && world.over == 0) { /* so late that it is put off once */
        world.now_us += 31 * S;
        tick();
        settle();
    }
    QB_EXPECT_EQ(world.over, 1, "one end");
    for (size_t i = 1; i <= world.known_count; i++) {
        for (size_t j = i; j < world.known_count; j++) {
            bool is_same =
                memcmp(world.known[i - 1].bid_id, world.known[j].bid_id, QB_BID_ID_BYTES) == 0;
            QB_EXPECT(!is_same, "an id has one place");
        }
    }
    end("a random history");
}

QB_TEST(random_histories_answer_every_asker_once)
{
    for (uint64_t seed = 1; seed <= 200; seed++) {
        int before = qb_test_failures;
        random_history(seed);
        if (qb_test_failures == before) continue;
        (void)printf("seed %" PRIu64 "\n", seed);
        return;
    }
}
