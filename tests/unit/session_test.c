/*
 * One connection's limits and deadlines, and the edge's tables, against a connection and a server
 * made of memory. Time is what the fake connection says.
 */
#include "tests/unit/edge_world.h"

#define LOT     "0000000000007"
#define PING    "{\"id\":1,\"do\":\"ping\"}"
#define UNWATCH "{\"id\":2,\"do\":\"unwatch\",\"auction\":\"" LOT "\"}"
#define RESUME  "{\"id\":3,\"do\":\"watch\",\"auction\":\"" LOT "\",\"epoch\":1,\"seq\":1}"
#define BID                                                                                        \
    "{\"id\":4,\"do\":\"bid\",\"auction\":\"" LOT "\",\"max\":5,\"currency\":\"USD\",\"key\":"     \
    "\"k\"}"

QB_TEST(a_visitor_may_look_but_not_bid)
{
    struct qb_edge *edge = make_edge();
    struct qb_session *session = enter(edge, &visitor);

    say(session, BID, S);
    QB_EXPECT_EQ(commands, 0, "refused");
    expect_last(session, "{\"id\":4,\"ok\":false,\"error\":{\"code\":\"login_required\"", "why");
    say(session, UNWATCH, S);
    QB_EXPECT_EQ(commands, 1, "allowed");
    QB_EXPECT(qb_session_identify(session, &ann), "says who");
    say(session, BID, S);
    QB_EXPECT_EQ(commands, 2, "may bid now");
    end(edge);
}

QB_TEST(a_silent_or_chattering_visitor_is_closed)
{
    struct qb_edge *edge = make_edge();
    struct qb_session *quiet = enter(edge, &visitor);
    struct qb_session *known = enter(edge, &ann);
    struct qb_session *chatty = enter(edge, &visitor);
    char filler[3100];

    connections[0].heard_us = connections[1].heard_us = 5 * S;
    say(quiet, BID, S); /* parses, but is not allowed: no valid command */
    qb_session_handlers.tick(quiet, 5 * S - 1);
    expect_open(quiet, "not yet");
    qb_session_handlers.tick(quiet, 5 * S);
    expect_closed(quiet, QB_CLOSE_SILENT, "five seconds");
    qb_session_handlers.tick(known, 6 * S);
    expect_open(known, "known by cookie");
    (void)snprintf(filler, sizeof filler, "{\"id\":1,\"do\":\"%03000d\"}", 0);
    say(chatty, filler, S);
    say(chatty, filler, S);
    expect_open(chatty, "6 KiB");
    say(chatty, filler, S);
    expect_closed(chatty, QB_CLOSE_SILENT, "and one more");
    end(edge);
}

QB_TEST(the_third_message_too_fast_in_a_row_closes)
{
    struct qb_edge *edge = make_edge();
    struct qb_session *session = enter(edge, &ann);

    for (int i = 0; i < 40; i++) say(session, PING, S);
    QB_EXPECT_EQ(commands, 40, "the burst");
    say(session, PING, S);
    expect_last(session, "\"code\":\"rate_limited\"", "refused");
    expect_last(session, "\"temporary\":true,\"retry_after_ms\":50}", "and when to go on");
    say(session, PING, S);
    say(session, PING, S + S / 20);
    QB_EXPECT_EQ(commands, 41, "waited as told: the row is broken");
    say(session, PING, S + S / 20);
    say(session, PING, S + S / 20);
    expect_open(session, "two");
    say(session, PING, S + S / 20);
    expect_closed(session, QB_CLOSE_POLICY, "three");
    say(session, PING, 60 * S);
    QB_EXPECT_EQ(commands, 41, "nothing is heard any more");
    end(edge);
}

QB_TEST(three_messages_that_are_no_json_close_but_wrong_fields_do_not)
{
    struct qb_edge *edge = make_edge();
    struct qb_session *session = enter(edge, &ann);

    for (int i = 0; i < 30; i++) say(session, "{\"id\":1,\"do\":\"bid\"}", S);
    expect_open(session, "fields");
    say(session, "x", S);
    say(session, "[]", S);
    expect_open(session, "two");
    say(session, "{", S);
    expect_closed(session, QB_CLOSE_POLICY, "three");
    end(edge);
}

