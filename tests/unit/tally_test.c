/*
 * The tally over replicas (S48, S52, S53), with an exchange that is played here: what a few of them
 * let through together, however requests come.
 */
#include "base/clock.h"
#include "base/random.h"
#include "storage/tally.h"
#include "tests/kit/test.h"

enum { REPLICAS = 3, LIMIT = 100, PARTS = 8, TOLD_MAX = 100000 };

#define S         QB_SECOND_US
#define WINDOW_US (900 * S)
#define EACH_US   (50 * QB_MS_US)

static const uint8_t HOME[QB_TALLY_KEY_BYTES] = {1};
static const uint8_t OTHER[QB_TALLY_KEY_BYTES] = {2};

/* Redis, of one key: the times of all that were told, and the limit. */
struct exchange {
    int64_t times_us[TOLD_MAX];
    size_t count;
    uint32_t limit;
    unsigned replicas;
};

/* One that is under way: carried out halfway. */
struct flight {
    struct qb_tally_part parts[PARTS];
    struct qb_tally_sum sums[PARTS];
    size_t count;
    uint64_t hot; /* total, or 0 */
    int64_t done_us;
    int64_t back_us;
    bool is_done;
};

static struct exchange redis;
static struct qb_tally *replicas[REPLICAS];
static struct flight flights[REPLICAS];
static int64_t next_us[REPLICAS];
static struct qb_random source;

static struct qb_tally *tally_new(uint32_t limit, uint32_t keys_max)
{
    return qb_tally_new(&(struct qb_tally_options){limit, WINDOW_US, keys_max, false});
}

static void begin(uint32_t limit)
{
    (void)memset(&redis, 0, sizeof redis);
    (void)memset(flights, 0, sizeof flights);
    redis.limit = limit;
    redis.replicas = REPLICAS;
    qb_random_seed(&source, 5);
    for (size_t i = 0; i < REPLICAS; i++) {
        replicas[i] = tally_new(limit, 10);
        qb_tally_reached(replicas[i], REPLICAS, S);
        next_us[i] = S + (int64_t)qb_random_below(&source, 50000);
    }
}

static void end(void)
{
    for (size_t i = 0; i < REPLICAS; i++) qb_tally_free(&replicas[i]);
}

static uint64_t total_at(int64_t now_us, int64_t *oldest_us)
{
    uint64_t total = 0;

    *oldest_us = now_us;
    for (size_t i = 0; i < redis.count; i++) {
        if (now_us - redis.times_us[i] >= WINDOW_US) continue;
        total++;
        if (redis.times_us[i] < *oldest_us) *oldest_us = redis.times_us[i];
    }
    return total;
}

static void count(int64_t now_us, uint32_t added)
{
    for (uint32_t i = 0; i < added && redis.count < TOLD_MAX; i++)
        redis.times_us[redis.count++] = now_us;
}

/* As storage/redis/tally.lua does. */
static void carry_out(struct flight *flight, int64_t now_us)
{
    int64_t oldest_us = 0;

    for (size_t i = 0; i < flight->count; i++) {
        struct qb_tally_sum *sum = &flight->sums[i];
        count(now_us, flight->parts[i].added);
        uint64_t total = total_at(now_us, &oldest_us);
        uint64_t left = total < redis.limit ? redis.limit - total : 0;
        bool is_near = left > 0 && left < 3 * redis.replicas;
        sum->granted = flight->parts[i].is_wanted && is_near ? 1 : 0;
        count(now_us, sum->granted);
        sum->total = total + sum->granted;
        sum->wait_us = sum->total >= redis.limit ? oldest_us + WINDOW_US - now_us : 0;
    }
    uint64_t total = total_at(now_us, &oldest_us);
    flight->hot = total * 2 >= redis.limit ? total : 0;
    flight->is_done = true;
}

