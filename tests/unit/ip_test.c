/*
 * Addresses in one form, and the ranges of a setting.
 */
#include "base/ip.h"
#include "tests/kit/test.h"

static struct qb_ip ip_of(const char *text)
{
    struct qb_ip ip = {{0}};

    QB_EXPECT(qb_ip_parse(text, strlen(text), &ip), text);
    return ip;
}

QB_TEST(s51_an_address_has_one_form_however_it_is_written)
{
    static const char *const rows[][2] = {
        {"192.0.2.7", "192.0.2.7"},
        {"::ffff:192.0.2.7", "192.0.2.7"},
        {"::FFFF:c000:207", "192.0.2.7"},
        {"2001:DB8:0:0::7", "2001:db8::7"},
        {"::1", "::1"},
        {"0.0.0.0", "0.0.0.0"},
    };
    char text[QB_IP_TEXT_BYTES];

    for (size_t i = 0; i < QB_COUNT(rows); i++) {
        struct qb_ip ip = ip_of(rows[i][0]);
        qb_ip_text(&ip, text);
        QB_EXPECT_TEXT(text, rows[i][1], rows[i][0]);
    }
}

QB_TEST(what_is_no_address_is_refused)
{
    static const char *const rows[] = {
        "",
        " 192.0.2.7",
        "192.0.2.7 ",
        "192.0.2",
        "192.0.2.256",
        "192.0.2.7.1",
        "0300.0.2.7",
        "0x7f.0.0.1",
        "127.1",
        "2130706433",
        "192.0.2.7:80",
        "[::1]",
        "::1%lo",
        "2001:db8:::7",
        "1::2::3",
        "12345::1",
        "2001:db8::7/64",
        "localhost",
        "unknown",
        "_hidden",
        "1:2:3:4:5:6:7",
        "1:2:3:4:5:6:7:8:9",
    };
    struct qb_ip ip;

    for (size_t i = 0; i < QB_COUNT(rows); i++)
        QB_EXPECT(!qb_ip_parse(rows[i], strlen(rows[i]), &ip), rows[i]);
    QB_EXPECT(!qb_ip_parse("1.2.3.4\0", 8, &ip), "a zero byte behind");
}

QB_TEST(s51_limits_count_ipv4_whole_and_ipv6_by_its_64)
{
    static const struct {
        const char *a;
        const char *b;
        bool is_same;
    } rows[] = {
        {"2001:db8:0:1::1", "2001:db8:0:1:ffff:ffff:ffff:ffff", true},
        {"2001:db8:0:1::1", "2001:db8:0:2::1", false},
        {"192.0.2.7", "::ffff:192.0.2.7", true},
        {"192.0.2.7", "192.0.2.8", false},
        {"192.0.2.7", "::192.0.2.7", false},
    };

    for (size_t i = 0; i < QB_COUNT(rows); i++) {
        struct qb_ip a = ip_of(rows[i].a);
        struct qb_ip b = ip_of(rows[i].b);
        uint8_t keys[2][QB_IP_BYTES];
        qb_ip_key(&a, keys[0]);
        qb_ip_key(&b, keys[1]);
        QB_EXPECT_EQ(memcmp(keys[0], keys[1], QB_IP_BYTES) == 0, rows[i].is_same, rows[i].b);
    }
}

QB_TEST(loopback_and_nobody_are_known)
{
    static const struct {
        const char *text;
        bool is_loopback;
        bool is_unspecified;
    } rows[] = {
        {"127.0.0.1", true, false},
        {"127.255.0.9", true, false},
        {"::1", true, false},
        {"::ffff:127.0.0.2", true, false},
        {"128.0.0.1", false, false},
        {"::2", false, false},
        {"0.0.0.0", false, true},
        {"::", false, true},
        {"::ffff:0.0.0.0", false, true},
        {"2001:db8::", false, false},
    };

    for (size_t i = 0; i < QB_COUNT(rows); i++) {
        struct qb_ip ip = ip_of(rows[i].text);
        QB_EXPECT_EQ(qb_ip_is_loopback(&ip), rows[i].is_loopback, rows[i].text);
        QB_EXPECT_EQ(qb_ip_is_unspecified(&ip), rows[i].is_unspecified, rows[i].text);
    }
}

