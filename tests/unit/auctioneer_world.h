/*
 * A small world around an auctioneer for its tests: a ledger, a journal that confirms late, and
 * askers. Time is moved by hand. Included by the test programs, each of which has one of its own.
 */
#pragma once

#include "bidding/auctioneer.h"
#include "tests/kit/rules.h"
#include "tests/kit/test.h"

#define S  INT64_C(1000000)
#define MS INT64_C(1000)

enum { SELLER = 9, ANN = 11, BOB = 12, CAT = 13, AUCTION = 77 };

#define ENTRIES_MAX 4096
#define ASKERS_MAX  4096

struct known { /* an id of the ledger */
    uint8_t bid_id[QB_BID_ID_BYTES];
    uint64_t seq;
    uint64_t asked;
    uint8_t refusal;
    bool is_mark;
};

struct call {
    struct qb_entry entry;
    uint32_t ticket;
    uint64_t as_of;
    uint8_t refusal;
    bool is_mark;
};

struct asker {
    bool is_answered;
    uint8_t reply;
    struct qb_verdict verdict;
    uint64_t seq;
    int pending;
};

/* The auctioneer under test and everything it talks to; time is moved by hand. */
static struct world {
    struct qb_auctioneer *auctioneer;
    void *memory;
    struct qb_rules rules;
    uint32_t lot;
    qb_time_us now_us;
    struct qb_bid_record records[ENTRIES_MAX];
    size_t record_count;
    struct known known[ENTRIES_MAX];
    size_t known_count;
    struct call calls[ENTRIES_MAX]; /* under way */
    size_t call_count;
    struct qb_verdict verdicts[ENTRIES_MAX]; /* by seq, as announced */
    uint64_t seq;
    uint64_t journaled;
    uint64_t durable;
    struct asker askers[ASKERS_MAX];
    size_t asker_count;
    uint32_t looking[ENTRIES_MAX];
    uint64_t looking_seq[ENTRIES_MAX];
    size_t looking_count;
    int outbid_ann;
    int64_t held[CAT + 1]; /* by bidder: the newest exposure */
    uint64_t held_seq[CAT + 1];
    int over;
    int over_heard;     /* of those, by another replica's entry */
    uint64_t announced; /* the newest announced seq */
    bool is_broken;     /* an expectation inside the world failed */
    struct qb_outage outage;
} world;

static struct qb_effects effects;

static struct qb_bid_record *all_records(void *context, uint32_t lot, size_t *count)
{
    (void)context;
    (void)lot;
    *count = world.record_count;
    return world.records;
}

static void add_record(void *context, uint32_t lot, const struct qb_bid_record *record)
{
    (void)context;
    (void)lot;
    world.records[world.record_count++] = *record;
}

static struct qb_outage newest_outage(void *context, uint32_t lot)
{
    (void)context;
    (void)lot;
    return world.outage;
}

static void carry_out(const struct qb_effect *effect)
{
    struct asker *asker = &world.askers[effect->waiter];

    switch ((enum qb_effect_kind)effect->kind) {
    case QB_EFFECT_APPEND:
    case QB_EFFECT_MARK:
        world.calls[world.call_count++] = (struct call){
            .entry = *effect->entry,
            .ticket = effect->ticket,
            .as_of = effect->seq,
            .refusal = effect->refusal,
            .is_mark = effect->kind == QB_EFFECT_MARK,
        };
        break;
    case QB_EFFECT_JOURNAL:
        if (effect->seq != world.journaled + 1) world.is_broken = true;
        world.journaled = effect->seq;
        break;
    case QB_EFFECT_REPLY:
        if (effect->waiter == 0) break;
        if (effect->reply == QB_REPLY_PENDING) {
            asker->pending++;
            break;
        }
        if (asker->is_answered) world.is_broken = true;
        bool is_failure = effect->reply == QB_REPLY_BUSY || effect->reply == QB_REPLY_UNAVAILABLE;
        bool is_reused = effect->verdict.refusal == QB_REFUSAL_KEY_REUSED;
        if (!is_failure && !is_reused && effect->seq > world.durable) world.is_broken = true;
        asker->is_answered = true;
        asker->reply = effect->reply;
        asker->verdict = effect->verdict;
        asker->seq = effect->seq;
        break;
    case QB_EFFECT_ANNOUNCE:
        if (effect->seq > world.durable) world.is_broken = true;
        if (effect->seq <= world.announced) world.is_broken = true;
        world.announced = effect->seq;
        world.verdicts[effect->seq] = effect->verdict;
        break;
    case QB_EFFECT_OUTBID:
        if (effect->user == ANN) world.outbid_ann++;
        break;
    case QB_EFFECT_LOOKUP:
        world.looking[world.looking_count] = effect->ticket;
        world.looking_seq[world.looking_count++] = effect->seq;
        break;
    case QB_EFFECT_OVER:
        world.over++;
        if (effect->is_heard) world.over_heard++;
        break;
    case QB_EFFECT_HOLD:
        if (effect->seq < world.held_seq[effect->user]) world.is_broken = true;
        if (effect->entry != NULL) world.is_broken = true;
        world.held[effect->user] = effect->amount;
        world.held_seq[effect->user] = effect->seq;
        break;
    }
}

