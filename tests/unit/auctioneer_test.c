/*
 * The path of a bid as stories: no answer before its entry is durable, each key counts once, the
 * end is decided by the log.
 */
#include "tests/unit/auctioneer_world.h"

/* A ledger that is always there. */
static void begin(uint32_t tickets_max, uint32_t held_max)
{
    begin_with(tickets_max, held_max, (struct qb_auctioneer_outages){0});
}

QB_TEST(an_answer_waits_until_its_entry_is_durable)
{
    begin(64, 8);
    size_t ann = bid(ANN, 1000, "a");
    QB_EXPECT(!world.askers[ann].is_answered, "asked only");
    answer_call(QB_APPEND_DONE);
    QB_EXPECT(!world.askers[ann].is_answered, "in the log, not durable");
    make_durable(2);
    QB_EXPECT(world.askers[ann].is_answered, "durable");
    QB_EXPECT_EQ(world.askers[ann].verdict.code, QB_VERDICT_LEADING, "leads");
    size_t bob = bid(BOB, 2000, "b");
    settle();
    QB_EXPECT_EQ(world.askers[bob].verdict.price, 1100, "second price");
    QB_EXPECT_EQ(world.outbid_ann, 1, "Ann is told once");
    end("two bids");
}

QB_TEST(what_a_leader_stands_for_is_held_until_the_lead_is_lost)
{
    begin(64, 8);
    (void)bid(ANN, 3000, "a");
    answer_call(QB_APPEND_DONE);
    QB_EXPECT_EQ(world.held[ANN], 0, "nothing is held that is not durable");
    make_durable(2);
    QB_EXPECT_EQ(world.held[ANN], 3000, "the whole maximum");
    (void)bid(ANN, 4000, "b");
    (void)bid(BOB, 3500, "c");
    settle();
    QB_EXPECT_EQ(world.held[ANN], 4000, "a raise");
    QB_EXPECT_EQ(world.held[BOB], 0, "outbid at once");
    (void)bid(BOB, 9000, "d");
    settle();
    QB_EXPECT_EQ(world.held[ANN], 0, "outbid");
    QB_EXPECT_EQ(world.held[BOB], 9000, "leads");
    world.now_us = 300 * S;
    tick();
    settle();
    QB_EXPECT_EQ(world.held[BOB], 0, "over: it is a debt now");
    end("held");
}

QB_TEST(an_early_refusal_is_answered_when_the_state_it_rests_on_is_durable)
{
    begin(64, 8);
    (void)bid(ANN, 5000, "a");
    answer_call(QB_APPEND_DONE);
    size_t low = bid(BOB, 10, "b");
    answer_call(QB_APPEND_DONE);
    QB_EXPECT(!world.askers[low].is_answered, "a recovery might still take back Ann's bid");
    make_durable(2);
    QB_EXPECT_EQ(world.askers[low].reply, QB_REPLY_REFUSED, "refused");
    QB_EXPECT_EQ(world.askers[low].verdict.refusal, QB_REFUSAL_TOO_LOW, "why");
    QB_EXPECT_EQ(world.seq, 2, "nothing was appended");
    size_t again = bid(BOB, 10, "b");
    settle();
    QB_EXPECT_EQ(world.askers[again].verdict.refusal, QB_REFUSAL_TOO_LOW, "the same answer");
    (void)bid(BOB, 6000, "c");
    settle();
    size_t barred = bid(BOB, 9000, "d");
    world.known[world.known_count++] =
        (struct known){.seq = 1, .refusal = QB_REFUSAL_BLOCKED, .is_mark = true, .asked = 0};
    (void)memcpy(world.known[world.known_count - 1].bid_id, world.calls[0].entry.bid_id,
                 QB_BID_ID_BYTES);
    settle();
    QB_EXPECT_EQ(world.askers[barred].verdict.refusal, QB_REFUSAL_BLOCKED, "refused by the ledger");
    QB_EXPECT_EQ(world.askers[barred].verdict.price, 5100, "with the price that stands");
    end("early refusal");
}

