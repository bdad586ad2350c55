/*
 * What the other contract tests stand on: real servers that a test starts, kills and revives.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/kit/stack.h"
#include "tests/kit/test.h"

static int ping(void)
{
    char line[512];

    (void)snprintf(line, sizeof line, "redis-cli --no-auth-warning -u '%s' ping | grep -q PONG",
                   qb_stack_value("REDIS_URL"));
    return system(line);
}

QB_TEST(a_server_can_be_killed_and_revived)
{
    qb_stack_start("redis-single");
    QB_EXPECT_EQ(ping(), 0, "started");
    qb_stack_kill("redis-0");
    QB_EXPECT(ping() != 0, "killed");
    qb_stack_revive("redis-0");
    QB_EXPECT_EQ(ping(), 0, "revived");
    QB_EXPECT_DEATH(abort(), "a child that dies");
    QB_EXPECT_EQ(ping(), 0, "a child's end is not the end of the servers");
    qb_stack_stop();
}
