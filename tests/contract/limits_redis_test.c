/*
 * Limits of accounts over three replicas on one real Redis (S47, rules.md 10): what the one in a
 * single process does (holds_memory.h), exact over all of them; and what is answered while Redis is
 * away.
 */
#include <uv.h>

#include "base/random.h"
#include "base/shard.h"
#include "storage/limits_redis.h"
#include "tests/contract/ledger_redis_world.h"
#include "tests/kit/stack.h"
#include "tests/kit/test.h"

enum { ANN = 11, BOB = 12, LOT = 7, OTHER_LOT = 8, REPLICAS_MADE = 3, BIDS_MAX = 50 };

#define WINDOW_US   (60 * QB_SECOND_US)
#define RESERVED_US (20 * QB_SECOND_US)

static struct qb_limits_redis *made[REPLICAS_MADE];

static void start(int64_t window_us, int64_t reserved_us)
{
    struct qb_error error = {{0}};

    world_start();
    world_reset(3);
    for (size_t i = 0; i < REPLICAS_MADE; i++) {
        const struct qb_limits_redis_options options = {
            .loop = world_loop(),
            .addresses = (const char *[]){world_address(0), world_address(1)},
            .shards = WORLD_SHARDS,
            .name = "limits",
            .must_be_safe = true,
            .bids_max = BIDS_MAX,
            .window_us = window_us,
            .reserved_us = reserved_us,
        };
        made[i] = qb_limits_redis_new(&options, &error);
        QB_EXPECT(made[i] != NULL, error.text);
        qb_limits_redis_open(made[i], 3);
    }
    for (size_t i = 0; i < REPLICAS_MADE; i++) {
        WORLD_UNTIL(qb_limits_redis_is_ready(made[i]), 5000);
    }
}

static void end(void)
{
    for (size_t i = 0; i < REPLICAS_MADE; i++) qb_limits_redis_free(&made[i]);
    for (int i = 0; i < 8; i++) world_turn();
}

static void turn(void)
{
    for (size_t i = 0; i < REPLICAS_MADE; i++) qb_limits_redis_turn(made[i]);
    world_turn();
}

static size_t under_way(void)
{
    size_t count = 0;

    for (size_t i = 0; i < REPLICAS_MADE; i++) count += qb_limits_redis_under_way(made[i]);
    return count;
}

static void settle(void)
{
    for (int turns = 0; turns < 20000 && under_way() > 0; turns++) turn();
}

struct got {
    struct qb_submitted answer;
    int answers;
};

static void take(void *context, const struct qb_submitted *answer)
{
    struct got *got = context;

    got->answer = *answer;
    got->answers++;
}

static struct qb_submission submission_of(qb_id user, qb_id lot, uint64_t number, int64_t max,
                                          int64_t limit)
{
    struct qb_submission made_up = {
        .user = user, .auction = lot, .currency = "USD", .max = max, .limit = limit};

    (void)memcpy(made_up.bid_id, &number, sizeof number);
    made_up.bid_id[15] = 1; /* never all zeros */
    return made_up;
}

static struct qb_submitted submit(size_t replica, const struct qb_submission *submission)
{
    struct got got = {0};

    qb_limits_redis_submit(made[replica], submission, take, &got);
    QB_EXPECT_EQ(got.answers, 0, "no answer inside the call");
    for (int turns = 0; turns < 50000 && got.answers == 0; turns++) turn();
    QB_EXPECT_EQ(got.answers, 1, "one answer");
    return got.answer;
}

/* How long a submission of the account must wait; -1: unknown. */
static int64_t ask(size_t replica, qb_id user, uint64_t number)
{
    const struct qb_submission asked = submission_of(user, LOT, number, QB_AMOUNT_NONE, -1);
    const struct qb_submitted answer = submit(replica, &asked);

    return answer.is_known ? answer.wait_us : -1;
}

static int64_t key_command(const char *command, qb_id user, const char *name)
{
    char key[64];
    unsigned shard = qb_shard_of(user, WORLD_SHARDS);

    (void)snprintf(key, sizeof key, "qb:{q%u}:limit:%016" PRIx64 ":%s", shard, user, name);
    return world_command_to(shard, 2, (const char *[]){command, key});
}