QB_TEST(a_key_sent_again_gets_the_first_answer_and_counts_once)
{
    begin(64, 8);
    size_t first = bid(ANN, 5000, "a");
    size_t second = bid(ANN, 5000, "a");
    settle();
    size_t third = bid(ANN, 5000, "a");
    size_t other = bid(ANN, 6000, "a");
    settle();
    QB_EXPECT_EQ(world.seq, 2, "one entry");
    QB_EXPECT_EQ(world.askers[second].seq, world.askers[first].seq, "while under way");
    QB_EXPECT_EQ(world.askers[third].verdict.code, QB_VERDICT_LEADING, "later");
    QB_EXPECT_EQ(world.askers[other].verdict.refusal, QB_REFUSAL_KEY_REUSED, "other content");
    end("resends");
}

QB_TEST(an_unknown_outcome_is_asked_again_with_the_same_id)
{
    begin(64, 8);
    size_t ann = bid(ANN, 5000, "a");
    answer_call(QB_APPEND_UNKNOWN);
    QB_EXPECT(!world.askers[ann].is_answered, "unknown is neither yes nor no");
    QB_EXPECT_EQ(world.call_count, 1, "asked again");
    settle();
    QB_EXPECT_EQ(world.askers[ann].verdict.code, QB_VERDICT_LEADING, "in the end");
    size_t late = bid(BOB, 9000, "b");
    answer_call(QB_APPEND_EXPIRED);
    QB_EXPECT_EQ(world.askers[late].reply, QB_REPLY_UNAVAILABLE,
                 "too late for the log: no verdict");
    size_t asked = resolve(BOB, "b");
    answer_call(QB_APPEND_EXPIRED);
    QB_EXPECT_EQ(world.askers[asked].reply, QB_REPLY_UNAVAILABLE, "nor does resolve make one up");
    size_t retry = bid(BOB, 9000, "b");
    settle();
    QB_EXPECT_EQ(world.askers[retry].verdict.code, QB_VERDICT_LEADING, "and the key is good");
    size_t busy = bid(BOB, 9000, "c");
    answer_call(QB_APPEND_BUSY);
    QB_EXPECT_EQ(world.askers[busy].reply, QB_REPLY_BUSY, "to be sent again");
    size_t fenced = bid(BOB, 9000, "d");
    answer_call(QB_APPEND_FENCED);
    QB_EXPECT_EQ(world.askers[fenced].reply, QB_REPLY_UNAVAILABLE, "recovery decides");
    end("unknown");
}

QB_TEST(resolve_tells_the_verdict_or_makes_the_key_void_for_ever)
{
    begin(64, 8);
    (void)bid(ANN, 5000, "a");
    settle();
    size_t known = resolve(ANN, "a");
    size_t unknown = resolve(ANN, "never");
    settle();
    QB_EXPECT_EQ(world.askers[known].verdict.code, QB_VERDICT_LEADING, "the stored verdict");
    QB_EXPECT_EQ(world.askers[unknown].reply, QB_REPLY_VOID, "void");
    size_t straggler = bid(ANN, 7000, "never");
    settle();
    QB_EXPECT_EQ(world.askers[straggler].reply, QB_REPLY_VOID, "the straggling retry too");
    size_t refused_bid = bid(BOB, 1, "low");
    size_t refused = resolve(BOB, "low");
    settle();
    QB_EXPECT_EQ(world.askers[refused_bid].reply, QB_REPLY_REFUSED, "a mark");
    QB_EXPECT_EQ(world.askers[refused].verdict.refusal, QB_REFUSAL_TOO_LOW, "and its answer");
    end("resolve");
}

