#include "tests/contract/ledger_redis_world.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "base/assert.h"
#include "base/shard.h"

#define REPLICAS 4

enum qb_ack world_ack = QB_ACK_JOURNAL;
unsigned world_replicas[WORLD_SHARDS];
uint64_t world_outbox_max = 100000;

static uv_loop_t loop;
static struct replica *replicas[REPLICAS];
static int failures;
static struct qb_random random_source;

static void expect_told(bool is_good, const struct replica *replica, const char *says)
{
    if (is_good) return;
    failures++;
    (void)printf("%s: expected: %s\n", replica->name, says);
}

int world_failures(void)
{
    return failures;
}

void *world_loop(void)
{
    static bool is_made;

    if (!is_made) {
        (void)uv_loop_init(&loop);
        qb_random_seed(&random_source, 7);
        is_made = true;
    }
    return &loop;
}

static void link_up(void *context, const char *run_id)
{
    (void)context;
    (void)run_id;
}

static void link_down(void *context, const char *why)
{
    (void)context;
    (void)printf("link: %s\n", why);
}

void world_turn(void)
{
    (void)uv_run(&loop, UV_RUN_NOWAIT);
    for (size_t i = 0; i < REPLICAS; i++) {
        if (replicas[i] == NULL) continue;
        (void)qb_mailbox_drain(replicas[i]->mailbox);
        qb_ledger_redis_turn(replicas[i]->ledger);
    }
    qb_clock_sleep_us(100);
}

void world_run(int64_t ms)
{
    WORLD_UNTIL(false, ms);
}

static bool is_quiet(void)
{
    for (size_t i = 0; i < REPLICAS; i++) {
        if (replicas[i] == NULL) continue;
        if (qb_mailbox_drain(replicas[i]->mailbox) > 0) return false;
        if (qb_ledger_redis_under_way(replicas[i]->ledger) > 0) return false;
    }
    return true;
}

void world_settle(void)
{
    int quiet = 0;

    for (int turns = 0; quiet < 3 && turns < 20000; turns++) {
        world_turn();
        quiet = is_quiet() ? quiet + 1 : 0;
    }
}

static uint64_t head_of(const uint8_t bid_id[QB_BID_ID_BYTES])
{
    uint64_t head = 0;

    (void)memcpy(&head, bid_id, sizeof head);
    return head;
}

static void no_wake(void *context)
{
    (void)context; /* every turn looks into the mailbox */
}

static struct told *told_of(struct replica *replica, qb_id auction)
{
    QB_ASSERT(auction < WORLD_AUCTIONS);
    return &replica->told[auction];
}

static void learn(struct replica *replica, qb_id auction, uint64_t seq, uint64_t id, bool is_own)
{
    struct told *told = told_of(replica, auction);

    expect_told(seq == told->seq + 1, replica, "the next entry, with nothing left out");
    if (seq > WORLD_ENTRIES) return;
    told->seq = seq;
    told->ids[seq] = id;
    told->is_own[seq] = is_own;
}

static void on_heard(void *context, const struct qb_entry *entry)
{
    struct replica *replica = context;

    expect_told(entry->epoch <= replica->epoch, replica, "no entry of an epoch to come");
    expect_told(entry->now_us > 0, replica, "with its time");
    learn(replica, entry->auction, entry->seq, head_of(entry->bid_id), false);
}

static void on_durable(void *context, qb_id auction, uint64_t seq)
{
    struct replica *replica = context;
    struct told *told = told_of(replica, auction);

    expect_told(seq > told->durable, replica, "what is durable grows");
    expect_told(seq <= told->seq, replica, "durable is only what was told");
    told->durable = seq;
}

static bool on_orphan(void *context, const struct qb_entry *entry)
{
    struct replica *replica = context;
    struct told *told = told_of(replica, entry->auction);

    told->orphans++;
    told->orphan_seq = entry->seq;
    if (replica->refused_orphans > 0) {
        replica->refused_orphans--;
        return false;
    }
    if (replica->must_adopt) qb_ledger_adopted(replica->ledger, entry->auction, entry->seq);
    return true;
}

static void on_due(void *context, qb_id auction)
{
    told_of(context, auction)->dues++;
}

static void on_lost(void *context, qb_id auction)
{
    told_of(context, auction)->losses++;
}

static void on_open(void *context, bool is_open, uint32_t epoch)
{
    struct replica *replica = context;

    replica->is_open = is_open;
    replica->epoch = epoch;
    if (is_open) {
        replica->opened++;
        (void)memset(replica->told, 0, sizeof replica->told);
    } else {
        replica->closed++;
    }
}