static void play(int64_t now_us)
{
    for (size_t i = 0; i < REPLICAS; i++) {
        struct flight *flight = &flights[i];
        if (flight->back_us == 0 && now_us >= next_us[i]) {
            flight->count = qb_tally_collect(replicas[i], flight->parts, PARTS);
            flight->is_done = false;
            flight->done_us = now_us + (int64_t)qb_random_below(&source, 5000);
            flight->back_us = flight->done_us + (int64_t)qb_random_below(&source, 5000);
            next_us[i] = now_us + EACH_US;
        }
        if (flight->back_us == 0) continue;
        if (!flight->is_done && now_us >= flight->done_us) carry_out(flight, now_us);
        if (!flight->is_done || now_us < flight->back_us) continue;
        for (size_t at = 0; at < flight->count; at++)
            qb_tally_take(replicas[i], &flight->parts[at], &flight->sums[at], now_us);
        if (flight->hot > 0) qb_tally_hear(replicas[i], HOME, flight->hot, now_us);
        qb_tally_reached(replicas[i], redis.replicas, now_us);
        flight->back_us = 0;
    }
}

/* Lets time pass, and in every `each_us` of it asks at every replica. Returns how many were let
 * through. */
static uint64_t ask_steadily(int64_t from_us, int64_t until_us, int64_t each_us)
{
    uint64_t through = 0;

    for (int64_t now_us = from_us; now_us < until_us; now_us += QB_MS_US) {
        play(now_us);
        if ((now_us - from_us) % each_us != 0) continue;
        for (size_t i = 0; i < REPLICAS; i++) {
            if (qb_tally_admit(replicas[i], HOME, now_us) == 0) through++;
        }
    }
    return through;
}

QB_TEST(alone_it_counts_as_one_process)
{
    struct qb_tally *tally = tally_new(LIMIT, 10);

    for (int i = 0; i < LIMIT; i++)
        QB_EXPECT_EQ(qb_tally_admit(tally, HOME, S), 0, "within the limit");
    QB_EXPECT(qb_tally_admit(tally, HOME, S) > 0, "the 101st waits");
    QB_EXPECT_EQ(qb_tally_admit(tally, OTHER, S), 0, "another key does not");
    QB_EXPECT_EQ(qb_tally_admit(tally, HOME, S + WINDOW_US + WINDOW_US / 50), 0, "a window later");
    qb_tally_free(&tally);
}

QB_TEST(steady_loads_are_let_through_up_to_the_limit)
{
    static const struct {
        const char *says;
        uint32_t limit;
        int64_t each_us;
    } rows[] = {
        {"a hundred, quickly", 100, 5 * QB_MS_US},
        {"a hundred", 100, 100 * QB_MS_US},
        {"a hundred, slowly", 100, S},
        {"a thousand", 1000, 5 * QB_MS_US},
        {"a thousand, slowly", 1000, 200 * QB_MS_US},
        {"five thousand", 5000, 2 * QB_MS_US},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        begin(rows[i].limit);
        uint64_t through = ask_steadily(2 * S, 120 * S, rows[i].each_us);
        QB_EXPECT(through <= rows[i].limit, rows[i].says);
        QB_EXPECT(through * 100 >= rows[i].limit * UINT64_C(96), rows[i].says);
        end();
    }
}

QB_TEST(a_burst_on_all_is_let_through_up_to_the_limit)
{
    begin(LIMIT);
    uint64_t through = 0;
    for (int round = 0; round < 200; round++) {
        for (size_t i = 0; i < REPLICAS; i++) {
            if (qb_tally_admit(replicas[i], HOME, 2 * S) == 0) through++;
        }
    }
    QB_EXPECT(through > 0, "some at once");
    through += ask_steadily(2 * S, 60 * S, 10 * QB_MS_US);
    QB_EXPECT(through <= LIMIT && through >= LIMIT - 4, "and all in the end");
    end();
}

QB_TEST(a_key_that_moves_on_is_known_there)
{
    begin(LIMIT);
    uint64_t through = 0;
    for (size_t i = 0; i < REPLICAS; i++) {
        int64_t from_us = (2 + (int64_t)i * 20) * S;
        for (int64_t now_us = from_us; now_us < from_us + 20 * S; now_us += QB_MS_US) {
            play(now_us);
            if (now_us % (50 * QB_MS_US) == 0 && qb_tally_admit(replicas[i], HOME, now_us) == 0)
                through++;
        }
    }
    QB_EXPECT(through <= LIMIT && through >= LIMIT - 4, "as many as one may have");
    end();
}