QB_TEST(bids_at_the_end_are_held_until_it_is_decided)
{
    begin(64, 2);
    (void)bid(ANN, 1000, "a");
    settle();
    world.now_us = 200 * S + 50 * MS; /* over by the clock, not by a CLOSE */
    size_t held = bid(BOB, 3000, "b");
    size_t held_too = bid(CAT, 4000, "c");
    size_t beyond = bid(CAT, 5000, "d");
    settle();
    QB_EXPECT(!world.askers[held].is_answered, "held");
    QB_EXPECT_EQ(world.askers[beyond].reply, QB_REPLY_BUSY, "held_max");
    QB_EXPECT_EQ(world.seq, 2, "nothing appended");

    /* A bid that was read in time and waited in a queue extends the auction: the held ones go in,
     * in order of arrival. */
    struct qb_entry in_time = {.type = QB_ENTRY_BID,
                               .by = QB_ACTOR_BIDDER,
                               .bidder = CAT,
                               .actor = CAT,
                               .max = 1500,
                               .currency = "USD",
                               .allowance = -1,
                               .recv_us = 200 * S - 1};
    qb_bid_id(AUCTION, CAT, "e", 1, in_time.bid_id);
    (void)ask(&in_time, QB_EVENT_COMMAND);
    settle();
    QB_EXPECT_EQ(world.askers[held].verdict.code, QB_VERDICT_LEADING, "first in");
    QB_EXPECT_EQ(world.askers[held_too].verdict.code, QB_VERDICT_LEADING, "second in");
    QB_EXPECT(world.askers[held].seq < world.askers[held_too].seq, "in order of arrival");
    end("released");
}

QB_TEST(a_close_refuses_the_held_ones_and_is_told_once)
{
    begin(64, 8);
    (void)bid(ANN, 1000, "a");
    settle();
    world.now_us = 200 * S + 10 * MS;
    size_t held = bid(BOB, 3000, "b");
    QB_EXPECT_EQ(qb_auctioneer_wake_us(world.auctioneer), 200 * S + 250 * MS, "after the drain");
    world.now_us = 200 * S + 250 * MS;
    tick();
    settle();
    QB_EXPECT_EQ(world.over, 1, "over, told once");
    QB_EXPECT_EQ(qb_auctioneer_lot(world.auctioneer, world.lot)->winner, ANN, "the winner");
    QB_EXPECT_EQ(world.askers[held].verdict.refusal, QB_REFUSAL_ENDED, "too late");
    QB_EXPECT_EQ(world.askers[held].verdict.t_us, 200 * S + 10 * MS, "as of its own time");
    size_t after = bid(CAT, 9000, "c");
    size_t void_after = resolve(CAT, "never");
    settle();
    QB_EXPECT_EQ(world.askers[after].verdict.refusal, QB_REFUSAL_ENDED, "after the end");
    QB_EXPECT_EQ(world.askers[void_after].reply, QB_REPLY_VOID, "resolve after the end");
    QB_EXPECT_EQ(world.seq, 3, "the log ends with its CLOSE");
    QB_EXPECT_EQ(qb_auctioneer_wake_us(world.auctioneer), INT64_MAX, "nothing more is due");
    end("closed");
}

QB_TEST(a_halted_auction_takes_nothing_and_tells_nothing)
{
    begin(64, 8);
    (void)bid(ANN, 1000, "a");
    settle();
    size_t logged = bid(BOB, 2000, "b");
    answer_call(QB_APPEND_DONE);
    size_t calling = bid(CAT, 3000, "c");
    world.now_us = 200 * S + 50 * MS;
    size_t held = bid(BOB, 5000, "d");
    struct qb_event halt = {.kind = QB_EVENT_HALT, .lot = world.lot};
    feed(&halt);
    size_t after = bid(CAT, 9000, "e");
    size_t asked = resolve(ANN, "a");
    world.now_us = 300 * S;
    tick();
    settle();
    const size_t all[] = {logged, calling, held, after, asked};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        QB_EXPECT_EQ(world.askers[all[i]].reply, QB_REPLY_UNAVAILABLE, "not counted");
    QB_EXPECT_EQ(qb_auctioneer_wake_us(world.auctioneer), INT64_MAX, "no end is proposed");
    QB_EXPECT_EQ(world.over, 0, "nobody has won");
    QB_EXPECT_EQ(world.outbid_ann, 0, "nobody is outbid by what does not count");
    end("halted");
}

QB_TEST(a_close_that_finds_the_ledger_busy_waits_a_moment)
{
    begin(64, 8);
    world.now_us = 200 * S + 300 * MS;
    tick();
    QB_EXPECT_EQ(world.call_count, 1, "the close is proposed");
    answer_call(QB_APPEND_BUSY);
    QB_EXPECT(qb_auctioneer_wake_us(world.auctioneer) > world.now_us, "no asking without end");
    world.now_us = qb_auctioneer_wake_us(world.auctioneer);
    QB_EXPECT(world.now_us <= 200 * S + 400 * MS, "and soon again");
    tick();
    settle();
    QB_EXPECT_EQ(world.over, 1, "closed");
    end("busy close");
}

