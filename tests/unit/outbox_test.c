/*
 * What waits for one connection: nothing lost, nothing overtaken, nothing beyond the limit.
 */
#include "tests/kit/test.h"
#include "tests/unit/fake_connection.h"
#include "ws/outbox.h"

#define BYTES_MAX 4096

static void put(struct qb_outbox *outbox, const char *text)
{
    struct qb_frame *frame = qb_frame_new(text, strlen(text));

    qb_outbox_send(outbox, frame, BYTES_MAX);
    qb_frame_free(&frame);
}

static void expect_sent(struct qb_connection *connection, const char *expected, const char *says)
{
    char seen[1024] = "";
    size_t length = 0;

    for (size_t i = 0; i < connection->count; i++) {
        length += (size_t)snprintf(&seen[length], sizeof seen - length, "%s ", connection->sent[i]);
    }
    QB_EXPECT_TEXT(seen, expected, says);
}

QB_TEST(a_frame_goes_straight_out_while_nothing_waits)
{
    struct qb_connection connection = {.takes = -1};
    struct qb_outbox outbox = {.connection = &connection};

    put(&outbox, "a");
    put(&outbox, "b");
    expect_sent(&connection, "a b ", "both at once");
    QB_EXPECT(outbox.frames == NULL, "no memory for who reads");
    qb_outbox_fini(&outbox);
    fake_clear(&connection);
}

QB_TEST(what_was_queued_first_leaves_first)
{
    struct qb_connection connection = {.takes = 1};
    struct qb_outbox outbox = {.connection = &connection};
    char expected[1024] = "";
    size_t length = 0;

    for (int i = 0; i < 20; i++) {
        char text[12];
        (void)snprintf(text, sizeof text, "%d", i);
        put(&outbox, text);
        length += (size_t)snprintf(&expected[length], sizeof expected - length, "%d ", i);
    }
    expect_sent(&connection, "0 ", "one before it blocks");
    connection.takes = 2;
    QB_EXPECT(!qb_outbox_flush(&outbox), "more waits");
    expect_sent(&connection, "0 1 2 ", "as many as it takes");
    connection.takes = 17;
    put(&outbox, "20"); /* the socket takes bytes, but others wait before this one */
    expect_sent(&connection, "0 1 2 ", "none overtakes");
    connection.takes = -1;
    QB_EXPECT(qb_outbox_flush(&outbox), "clear");
    (void)snprintf(&expected[length], sizeof expected - length, "20 ");
    expect_sent(&connection, expected, "all, in order");
    QB_EXPECT_EQ(outbox.bytes, 0, "nothing waits");
    QB_EXPECT(outbox.frames == NULL, "its memory is given back");
    qb_outbox_fini(&outbox);
    fake_clear(&connection);
}

QB_TEST(a_full_outbox_closes_the_connection)
{
    struct qb_connection connection = {.takes = 0};
    struct qb_outbox outbox = {.connection = &connection};
    char text[1001];
    int fit = 0;

    (void)memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    for (; fit < 10 && connection.closes == 0; fit++) put(&outbox, text);
    QB_EXPECT_EQ(fit, 4, "three of a thousand bytes fit, the fourth does not");
    QB_EXPECT_EQ(connection.reason, QB_CLOSE_SLOW_READER, "why");
    QB_EXPECT_EQ(outbox.count, 0, "what waited is dropped");
    put(&outbox, "late");
    qb_outbox_close(&outbox, QB_CLOSE_POLICY, NULL);
    QB_EXPECT_EQ(connection.closes, 1, "only once");
    QB_EXPECT_EQ(outbox.count, 0, "nothing is queued any more");
    qb_outbox_fini(&outbox);
}

QB_TEST(one_large_answer_passes_if_nothing_waits_before_it)
{
    struct qb_connection connection = {.takes = 0};
    struct qb_outbox outbox = {.connection = &connection};
    char text[BYTES_MAX * 2];

    (void)memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    put(&outbox, text);
    QB_EXPECT_EQ(connection.closes, 0, "it waits");
    put(&outbox, "a");
    QB_EXPECT_EQ(connection.closes, 1, "one more is too much");
    qb_outbox_fini(&outbox);
}
