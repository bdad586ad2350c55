/*
 * The link to Redis finds the right server again: after a restart, behind a name with several
 * addresses, when its primary is demoted, and through Sentinel.
 */
#include <stdlib.h>

#include "tests/contract/redis_seen.h"
#include "tests/kit/stack.h"
#include "tests/kit/test.h"

#define CHANNELS 5000

QB_TEST(all_addresses_of_a_name_are_tried)
{
    struct seen seen;
    char address[512];

    seen_begin("redis");
    /* Often ::1 first, where nobody listens. */
    const char *login = seen_application();
    const char *port = strrchr(login, ':');
    (void)snprintf(address, sizeof address, "%.*s@localhost%s", (int)strcspn(login, "@"), login,
                   port);
    struct qb_redis_options options = seen_options(&seen, address);
    OPEN(&seen, &options);
    UNTIL(seen.ups > 0, 5000);
    QB_EXPECT_EQ(seen.ups, 1, "one of them answers");
    seen_close(&seen);
    (void)snprintf(address, sizeof address, "redis://no-such-host.invalid%s", port);
    options = seen_options(&seen, address);
    OPEN(&seen, &options);
    UNTIL(seen.downs > 0, 10000);
    QB_EXPECT(strstr(seen.why, "no-such-host.invalid") != NULL, seen.why);
    qb_redis_free(&seen.link);
    UNTIL(uv_loop_alive(&seen_loop) == 0, 20000);
}

QB_TEST(a_link_that_is_told_to_leaves_and_comes_back)
{
    struct seen seen;

    seen_begin("redis");
    struct qb_redis_options options = seen_options(&seen, seen_application());
    OPEN(&seen, &options);
    UNTIL(seen.ups > 0, 5000);
    qb_redis_drop(seen.link, "told to");
    QB_EXPECT_EQ(seen.downs, 0, "never inside the call");
    SAY(&seen, "TIME");
    UNTIL(seen.ups > 1, 5000);
    QB_EXPECT(strstr(seen.why, "told to") != NULL, seen.why);
    QB_EXPECT_EQ(seen.nulls + seen.answers, 1, "what was under way is answered");
    QB_EXPECT_EQ(seen.ups, 2, "back");
    seen_close(&seen);
}

static void subscribe_many(struct seen *ear, int from, int to)
{
    char channel[64];

    for (int i = from; i < to; i++) {
        (void)snprintf(channel, sizeof channel, "qb:{q1}:user:%016x", (unsigned)i);
        qb_redis_subscribe(ear->link, channel);
    }
}

QB_TEST(a_subscriber_hears_again_after_a_restart)
{
    struct seen ear;
    struct seen mouth;

    seen_begin("redis");
    struct qb_redis_options options = seen_options(&ear, seen_application());
    options.is_subscriber = true;
    OPEN(&ear, &options);
    options = seen_options(&mouth, seen_application());
    OPEN(&mouth, &options);
    subscribe_many(&ear, 0, CHANNELS);
    UNTIL(ear.ups > 0 && mouth.ups > 0, 10000);
    QB_EXPECT_EQ(ear.ups, 1, "up when all is subscribed");
    QB_EXPECT_EQ(ear.subscribed, 0, "which `up` says");
    subscribe_many(&ear, CHANNELS - 1, CHANNELS + 1);
    UNTIL(ear.subscribed > 0, 5000);
    qb_redis_unsubscribe(ear.link, "qb:{q1}:user:0000000000000007");
    SAY(&mouth, "PUBLISH", "qb:{q1}:user:0000000000000001", "x");
    UNTIL(ear.messages > 0, 5000);
    QB_EXPECT_EQ(ear.subscribed, 1, "one was new");
    qb_stack_kill("redis-1");
    UNTIL(ear.downs > 0 && mouth.downs > 0, 5000);
    qb_stack_revive("redis-1");
    UNTIL(ear.ups > 1 && mouth.ups > 1, 10000);
    SAY(&mouth, "PUBLISH", "qb:{q1}:user:0000000000000007", "x");
    SAY(&mouth, "PUBLISH", "qb:{q1}:user:0000000000001388", "x");
    UNTIL(ear.messages > 1, 5000);
    QB_EXPECT_TEXT(ear.last, "qb:{q1}:user:0000000000001388", "subscribed anew");
    QB_EXPECT_EQ(ear.messages, 2, "once, and not what was given up");
    UNTIL(false, 3000);
    QB_EXPECT_EQ(ear.ups + ear.downs, 3, "its pings keep it up when idle");
    seen_close(&ear);
    seen_close(&mouth);
}