QB_TEST(an_auction_that_ended_while_nobody_could_bid_is_extended_before_it_closes)
{
    begin(1, 8);
    qb_auctioneer_extend(world.auctioneer, world.lot, 30 * S);
    (void)bid(ANN, 1000, "a"); /* has the only ticket */
    world.now_us = 400 * S;
    tick();
    QB_EXPECT_EQ(world.call_count, 1, "there is no room to propose anything");
    settle();
    world.now_us = qb_auctioneer_wake_us(world.auctioneer);
    tick();
    QB_EXPECT_EQ(world.calls[0].entry.type, QB_ENTRY_EXTEND, "no close before it");
    answer_call(QB_APPEND_BUSY);
    world.now_us = qb_auctioneer_wake_us(world.auctioneer);
    qb_time_us end_us = world.now_us + 30 * S;
    tick();
    QB_EXPECT_EQ(world.calls[0].entry.type, QB_ENTRY_EXTEND, "again, until it is in the log");
    settle();
    QB_EXPECT_EQ(qb_auctioneer_lot(world.auctioneer, world.lot)->ends_at_us, end_us, "extended");
    QB_EXPECT_EQ(qb_auctioneer_wake_us(world.auctioneer), end_us + 250 * MS, "and closes then");
    world.now_us = end_us + 250 * MS;
    tick();
    QB_EXPECT_EQ(world.calls[0].entry.type, QB_ENTRY_CLOSE, "once is enough");
    settle();
    QB_EXPECT_EQ(world.over, 1, "over");
    end("extended");
}

static const struct qb_auctioneer_outages outages = {
    .newest = newest_outage, .extend_us = 30 * S, .late_us = 5 * S};

QB_TEST(no_auction_ends_while_nobody_can_bid)
{
    begin_with(64, 8, outages);
    world.outage = (struct qb_outage){.is_on = true, .since_us = 199 * S};
    world.now_us = 200 * S + 50 * MS;
    size_t held = bid(ANN, 1000, "a"); /* let through before it was known */
    for (int i = 0; i < 100 && world.call_count == 0; i++) {
        world.now_us = qb_auctioneer_wake_us(world.auctioneer);
        tick();
        QB_EXPECT(qb_auctioneer_wake_us(world.auctioneer) > world.now_us, "no asking without end");
    }
    QB_EXPECT_EQ(world.call_count, 0, "nothing is proposed");
    if (world.call_count > 0) return;
    world.outage.is_on = false;
    world.outage.until_us = world.now_us;
    world.now_us = qb_auctioneer_wake_us(world.auctioneer);
    qb_time_us end_us = world.now_us + 30 * S;
    tick();
    QB_EXPECT_EQ(world.calls[0].entry.type, QB_ENTRY_EXTEND, "put off");
    settle();
    QB_EXPECT_EQ(qb_auctioneer_lot(world.auctioneer, world.lot)->ends_at_us, end_us, "from then");
    QB_EXPECT_EQ(world.askers[held].verdict.code, QB_VERDICT_LEADING, "no bid is lost");
    world.now_us = qb_auctioneer_wake_us(world.auctioneer);
    tick();
    QB_EXPECT_EQ(world.calls[0].entry.type, QB_ENTRY_CLOSE, "once");
    settle();
    QB_EXPECT_EQ(world.over, 1, "over");
    end("an outage");
}

