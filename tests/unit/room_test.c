/*
 * Fan-out: every watcher gets the newest, in order, however slow its socket is, and a slow one
 * costs the others nothing. At the end random comings and goings against a naive model.
 */
#include "base/random.h"
#include "tests/kit/test.h"
#include "tests/unit/fake_connection.h"
#include "ws/room.h"

enum { LOT = 7, OTHER = 9, SLICE = 3, BYTES_MAX = 4096 };

struct client {
    struct qb_connection connection;
    struct qb_outbox outbox;
    struct qb_watcher watcher;
};

static int opened;
static int sweeps_wanted;

static void note_room(void *context, qb_id auction, bool is_open)
{
    (void)context;
    (void)auction;
    opened += is_open ? 1 : -1;
}

static void note_sweep(void *context)
{
    (void)context;
    sweeps_wanted++;
}

static struct qb_rooms *make_rooms(void)
{
    const struct qb_rooms_options options = {
        .sweep_slice = SLICE,
        .watches_max = 4,
        .outbox_bytes_max = BYTES_MAX,
        .opened = note_room,
        .wants_sweep = note_sweep,
    };

    opened = 0;
    sweeps_wanted = 0;
    return qb_rooms_new(&options);
}

static struct client *make_clients(size_t count)
{
    struct client *clients = calloc(count, sizeof *clients);

    QB_ASSERT(clients != NULL);
    for (size_t i = 0; i < count; i++) {
        clients[i].connection.takes = -1;
        clients[i].outbox.connection = &clients[i].connection;
        clients[i].watcher.outbox = &clients[i].outbox;
    }
    return clients;
}

static void end(struct qb_rooms *rooms, struct client *clients, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        qb_rooms_leave_all(rooms, &clients[i].watcher);
        qb_outbox_fini(&clients[i].outbox);
        fake_clear(&clients[i].connection);
    }
    QB_EXPECT_EQ(opened, 0, "every room is closed again");
    free(clients);
    qb_rooms_free(&rooms);
}

static void join(struct qb_rooms *rooms, struct client *client, qb_id auction, uint64_t seq)
{
    QB_EXPECT(qb_rooms_join(rooms, &client->watcher, auction, seq), "joins");
}

static void publish(struct qb_rooms *rooms, qb_id auction, uint64_t seq, bool is_protected)
{
    char text[64];
    int length =
        snprintf(text, sizeof text, "%s%d:%d", is_protected ? "!" : "", (int)auction, (int)seq);
    struct qb_frame *frame = qb_frame_new(text, (size_t)length);

    qb_rooms_publish(rooms, auction, seq, frame, is_protected);
    qb_frame_free(&frame);
}

static void sweep_all(struct qb_rooms *rooms)
{
    while (qb_rooms_sweep(rooms)) continue;
}

/* What the session does when the socket takes `takes` frames. */
static void unblock(struct qb_rooms *rooms, struct client *client, int takes)
{
    client->connection.takes = takes;
    client->connection.wants = false;
    if (client->outbox.is_closing || !qb_outbox_flush(&client->outbox)) return;
    qb_watcher_writable(rooms, &client->watcher);
}

static void expect_sent(const struct client *client, const char *expected, const char *says)
{
    char seen[2048] = "";
    size_t length = 0;

    for (size_t i = 0; i < client->connection.count; i++) {
        length += (size_t)snprintf(&seen[length], sizeof seen - length, "%s ",
                                   client->connection.sent[i]);
    }
    QB_EXPECT_TEXT(seen, expected, says);
}

QB_TEST(a_slow_watcher_gets_the_newest_and_slows_nobody)
{
    struct qb_rooms *rooms = make_rooms();
    struct client *clients = make_clients(2);

    join(rooms, &clients[0], LOT, 1);
    join(rooms, &clients[1], LOT, 1);
    clients[0].connection.takes = 0;
    for (uint64_t seq = 2; seq < 6; seq++) {
        publish(rooms, LOT, seq, false);
        sweep_all(rooms);
    }
    expect_sent(&clients[0], "", "blocked");
    expect_sent(&clients[1], "7:2 7:3 7:4 7:5 ", "the other has all");
    QB_EXPECT_EQ(clients[0].outbox.count, 0, "updates never queue");
    unblock(rooms, &clients[0], -1);
    expect_sent(&clients[0], "7:5 ", "only the newest");
    unblock(rooms, &clients[0], -1);
    expect_sent(&clients[0], "7:5 ", "and once");
    end(rooms, clients, 2);
}