QB_TEST(a_demoted_primary_is_left_within_two_seconds)
{
    struct seen seen;
    struct seen writer;
    struct seen boss;

    seen_begin("redis");
    struct qb_redis_options options = seen_options(&boss, seen_operator());
    OPEN(&boss, &options);
    options = seen_options(&seen, seen_application());
    OPEN(&seen, &options);
    options = seen_options(&writer, seen_application());
    OPEN(&writer, &options);
    UNTIL(seen.ups > 0 && writer.ups > 0, 5000);
    OPERATOR(&boss, "REPLICAOF", "127.0.0.1", "1");
    SAY(&writer, "INCR", "qb:{q1}:1:state");
    UNTIL(writer.downs > 0, 500);
    QB_EXPECT_EQ(writer.errors, 1, "answered");
    QB_EXPECT(strstr(writer.why, "it is read-only") != NULL, writer.why);
    UNTIL(seen.downs > 0, 2000);
    QB_EXPECT_EQ(seen.downs, 1, "noticed");
    QB_EXPECT(strstr(seen.why, "its role is slave") != NULL, seen.why);
    seen_close(&boss);
    /* By a client that does not mind the role. */
    char line[600];
    (void)snprintf(line, sizeof line,
                   "redis-cli --no-auth-warning -u '%s' replicaof no one >/dev/null",
                   seen_operator());
    QB_EXPECT_EQ(system(line), 0, "promoted again");
    UNTIL(seen.ups > 1, 5000);
    QB_EXPECT_EQ(seen.ups, 2, "up again");
    seen_close(&seen);
    seen_close(&writer);
}

QB_TEST(sentinel_leads_to_the_new_primary)
{
    struct seen seen;
    struct seen ear;
    char address[1024];
    char run_id[64];

    seen_begin("redis");
    const char *known = seen_address("REDIS_URL", 0);
    const char *where = strchr(known, '@') + 1;
    (void)snprintf(address, sizeof address, "%.*s127.0.0.1:1,%s", (int)(where - known), known,
                   where);
    qb_stack_await_replicas(1);
    struct qb_redis_options options = seen_options(&seen, address);
    options.must_be_safe = true;
    OPEN(&seen, &options);
    options = seen_options(&ear, address);
    options.is_subscriber = true;
    OPEN(&ear, &options);
    qb_redis_subscribe(ear.link, "qb:{q0}:user:1");
    UNTIL(seen.ups > 0 && ear.ups > 0, 5000);
    QB_EXPECT_EQ(seen.ups, 1, "a Sentinel that is not there is passed over");
    (void)snprintf(run_id, sizeof run_id, "%s", seen.run_id);
    qb_stack_kill("redis-0");
    UNTIL(seen.ups > 1 && ear.ups > 1, 20000);
    QB_EXPECT_EQ(seen.ups, 2, "up on the promoted replica");
    QB_EXPECT(strcmp(seen.run_id, run_id) != 0, "another process");
    QB_EXPECT_TEXT(ear.run_id, seen.run_id, "both on the same");
    SAY(&seen, "PUBLISH", "qb:{q0}:user:1", "x");
    UNTIL(ear.messages > 0, 5000);
    QB_EXPECT_EQ(ear.messages, 1, "and it carries messages");
    seen_close(&seen);
    seen_close(&ear);
    seen_end();
}
