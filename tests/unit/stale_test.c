/*
 * Who watches what may be behind is told, once, and told when it is over; who is sent away is told
 * when to come back.
 */
#include "base/shard.h"
#include "tests/unit/edge_world.h"

#define SHARDS 2
#define SINCE  INT64_C(5000)

/* The `nth` auction of a shard. */
static qb_id lot_of(unsigned shard, int nth)
{
    qb_id id = 1;

    for (;; id++) {
        if (qb_shard_of(id, SHARDS) == shard && nth-- == 0) return id;
    }
}

static struct qb_edge *make(uint32_t watches_max)
{
    struct qb_edge *edge = make_edge_of(SHARDS, watches_max);

    edge->options.sweep_slice = 1;
    return edge;
}

static void tell_all(struct qb_edge *edge)
{
    while (qb_edge_tell_stale(edge)) continue;
}

static void watch(struct qb_session *session, qb_id auction)
{
    QB_EXPECT(qb_session_watch(session, auction, 1), "watches");
}

/* All that the session was sent since the last look. */
static void expect_told(const struct qb_session *session, const char *expected, const char *says)
{
    struct qb_connection *connection = session->outbox.connection;
    char seen[2048] = "";
    size_t length = 0;

    for (size_t i = 0; i < connection->count; i++)
        length += (size_t)snprintf(&seen[length], sizeof seen - length, "%s", connection->sent[i]);
    QB_EXPECT_TEXT(seen, expected, says);
    fake_clear(connection);
}

/* Borrowed until four more have been made. */
static const char *push(const char *on, qb_id first, qb_id second)
{
    static struct qb_text texts[4];
    static unsigned at;
    const qb_id ids[2] = {first, second};
    struct qb_text *text = &texts[at++ % 4];
    char words[QB_ID_TEXT_BYTES];

    text->length = 0;
    qb_text_format(text, "{\"on\":\"%s\"", on);
    if (strcmp(on, "stale") == 0) qb_text_string(text, ",\"since_ms\":5");
    qb_text_string(text, ",\"auctions\":[");
    for (size_t i = 0; i < 2 && ids[i] != 0; i++) {
        qb_id_text(ids[i], words);
        qb_text_format(text, "%s\"%s\"", i > 0 ? "," : "", words);
    }
    qb_text_string(text, "]}");
    return text->bytes;
}

QB_TEST(who_watches_is_told_once_and_when_it_is_over)
{
    struct qb_edge *edge = make(4);
    struct qb_session *both = enter(edge, &ann);
    struct qb_session *one = enter(edge, &bob);
    struct qb_session *none = enter(edge, &visitor);
    qb_id a = lot_of(0, 0);
    qb_id b = lot_of(0, 1);
    qb_id c = lot_of(1, 0);

    watch(both, a);
    watch(both, c);
    watch(both, b);
    watch(one, c);
    qb_edge_set_stale(edge, 1U << 0, SINCE);
    QB_EXPECT_EQ(connections[0].count, 0, "not in the call, which may come for very many");
    tell_all(edge);
    expect_told(both, push("stale", a, b), "those of the shard");
    expect_told(one, "", "no word of another");
    expect_told(none, "", "nothing to say");
    qb_edge_set_stale(edge, 1U << 0, SINCE);
    tell_all(edge);
    expect_told(both, "", "once");
    qb_edge_set_stale(edge, 1U << 1, SINCE);
    tell_all(edge);
    const char *words = push("stale", c, 0);
    char expected[256];
    (void)snprintf(expected, sizeof expected, "%s%s", words, push("live", a, b));
    expect_told(both, expected, "each shard for itself");
    expect_told(one, words, "each session");
    qb_edge_set_stale(edge, 0, SINCE);
    qb_edge_set_stale(edge, 1U << 1, SINCE);
    tell_all(edge);
    expect_told(one, "", "what was over before it was told is no news");
    expect_told(both, "", "nor is what was told");
    qb_edge_set_stale(edge, 0, SINCE);
    tell_all(edge);
    expect_told(one, push("live", c, 0), "over");
    end(edge);
}

QB_TEST(who_begins_to_watch_later_is_told_then)
{
    struct qb_edge *edge = make(4);
    struct qb_session *session = enter(edge, &ann);
    qb_id a = lot_of(0, 0);
    qb_id c = lot_of(1, 0);

    qb_edge_set_stale(edge, 1U << 0, SINCE);
    tell_all(edge);
    expect_told(session, "", "it watches nothing");
    watch(session, c);
    tell_all(edge);
    expect_told(session, "", "of the shard that is heard");
    watch(session, a);
    expect_told(session, "", "not before the answer to its watch");
    tell_all(edge);
    expect_told(session, push("stale", a, 0), "of the other");
    end(edge);
}

QB_TEST(a_long_list_goes_out_in_parts)
{
    struct qb_edge *edge = make(1000);
    struct qb_session *session = enter(edge, &ann);
    static const char begin[] = "{\"on\":\"stale\",\"since_ms\":5,\"auctions\":[\"";
    size_t auctions = 0;

    edge->options.outbox_bytes_max = 65536;
    for (int i = 0; i < 300; i++) watch(session, lot_of(0, i));
    qb_edge_set_stale(edge, 1U << 0, SINCE);
    tell_all(edge);
    QB_EXPECT_EQ(connections[0].count, 2, "two pushes");
    for (size_t i = 0; i < connections[0].count; i++) {
        const char *text = connections[0].sent[i];
        QB_EXPECT(strncmp(text, begin, sizeof begin - 1) == 0, "each whole");
        QB_EXPECT(strcmp(&text[strlen(text) - 3], "\"]}") == 0, "each whole");
        for (auctions--; (text = strchr(text, ',')) != NULL; text++) auctions++;
    }
    QB_EXPECT_EQ(auctions, 300, "all of them");
    end(edge);
}

QB_TEST(a_few_at_a_time_are_sent_away)
{
    struct qb_edge *edge = make(4);
    struct qb_session *sessions[3] = {enter(edge, &ann), enter(edge, &bob), enter(edge, &visitor)};

    connections[0].takes = 0;
    connections[1].takes = 0;
    connections[2].takes = 0;
    QB_EXPECT_EQ(qb_edge_send_away(edge, 2, 1000), 2, "as many as may go");
    QB_EXPECT_EQ(qb_edge_send_away(edge, 2, 1000), 1, "the rest, nobody twice");
    QB_EXPECT_EQ(qb_edge_send_away(edge, 2, 1000), 0, "nobody is left");
    for (int i = 0; i < 3; i++) {
        expect_open(sessions[i], "its socket is blocked");
        connections[i].takes = -1;
        qb_session_handlers.writable(sessions[i]);
        expect_last(sessions[i], "{\"on\":\"reconnect\",\"after_ms\":", "told when to come back");
        expect_closed(sessions[i], QB_CLOSE_DEAF, "then closed");
    }
    end(edge);
}