QB_TEST(an_update_goes_only_to_who_does_not_have_it)
{
    struct qb_rooms *rooms = make_rooms();
    struct client *clients = make_clients(2);

    join(rooms, &clients[0], LOT, 5);
    join(rooms, &clients[1], LOT, 9);
    publish(rooms, LOT, 7, false);
    sweep_all(rooms);
    publish(rooms, LOT, 6, false); /* late: an older one */
    publish(rooms, LOT, 7, false); /* again */
    sweep_all(rooms);
    expect_sent(&clients[0], "7:7 ", "newer than 5");
    expect_sent(&clients[1], "", "had it with its snapshot");
    publish(rooms, LOT, 10, false);
    sweep_all(rooms);
    expect_sent(&clients[1], "7:10 ", "newer than 9");
    end(rooms, clients, 2);
}

QB_TEST(who_joins_late_gets_the_newest_after_the_answer)
{
    struct qb_rooms *rooms = make_rooms();
    struct client *clients = make_clients(2);

    join(rooms, &clients[0], LOT, 1);
    publish(rooms, LOT, 8, false);
    sweep_all(rooms);
    join(rooms, &clients[1], LOT, 6); /* its snapshot was of 6 */
    expect_sent(&clients[1], "", "the answer comes first");
    QB_EXPECT(clients[1].connection.wants, "soon");
    unblock(rooms, &clients[1], -1);
    expect_sent(&clients[1], "7:8 ", "then the newest");
    end(rooms, clients, 2);
}

QB_TEST(protected_frames_reach_a_blocked_watcher_in_order)
{
    struct qb_rooms *rooms = make_rooms();
    struct client *clients = make_clients(1);

    join(rooms, &clients[0], LOT, 1);
    clients[0].connection.takes = 0;
    publish(rooms, LOT, 2, false);
    sweep_all(rooms);
    publish(rooms, LOT, 3, true);
    sweep_all(rooms);
    publish(rooms, LOT, 4, false);
    publish(rooms, LOT, 5, true);
    publish(rooms, LOT, 6, false);
    sweep_all(rooms);
    unblock(rooms, &clients[0], 1);
    expect_sent(&clients[0], "!7:3 ", "as many as the socket takes");
    publish(rooms, LOT, 7, false);
    sweep_all(rooms);
    unblock(rooms, &clients[0], -1);
    expect_sent(&clients[0], "!7:3 !7:5 7:7 ", "protected ones and the newest, never backwards");
    end(rooms, clients, 1);
}

QB_TEST(an_update_does_not_overtake_what_waits_in_the_outbox)
{
    struct qb_rooms *rooms = make_rooms();
    struct client *clients = make_clients(1);

    join(rooms, &clients[0], LOT, 1);
    clients[0].connection.takes = 0;
    publish(rooms, LOT, 2, true);
    sweep_all(rooms);
    clients[0].connection.takes = -1; /* it takes bytes again, but nobody was told yet */
    publish(rooms, LOT, 3, false);
    sweep_all(rooms);
    expect_sent(&clients[0], "", "behind the protected one");
    unblock(rooms, &clients[0], -1);
    expect_sent(&clients[0], "!7:2 7:3 ", "in order");
    end(rooms, clients, 1);
}

QB_TEST(a_protected_frame_is_not_folded_into_a_newer_one_during_a_sweep)
{
    struct qb_rooms *rooms = make_rooms();
    struct client *clients = make_clients(10);

    for (int i = 0; i < 10; i++) join(rooms, &clients[i], LOT, 1);
    publish(rooms, LOT, 2, true);
    QB_EXPECT(qb_rooms_sweep(rooms), "a slice is not all");
    publish(rooms, LOT, 3, false);
    sweep_all(rooms);
    for (int i = 0; i < 10; i++) expect_sent(&clients[i], "!7:2 7:3 ", "both");
    end(rooms, clients, 10);
}

