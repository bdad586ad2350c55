/*
 * REDIS_URL: where one shard ends and the next begins, also where a shard has commas of its own.
 */
#include "app/shard_addresses.h"
#include "tests/kit/test.h"

static struct qb_shard_addresses addresses;
static struct qb_error error;

QB_TEST(sentinels_of_a_shard_stay_together)
{
    QB_EXPECT(qb_shard_addresses_read("redis+sentinel://u:p@s1:1,s2:2/a,redis://u:p@r1:3,"
                                      "redis+sentinel://s3/b?sentinel_password=x",
                                      &addresses, &error),
              error.text);
    QB_EXPECT_EQ(addresses.count, 3, "shards");
    QB_EXPECT_TEXT(addresses.list[0], "redis+sentinel://u:p@s1:1,s2:2/a", "the first");
    QB_EXPECT_TEXT(addresses.list[1], "redis://u:p@r1:3", "the second");
    QB_EXPECT_TEXT(addresses.list[2], "redis+sentinel://s3/b?sentinel_password=x", "the third");
    QB_EXPECT(!qb_shard_addresses_read("redis://r1,redis://", &addresses, &error), "no host");
    QB_EXPECT(strstr(error.text, "shard 1") != NULL, error.text);
}

QB_TEST(as_many_shards_as_there_may_be_fit_into_the_setting)
{
    static const char shard[] = "redis+sentinel://quickbid:0123456789abcdef0123456789abcdef@"
                                "sentinel-0.redis.svc:26379,sentinel-1.redis.svc:26379,"
                                "sentinel-2.redis.svc:26379/shard-00"
                                "?sentinel_password=0123456789abcdef0123456789abcdef";
    char variable[4200] = "REDIS_URL=";
    char others[2][40] = {"DATABASE_URL=postgresql://db", "RABBITMQ_URL=amqp://mq"};
    char *environment[] = {variable, others[0], others[1], NULL};
    static struct qb_settings settings;

    for (int i = 0; i < QB_SHARDS_MAX; i++) {
        size_t length = strlen(variable);
        (void)snprintf(variable + length, sizeof variable - length, "%s%s", i > 0 ? "," : "",
                       shard);
    }
    QB_EXPECT(qb_settings_read(&settings, 0, NULL, environment, &error), error.text);
    QB_EXPECT(qb_shard_addresses_read(settings.redis_url, &addresses, &error), error.text);
    QB_EXPECT_EQ(addresses.count, QB_SHARDS_MAX, "all of them");
    QB_EXPECT_TEXT(addresses.list[QB_SHARDS_MAX - 1], shard, "the last one whole");
}