QB_TEST(an_end_is_put_off_by_what_turned_bids_away_then)
{
    static const struct {
        const char *says;
        qb_time_us since_us;
        qb_time_us until_us;
        qb_time_us now_us; /* when this replica looks */
        uint8_t type;
    } rows[] = {
        {"none", 0, 0, 200 * S + 250 * MS, QB_ENTRY_CLOSE},
        {"over before the end", 190 * S, 200 * S - 1, 200 * S + 250 * MS, QB_ENTRY_CLOSE},
        {"over at the end", 190 * S, 200 * S, 200 * S + 250 * MS, QB_ENTRY_EXTEND},
        {"around the end", 190 * S, 201 * S, 201 * S, QB_ENTRY_EXTEND},
        {"began at the end", 200 * S, 201 * S, 201 * S, QB_ENTRY_EXTEND},
        {"began behind the end", 200 * S + 1, 201 * S, 201 * S, QB_ENTRY_CLOSE},
        {"not known here, short", 0, 0, 205 * S + 250 * MS, QB_ENTRY_CLOSE},
        {"not known here, long", 0, 0, 205 * S + 250 * MS + 1, QB_ENTRY_EXTEND},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        begin_with(64, 8, outages);
        world.outage =
            (struct qb_outage){.since_us = rows[i].since_us, .until_us = rows[i].until_us};
        world.now_us = rows[i].now_us;
        tick();
        QB_EXPECT_EQ(world.calls[0].entry.type, rows[i].type, rows[i].says);
        settle();
        end(rows[i].says);
    }
}

QB_TEST(a_close_of_which_nobody_knows_is_proposed_anew)
{
    begin_with(64, 8, outages);
    world.now_us = 200 * S + 250 * MS;
    tick();
    QB_EXPECT_EQ(effects.list[0].expires_us, world.now_us + 1 * S, "it does not lie in wait");
    world.outage = (struct qb_outage){.is_on = true, .since_us = 200 * S};
    world.now_us += 2 * S;
    answer_call(QB_APPEND_UNKNOWN);
    QB_EXPECT_EQ(world.call_count, 0, "not as long as the ledger is away");
    world.outage = (struct qb_outage){.since_us = 200 * S, .until_us = 203 * S};
    world.now_us = 204 * S;
    tick();
    QB_EXPECT_EQ(world.calls[0].entry.type, QB_ENTRY_EXTEND, "put off by then");
    settle();
    end("an unknown close");
}

/* A command of the seller or of staff, each with an id of its own. */
static size_t order(enum qb_entry_type type, enum qb_actor by)
{
    static char key[24];
    struct qb_entry entry = {.type = (uint8_t)type,
                             .by = (uint8_t)by,
                             .actor = SELLER,
                             .max = QB_AMOUNT_NONE,
                             .allowance = -1};

    (void)snprintf(key, sizeof key, "order-%zu", world.asker_count);
    qb_bid_id(AUCTION, SELLER, key, strlen(key), entry.bid_id);
    size_t asker = ask(&entry, QB_EVENT_COMMAND);
    settle();
    return asker;
}

QB_TEST(a_seller_cannot_grow_the_log_without_end)
{
    begin(64, 8);
    size_t last = 0;
    do {
        last =
            order(world.asker_count % 2 == 0 ? QB_ENTRY_PAUSE : QB_ENTRY_RESUME, QB_ACTOR_SELLER);
    } while (world.askers[last].verdict.refusal != QB_REFUSAL_FULL && world.seq < 3900);
    QB_EXPECT_EQ(world.askers[last].verdict.refusal, QB_REFUSAL_FULL, "full");
    QB_EXPECT_EQ(world.seq, 3100, "entries_max and the seller's share");
    last = order(QB_ENTRY_CANCEL, QB_ACTOR_ADMIN);
    QB_EXPECT_EQ(world.askers[last].verdict.code, QB_VERDICT_DONE, "staff always");
    end("full");
}

QB_TEST(who_waits_long_is_told_that_it_is_pending)
{
    begin(64, 8);
    size_t ann = bid(ANN, 1000, "a");
    world.now_us += 2 * S;
    tick();
    QB_EXPECT_EQ(world.askers[ann].pending, 1, "told");
    tick();
    QB_EXPECT_EQ(world.askers[ann].pending, 1, "once");
    QB_EXPECT(!world.askers[ann].is_answered, "and not answered");
    settle();
    QB_EXPECT_EQ(world.askers[ann].verdict.code, QB_VERDICT_LEADING, "the verdict comes");
    end("pending");
}

QB_TEST(with_no_room_for_a_command_the_answer_is_busy)
{
    begin(2, 8);
    (void)bid(ANN, 1000, "a");
    (void)bid(ANN, 2000, "b");
    size_t third = bid(ANN, 3000, "c");
    QB_EXPECT_EQ(world.askers[third].reply, QB_REPLY_BUSY, "tickets_max");
    settle();
    end("busy");
}