QB_TEST(endless_extensions_do_not_close_a_slow_reader)
{
    struct qb_rooms *rooms = make_rooms();
    struct client *clients = make_clients(1);

    join(rooms, &clients[0], LOT, 1);
    clients[0].connection.takes = 0;
    for (uint64_t seq = 2; seq < 1000; seq++) {
        publish(rooms, LOT, seq, true);
        sweep_all(rooms);
    }
    QB_EXPECT_EQ(clients[0].connection.closes, 0, "still here");
    QB_EXPECT(clients[0].outbox.bytes <= BYTES_MAX, "bounded");
    QB_EXPECT(clients[0].outbox.bytes > BYTES_MAX / 4, "some wait");
    unblock(rooms, &clients[0], -1);
    size_t count = clients[0].connection.count;
    QB_EXPECT_TEXT(clients[0].connection.sent[count - 1], "!7:999", "and ends with the newest");
    end(rooms, clients, 1);
}

QB_TEST(a_sweep_is_done_in_slices_and_newer_states_fold_into_it)
{
    struct qb_rooms *rooms = make_rooms();
    struct client *clients = make_clients(8);

    for (int i = 0; i < 8; i++) join(rooms, &clients[i], LOT, 1);
    publish(rooms, LOT, 2, false);
    QB_EXPECT_EQ(sweeps_wanted, 1, "asks for a turn");
    size_t sent = 0;
    QB_EXPECT(qb_rooms_sweep(rooms), "more to do");
    for (int i = 0; i < 8; i++) sent += clients[i].connection.count;
    QB_EXPECT_EQ(sent, SLICE, "one slice");
    publish(rooms, LOT, 3, false);
    QB_EXPECT_EQ(sweeps_wanted, 1, "one is under way");
    sweep_all(rooms);
    int folded = 0;
    for (int i = 0; i < 8; i++) {
        size_t count = clients[i].connection.count;
        folded += count == 1;
        QB_EXPECT_TEXT(clients[i].connection.sent[count - 1], "7:3", "everybody has the newest");
    }
    QB_EXPECT_EQ(folded, 8 - SLICE, "who had not been served got only the newest");
    end(rooms, clients, 8);
}

QB_TEST(a_busy_auction_does_not_hold_up_another)
{
    struct qb_rooms *rooms = make_rooms();
    struct client *clients = make_clients(21);

    for (int i = 0; i < 20; i++) join(rooms, &clients[i], LOT, 1);
    join(rooms, &clients[20], OTHER, 1);
    publish(rooms, LOT, 2, false);
    publish(rooms, OTHER, 2, false);
    (void)qb_rooms_sweep(rooms);
    (void)qb_rooms_sweep(rooms);
    expect_sent(&clients[20], "9:2 ", "served in the second slice");
    sweep_all(rooms);
    end(rooms, clients, 21);
}

QB_TEST(watches_are_limited_and_rooms_told)
{
    struct qb_rooms *rooms = make_rooms();
    struct client *clients = make_clients(1);

    for (qb_id lot = 1; lot <= 4; lot++) join(rooms, &clients[0], lot, 1);
    QB_EXPECT(!qb_rooms_join(rooms, &clients[0].watcher, 5, 1), "the fifth is one too many");
    join(rooms, &clients[0], 4, 3);
    QB_EXPECT_EQ(qb_rooms_watchers(rooms, 4), 1, "twice is once");
    QB_EXPECT_EQ(opened, 4, "four rooms");
    qb_rooms_leave(rooms, &clients[0].watcher, 2);
    qb_rooms_leave(rooms, &clients[0].watcher, 2);
    QB_EXPECT_EQ(opened, 3, "one closed");
    QB_EXPECT(!qb_rooms_is_watching(&clients[0].watcher, 2), "left");
    QB_EXPECT(qb_rooms_is_watching(&clients[0].watcher, 4), "the others stay");
    end(rooms, clients, 1);
}

/* --- random runs against a naive model --- */