QB_TEST(fifty_submissions_are_let_through_over_all_replicas)
{
    start(WINDOW_US, RESERVED_US);
    for (uint64_t i = 1; i <= BIDS_MAX; i++) {
        QB_EXPECT_EQ(ask(i % REPLICAS_MADE, ANN, i), 0, "let through");
        QB_EXPECT_EQ(ask((i + 1) % REPLICAS_MADE, ANN, i), 0, "the same takes no second place");
    }
    for (size_t i = 0; i < REPLICAS_MADE; i++) {
        int64_t wait_us = ask(i, ANN, 100 + i);
        QB_EXPECT(wait_us > 0 && wait_us <= WINDOW_US, "the 51st waits for the first");
        QB_EXPECT_EQ(ask(i, BOB, i), 0, "others do not");
        QB_EXPECT_EQ(ask(i, ANN, 3), 0, "nor does what is in already");
    }
    int64_t life_ms = key_command("PTTL", ANN, "pace");
    QB_EXPECT(life_ms > 0 && life_ms <= 60000, "the key ends by itself");
    QB_EXPECT_EQ(key_command("EXISTS", ANN, "stakes"), 0, "nothing at stake without a limit");
    end();
}

QB_TEST(many_at_once_are_counted_exactly)
{
    static struct got got[BIDS_MAX * 4];
    int let_through = 0;

    (void)memset(got, 0, sizeof got);
    start(WINDOW_US, RESERVED_US);
    for (uint64_t i = 0; i < BIDS_MAX * 4; i++) {
        const struct qb_submission one = submission_of(ANN, LOT, i + 1, QB_AMOUNT_NONE, -1);
        qb_limits_redis_submit(made[i % REPLICAS_MADE], &one, take, &got[i]);
    }
    settle();
    for (size_t i = 0; i < BIDS_MAX * 4; i++) {
        QB_EXPECT_EQ(got[i].answers, 1, "one answer each");
        if (got[i].answer.wait_us == 0) let_through++;
    }
    QB_EXPECT_EQ(let_through, BIDS_MAX, "as many as may be");
    end();
}

/* Of all times at which one was let through, each and the fiftieth after it are a window apart; as
 * they are measured here, some of a turn may be missing. */
QB_TEST(no_window_ever_holds_more)
{
    static int64_t times_us[4000];
    size_t count = 0;
    const int64_t window_us = 500 * QB_MS_US;
    int64_t refused = 0;

    start(window_us, RESERVED_US);
    int64_t until_us = qb_clock_mono_us() + 4 * window_us;
    for (uint64_t i = 1; qb_clock_mono_us() < until_us && count < 4000; i++) {
        int64_t before_us = qb_clock_mono_us();
        int64_t wait_us = ask(i % REPLICAS_MADE, ANN, i);
        int64_t now_us = qb_clock_mono_us();
        if (wait_us > 0) {
            refused++;
            QB_EXPECT(count >= BIDS_MAX, "not before there were fifty");
            if (count < BIDS_MAX) continue;
            int64_t due_us = times_us[count - BIDS_MAX] + window_us;
            QB_EXPECT(before_us + wait_us <= due_us + 1000, "no longer than it must be");
            continue;
        }
        if (count >= BIDS_MAX) {
            /* let through: its time is before now, the other's after the call began */
            QB_EXPECT(now_us - times_us[count - BIDS_MAX] >= window_us - 20000, "a window apart");
        }
        times_us[count++] = now_us;
    }
    QB_EXPECT(refused > 0, "some had to wait");
    QB_EXPECT(count >= BIDS_MAX * 3 && count <= BIDS_MAX * 5, "and the rest came through");
    end();
}

static int64_t left(size_t replica, qb_id user, qb_id lot, int64_t limit, uint64_t number)
{
    const struct qb_submission asked = submission_of(user, lot, number, INT64_MAX, limit);
    return submit(replica, &asked).allowance;
}

QB_TEST(what_is_reserved_on_one_replica_is_not_there_on_another)
{
    start(WINDOW_US, RESERVED_US);
    const struct qb_submission bid = submission_of(ANN, LOT, 1, 600, 1000);
    QB_EXPECT_EQ(submit(0, &bid).allowance, 1000, "all is there");
    QB_EXPECT_EQ(left(1, ANN, OTHER_LOT, 1000, 2), 400, "less what is on its way");
    QB_EXPECT_EQ(left(1, ANN, LOT, 1000, 2), 1000, "in its own auction the difference counts");
    const struct qb_hold hold = {ANN, LOT, "USD", 5, 600};
    qb_limits_redis_hold(made[2], &hold);
    qb_limits_redis_release(made[0], ANN, LOT, bid.bid_id);
    settle();
    QB_EXPECT_EQ(left(1, ANN, OTHER_LOT, 1000, 2), 400, "leads: held");
    QB_EXPECT(key_command("PTTL", ANN, "stakes") > 3600000, "as long as an auction can last");
    const struct qb_hold older = {ANN, LOT, "USD", 4, 0};
    qb_limits_redis_hold(made[0], &older);
    settle();
    QB_EXPECT_EQ(left(1, ANN, OTHER_LOT, 1000, 2), 400, "an older seq changes nothing");
    const struct qb_hold outbid = {ANN, LOT, "USD", 6, 0};
    qb_limits_redis_hold(made[1], &outbid);
    qb_limits_redis_hold(made[1], &hold);
    settle();
    QB_EXPECT_EQ(left(2, ANN, OTHER_LOT, 1000, 2), 1000, "outbid, though its lead came later");
    QB_EXPECT(key_command("PTTL", ANN, "stakes") <= 600000, "and nothing stays for long");
    end();
}