QB_TEST(resumes_of_one_auction_are_limited)
{
    struct qb_edge *edge = make_edge();
    struct qb_session *session = enter(edge, &ann);

    for (int i = 0; i < 3; i++) say(session, RESUME, S);
    QB_EXPECT_EQ(commands, 3, "a burst of three");
    say(session, RESUME, S);
    expect_last(session, "\"code\":\"rate_limited\"", "the fourth");
    expect_last(session, "\"retry_after_ms\":1000", "one a second");
    say(session, RESUME, 2 * S);
    QB_EXPECT_EQ(commands, 4, "a second later");
    qb_session_handlers.tick(session, 5 * S);
    QB_EXPECT(session->resumes == NULL, "forgotten when idle");
    end(edge);
}

QB_TEST(an_identity_that_ends_closes)
{
    struct qb_edge *edge = make_edge();
    const struct qb_identity old = {.user = 2, .expires_us = qb_clock_wall_us() - 1};
    const struct qb_identity young = {.user = 2, .expires_us = qb_clock_wall_us() + 3600 * S};
    struct qb_session *idle = enter(edge, &old);
    struct qb_session *busy = enter(edge, &old);

    qb_session_handlers.tick(idle, S);
    expect_closed(idle, QB_CLOSE_TOKEN_EXPIRED, "at the next tick");
    QB_EXPECT(qb_session_identify(busy, &young), "a newer token");
    say(busy, BID, S);
    QB_EXPECT_EQ(commands, 1, "goes on");
    QB_EXPECT(qb_session_identify(busy, &old), "ended again");
    say(busy, BID, S);
    QB_EXPECT_EQ(commands, 1, "no command after the end");
    expect_closed(busy, QB_CLOSE_TOKEN_EXPIRED, "at once");
    end(edge);
}

QB_TEST(who_does_not_answer_a_ping_or_takes_nothing_is_closed)
{
    struct qb_edge *edge = make_edge();
    struct qb_session *alive = enter(edge, &ann);
    struct qb_session *dead = enter(edge, &bob);
    struct qb_session *stuck = enter(edge, &visitor);

    stuck->has_spoken = true;
    connections[2].takes = 0;
    for (int64_t now_us = S; now_us < 60 * S; now_us += S / 4) {
        if (connections[0].pings > 0 && connections[0].heard_us == 0) {
            connections[0].heard_us = now_us; /* its pong */
        }
        qb_session_handlers.tick(alive, now_us);
        qb_session_handlers.tick(dead, now_us);
        qb_session_handlers.tick(stuck, now_us);
        if (now_us < 35 * S) expect_open(dead, "until the pong is late");
        if (now_us < 11 * S) expect_open(stuck, "until it has taken nothing for ten seconds");
    }
    expect_open(alive, "answered");
    QB_EXPECT_EQ(connections[0].pings, 2, "one each 25 s of silence");
    expect_closed(dead, QB_CLOSE_NO_PONG, "silent");
    expect_closed(stuck, QB_CLOSE_SLOW_READER, "blocked");
    end(edge);
}

QB_TEST(a_stream_gets_its_state_then_what_is_newer_and_comments)
{
    struct qb_edge *edge = make_edge();
    struct qb_frame *first = qb_edge_seal("{\"on\":\"snapshot\"}", 17);
    struct qb_frame *old = qb_edge_seal("{\"on\":\"update\",\"seq\":5}", 24);
    struct qb_frame *new = qb_edge_seal("{\"on\":\"update\",\"seq\":6}", 24);

    first->position = 5;
    qb_edge_accept_events(edge, NULL, &visitor, NULL, 7, first, true);
    struct qb_session *stream = edge->slots[0].session;
    QB_EXPECT(retry >= 1000 && retry < 3000, "comes back at a time of its own");
    expect_last(stream, "snapshot", "first");
    qb_edge_publish(edge, 7, 5, old, true);
    (void)qb_rooms_sweep(edge->rooms);
    QB_EXPECT_EQ(connections[0].count, 1, "it has that");
    qb_edge_publish(edge, 7, 6, new, false);
    (void)qb_rooms_sweep(edge->rooms);
    expect_last(stream, "\"seq\":6", "that is new");
    stream->begun_us = 0;
    for (int64_t now_us = S; now_us < 60 * S; now_us += S / 4) {
        qb_session_handlers.tick(stream, now_us);
    }
    QB_EXPECT_EQ(connections[0].pings, 2, "one each 25 s");
    expect_open(stream, "no command and no pong is waited for");
    qb_edge_accept_events(edge, NULL, &ann, NULL, 7, first, false);
    QB_EXPECT_EQ(qb_edge_watchers(edge, 7), 1, "nothing more comes of what is over");
    qb_edge_accept_events(edge, NULL, &ann, NULL, 7, first, true);
    qb_edge_accept_events(edge, NULL, &ann, NULL, 7, first, true);
    QB_EXPECT_EQ(problem_status, 429, "a user's streams are counted");
    qb_edge_drain(edge, 500);
    expect_last(stream, "{\"on\":\"reconnect\",\"after_ms\":", "told to come back");
    expect_closed(stream, QB_CLOSE_RESTART, "and let go");
    qb_frame_free(&first);
    qb_frame_free(&old);
    qb_frame_free(&new);
    end(edge);
}