enum { CLIENTS = 12, LOTS = 5 };

struct model {
    bool is_watching[CLIENTS][LOTS + 1];
    uint64_t has[CLIENTS][LOTS + 1]; /* highest seq sent, or known at the join */
    uint64_t newest[LOTS + 1];
    uint64_t kept[LOTS + 1]; /* what the room has; 0 once it was closed */
    size_t seen[CLIENTS];    /* frames of the client looked at so far */
};

/* Looks at what was sent since the last time: to watchers only, and always newer. */
static void check_sent(struct model *model, struct client *clients)
{
    for (int c = 0; c < CLIENTS; c++) {
        for (; model->seen[c] < clients[c].connection.count; model->seen[c]++) {
            const char *text = clients[c].connection.sent[model->seen[c]];
            char *after = NULL;
            unsigned long lot = strtoul(text + (text[0] == '!'), &after, 10);
            unsigned long seq = strtoul(after + 1, NULL, 10);
            QB_EXPECT(seq > model->has[c][lot], "never older after newer, never twice");
            model->has[c][lot] = seq;
        }
    }
}

static void one_step(struct model *model, struct qb_rooms *rooms, struct client *clients,
                     struct qb_random *random)
{
    int c = (int)qb_random_below(random, CLIENTS);
    qb_id lot = 1 + qb_random_below(random, LOTS);

    switch (qb_random_below(random, 8)) {
    case 0:
        if (model->is_watching[c][lot] || clients[c].watcher.count == 4) break;
        if (clients[c].outbox.count > 0) break; /* its answer would wait behind older frames */
        model->is_watching[c][lot] = true;
        uint64_t known = qb_random_below(random, model->newest[lot] + 1);
        if (known > model->has[c][lot]) model->has[c][lot] = known;
        join(rooms, &clients[c], lot, model->has[c][lot]);
        break;
    case 1:
        model->is_watching[c][lot] = false;
        qb_rooms_leave(rooms, &clients[c].watcher, lot);
        if (qb_rooms_watchers(rooms, lot) == 0) model->kept[lot] = 0;
        break;
    case 2:
        (void)qb_rooms_sweep(rooms);
        break;
    case 3:
        unblock(rooms, &clients[c], (int)qb_random_below(random, 3));
        break;
    case 4: /* it takes bytes again, but nobody was told yet */
        clients[c].connection.takes = (int)qb_random_below(random, 3);
        break;
    default:
        if (qb_rooms_watchers(rooms, lot) == 0) break;
        model->kept[lot] = ++model->newest[lot];
        publish(rooms, lot, model->newest[lot], qb_random_below(random, 4) == 0);
    }
    check_sent(model, clients);
}

static void expect_all_served(struct model *model, struct qb_rooms *rooms, struct client *clients)
{
    sweep_all(rooms);
    for (int c = 0; c < CLIENTS; c++) unblock(rooms, &clients[c], -1);
    check_sent(model, clients);
    for (int c = 0; c < CLIENTS; c++) {
        QB_EXPECT_EQ(clients[c].watcher.dirty_count, 0, "nothing waits");
        for (qb_id lot = 1; lot <= LOTS; lot++) {
            QB_EXPECT_EQ(qb_rooms_is_watching(&clients[c].watcher, lot), model->is_watching[c][lot],
                         "who watches");
            if (!model->is_watching[c][lot]) continue;
            QB_EXPECT(model->has[c][lot] >= model->kept[lot], "everybody ends with the newest");
        }
        fake_clear(&clients[c].connection);
        model->seen[c] = 0;
    }
}

QB_TEST(random_comings_and_goings_agree_with_a_naive_model)
{
    for (uint64_t seed = 1; seed <= 200; seed++) {
        struct model model = {0};
        struct qb_rooms *rooms = make_rooms();
        struct client *clients = make_clients(CLIENTS);
        struct qb_random random;
        int before = qb_test_failures;

        qb_random_seed(&random, seed);
        for (int step = 0; step < 600; step++) {
            one_step(&model, rooms, clients, &random);
            if (step % 100 == 99) expect_all_served(&model, rooms, clients);
        }
        end(rooms, clients, CLIENTS);
        if (qb_test_failures == before) continue;
        (void)printf("seed %d failed\n", (int)seed);
        return;
    }
}

