/*
 * The link to Redis against real servers: it comes up only on one that is right, says why it is
 * down, and answers every command once, whatever happens to the server.
 */
#include <signal.h>
#include <stdlib.h>
#include <uv.h>

#include "base/clock.h"
#include "tests/contract/redis_seen.h"
#include "tests/kit/stack.h"
#include "tests/kit/test.h"

#define COMMANDS 100

QB_TEST(a_link_comes_up_when_its_server_comes)
{
    struct seen seen;

    seen_begin("redis");
    qb_stack_kill("redis-1");
    struct qb_redis_options options = seen_options(&seen, seen_application());
    options.must_be_safe = true;
    OPEN(&seen, &options);
    SAY(&seen, "PING");
    QB_EXPECT_EQ(seen.nulls, 0, "never inside the call");
    UNTIL(seen.downs > 0, 5000);
    QB_EXPECT(strstr(seen.why, "connection refused") != NULL, seen.why);
    QB_EXPECT_EQ(seen.nulls, 1, "not up: no answer");
    for (int i = 0; i < 600; i++) seen_turn();
    QB_EXPECT_EQ(seen.downs, 1, "the same reason is told once");
    qb_stack_revive("redis-1");
    UNTIL(seen.ups > 0, 5000);
    QB_EXPECT(qb_redis_is_up(seen.link), "up");
    SAY(&seen, "PING");
    UNTIL(seen.answers > 0, 5000);
    QB_EXPECT_EQ(seen.answers, 1, "answered");
    seen_close(&seen);
    QB_EXPECT_EQ(uv_loop_alive(&seen_loop), 0, "nothing stays in the loop");
}

QB_TEST(a_killed_server_leaves_no_command_without_an_answer)
{
    struct seen seen;
    struct seen boss;
    char run_id[64];

    seen_begin("redis");
    struct qb_redis_options options = seen_options(&boss, seen_operator());
    OPEN(&boss, &options);
    options = seen_options(&seen, seen_application());
    options.answer_ms = 20000;
    OPEN(&seen, &options);
    UNTIL(seen.ups > 0, 5000);
    (void)snprintf(run_id, sizeof run_id, "%s", seen.run_id);
    OPERATOR(&boss, "CLIENT", "PAUSE", "60000", "ALL");
    for (int i = 0; i < COMMANDS; i++) SAY(&seen, "TIME");
    for (int i = 0; i < 20; i++) seen_turn();
    QB_EXPECT_EQ(seen.nulls + seen.answers, 0, "all are under way");
    qb_stack_kill("redis-1");
    UNTIL(seen.downs > 0, 5000);
    QB_EXPECT_EQ(seen.nulls, COMMANDS, "each once");
    qb_stack_revive("redis-1");
    UNTIL(seen.ups > 1, 5000);
    QB_EXPECT_EQ(seen.ups, 2, "up again");
    QB_EXPECT(strcmp(run_id, seen.run_id) != 0, "another process");
    QB_EXPECT_EQ(seen.nulls, COMMANDS, "none a second time");
    QB_EXPECT_EQ(seen.answers, 0, "nothing is sent again by itself");
    seen_close(&seen);
    seen_close(&boss);
}

QB_TEST(a_silent_server_is_left)
{
    struct seen seen;
    char run_id[64];

    seen_begin("redis");
    struct qb_redis_options options = seen_options(&seen, seen_application());
    options.answer_ms = 500;
    OPEN(&seen, &options);
    UNTIL(seen.ups > 0, 5000);
    (void)snprintf(run_id, sizeof run_id, "%s", seen.run_id);
    qb_stack_freeze("redis-1");
    int nulls = seen.nulls;
    int64_t sent_us = qb_clock_mono_us();
    SAY(&seen, "TIME");
    UNTIL(seen.nulls > nulls, 5000);
    int64_t waited_us = qb_clock_mono_us() - sent_us;
    QB_EXPECT(waited_us >= 450 * QB_MS_US, "not before its time");
    QB_EXPECT(waited_us < 2 * QB_SECOND_US, "soon after it");
    QB_EXPECT(strstr(seen.why, "no answer within 500 ms") != NULL, seen.why);
    UNTIL(seen.downs > 1, 5000);
    QB_EXPECT(strstr(seen.why, "no answer") != NULL, "a stopped server takes connections");
    qb_stack_thaw("redis-1");
    UNTIL(seen.ups > 1, 8000);
    QB_EXPECT_TEXT(seen.run_id, run_id, "the same process");
    seen_close(&seen);
}