QB_TEST(a_reservation_ends_by_itself)
{
    start(WINDOW_US, 300 * QB_MS_US);
    const struct qb_submission bid = submission_of(ANN, LOT, 1, 600, 1000);
    (void)submit(0, &bid);
    QB_EXPECT_EQ(left(1, ANN, OTHER_LOT, 1000, 2), 400, "on its way");
    qb_clock_sleep_us(310000);
    QB_EXPECT_EQ(left(1, ANN, OTHER_LOT, 1000, 2), 1000, "given up");
    end();
}

struct under {
    struct qb_entry bid;
    size_t replica;
};

/* Any order of steps gives what the limits of a single process give. */
QB_TEST(they_grant_what_one_process_would_grant)
{
    enum { LOTS = 5, FLIGHT = 12, LIMIT = 3000 };
    const struct qb_holds_options options = {BIDS_MAX, WINDOW_US, 10};
    struct qb_holds *model = qb_holds_new(&options);
    struct under flying[FLIGHT] = {0};
    uint64_t seqs[LOTS + 1] = {0};
    struct qb_random random;

    start(QB_MS_US, RESERVED_US); /* the pace is not what this is about */
    qb_random_seed(&random, 20261124);
    qb_holds_limit_set(model, ANN, "USD", LIMIT);
    for (uint64_t i = 1; i <= 1500; i++) {
        struct under *one = &flying[qb_random_below(&random, FLIGHT)];
        qb_id lot = 1 + qb_random_below(&random, LOTS);
        size_t replica = qb_random_below(&random, REPLICAS_MADE);
        if (qb_random_below(&random, 3) == 0) {
            const struct qb_hold hold = {ANN, lot, "USD", ++seqs[lot],
                                         (int64_t)qb_random_below(&random, 4) * 300};
            qb_holds_set(model, &hold);
            qb_limits_redis_hold(made[replica], &hold);
            settle();
            continue;
        }
        if (one->bid.bidder != 0) {
            qb_holds_release(model, &one->bid);
            if (one->bid.max <= one->bid.allowance) {
                qb_limits_redis_release(made[one->replica], ANN, one->bid.auction, one->bid.bid_id);
            }
            one->bid.bidder = 0;
            settle();
            continue;
        }
        const struct qb_submission asked =
            submission_of(ANN, lot, 1 + qb_random_below(&random, 20),
                          (int64_t)qb_random_below(&random, 20) * 100, LIMIT);
        one->bid = (struct qb_entry){.bidder = ANN, .auction = lot, .max = asked.max};
        (void)memcpy(one->bid.bid_id, asked.bid_id, QB_BID_ID_BYTES);
        (void)memcpy(one->bid.currency, "USD", QB_CURRENCY_BYTES);
        one->bid.allowance = qb_holds_reserve(model, &one->bid);
        one->replica = replica;
        const struct qb_submitted answer = submit(replica, &asked);
        if (answer.allowance == one->bid.allowance) continue;
        QB_EXPECT_EQ(answer.allowance, one->bid.allowance, "the same grant");
        break;
    }
    qb_holds_free(&model);
    end();
}

QB_TEST(amounts_are_exact_up_to_the_largest)
{
    const int64_t most = QB_AMOUNT_MAX;

    start(WINDOW_US, RESERVED_US);
    const struct qb_hold hold = {ANN, LOT, "USD", 5, most - 3};
    qb_limits_redis_hold(made[0], &hold);
    settle();
    QB_EXPECT_EQ(left(1, ANN, OTHER_LOT, most, 2), 3, "to the last");
    const struct qb_hold more = {ANN, 9, "USD", 5, most};
    qb_limits_redis_hold(made[0], &more);
    settle();
    QB_EXPECT_EQ(left(1, ANN, OTHER_LOT, most, 2), 0, "more than there is");
    const struct qb_hold euros = {ANN, 9, "EUR", 6, most};
    qb_limits_redis_hold(made[0], &euros);
    settle();
    QB_EXPECT_EQ(left(1, ANN, OTHER_LOT, most, 2), 3, "another currency is another matter");
    end();
}