QB_TEST(what_others_append_is_announced_when_it_is_durable_and_answered_by_them)
{
    begin(64, 8);
    size_t ann = bid(ANN, 1000, "a");
    answer_call(QB_APPEND_DONE); /* seq 2 */
    hear_bid(BOB, 3000, "b");    /* seq 3 */
    size_t cat = bid(CAT, 2000, "c");
    answer_call(QB_APPEND_DONE); /* seq 4 */
    make_durable(2);
    QB_EXPECT(world.askers[ann].is_answered, "her own entry is durable");
    QB_EXPECT_EQ(world.announced, 2, "what Bob did is not");
    make_durable(4);
    QB_EXPECT_EQ(world.announced, 4, "both");
    QB_EXPECT_EQ(world.verdicts[3].code, QB_VERDICT_LEADING, "folded like any other");
    QB_EXPECT_EQ(world.askers[cat].verdict.code, QB_VERDICT_OUTBID, "by Bob's maximum");
    QB_EXPECT_EQ(world.outbid_ann, 0, "Ann is told by the replica that outbid her");
    size_t again = bid(BOB, 3000, "b");
    settle();
    QB_EXPECT_EQ(world.askers[again].seq, 3, "his resend here finds it");
    end("heard");
}

QB_TEST(more_heard_entries_than_there_is_room_for_show_their_newest_state)
{
    begin(64, 8);
    for (int i = 0; i < 30; i++) {
        char key[16];
        (void)snprintf(key, sizeof key, "h%d", i);
        hear_bid(i % 2 == 0 ? BOB : CAT, 1000 + i * 500, key);
    }
    QB_EXPECT_EQ(qb_auctioneer_tickets_in_use(world.auctioneer), 8, "bounded");
    make_durable(5);
    QB_EXPECT_EQ(world.announced, 5, "those with room one by one");
    make_durable(world.seq);
    QB_EXPECT_EQ(world.announced, world.seq, "then the newest");
    world.now_us = 400 * S;
    for (int i = 0; i < 8; i++) { /* no room again when the close comes */
        char key[16];
        (void)snprintf(key, sizeof key, "x%d", i);
        hear_bid(BOB, 1, key);
    }
    hear((struct qb_entry){.type = QB_ENTRY_CLOSE, .max = QB_AMOUNT_NONE}, "close");
    make_durable(world.seq);
    QB_EXPECT_EQ(world.over, 1, "the end is told");
    QB_EXPECT_EQ(world.over_heard, 1, "not by us to the winner");
    end("many heard");
}

QB_TEST(after_a_recovery_begins_everybody_is_answered_and_nothing_is_taken)
{
    begin(64, 2);
    size_t logged = bid(ANN, 1000, "a");
    answer_call(QB_APPEND_DONE);
    hear_bid(BOB, 3000, "b");
    size_t waiting = bid(ANN, 1000, "a");
    answer_call(QB_APPEND_DONE);
    size_t unknown = bid(CAT, 9000, "c");
    world.now_us = 200 * S + 50 * MS;
    size_t held = bid(CAT, 9900, "d");
    lose();
    QB_EXPECT_EQ(world.askers[logged].reply, QB_REPLY_UNAVAILABLE, "logged, not durable");
    QB_EXPECT_EQ(world.askers[waiting].reply, QB_REPLY_UNAVAILABLE, "its resend");
    QB_EXPECT_EQ(world.askers[held].reply, QB_REPLY_UNAVAILABLE, "held");
    QB_EXPECT(!world.askers[unknown].is_answered, "the call is still under way");
    size_t late = bid(ANN, 5000, "e");
    QB_EXPECT_EQ(world.askers[late].reply, QB_REPLY_UNAVAILABLE, "nothing new");
    answer_call(QB_APPEND_UNKNOWN);
    QB_EXPECT_EQ(world.askers[unknown].reply, QB_REPLY_UNAVAILABLE, "not called again");
    QB_EXPECT_EQ(world.call_count, 0, "nothing goes out");
    make_durable(4);
    hear_bid(BOB, 9999, "f");
    QB_EXPECT_EQ(world.announced, 1, "nothing is announced any more");
    end("lost");
}