static bool has(const char *list, const char *text)
{
    static struct qb_ip_ranges ranges;
    struct qb_error error = {""};
    struct qb_ip ip = ip_of(text);

    QB_EXPECT(qb_ip_ranges_parse(list, &ranges, &error), error.text);
    return qb_ip_ranges_have(&ranges, &ip);
}

QB_TEST(a_range_has_what_begins_like_it)
{
    static const struct {
        const char *list;
        const char *ip;
        bool is_in;
    } rows[] = {
        {"", "127.0.0.1", false},
        {"192.0.2.7", "192.0.2.7", true},
        {"192.0.2.7", "192.0.2.6", false},
        {"10.0.0.0/8, 192.0.2.0/25", "192.0.2.127", true},
        {"10.0.0.0/8,192.0.2.0/25", "192.0.2.128", false},
        {"10.0.0.0/8", "10.255.0.1", true},
        {"10.0.0.0/8", "::ffff:10.1.2.3", true},
        {"10.0.0.0/8", "11.0.0.0", false},
        {"10.0.0.0/7", "11.0.0.0", true},
        {"::ffff:10.0.0.0/104", "10.9.9.9", true},
        {"fd00::/8", "fdff::1", true},
        {"fd00::/8", "fe00::1", false},
        {"2001:db8::/33", "2001:db8:7fff::", true},
        {"2001:db8::/33", "2001:db8:8000::", false},
        {" ::1 ", "::1", true},
        {"8000::/1", "192.0.2.7", false},
    };

    for (size_t i = 0; i < QB_COUNT(rows); i++)
        QB_EXPECT_EQ(has(rows[i].list, rows[i].ip), rows[i].is_in, rows[i].list);
}

QB_TEST(a_wrong_range_says_what_is_wrong)
{
    static const char *const rows[][2] = {
        {"nginx", "\"nginx\" is no address like 192.0.2.7 or 10.0.0.0/8"},
        {"10.0.0.0/33", "\"10.0.0.0/33\" has no prefix length from 1 to 32"},
        {"10.0.0.0/", "\"10.0.0.0/\" has no prefix length from 1 to 32"},
        {"10.0.0.0/0", "\"10.0.0.0/0\" holds every address"},
        {"0.0.0.0/0", "\"0.0.0.0/0\" holds every address"},
        {"::/0", "\"::/0\" holds every address"},
        {"::/8", "\"::/8\" holds every address"},
        {"fd00::/129", "\"fd00::/129\" has no prefix length from 1 to 128"},
        {"10.1.0.0/8", "\"10.1.0.0/8\" has bits behind its prefix length"},
        {"10.0.0.0/8,", "an address is missing after a comma"},
        {"10.0.0.0/8,,::1", "\"\" is no address like 192.0.2.7 or 10.0.0.0/8"},
        {",", "\"\" is no address like 192.0.2.7 or 10.0.0.0/8"},
    };
    static struct qb_ip_ranges ranges;

    for (size_t i = 0; i < QB_COUNT(rows); i++) {
        struct qb_error error = {""};
        QB_EXPECT(!qb_ip_ranges_parse(rows[i][0], &ranges, &error), rows[i][0]);
        QB_EXPECT_TEXT(error.text, rows[i][1], rows[i][0]);
    }
    char many[QB_IP_RANGES_MAX * 8 + 16] = "::1";
    struct qb_error error = {""};
    for (int i = 0; i < QB_IP_RANGES_MAX; i++) (void)strcat(many, ",::1");
    QB_EXPECT(!qb_ip_ranges_parse(many, &ranges, &error), "one too many");
}
