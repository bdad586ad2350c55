/*
 * Addresses of brokers: what is read from each, what is refused, and that no
 * refusal tells a secret.
 */
#include "storage/rabbit_address.h"
#include "tests/kit/test.h"

QB_TEST(each_part_is_read)
{
    static const struct {
        const char *url;
        struct qb_rabbit_address address;
    } rows[] = {
        {"amqp://rabbit", {false, 5672, "rabbit", "guest", "guest", "/"}},
        {"amqp://rabbit/", {false, 5672, "rabbit", "guest", "guest", "/"}},
        {"amqps://rabbit", {true, 5671, "rabbit", "guest", "guest", "/"}},
        {"amqp://127.0.0.1:26672/%2f", {false, 26672, "127.0.0.1", "guest", "guest", "/"}},
        {"amqps://qb:s%40cret@r.example:1/bids", {true, 1, "r.example", "qb", "s@cret", "bids"}},
        {"amqp://qb@[::1]:5673/x%2Fy", {false, 5673, "::1", "qb", "guest", "x/y"}},
        {"amqp://qb:a:b@[fe80::1]", {false, 5672, "fe80::1", "qb", "a:b", "/"}},
    };

    for (size_t i = 0; i < QB_COUNT(rows); i++) {
        struct qb_rabbit_address seen[QB_RABBIT_ADDRESSES_MAX];
        const struct qb_rabbit_address *expected = &rows[i].address;
        struct qb_error error = {""};
        size_t count = 0;
        QB_EXPECT(qb_rabbit_addresses_parse(rows[i].url, seen, &count, &error), error.text);
        QB_EXPECT_EQ(count, 1, "one");
        QB_EXPECT_EQ(seen[0].is_tls, expected->is_tls, rows[i].url);
        QB_EXPECT_EQ(seen[0].port, expected->port, rows[i].url);
        QB_EXPECT_TEXT(seen[0].host, expected->host, rows[i].url);
        QB_EXPECT_TEXT(seen[0].user, expected->user, rows[i].url);
        QB_EXPECT_TEXT(seen[0].password, expected->password, rows[i].url);
        QB_EXPECT_TEXT(seen[0].vhost, expected->vhost, rows[i].url);
    }
}

QB_TEST(several_stand_with_commas_between)
{
    struct qb_rabbit_address seen[QB_RABBIT_ADDRESSES_MAX];
    struct qb_error error = {""};
    size_t count = 0;

    QB_EXPECT(qb_rabbit_addresses_parse("amqp://a,amqps://b,amqp://c:7", seen, &count, &error),
              error.text);
    QB_EXPECT_EQ(count, 3, "three");
    QB_EXPECT_TEXT(seen[1].host, "b", "in their order");
    QB_EXPECT_EQ(seen[2].port, 7, "each with its own port");
    QB_EXPECT(!qb_rabbit_addresses_parse("amqp://1,amqp://2,amqp://3,amqp://4,amqp://5,amqp://6,"
                                         "amqp://7,amqp://8,amqp://9",
                                         seen, &count, &error),
              "not without a limit");
}

QB_TEST(what_is_wrong_is_said_without_the_secret)
{
    static const char *const rows[] = {
        "",
        "rabbit",
        "http://u:hunter2@rabbit",
        "amqp://",
        "amqp://u:hunter2@",
        "amqp://u:hunter2@:5672",
        "amqp://u:hunter2@rabbit:",
        "amqp://u:hunter2@rabbit:0",
        "amqp://u:hunter2@rabbit:65536",
        "amqp://u:hunter2@rabbit:5672x",
        "amqp://u:hunter2@h@rabbit",
        "amqp://:hunter2@rabbit",
        "amqp://u:hunter2%4@rabbit",
        "amqp://u:hunter2%zz@rabbit",
        "amqp://u:hunter2%00@rabbit",
        "amqp://u:hunter2@[::1",
        "amqp://u:hunter2@[::1]5672",
        "amqp://u:hunter2@rabbit/%",
        "amqp://u:hunter2@rabbit,",
        ",amqp://u:hunter2@rabbit",
    };

    for (size_t i = 0; i < QB_COUNT(rows); i++) {
        struct qb_rabbit_address seen[QB_RABBIT_ADDRESSES_MAX];
        struct qb_error error = {""};
        size_t count = 0;
        QB_EXPECT(!qb_rabbit_addresses_parse(rows[i], seen, &count, &error), rows[i]);
        QB_EXPECT(error.text[0] != '\0', "it says why");
        QB_EXPECT(strstr(error.text, "hunter2") == NULL, error.text);
    }
}
