/*
 * What an address of Redis may say.
 */
#include "base/redis.h"
#include "base/redis_address.h"
#include "tests/kit/test.h"

static const struct {
    const char *text;
    const char *host;
    const char *port;
    const char *user;
    const char *password;
} good[] = {
    {"redis://localhost", "localhost", "6379", "", ""},
    {"redis://10.0.0.1:7000", "10.0.0.1", "7000", "", ""},
    {"redis://[::1]:7000/0", "::1", "7000", "", ""},
    {"redis://[fe80::1]/", "fe80::1", "6379", "", ""},
    {"redis://:secret@h", "h", "6379", "", "secret"},
    {"redis://ann@h", "h", "6379", "ann", ""},
    {"redis://ann:p%40%3a%2Fq@h:1", "h", "1", "ann", "p@:/q"},
    {"redis://ann:p@ss:w/rd@h:1", "h", "1", "ann", "p@ss:w/rd"},
};

QB_TEST(an_address_says_where_and_as_whom)
{
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct qb_redis_address address;
        struct qb_error error = {{0}};
        QB_EXPECT(qb_redis_address_parse(good[i].text, &address, &error), good[i].text);
        QB_EXPECT_TEXT(error.text, "", good[i].text);
        QB_EXPECT_EQ(address.host_count, 1, good[i].text);
        QB_EXPECT_TEXT(address.hosts[0].name, good[i].host, good[i].text);
        QB_EXPECT_TEXT(address.hosts[0].port, good[i].port, good[i].text);
        QB_EXPECT_TEXT(address.user, good[i].user, good[i].text);
        QB_EXPECT_TEXT(address.password, good[i].password, good[i].text);
        QB_EXPECT_EQ(address.has_login, strchr(good[i].text, '@') != NULL, good[i].text);
    }
}

QB_TEST(a_sentinel_address_has_several_hosts_and_a_name)
{
    struct qb_redis_address address;
    const char *text =
        "redis+sentinel://ann:a%40b@one,two:7,[::1]:8/shard-0?sentinel_password=c%2d";

    QB_EXPECT(qb_redis_address_parse(text, &address, NULL), "it is good");
    QB_EXPECT(address.is_sentinel, "through Sentinel");
    QB_EXPECT_EQ(address.host_count, 3, "three");
    QB_EXPECT_TEXT(address.hosts[0].port, "26379", "Sentinel's own port");
    QB_EXPECT_TEXT(address.hosts[1].name, "two", "in their order");
    QB_EXPECT_TEXT(address.hosts[2].name, "::1", "in their order");
    QB_EXPECT_TEXT(address.hosts[2].port, "8", "in their order");
    QB_EXPECT_TEXT(address.primary, "shard-0", "the name");
    QB_EXPECT_TEXT(address.password, "a@b", "the server's");
    QB_EXPECT_TEXT(address.sentinel_password, "c-", "the Sentinel's");
}

QB_TEST(a_bad_address_is_refused_and_not_quoted)
{
    static const char *const bad[] = {
        "",
        "localhost:6379",
        "rediss://:hush@h",
        "redis://",
        "redis://:hush@",
        "redis://:hush@h:0",
        "redis://:hush@h:65536",
        "redis://:hush@h:1x",
        "redis://:hush@one,two",
        "redis://:hush@h/1",
        "redis://:hush%4@h",
        "redis://:hush%zz@h",
        "redis://:hush%00@h",
        "redis://:hush@[::1]x",
        "redis+sentinel://:hush@h",
        "redis+sentinel://:hush@h/",
        "redis+sentinel://:hush@h,/name",
        "redis+sentinel://:hush@a,b,c,d,e,f,g,h,i/name",
        "redis+sentinel://:hush@h/name?password=x",
    };

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct qb_error error = {{0}};
        QB_EXPECT(!qb_redis_address_check(bad[i], &error), bad[i]);
        QB_EXPECT(error.text[0] != '\0', bad[i]);
        QB_EXPECT(strstr(error.text, "hush") == NULL, "an error may reach a log");
    }
}
