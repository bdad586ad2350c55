/*
 * Text, ids and the small encodings.
 */
#include <stdlib.h>

#include "base/text.h"
#include "tests/kit/test.h"

static void json_string(const char *bytes, size_t length, const char *expected, const char *says)
{
    struct qb_text text = {0};

    qb_text_json_string(&text, bytes, length);
    QB_EXPECT_TEXT(text.bytes, expected, says);
    qb_text_fini(&text);
}

QB_TEST(a_json_string_is_safe_wherever_it_stands)
{
    json_string("plain", 5, "\"plain\"", "plain");
    json_string("a\"b\\c", 5, "\"a\\\"b\\\\c\"", "quotes and backslashes");
    json_string("\x00\x1b\n", 3, "\"\\u0000\\u001b\\u000a\"", "controls");
    json_string("</script>", 9, "\"\\u003c/script>\"", "no tag can begin");
    json_string("\xe2\x80\xa8", 3, "\"\\u2028\"", "line separator");
    json_string("\xc3\xa9", 2, "\"\xc3\xa9\"", "UTF-8 stays");
    json_string("\xff\xc3", 2, "\"\xef\xbf\xbd\xef\xbf\xbd\"", "bad UTF-8 is replaced");
    json_string("\xed\xa0\x80", 3, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"", "surrogates too");
}

QB_TEST(a_text_stops_at_its_limit_and_says_so)
{
    struct qb_text text = {.bytes_max = 10};

    qb_text_string(&text, "12345");
    QB_EXPECT(!text.is_full, "fits");
    qb_text_string(&text, "678901");
    QB_EXPECT(text.is_full, "one too many");
    QB_EXPECT_TEXT(text.bytes, "12345", "what fitted stays");
    qb_text_string(&text, "6");
    QB_EXPECT_TEXT(text.bytes, "12345", "nothing after a hole");
    qb_text_fini(&text);
}

QB_TEST(members_get_their_commas)
{
    struct qb_text text = {0};

    qb_text_string(&text, "{");
    qb_text_json_int(&text, "a", INT64_MIN);
    qb_text_json_text(&text, "b", NULL);
    qb_text_json_bool(&text, "c", true);
    qb_text_json_id(&text, "d", 0);
    qb_text_string(&text, "}");
    QB_EXPECT_TEXT(text.bytes, "{\"a\":-9223372036854775808,\"b\":null,\"c\":true,\"d\":null}",
                   "all kinds");
    qb_text_fini(&text);
}

QB_TEST(an_id_has_one_text)
{
    char text[QB_ID_TEXT_BYTES];
    qb_id back = 0;

    for (int i = 0; i < 1000; i++) {
        qb_id id = qb_id_new();
        qb_id_text(id, text);
        QB_EXPECT(qb_id_parse(text, 13, &back), "its text is read");
        QB_EXPECT(back == id, "the same id");
        QB_EXPECT(id >> 63 == 0, "63 bits");
    }
    QB_EXPECT(!qb_id_parse("0000000000000", 13, &back), "0 is nobody");
    QB_EXPECT(!qb_id_parse("8000000000001", 13, &back), "64 bits");
    QB_EXPECT(!qb_id_parse("000000000000I", 13, &back), "no such digit");
    QB_EXPECT(!qb_id_parse("000000000000A", 13, &back), "capitals");
    QB_EXPECT(!qb_id_parse("00000000001", 11, &back), "short");
    QB_EXPECT(!qb_id_parse("000000000000\0", 13, &back), "a zero byte");
}

QB_TEST(base64url_is_strict)
{
    uint8_t bytes[8];
    char text[16];
    size_t length = 0;
    static const struct {
        const char *says;
        const char *text;
        bool is_good;
        size_t length;
    } rows[] = {
        {"empty", "", true, 0},
        {"one byte", "_w", true, 1},
        {"two bytes", "__8", true, 2},
        {"three bytes", "____", true, 3},
        {"padding", "_w==", false, 0},
        {"stray bits", "_x", false, 0},
        {"a lone digit", "_", false, 0},
        {"plain base64", "//8", false, 0},
        {"white space", "_w \n", false, 0},
    };

    for (size_t i = 0; i < QB_COUNT(rows); i++) {
        bool is_good =
            qb_base64url_parse(rows[i].text, strlen(rows[i].text), bytes, sizeof bytes, &length);
        QB_EXPECT_EQ(is_good, rows[i].is_good, rows[i].says);
        if (is_good) QB_EXPECT_EQ(length, rows[i].length, rows[i].says);
    }
    QB_EXPECT(!qb_base64url_parse("AAAAAAAAAAAAAAAA", 16, bytes, sizeof bytes, &length), "no room");
    QB_EXPECT_EQ(qb_base64url("\xff\xff", 2, text), 3, "written without padding");
    QB_EXPECT_TEXT(text, "__8", "written");
}

QB_TEST(hex_is_lower_case_and_even)
{
    uint8_t bytes[4];
    char text[9];

    QB_EXPECT(qb_hex_parse("00ffa5", 6, bytes), "read");
    QB_EXPECT_EQ(bytes[2], 0xa5, "value");
    QB_EXPECT(!qb_hex_parse("0", 1, bytes), "odd");
    QB_EXPECT(!qb_hex_parse("FF", 2, bytes), "capitals");
    qb_hex("\x01\xfe", 2, text);
    QB_EXPECT_TEXT(text, "01fe", "written");
}

QB_TEST(secrets_are_compared_whole)
{
    QB_EXPECT(qb_equal_secret("abc", "abc", 3), "equal");
    QB_EXPECT(!qb_equal_secret("abc", "abd", 3), "last differs");
    QB_EXPECT(!qb_equal_secret("xbc", "abc", 3), "first differs");
}