static void feed(struct qb_event *event)
{
    struct qb_event more = {.kind = QB_EVENT_MORE};

    event->now_us = world.now_us;
    qb_auctioneer_step(world.auctioneer, event, &effects);
    for (size_t i = 0; i < effects.count; i++) carry_out(&effects.list[i]);
    while (effects.is_more) {
        more.now_us = world.now_us;
        qb_auctioneer_step(world.auctioneer, &more, &effects);
        for (size_t i = 0; i < effects.count; i++) carry_out(&effects.list[i]);
    }
}

static struct known *find_known(const uint8_t bid_id[QB_BID_ID_BYTES])
{
    for (size_t i = 0; i < world.known_count; i++) {
        if (memcmp(world.known[i].bid_id, bid_id, QB_BID_ID_BYTES) == 0) return &world.known[i];
    }
    return NULL;
}

/* The ledger answers the oldest call. */
static void answer_call(enum qb_append_outcome forced)
{
    struct call call = world.calls[0];
    struct qb_event event = {.kind = QB_EVENT_APPENDED, .ticket = call.ticket, .epoch = 1};
    struct known *known = find_known(call.entry.bid_id);

    world.call_count--;
    (void)memmove(world.calls, &world.calls[1], world.call_count * sizeof call);
    if (forced != QB_APPEND_DONE) {
        event.outcome = (uint8_t)forced;
    } else if (known != NULL) {
        event.outcome = known->is_mark ? QB_APPEND_REFUSED : QB_APPEND_DUPLICATE;
        event.seq = known->seq;
        event.asked = known->asked;
        event.refusal = known->refusal;
    } else {
        known = &world.known[world.known_count++];
        (void)memcpy(known->bid_id, call.entry.bid_id, QB_BID_ID_BYTES);
        known->is_mark = call.is_mark;
        known->refusal = call.refusal;
        known->asked = call.entry.type == QB_ENTRY_DISCARD ? 0 : qb_entry_asked(&call.entry);
        known->seq = call.is_mark ? call.as_of : ++world.seq;
        event.outcome = call.is_mark ? QB_APPEND_MARKED : QB_APPEND_DONE;
        event.seq = known->seq;
        event.at_us = world.now_us;
    }
    feed(&event);
}

/* Another replica appended: its entry has a place and an id, and that replica journals it. */
static void hear(struct qb_entry entry, const char *key)
{
    struct qb_event event = {.kind = QB_EVENT_HEARD, .lot = world.lot, .entry = &entry};
    uint8_t bid_id[QB_BID_ID_BYTES];

    qb_bid_id(AUCTION, entry.bidder, key, strlen(key), bid_id);
    if (find_known(bid_id) != NULL) return;
    struct known *known = &world.known[world.known_count++];
    *known = (struct known){.seq = ++world.seq};
    (void)memcpy(known->bid_id, bid_id, QB_BID_ID_BYTES);
    (void)memcpy(entry.bid_id, bid_id, QB_BID_ID_BYTES);
    entry.auction = AUCTION;
    entry.allowance = -1;
    entry.epoch = 1;
    entry.seq = world.seq;
    entry.now_us = world.now_us;
    known->asked = qb_entry_asked(&entry);
    world.journaled = world.seq;
    feed(&event);
}

static void hear_bid(qb_id bidder, int64_t max, const char *key)
{
    hear((struct qb_entry){.type = QB_ENTRY_BID,
                           .by = QB_ACTOR_BIDDER,
                           .bidder = bidder,
                           .actor = bidder,
                           .max = max,
                           .currency = "USD"},
         key);
}

static void lose(void)
{
    struct qb_event event = {.kind = QB_EVENT_HALT, .lot = world.lot};
    feed(&event);
}