QB_TEST(a_user_has_a_few_connections_and_notices_reach_all)
{
    struct qb_edge *edge = make_edge();
    struct qb_session *first = enter(edge, &ann);
    struct qb_session *second = enter(edge, &ann);
    struct qb_session *third = enter(edge, &visitor);

    QB_EXPECT_EQ(presence, 1, "one user");
    QB_EXPECT(enter(edge, &ann) == NULL, "the third is refused");
    QB_EXPECT_EQ(problem_status, 429, "with");
    QB_EXPECT(!qb_session_identify(third, &ann), "also by auth");
    QB_EXPECT(qb_session_identify(third, &bob), "somebody else may");
    QB_EXPECT_EQ(presence, 2, "two users");
    struct qb_frame *frame = qb_edge_seal("{\"on\":\"won\"}", 12);
    qb_edge_notify(edge, ann.user, frame);
    qb_frame_free(&frame);
    expect_last(first, "won", "first");
    expect_last(second, "won", "second");
    QB_EXPECT_EQ(connections[2].count, 0, "nobody else");
    qb_edge_log_out(edge, bob.login, QB_CLOSE_LOGGED_OUT);
    expect_closed(third, QB_CLOSE_LOGGED_OUT, "this login");
    expect_open(first, "not that one");
    qb_session_handlers.closed(first, QB_CLOSE_GONE);
    QB_EXPECT(enter(edge, &ann) != NULL, "room again");
    qb_session_handlers.closed(second, QB_CLOSE_GONE);
    QB_EXPECT_EQ(presence, 2, "one of hers is left");
    end(edge);
}

QB_TEST(a_stale_id_never_names_a_newer_session)
{
    struct qb_edge *edge = make_edge();
    struct qb_session *old = enter(edge, &ann);
    qb_session_id id = qb_session_id_of(old);

    QB_EXPECT(id != 0, "an id");
    QB_EXPECT(qb_edge_session(edge, id) == old, "names it");
    qb_session_close(old, QB_CLOSE_NORMAL, NULL);
    QB_EXPECT(qb_edge_session(edge, id) == NULL, "not while it closes");
    qb_session_handlers.closed(old, QB_CLOSE_NORMAL);
    struct qb_session *next = enter(edge, &ann);
    QB_EXPECT_EQ(next->slot, (uint32_t)id, "takes the same slot");
    QB_EXPECT(qb_edge_session(edge, id) == NULL, "the old id names nothing");
    QB_EXPECT(qb_edge_session(edge, qb_session_id_of(next)) == next, "the new one does");
    QB_EXPECT(qb_edge_session(edge, 0) == NULL, "0 is none");
    QB_EXPECT(qb_edge_session(edge, UINT64_MAX) == NULL, "nor what never was");
    end(edge);
}

QB_TEST(a_drain_tells_when_to_come_back_before_it_closes)
{
    struct qb_edge *edge = make_edge();
    struct qb_session *quick = enter(edge, &ann);
    struct qb_session *slow = enter(edge, &bob);

    connections[1].takes = 0;
    qb_edge_drain(edge, 1000);
    expect_last(quick, "{\"on\":\"reconnect\",\"after_ms\":", "told");
    expect_closed(quick, QB_CLOSE_RESTART, "then closed");
    expect_open(slow, "its socket is blocked");
    connections[1].takes = -1;
    qb_session_handlers.writable(slow);
    expect_last(slow, "{\"on\":\"reconnect\",\"after_ms\":", "told later");
    expect_closed(slow, QB_CLOSE_RESTART, "then closed");
    end(edge);
}

QB_TEST(an_idle_session_is_small)
{
    QB_EXPECT(sizeof(struct qb_session) <= 320, "with one watch below 400 bytes");
}