QB_TEST(the_window_moves_for_all)
{
    begin(LIMIT);
    uint64_t first = ask_steadily(2 * S, 30 * S, 10 * QB_MS_US);
    int64_t wait_us = qb_tally_admit(replicas[0], HOME, 31 * S);
    QB_EXPECT(wait_us > WINDOW_US - 40 * S && wait_us <= WINDOW_US, "until the first one leaves");
    int64_t later_us = 40 * S + WINDOW_US + WINDOW_US / 50;
    uint64_t second = ask_steadily(later_us, later_us + 30 * S, 10 * QB_MS_US);
    QB_EXPECT(first <= LIMIT && second <= LIMIT, "never more");
    QB_EXPECT(second >= LIMIT - 4, "and as many again");
    end();
}

QB_TEST(without_the_others_the_limit_is_divided)
{
    struct qb_tally_part part;
    begin(99);
    uint64_t through = 0;
    for (int i = 0; i < 200; i++) {
        if (qb_tally_admit(replicas[0], HOME, 10 * S) == 0) through++;
    }
    QB_EXPECT_EQ(through, 33, "a third");
    QB_EXPECT_EQ(qb_tally_collect(replicas[0], &part, 1), 1, "and they are told");
    QB_EXPECT_EQ(part.added, 33, "all of them");
    qb_tally_give_back(replicas[0], &part);
    QB_EXPECT_EQ(qb_tally_collect(replicas[0], &part, 1), 1, "later, if nobody answers");
    QB_EXPECT_EQ(part.added, 33, "all of them");
    qb_tally_give_back(replicas[0], &part);
    end();
}

QB_TEST(nothing_they_say_lets_more_through_than_the_limit)
{
    begin(LIMIT);
    redis.limit = 1000000; /* it forgot everything */
    uint64_t through = 0;
    for (int64_t now_us = 2 * S; now_us < 60 * S; now_us += QB_MS_US) {
        play(now_us);
        redis.count = 0;
        if (qb_tally_admit(replicas[0], HOME, now_us) == 0) through++;
    }
    QB_EXPECT_EQ(through, LIMIT, "here");
    end();
}

QB_TEST(new_keys_cannot_push_out_busy_ones)
{
    struct qb_tally *tally = tally_new(LIMIT, 2);
    uint8_t key[QB_TALLY_KEY_BYTES] = {2};

    for (int i = 0; i < LIMIT; i++) (void)qb_tally_admit(tally, HOME, S);
    for (int i = 0; i < LIMIT; i++) {
        key[1] = (uint8_t)i;
        (void)qb_tally_admit(tally, key, S);
    }
    QB_EXPECT(qb_tally_admit(tally, HOME, S) > 0, "still counted");
    key[1] = 200;
    QB_EXPECT_EQ(qb_tally_admit(tally, key, S), 0, "the last of the shared counter");
    QB_EXPECT(qb_tally_admit(tally, key, S) > 0, "the rest shares one limit");
    struct qb_tally_part parts[PARTS];
    while (qb_tally_collect(tally, parts, PARTS) > 0) {
        for (size_t i = 0; i < 2; i++) {
            const struct qb_tally_sum sum = {.total = 1};
            qb_tally_take(tally, &parts[i], &sum, S);
        }
    }
    QB_EXPECT_EQ(qb_tally_admit(tally, key, S + WINDOW_US * 2), 0, "idle ones make room");
    qb_tally_free(&tally);
}

QB_TEST(s53_what_is_hardly_used_makes_room_and_nothing_else)
{
    enum { REQUESTS = 5000, KEYS = 4 };
    struct qb_tally *tally = qb_tally_new(&(struct qb_tally_options){
        .limit = REQUESTS, .window_us = WINDOW_US, .keys_max = KEYS, .is_alone = true});
    uint8_t key[QB_TALLY_KEY_BYTES] = {2};

    for (int i = 0; i < REQUESTS; i++)
        QB_EXPECT_EQ(qb_tally_admit(tally, HOME, S), 0, "within the limit");
    /* Each comes a few times: a visitor. All are let through, however many they are. */
    for (int i = 0; i < REQUESTS * 10; i++) {
        key[1] = (uint8_t)i;
        key[2] = (uint8_t)(i >> 8);
        if (qb_tally_admit(tally, key, S) == 0 && qb_tally_admit(tally, HOME, S) > 0) continue;
        QB_EXPECT(false, "a visitor is let through, and who used all of it is not");
        break;
    }
    /* The same flood, while who used all of it is the oldest: no room, but no reset either. */
    for (int k = 0; k < KEYS; k++) {
        key[3] = (uint8_t)(k + 1);
        for (int i = 0; i < REQUESTS; i++) (void)qb_tally_admit(tally, key, S);
    }
    QB_EXPECT(qb_tally_admit(tally, HOME, S) > 0, "S53: nothing is forgotten by a flood");
    qb_tally_free(&tally);
}

