/*
 * The table of close reasons keeps the promises that clients rely on.
 */
#include "base/attributes.h"
#include "tests/kit/test.h"
#include "ws/close.h"

QB_TEST(every_reason_can_be_sent)
{
    for (int i = 0; i < QB_CLOSE_COUNT; i++) {
        enum qb_close reason = (enum qb_close)i;
        uint16_t code = qb_close_code(reason);
        const char *metric = qb_close_metric(reason);
        bool is_standard =
            code >= 1000 && code <= 1014 && code != 1004 && code != 1005 && code != 1006;
        bool is_own = code >= 4000 && code <= 4299;

        QB_EXPECT(code == 0 || is_standard || is_own, metric);
        QB_EXPECT(strlen(qb_close_text(reason)) <= 123, "fits into a control frame");
        for (int other = 0; other < i; other++) {
            QB_EXPECT(strcmp(metric, qb_close_metric((enum qb_close)other)) != 0, metric);
        }
    }
}

QB_TEST(codes_say_what_to_do)
{
    static const struct {
        const char *says;
        enum qb_close reason;
        uint16_t code;
    } rows[] = {
        {"do not retry", QB_CLOSE_TOKEN_EXPIRED, 4001},
        {"do not retry", QB_CLOSE_LOGGED_OUT, 4002},
        {"reconnect", QB_CLOSE_SLOW_READER, 4201},
        {"reconnect", QB_CLOSE_NO_PONG, 4202},
        {"reconnect", QB_CLOSE_ROLES_CHANGED, 4203},
        {"restart", QB_CLOSE_RESTART, 1012},
        {"abuse", QB_CLOSE_POLICY, 1008},
        {"no frame", QB_CLOSE_GONE, 0},
    };

    for (size_t i = 0; i < QB_COUNT(rows); i++) {
        QB_EXPECT_EQ(qb_close_code(rows[i].reason), rows[i].code, rows[i].says);
    }
}

QB_TEST(docs_have_a_row_for_each_sent_code)
{
    struct qb_text text = {0};

    qb_close_docs(&text);
    QB_EXPECT(strstr(text.bytes, "| 4201 | `slow_reader` |") != NULL, "slow reader");
    QB_EXPECT(strstr(text.bytes, "`gone`") == NULL, "what is not sent is not told");
    qb_text_fini(&text);
}