QB_TEST(a_server_that_may_lose_bids_is_refused)
{
    static const char *const rows[][4] = {
        {"appendonly", "no", "yes", "appendonly is no and must be yes"},
        {"appendfsync", "everysec", "always", "appendfsync is everysec and must be always"},
        {"no-appendfsync-on-rewrite", "yes", "no",
         "no-appendfsync-on-rewrite is yes and must be no"},
        {"aof-load-truncated", "yes", "no", "aof-load-truncated is yes and must be no"},
        {"maxmemory-policy", "allkeys-lru", "noeviction",
         "maxmemory-policy is allkeys-lru and must be noeviction"},
    };
    struct seen seen;
    struct seen boss;

    seen_begin("redis");
    struct qb_redis_options options = seen_options(&boss, seen_operator());
    OPEN(&boss, &options);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        OPERATOR(&boss, "CONFIG", "SET", rows[i][0], rows[i][1]);
        options = seen_options(&seen, seen_application());
        options.must_be_safe = true;
        OPEN(&seen, &options);
        UNTIL(seen.downs > 0, 5000);
        QB_EXPECT_EQ(seen.ups, 0, rows[i][0]);
        QB_EXPECT(strstr(seen.why, rows[i][3]) != NULL, seen.why);
        OPERATOR(&boss, "CONFIG", "SET", rows[i][0], rows[i][2]);
        UNTIL(seen.ups > 0, 5000);
        QB_EXPECT_EQ(seen.ups, 1, "put right, it is taken");
        seen_close(&seen);
    }
    seen_close(&boss);
}

QB_TEST(a_wrong_password_is_refused_and_not_told)
{
    struct seen seen;
    char address[512];

    seen_begin("redis");
    const char *at = strrchr(seen_application(), '@');
    (void)snprintf(address, sizeof address, "redis://quickbid:hush-hush%s", at);
    struct qb_redis_options options = seen_options(&seen, address);
    OPEN(&seen, &options);
    UNTIL(seen.downs > 0, 5000);
    QB_EXPECT(strstr(seen.why, "the login was refused (WRONGPASS)") != NULL, seen.why);
    QB_EXPECT(strstr(seen.why, "hush") == NULL, "the password stays inside");
    seen_close(&seen);
}

QB_TEST(commands_beyond_the_limit_are_not_taken)
{
    struct seen seen;

    seen_begin("redis");
    struct qb_redis_options options = seen_options(&seen, seen_application());
    options.commands_max = 10;
    OPEN(&seen, &options);
    UNTIL(seen.ups > 0, 5000);
    for (int i = 0; i < 15; i++) SAY(&seen, "TIME");
    QB_EXPECT_EQ(seen.nulls, 0, "never inside the call");
    UNTIL(seen.nulls + seen.answers == 15, 5000);
    QB_EXPECT_EQ(seen.answers, 10, "as many as may be");
    QB_EXPECT_EQ(seen.nulls, 5, "and no more");
    seen_close(&seen);
}

static void free_at_once(void *context, const struct qb_redis_reply *reply)
{
    struct seen *seen = context;

    seen_answer(seen, reply);
    qb_redis_free(&seen->link);
}

QB_TEST(a_link_may_be_freed_at_any_time)
{
    struct seen seen;

    seen_begin("redis");
    for (int turns = 0; turns < 40; turns++) {
        struct qb_redis_options options = seen_options(&seen, seen_application());
        OPEN(&seen, &options);
        for (int i = 0; i < turns; i++) seen_turn();
        for (int i = 0; i < 5; i++) SAY(&seen, "TIME");
        qb_redis_free(&seen.link);
        QB_EXPECT_EQ(seen.nulls, 5, "answered inside the call");
        QB_EXPECT_EQ(seen.downs, 0, "and nothing is told");
    }
    for (int i = 0; i < 8; i++) seen_turn();
    struct qb_redis_options options = seen_options(&seen, seen_application());
    OPEN(&seen, &options);
    UNTIL(seen.ups > 0, 5000);
    qb_redis_command(seen.link, 1, (const char *[]){"TIME"}, NULL, free_at_once, &seen);
    for (int i = 0; i < 4; i++) SAY(&seen, "TIME");
    UNTIL(seen.nulls + seen.answers == 5, 5000);
    QB_EXPECT_EQ(seen.answers, 1, "freed in the first answer");
    QB_EXPECT_EQ(seen.nulls, 4, "the others have none");
    for (int i = 0; i < 8; i++) seen_turn();
    QB_EXPECT_EQ(uv_loop_alive(&seen_loop), 0, "nothing stays in the loop");
}
