/*
 * X-Forwarded-For, by the words of security.md 4.8. A bar in a row's text parts several headers.
 */
#include "tests/kit/test.h"
#include "ws/forwarded.h"

#define OURS "10.0.0.0/8,2001:db8:f::/48,192.0.2.1"

struct row {
    const char *value;
    const char *client; /* null: refused */
};

/* Reads the headers of `value` from the last to the first. */
static bool read_all(const struct qb_ip_ranges *proxies, const char *value,
                     struct qb_forwarded *forwarded)
{
    size_t end = strlen(value);

    for (;;) {
        const char *bar = end > 0 ? memrchr(value, '|', end) : NULL;
        size_t begin = bar != NULL ? (size_t)(bar - value) + 1 : 0;
        size_t length = end - begin;
        char *copy = malloc(length > 0 ? length : 1); /* exact, for the sanitizer */
        QB_EXPECT(copy != NULL, "memory");
        (void)memcpy(copy, &value[begin], length);
        bool is_good = qb_forwarded_read(forwarded, proxies, copy, length);
        free(copy);
        if (!is_good || bar == NULL) return is_good;
        end = begin - 1;
    }
}

static void check(const struct row *rows, size_t count)
{
    static struct qb_ip_ranges proxies;
    struct qb_error error = {""};
    char text[QB_IP_TEXT_BYTES];

    QB_EXPECT(qb_ip_ranges_parse(OURS, &proxies, &error), error.text);
    for (size_t i = 0; i < count; i++) {
        struct qb_forwarded forwarded = {0};
        bool is_good = read_all(&proxies, rows[i].value, &forwarded);
        QB_EXPECT_EQ(is_good, rows[i].client != NULL, rows[i].value);
        if (!is_good || rows[i].client == NULL) continue;
        QB_EXPECT(forwarded.has_client, rows[i].value);
        qb_ip_text(&forwarded.client, text);
        QB_EXPECT_TEXT(text, rows[i].client, rows[i].value);
    }
}

QB_TEST(s54_the_first_from_the_right_that_is_none_of_ours)
{
    static const struct row rows[] = {
        {"203.0.113.7", "203.0.113.7"},
        {"203.0.113.7, 10.0.0.1", "203.0.113.7"},
        {"203.0.113.7,10.0.0.1,\t192.0.2.1 ", "203.0.113.7"},
        {"2001:db8:1::7, 2001:db8:f::1", "2001:db8:1::7"},
        {"::ffff:203.0.113.7, ::ffff:10.0.0.1", "203.0.113.7"},
        /* What a client puts to the left moves nothing, whatever it is. */
        {"198.51.100.1, 203.0.113.7, 10.0.0.1", "203.0.113.7"},
        {"127.0.0.1, 203.0.113.7", "203.0.113.7"},
        {"10.0.0.9, 203.0.113.7, 10.0.0.1", "203.0.113.7"},
        {"unknown, 203.0.113.7", "203.0.113.7"},
        {"<script>, 203.0.113.7", "203.0.113.7"},
        {", , 203.0.113.7", "203.0.113.7"},
        /* Only proxies: one of them asks itself. */
        {"10.0.0.1", "10.0.0.1"},
        {"10.0.0.2, 10.0.0.1", "10.0.0.2"},
        /* Some proxies add the port. */
        {"203.0.113.7:4711, 10.0.0.1:80", "203.0.113.7"},
        {"[2001:db8:1::7]:4711", "2001:db8:1::7"},
        {"[2001:db8:1::7]", "2001:db8:1::7"},
    };

    check(rows, QB_COUNT(rows));
}

QB_TEST(s55_malformed_ones_are_refused_where_they_would_count)
{
    static const struct row rows[] = {
        {"", NULL},
        {" ", NULL},
        {",", NULL},
        {"203.0.113.7,", NULL},
        {"203.0.113.7, , 10.0.0.1", NULL},
        {"unknown", NULL},
        {"_hidden, 10.0.0.1", NULL},
        {"203.0.113.256", NULL},
        {"203.0.113", NULL},
        {"203.0.113.7.1", NULL},
        {"0xcb.0.113.7", NULL},
        {"203.0.113.7 10.0.0.1", NULL},
        {"203.0.113.7:", NULL},
        {"203.0.113.7:123456", NULL},
        {"203.0.113.7:80:80", NULL},
        {"203.0.113.7/32", NULL},
        {"[203.0.113.7]", NULL},
        {"[203.0.113.7]:80", NULL},
        {"[2001:db8::7", NULL},
        {"[2001:db8::7]x", NULL},
        {"[2001:db8::7]:", NULL},
        {"2001:db8::7]", NULL},
        {"[]", NULL},
        {"[", NULL},
        {"::1%eth0", NULL},
        {"\"203.0.113.7\"", NULL},
        {"for=203.0.113.7", NULL},
        {"client.example", NULL},
        {"0.0.0.0", NULL},
        {"0.0.0.0, 10.0.0.1", NULL},
        {"::", NULL},
        {"::ffff:0.0.0.0", NULL},
    };

    check(rows, QB_COUNT(rows));
}

QB_TEST(s55_several_headers_are_one_list)
{
    static const struct row rows[] = {
        {"203.0.113.7|10.0.0.1", "203.0.113.7"},
        {"198.51.100.1|203.0.113.7|10.0.0.1", "203.0.113.7"},
        {"198.51.100.1, 203.0.113.7|10.0.0.2, 10.0.0.1", "203.0.113.7"},
        {"203.0.113.7|198.51.100.1", "198.51.100.1"},
        {"|203.0.113.7", "203.0.113.7"},
        {"203.0.113.7|", NULL},
        {"203.0.113.7||10.0.0.1", NULL},
    };

    check(rows, QB_COUNT(rows));
}

QB_TEST(s55_twenty_hops_and_no_more)
{
    static const char *const hops[] = {"10.0.0.1", "198.51.100.1", "x"};

    for (size_t kind = 0; kind < QB_COUNT(hops); kind++) {
        for (int count = 20; count <= 21; count++) {
            char text[400] = "203.0.113.7";
            for (int i = 1; i < count; i++) {
                /* Ours to the right of the client, or made up to the left of it. */
                char *at = kind == 0 ? &text[strlen(text)] : text;
                size_t length = strlen(hops[kind]);
                (void)memmove(at + length + 1, at, strlen(at) + 1);
                (void)memcpy(kind == 0 ? at + 1 : at, hops[kind], length);
                at[kind == 0 ? 0 : length] = ',';
            }
            const struct row row = {text, count == 20 ? "203.0.113.7" : NULL};
            check(&row, 1);
        }
    }
}
