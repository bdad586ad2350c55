/*
 * Limits of addresses over three replicas on one real Redis (S48): within one percent under a
 * steady load of each, without a question per request; and what is let through while Redis is away
 * (S52).
 */
#include <uv.h>

#include "app/auth_limits.h"
#include "storage/tally_redis.h"
#include "tests/contract/ledger_redis_world.h"
#include "tests/kit/stack.h"
#include "tests/kit/test.h"

enum { REPLICAS_MADE = 3 };

#define WINDOW_US (900 * QB_SECOND_US)

static const uint8_t HOME[QB_TALLY_KEY_BYTES] = {1, 2, 3};
static const uint8_t OTHER[QB_TALLY_KEY_BYTES] = {4, 5, 6, 7, 8, 9, 10, 11};

static struct qb_tally *tallies[REPLICAS_MADE];
static struct qb_tally_redis *exchanges[REPLICAS_MADE];

static void turn(void)
{
    for (size_t i = 0; i < REPLICAS_MADE; i++) qb_tally_redis_turn(exchanges[i]);
    world_turn();
}

static void run(int64_t us)
{
    for (int64_t until_us = qb_clock_mono_us() + us; qb_clock_mono_us() < until_us;) turn();
}

static void start(uint32_t limit)
{
    struct qb_error error = {{0}};

    world_start();
    world_reset(3);
    for (size_t i = 0; i < REPLICAS_MADE; i++) {
        tallies[i] = qb_tally_new(&(struct qb_tally_options){limit, WINDOW_US, 100, false});
        const struct qb_tally_redis_options options = {
            .loop = world_loop(),
            .addresses = (const char *[]){world_address(0), world_address(1)},
            .shards = WORLD_SHARDS,
            .name = "tally",
            .must_be_safe = true,
            .tally = tallies[i],
            .what = "auth",
        };
        exchanges[i] = qb_tally_redis_new(&options, &error);
        QB_EXPECT(exchanges[i] != NULL, error.text);
        qb_tally_redis_open(exchanges[i], 3);
    }
    run(1500 * QB_MS_US); /* all have heard of all */
}

static void end(void)
{
    for (size_t i = 0; i < REPLICAS_MADE; i++) {
        qb_tally_redis_free(&exchanges[i]);
        qb_tally_free(&tallies[i]);
    }
    for (int i = 0; i < 8; i++) world_turn();
}

/* Asks at every replica that is in `which` each so often. */
static int64_t ask(const uint8_t *key, unsigned which, int64_t each_us, int64_t for_us)
{
    int64_t through = 0;
    int64_t began_us = qb_clock_mono_us();

    for (int64_t next_us = began_us; next_us < began_us + for_us; next_us += each_us) {
        while (qb_clock_mono_us() < next_us) turn();
        for (size_t i = 0; i < REPLICAS_MADE; i++) {
            bool is_asked = (which & (1U << i)) != 0;
            if (is_asked && qb_tally_admit(tallies[i], key, qb_clock_mono_us()) == 0) through++;
        }
    }
    return through;
}

static void expect_near(int64_t through, int64_t limit, const char *says)
{
    QB_EXPECT(through <= limit + limit / 100, says);
    QB_EXPECT(through >= limit - limit / 25, says);
    if (through > limit + limit / 100 || through < limit - limit / 25)
        (void)printf("%" PRId64 " of %" PRId64 "\n", through, limit);
}

QB_TEST(steady_loads_are_let_through_within_one_percent)
{
    static const struct {
        const char *says;
        uint32_t limit;
        int64_t each_us;
    } rows[] = {
        {"a hundred", 100, 20 * QB_MS_US},
        {"a hundred, quickly", 100, 2 * QB_MS_US},
        {"a thousand", 1000, 2 * QB_MS_US},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        start(rows[i].limit);
        expect_near(ask(HOME, 7, rows[i].each_us, 4 * QB_SECOND_US), rows[i].limit, rows[i].says);
        QB_EXPECT(ask(OTHER, 7, 20 * QB_MS_US, 100 * QB_MS_US) > 0, "another one is free");
        end();
    }
}

QB_TEST(an_address_that_moves_on_is_known_there)
{
    start(100);
    int64_t through = 0;
    for (unsigned i = 0; i < REPLICAS_MADE; i++)
        through += ask(HOME, 1U << i, 20 * QB_MS_US, 5 * QB_SECOND_US / 2);
    expect_near(through, 100, "as many as one may have");
    QB_EXPECT(qb_tally_admit(tallies[2], HOME, qb_clock_mono_us()) > 800 * QB_SECOND_US,
              "and how long it takes is known");
    end();
}

QB_TEST(without_redis_each_lets_its_part_through)
{
    start(99);
    qb_stack_kill("redis-0");
    run(2500 * QB_MS_US);
    QB_EXPECT_EQ(ask(HOME, 7, 10 * QB_MS_US, QB_SECOND_US), 99, "a third each");
    qb_stack_revive("redis-0");
    world_open(4);
    for (size_t i = 0; i < REPLICAS_MADE; i++) qb_tally_redis_open(exchanges[i], 4);
    run(4 * QB_SECOND_US);
    QB_EXPECT_EQ(ask(HOME, 7, 10 * QB_MS_US, QB_SECOND_US), 0, "and it is told afterwards");
    end();
}

QB_TEST(sign_ups_and_logins_are_counted_so)
{
    start(100);
    struct qb_auth_limits *limits[REPLICAS_MADE];
    int through = 0;
    for (size_t i = 0; i < REPLICAS_MADE; i++) {
        const struct qb_auth_limits_options options = {
            .attempts_max = 100,
            .failures_max = 10,
            .addresses_max = 10,
            .accounts_max = 10,
            .attempts = tallies[i],
        };
        limits[i] = qb_auth_limits_new(&options);
    }
    for (int round = 0; round < 120; round++) {
        for (size_t i = 0; i < REPLICAS_MADE; i++) {
            if (qb_auth_limits_address(limits[i], HOME, qb_clock_mono_us()) == 0) through++;
        }
        run(10 * QB_MS_US);
    }
    expect_near(through, 100, "over all of them");
    for (size_t i = 0; i < REPLICAS_MADE; i++) qb_auth_limits_free(&limits[i]);
    end();
    qb_stack_stop();
}