static void on_message(void *context, const char *channel, size_t channel_length, const void *bytes,
                       size_t length)
{
    struct replica *replica = context;
    qb_id auction = 0;

    if (channel_length < 16 || replica->ledger == NULL) return;
    if (replica->loss_percent > 0 &&
        (int64_t)qb_random_below(&random_source, 100) < replica->loss_percent) {
        return;
    }
    auction = strtoull(channel + channel_length - 16, NULL, 16);
    qb_ledger_fed(replica->ledger, auction, bytes, length);
}

static bool may_sweep(void *context)
{
    return !((const struct replica *)context)->is_journal_away;
}

struct replica *replica_new(const char *name, uint32_t epoch, uint32_t marks_max,
                            uint64_t unconfirmed_max)
{
    struct replica *replica = calloc(1, sizeof *replica);
    struct qb_error error = {{0}};

    QB_ASSERT(replica != NULL);
    replica->name = name;
    replica->mailbox = qb_mailbox_new(1000, no_wake, NULL);
    const struct qb_ledger_redis_options options = {
        .loop = &loop,
        .addresses = (const char *[]){world_address(0), world_address(1)},
        .shards = WORLD_SHARDS,
        .name = name,
        .must_be_safe = true,
        .mailbox = replica->mailbox,
        .marks_max = marks_max,
        .unconfirmed_max = unconfirmed_max,
        .replicas = world_replicas,
        .outbox_max = world_outbox_max,
        .may_sweep = may_sweep,
        .context = replica,
    };
    const struct qb_ledger_listener listener = {on_heard, on_durable, on_orphan, on_due,
                                                on_lost,  on_open,    replica};
    replica->ledger = qb_ledger_redis_new(&options, &error);
    QB_ASSERT(replica->ledger != NULL);
    qb_ledger_listen(replica->ledger, &listener);
    for (unsigned i = 0; i < WORLD_SHARDS; i++) {
        const struct qb_redis_options ears = {.loop = &loop,
                                              .address = world_address(i),
                                              .name = name,
                                              .is_subscriber = true,
                                              .up = link_up,
                                              .down = link_down,
                                              .message = on_message,
                                              .context = replica};
        replica->ears[i] = qb_redis_new(&ears, &error);
        QB_ASSERT(replica->ears[i] != NULL);
    }
    size_t at = 0;
    while (replicas[at] != NULL) at++;
    QB_ASSERT(at < REPLICAS);
    replicas[at] = replica;
    qb_ledger_redis_open(replica->ledger, epoch, world_ack);
    WORLD_UNTIL(qb_ledger_redis_is_ready(replica->ledger), 5000);
    for (unsigned i = 0; i < WORLD_SHARDS; i++) {
        WORLD_UNTIL(qb_redis_is_up(replica->ears[i]), 5000);
    }
    expect_told(replica->is_open, replica, "it opens");
    return replica;
}

void replica_free(struct replica **replica)
{
    struct replica *old = *replica;

    *replica = NULL;
    for (size_t i = 0; i < REPLICAS; i++) {
        if (replicas[i] == old) replicas[i] = NULL;
    }
    qb_ledger_free(&old->ledger);
    for (unsigned i = 0; i < WORLD_SHARDS; i++) qb_redis_free(&old->ears[i]);
    (void)qb_mailbox_drain(old->mailbox);
    qb_mailbox_free(&old->mailbox);
    free(old);
    for (int i = 0; i < 8; i++) (void)uv_run(&loop, UV_RUN_NOWAIT);
}

struct qb_entry world_entry(qb_id auction, qb_id bidder, uint64_t number)
{
    static struct qb_rules rules;
    struct qb_entry entry = {.auction = auction,
                             .type = bidder == 0 ? QB_ENTRY_OPEN : QB_ENTRY_BID,
                             .by = bidder == 0 ? QB_ACTOR_SELLER : QB_ACTOR_BIDDER,
                             .bidder = bidder,
                             .actor = bidder == 0 ? 99 : bidder,
                             .max = bidder == 0 ? QB_AMOUNT_NONE : (int64_t)(100 + number * 100),
                             .allowance = -1};

    if (bidder == 0) {
        qb_time_us now_us = qb_clock_wall_us();
        rules = qb_test_rules(99, 100, now_us, now_us + 3600 * QB_SECOND_US);
        entry.rules = &rules;
    } else {
        (void)memcpy(entry.currency, "USD", QB_CURRENCY_BYTES);
    }
    char key[32];
    int length = snprintf(key, sizeof key, "key-%" PRIu64, number);
    qb_bid_id(auction, bidder, key, (size_t)length, entry.bid_id);
    return entry;
}

struct qb_lot world_folded(qb_id auction, qb_id bidder, uint64_t seq)
{
    struct qb_lot lot = {.auction = auction};
    struct qb_entry entry = world_entry(auction, 0, 0);