QB_TEST(without_redis_of_the_epoch_nothing_is_known)
{
    start(WINDOW_US, RESERVED_US);
    QB_EXPECT_EQ(ask(0, ANN, 1), 0, "known");
    world_open(4);
    QB_EXPECT_EQ(ask(0, ANN, 2), -1, "another epoch");
    QB_EXPECT(!qb_limits_redis_is_ready(made[0]), "left alone");
    const struct qb_submission bid = submission_of(ANN, LOT, 1, 600, 1000);
    QB_EXPECT_EQ(submit(0, &bid).allowance, 0, "an account with a limit gets nothing");
    qb_limits_redis_open(made[0], 4);
    QB_EXPECT_EQ(ask(0, ANN, 2), 0, "opened");
    (void)world_command_to(0, 2, (const char *[]){"SCRIPT", "FLUSH"});
    QB_EXPECT_EQ(ask(0, ANN, 3), -1, "a server that knows no script");
    end();
}

static void open_all(uint32_t epoch)
{
    for (size_t i = 0; i < REPLICAS_MADE; i++) qb_limits_redis_open(made[i], epoch);
    for (size_t i = 0; i < REPLICAS_MADE; i++) {
        WORLD_UNTIL(qb_limits_redis_is_ready(made[i]), 8000);
    }
}

QB_TEST(a_crash_gives_no_new_start)
{
    const struct qb_hold hold = {ANN, LOT, "USD", 5, 600};

    start(WINDOW_US, RESERVED_US);
    for (uint64_t i = 1; i <= BIDS_MAX; i++) (void)ask(i % REPLICAS_MADE, ANN, i);
    qb_stack_kill("redis-0");
    QB_EXPECT_EQ(ask(0, ANN, 200), -1, "away");
    qb_limits_redis_hold(made[0], &hold);
    for (int i = 0; i < 100; i++) turn();
    QB_EXPECT_EQ(qb_limits_redis_under_way(made[0]), 1, "kept");
    qb_stack_revive("redis-0");
    world_open(4);
    open_all(4);
    settle();
    QB_EXPECT_EQ(key_command("EXISTS", ANN, "stakes"), 0, "of a log that may have been taken back");
    for (size_t i = 0; i < REPLICAS_MADE; i++) {
        QB_EXPECT(ask(i, ANN, 300 + i) > 0, "the window is as it was");
    }
    end();
}

QB_TEST(a_hold_that_met_no_connection_comes_later)
{
    const struct qb_hold hold = {ANN, LOT, "USD", 5, 600};
    unsigned shard = qb_shard_of(ANN, WORLD_SHARDS);

    start(WINDOW_US, RESERVED_US);
    (void)world_command_to(shard, 4, (const char *[]){"CLIENT", "KILL", "TYPE", "normal"});
    WORLD_UNTIL(!qb_limits_redis_is_ready(made[0]), 2000);
    qb_limits_redis_hold(made[0], &hold);
    turn();
    QB_EXPECT_EQ(qb_limits_redis_under_way(made[0]), 1, "kept");
    WORLD_UNTIL(qb_limits_redis_is_ready(made[0]), 5000);
    settle();
    QB_EXPECT_EQ(key_command("HLEN", ANN, "stakes"), 1, "it came");
    end();
}

QB_TEST(holds_of_an_epoch_before_count_until_they_are_set_again)
{
    const struct qb_hold before = {ANN, LOT, "USD", 50, 600};
    const struct qb_hold again = {ANN, LOT, "USD", 20, 500};
    const struct qb_hold older = {ANN, LOT, "USD", 19, 700};

    start(WINDOW_US, RESERVED_US);
    qb_limits_redis_hold(made[0], &before);
    settle();
    world_open(4);
    open_all(4);
    QB_EXPECT_EQ(left(1, ANN, OTHER_LOT, 1000, 2), 400, "never too little is held");
    QB_EXPECT_EQ(left(1, ANN, OTHER_LOT, 1000, 2), 400, "nor at the next look");
    qb_limits_redis_hold(made[0], &again);
    qb_limits_redis_hold(made[0], &older);
    settle();
    QB_EXPECT_EQ(left(1, ANN, OTHER_LOT, 1000, 2), 500, "as the log is now, though it is shorter");
    end();
}

QB_TEST(what_is_under_way_at_the_end_is_answered)
{
    struct got got[2] = {0};

    start(WINDOW_US, RESERVED_US);
    const struct qb_submission one = submission_of(ANN, LOT, 1, QB_AMOUNT_NONE, -1);
    qb_limits_redis_submit(made[0], &one, take, &got[0]);
    qb_limits_redis_turn(made[0]);
    qb_limits_redis_submit(made[0], &one, take, &got[1]);
    end();
    for (size_t i = 0; i < 2; i++) {
        QB_EXPECT_EQ(got[i].answers, 1, "one answer");
        QB_EXPECT(!got[i].answer.is_known, "that knows nothing");
    }
    qb_stack_stop();
}