static void publish_crowd(struct qb_rooms *rooms, qb_id auction, int count)
{
    char text[32];
    int length = snprintf(text, sizeof text, "#%d", count);
    struct qb_frame *frame = qb_frame_new(text, (size_t)length);

    qb_rooms_publish_crowd(rooms, auction, frame);
    qb_frame_free(&frame);
}

QB_TEST(how_many_watch_is_conflated_too)
{
    struct qb_rooms *rooms = make_rooms();
    struct client *clients = make_clients(5);

    for (size_t i = 0; i < 5; i++) join(rooms, &clients[i], LOT, 1);
    clients[0].connection.takes = 0;
    publish_crowd(rooms, LOT, 4);
    (void)qb_rooms_sweep(rooms);
    publish_crowd(rooms, LOT, 5);
    publish_crowd(rooms, OTHER, 9); /* nobody is there */
    sweep_all(rooms);
    for (size_t i = 2; i < 5; i++) expect_sent(&clients[i], "#4 #5 ", "the first slice has both");
    expect_sent(&clients[1], "#5 ", "who comes after it the newer one, and once");
    expect_sent(&clients[0], "", "blocked");
    QB_EXPECT_EQ(clients[0].outbox.count, 0, "never queued");
    for (size_t i = 0; i < 2; i++) unblock(rooms, &clients[0], -1);
    expect_sent(&clients[0], "#5 ", "only the newest, and once");
    end(rooms, clients, 5);
}

QB_TEST(a_newer_state_says_how_many_watch)
{
    struct qb_rooms *rooms = make_rooms();
    struct client *clients = make_clients(2);

    join(rooms, &clients[0], LOT, 1);
    clients[0].connection.takes = 0;
    publish_crowd(rooms, LOT, 4);
    publish(rooms, LOT, 2, false);
    sweep_all(rooms);
    unblock(rooms, &clients[0], -1);
    expect_sent(&clients[0], "7:2 ", "what was said before it is no news");
    clients[0].connection.takes = 0;
    publish(rooms, LOT, 3, false);
    publish_crowd(rooms, LOT, 5);
    sweep_all(rooms);
    unblock(rooms, &clients[0], 1);
    expect_sent(&clients[0], "7:2 7:3 ", "the state first, which filled the socket");
    unblock(rooms, &clients[0], -1);
    expect_sent(&clients[0], "7:2 7:3 #5 ", "what came after it, after it");
    join(rooms, &clients[1], LOT, 3);
    expect_sent(&clients[1], "", "who comes later knows it from its snapshot");
    end(rooms, clients, 2);
}

struct recount {
    int calls;
    uint32_t counts[16];
};

static void note_count(void *context, qb_id auction, uint32_t count)
{
    struct recount *recount = context;

    recount->calls++;
    recount->counts[auction] = count;
}

QB_TEST(only_what_changed_is_counted_again)
{
    struct qb_rooms *rooms = make_rooms();
    struct client *clients = make_clients(3);
    struct recount recount = {0};

    for (size_t i = 0; i < 3; i++) join(rooms, &clients[i], LOT, 1);
    join(rooms, &clients[0], OTHER, 1);
    qb_rooms_recount(rooms, note_count, &recount);
    QB_EXPECT_EQ(recount.counts[LOT], 3, "all of them");
    QB_EXPECT_EQ(recount.counts[OTHER], 1, "of each auction");
    qb_rooms_recount(rooms, note_count, &recount);
    QB_EXPECT_EQ(recount.calls, 2, "nothing has changed");
    join(rooms, &clients[0], LOT, 5); /* is there already */
    qb_rooms_leave(rooms, &clients[0].watcher, OTHER);
    qb_rooms_recount(rooms, note_count, &recount);
    QB_EXPECT_EQ(recount.calls, 3, "only the one that was left");
    QB_EXPECT_EQ(recount.counts[OTHER], 0, "by its last");
    end(rooms, clients, 3);
}