    for (uint64_t i = 1; i <= seq; i++) {
        if (i > 1) entry = world_entry(auction, bidder, i - 1);
        entry.seq = i;
        entry.epoch = 3;
        entry.now_us = 1000 + (qb_time_us)i;
        (void)qb_lot_fold(&lot, &entry, NULL, 0);
    }
    return lot;
}

static void on_results(void *context, const struct qb_ledger_result *results, size_t count)
{
    struct replica *replica = context;

    expect_told(count == replica->command_count, replica, "a result for each command");
    replica->calls++;
    for (size_t i = 0; i < count; i++) {
        const struct qb_entry *entry = &replica->entries[i];
        replica->results[i] = results[i];
        if (results[i].outcome != QB_APPEND_DONE) continue;
        learn(replica, entry->auction, results[i].seq, head_of(entry->bid_id), true);
        if (replica->must_journal) {
            qb_ledger_durable(replica->ledger, entry->auction, results[i].seq);
        }
    }
}

void replica_give(struct replica *replica, const struct qb_ledger_command *commands, size_t count)
{
    QB_ASSERT(count <= WORLD_RESULTS);
    replica->command_count = count;
    for (size_t i = 0; i < count; i++) {
        replica->entries[i] = *commands[i].entry;
        replica->commands[i] = commands[i];
        replica->commands[i].entry = &replica->entries[i];
    }
    replica_again(replica);
}

void replica_again(struct replica *replica)
{
    int calls = replica->calls;

    qb_ledger_call(replica->ledger, replica->commands, replica->command_count, on_results, replica);
    expect_told(replica->calls == calls, replica, "no answer inside the call");
}

void replica_call(struct replica *replica, const struct qb_entry *entries, size_t count)
{
    QB_ASSERT(count <= WORLD_RESULTS);
    replica->command_count = count;
    for (size_t i = 0; i < count; i++) {
        replica->entries[i] = entries[i];
        replica->commands[i] =
            (struct qb_ledger_command){.entry = &replica->entries[i], .expires_us = INT64_MAX};
    }
    replica_again(replica);
}

struct qb_ledger_result replica_append(struct replica *replica, struct qb_entry entry)
{
    int calls = replica->calls;

    replica_call(replica, &entry, 1);
    WORLD_UNTIL(replica->calls > calls, 5000);
    expect_told(replica->calls == calls + 1, replica, "one answer");
    return replica->results[0];
}

void replica_subscribe(struct replica *replica, qb_id auction)
{
    unsigned shard = qb_shard_of(auction, WORLD_SHARDS);
    char channel[64];

    (void)snprintf(channel, sizeof channel, "qb:{q%u}:log:%016" PRIx64, shard, auction);
    qb_redis_subscribe(replica->ears[shard], channel);
}

static void on_followed(void *context, qb_id auction, enum qb_ledger_found found,
                        const struct qb_ledger_log *log)
{
    struct replica *replica = context;
    struct told *told = told_of(replica, auction);

    told->found = found;
    told->follows++;
    expect_told((found == QB_LEDGER_FOUND) == (log != NULL), replica, "a log when it is found");
    if (log == NULL) return;
    told->state_seq = log->state != NULL ? log->state->seq : 0;
    told->record_count = log->record_count;
    told->seq = told->state_seq;
    for (size_t i = 0; i < log->entry_count; i++) {
        learn(replica, auction, log->entries[i].seq, head_of(log->entries[i].bid_id), false);
    }
    told->durable = log->durable_seq;
}

enum qb_ledger_found replica_follow(struct replica *replica, qb_id auction)
{
    struct told *told = told_of(replica, auction);
    int follows = told->follows;

    replica_subscribe(replica, auction);
    qb_ledger_follow(replica->ledger, auction, on_followed, replica);
    expect_told(told->follows == follows, replica, "no answer inside the call");
    WORLD_UNTIL(told->follows > follows, 5000);
    expect_told(told->follows == follows + 1, replica, "one answer");
    return told->found;
}

void replica_drop(struct replica *replica, unsigned shard)
{
    struct qb_redis_ledger *ledger = (struct qb_redis_ledger *)replica->ledger;
    qb_redis_drop(ledger->shards[shard].link, "the test breaks it");
}

bool world_is_same(const struct replica *a, const struct replica *b, qb_id auction)
{
    const struct told *left = &a->told[auction];
    const struct told *right = &b->told[auction];

    if (left->seq != right->seq) return false;
    for (uint64_t seq = 1; seq <= left->seq; seq++) {
        bool is_known = left->ids[seq] != 0 && right->ids[seq] != 0; /* not below a snapshot */
        if (is_known && left->ids[seq] != right->ids[seq]) return false;
        if (left->is_own[seq] && right->is_own[seq]) return false;
    }
    return true;
}