static void make_durable(uint64_t seq)
{
    struct qb_event event = {.kind = QB_EVENT_DURABLE, .lot = world.lot, .seq = seq};

    world.durable = seq;
    feed(&event);
}

static void answer_lookups(void)
{
    while (world.looking_count > 0) {
        world.looking_count--;
        struct qb_event event = {
            .kind = QB_EVENT_FOUND,
            .ticket = world.looking[world.looking_count],
            .verdict = &world.verdicts[world.looking_seq[world.looking_count]],
        };
        feed(&event);
    }
}

/* Everything answers until nothing is under way. */
static void settle(void)
{
    while (world.call_count > 0 || world.durable < world.journaled || world.looking_count > 0) {
        while (world.call_count > 0) answer_call(QB_APPEND_DONE);
        if (world.durable < world.journaled) make_durable(world.journaled);
        answer_lookups();
    }
}

static void tick(void)
{
    struct qb_event event = {.kind = QB_EVENT_TICK};
    feed(&event);
}

static size_t ask(struct qb_entry *entry, enum qb_event_kind kind)
{
    struct qb_event event = {.kind = (uint8_t)kind, .lot = world.lot, .entry = entry};

    event.waiter = ++world.asker_count;
    entry->auction = AUCTION;
    feed(&event);
    return world.asker_count;
}

static size_t bid(qb_id bidder, int64_t max, const char *key)
{
    struct qb_entry entry = {.type = QB_ENTRY_BID,
                             .by = QB_ACTOR_BIDDER,
                             .bidder = bidder,
                             .actor = bidder,
                             .max = max,
                             .currency = "USD",
                             .allowance = -1,
                             .recv_us = world.now_us};

    qb_bid_id(AUCTION, bidder, key, strlen(key), entry.bid_id);
    return ask(&entry, QB_EVENT_COMMAND);
}

static size_t resolve(qb_id bidder, const char *key)
{
    struct qb_entry entry = {.by = QB_ACTOR_BIDDER, .actor = bidder, .max = -1, .allowance = -1};

    qb_bid_id(AUCTION, bidder, key, strlen(key), entry.bid_id);
    return ask(&entry, QB_EVENT_RESOLVE);
}

static struct qb_rules plain_rules(void)
{
    struct qb_rules rules = qb_test_rules(SELLER, 1000, 100 * S, 200 * S);

    rules.soft_window_us = 10 * S;
    rules.soft_extend_us = 10 * S;
    rules.secret[0] = 1;
    return rules;
}

static void begin_with(uint32_t tickets_max, uint32_t held_max,
                       struct qb_auctioneer_outages outages)
{
    struct qb_auctioneer_options options = {
        .lots_max = 4,
        .tickets_max = tickets_max,
        .held_max = held_max,
        .heard_max = 8,
        .unconfirmed_max = 500,
        .entries_max = 3000,
        .expires_us = 5 * S,
        .pending_us = 2 * S,
        .records = {all_records, add_record, NULL},
        .outages = outages,
    };
    struct qb_lot lot = {
        .auction = AUCTION, .price = QB_AMOUNT_NONE, .final_price = QB_AMOUNT_NONE};
    struct qb_entry open = {
        .type = QB_ENTRY_OPEN, .by = QB_ACTOR_SELLER, .actor = SELLER, .max = -1, .allowance = -1};

    free(world.memory);
    (void)memset(&world, 0, sizeof world);
    size_t bytes = (qb_auctioneer_bytes(&options) + 63) / 64 * 64;
    world.memory = aligned_alloc(64, bytes);
    (void)memset(world.memory, 0xa5, bytes); /* nothing may rely on zeros */
    world.auctioneer = qb_auctioneer_init(world.memory, &options);
    world.rules = plain_rules();
    world.lot = qb_auctioneer_add(world.auctioneer, &lot);
    world.now_us = 50 * S;
    open.rules = &world.rules;
    qb_bid_id(AUCTION, 0, "open", 4, open.bid_id);
    (void)ask(&open, QB_EVENT_COMMAND);
    settle();
    world.now_us = 120 * S;
}

static void end(const char *says)
{
    QB_EXPECT(!world.is_broken, says);
    QB_EXPECT_EQ(qb_auctioneer_tickets_in_use(world.auctioneer), 0, says);
    QB_EXPECT(qb_auctioneer_is_idle(world.auctioneer, world.lot), says);
    for (size_t i = 1; i <= world.asker_count; i++) QB_EXPECT(world.askers[i].is_answered, says);
    free(world.memory);
    world.memory = NULL;
}