QB_TEST(s53_who_used_much_and_left_does_not_keep_the_room_of_others)
{
    enum { REQUESTS = 5000, KEYS = 4 };
    struct qb_tally *tally = qb_tally_new(&(struct qb_tally_options){
        .limit = REQUESTS, .window_us = WINDOW_US, .keys_max = KEYS, .is_alone = true});
    uint8_t key[QB_TALLY_KEY_BYTES] = {2};
    int refused = 0;

    for (int i = 0; i < REQUESTS; i++) (void)qb_tally_admit(tally, HOME, S);
    for (int i = 0; i < REQUESTS * 2; i++) {
        key[1] = (uint8_t)i;
        key[2] = (uint8_t)(i >> 8);
        refused += qb_tally_admit(tally, key, S) > 0;
    }
    QB_EXPECT_EQ(refused, 0, "each visitor has a count of its own");
    QB_EXPECT(qb_tally_admit(tally, HOME, S) > 0, "and who used all of it has not a new one");
    qb_tally_free(&tally);
}

QB_TEST(s48_one_process_alone_counts_exactly_and_keeps_nothing_to_tell)
{
    struct qb_tally *tally = qb_tally_new(&(struct qb_tally_options){
        .limit = 5000, .window_us = WINDOW_US, .keys_max = 2, .is_alone = true});
    struct qb_tally_part parts[PARTS];

    for (int i = 0; i < 5000; i++)
        QB_EXPECT_EQ(qb_tally_admit(tally, HOME, S + i * QB_MS_US), 0, "5,000");
    int64_t wait_us = qb_tally_admit(tally, HOME, 6 * S);
    QB_EXPECT(wait_us > WINDOW_US - 20 * S && wait_us <= WINDOW_US + 10 * S, "the 5,001st waits");
    QB_EXPECT_EQ(qb_tally_collect(tally, parts, PARTS), 0, "there is nobody to tell");
    QB_EXPECT_EQ(qb_tally_admit(tally, OTHER, 6 * S), 0, "another");
    QB_EXPECT_EQ(qb_tally_admit(tally, (const uint8_t[QB_TALLY_KEY_BYTES]){3}, 3 * WINDOW_US), 0,
                 "idle ones make room");
    qb_tally_free(&tally);
}

QB_TEST(s48_who_hardly_asks_is_not_told_and_no_more_than_a_hundredth_is_missed)
{
    enum { REQUESTS = 5000 };
    static const int64_t paces_us[] = {QB_MS_US, 10 * QB_MS_US, 100 * QB_MS_US};
    struct qb_tally_part parts[PARTS];
    struct qb_tally *tally = tally_new(REQUESTS, 10);

    qb_tally_reached(tally, REPLICAS, S);
    for (int i = 1; i <= 17; i++) {
        QB_EXPECT_EQ(qb_tally_admit(tally, HOME, S), 0, "within the limit");
        size_t count = qb_tally_collect(tally, parts, PARTS);
        QB_EXPECT_EQ(count, i == 17 ? 1 : 0, "17 of each of 3 replicas would be 1 % of 5,000");
    }
    QB_EXPECT_EQ(parts[0].added, 17, "all of them at once");
    qb_tally_free(&tally);
    for (size_t i = 0; i < QB_COUNT(paces_us); i++) {
        begin(REQUESTS);
        uint64_t through = ask_steadily(S, 400 * S, paces_us[i]);
        QB_EXPECT(through >= REQUESTS - REQUESTS / 100, "S48: error up to 1 %");
        QB_EXPECT(through <= REQUESTS + REQUESTS / 100, "S48: error up to 1 %");
        end();
    }
}
