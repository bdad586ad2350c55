/*
 * Counts of watchers over several processes that hear each other, or for a while do not.
 */
#include "base/clock.h"
#include "base/shard.h"
#include "pubsub/presence.h"
#include "tests/kit/test.h"

#define PROCESSES 3
#define SHARDS    2
#define AUCTIONS  9000

struct process {
    struct presence *presence;
    bool is_cut;
    bool is_mute; /* its messages are lost, and it knows */
    size_t messages;
    size_t bytes_max;
    uint64_t told; /* the last total of auction 7 */
    int tellings;
};

static struct process processes[PROCESSES];
static int64_t now_us;

static bool publish(void *context, unsigned shard, const void *bytes, size_t length)
{
    struct process *from = context;

    from->messages++;
    if (length > from->bytes_max) from->bytes_max = length;
    if (from->is_mute) return false;
    for (size_t i = 0; i < PROCESSES; i++) {
        if (!from->is_cut && !processes[i].is_cut)
            presence_heard(processes[i].presence, shard, bytes, length, now_us);
    }
    return true;
}

static void told(void *context, uint64_t auction, uint64_t total)
{
    struct process *process = context;

    process->tellings++;
    if (auction == 7) process->told = total;
}

static void begin(void)
{
    now_us = 1000 * QB_SECOND_US;
    for (size_t i = 0; i < PROCESSES; i++) {
        processes[i] = (struct process){0};
        processes[i].presence = presence_new(&(struct presence_options){.origin = 100 + i,
                                                                        .shards = SHARDS,
                                                                        .publish = publish,
                                                                        .told = told,
                                                                        .context = &processes[i]});
    }
}

static void end(void)
{
    for (size_t i = 0; i < PROCESSES; i++) presence_free(&processes[i].presence);
}

static void pass(int seconds)
{
    for (int s = 0; s < seconds; s++) {
        now_us += QB_SECOND_US;
        for (size_t i = 0; i < PROCESSES; i++) {
            if (processes[i].presence != NULL) presence_second(processes[i].presence, now_us);
        }
    }
}

static void watch(size_t process, unsigned member, uint64_t auction, uint32_t count)
{
    presence_watching(processes[process].presence, member, auction, count, now_us);
}

QB_TEST(all_members_and_processes_are_summed)
{
    begin();
    watch(0, 0, 7, 3);
    watch(0, 1, 7, 4);
    watch(1, 0, 7, 10);
    watch(2, 0, 8, 99);
    pass(2);
    QB_EXPECT_EQ(processes[0].told, 17, "one's own members and the others");
    QB_EXPECT_EQ(processes[1].told, 17, "each process");
    QB_EXPECT_EQ(processes[2].told, 17, "who has no watcher, too");
    QB_EXPECT_EQ(presence_total(processes[2].presence, 7), 17, "and when asked");
    QB_EXPECT_EQ(presence_total(processes[2].presence, 9), 0, "nobody");
    watch(1, 0, 7, 0);
    pass(2);
    QB_EXPECT_EQ(processes[0].told, 7, "those who left");
    QB_EXPECT_EQ(processes[1].told, 7, "and where they were");
    int tellings = processes[0].tellings;
    pass(20);
    QB_EXPECT_EQ(processes[0].tellings, tellings, "what stays is not told again");
    watch(0, 0, 7, 0);
    watch(0, 1, 7, 0);
    pass(2);
    QB_EXPECT_EQ(processes[0].told, 0, "the last has left");
    QB_EXPECT_EQ(processes[1].told, 0, "everywhere");
    end();
}

QB_TEST(only_changes_are_said_and_all_of_it_now_and_then)
{
    begin();
    watch(0, 0, 7, 3);
    pass(1);
    size_t messages = processes[0].messages;
    QB_EXPECT_EQ(messages, 1, "one auction, one message");
    pass(20);
    QB_EXPECT_EQ(processes[0].messages, messages + 4, "each five seconds");
    watch(0, 0, 7, 0);
    pass(20);
    QB_EXPECT_EQ(processes[0].messages, messages + 5, "the end is said once");
    end();
}

QB_TEST(who_is_gone_is_forgotten)
{
    begin();
    watch(0, 0, 7, 3);
    watch(1, 0, 7, 10);
    pass(2);
    QB_EXPECT_EQ(processes[0].told, 13, "both");
    presence_free(&processes[1].presence);
    processes[1].is_cut = true;
    pass(10);
    QB_EXPECT_EQ(processes[0].told, 13, "not at once");
    pass(10);
    QB_EXPECT_EQ(processes[0].told, 3, "but soon");
    end();
}

QB_TEST(what_was_lost_is_healed)
{
    begin();
    watch(0, 0, 7, 3);
    pass(1);
    processes[1].is_cut = true;
    watch(0, 0, 7, 4);
    watch(1, 0, 7, 10);
    pass(1);
    QB_EXPECT_EQ(processes[0].told, 4, "not heard");
    processes[1].is_cut = false;
    for (unsigned i = 0; i < SHARDS; i++) presence_ask(processes[1].presence, i);
    pass(2);
    QB_EXPECT_EQ(processes[0].told, 14, "the question says what was missed");
    QB_EXPECT_EQ(processes[1].told, 14, "and is answered");
    processes[1].is_mute = true;
    watch(1, 0, 7, 20);
    pass(1);
    processes[1].is_mute = false;
    pass(7);
    QB_EXPECT_EQ(processes[0].told, 24, "said again without being asked");
    end();
}

QB_TEST(a_message_is_bounded_and_nothing_is_passed_over)
{
    uint64_t sum = 0;
    uint64_t known = 0;

    begin();
    for (uint64_t auction = 1; auction <= AUCTIONS; auction++) {
        watch(0, 0, auction, 1);
        watch(1, 0, auction, 1000);
        sum += 1001;
    }
    pass(4);
    QB_EXPECT(processes[0].bytes_max <= 10 + 12 * PRESENCE_COUNTS_MAX, "a full message");
    for (size_t i = 0; i < 2; i++) {
        for (uint64_t auction = 1; auction <= AUCTIONS; auction++) watch(i, 1, auction, 1);
    }
    pass(4);
    for (uint64_t auction = 1; auction <= AUCTIONS; auction++)
        known += presence_total(processes[2].presence, auction);
    QB_EXPECT(known >= sum, "every auction's total is known everywhere");
    end();
}

QB_TEST(there_is_a_limit_and_room_after_it)
{
    begin();
    for (uint64_t auction = 1; auction <= PRESENCE_AUCTIONS_MAX; auction++)
        watch(0, 0, 100 + auction, 1);
    watch(0, 0, 7, 1);
    pass(20);
    QB_EXPECT_EQ(processes[0].told, 0, "one too many");
    for (uint64_t auction = 1; auction <= PRESENCE_AUCTIONS_MAX; auction++)
        watch(0, 0, 100 + auction, 0);
    pass(60);
    for (uint64_t auction = 1; auction < PRESENCE_AUCTIONS_MAX; auction++)
        watch(0, 0, 100 + auction, 1);
    watch(0, 0, 7, 1);
    pass(1);
    QB_EXPECT_EQ(processes[0].told, 1, "what nobody watches makes room");
    end();
}

QB_TEST(what_is_no_message_is_left_out)
{
    static const uint8_t other_version[22] = {2, 0, 9, 0, 0, 0, 0, 0, 0, 0, 7,
                                              0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0};

    begin();
    watch(0, 0, 7, 3);
    presence_heard(processes[0].presence, 0, "", 0, now_us);
    presence_heard(processes[0].presence, 0, other_version, sizeof other_version, now_us);
    uint8_t torn[21];
    (void)memcpy(torn, other_version, sizeof torn);
    torn[0] = 1;
    presence_heard(processes[0].presence, 0, torn, sizeof torn, now_us);
    pass(1);
    QB_EXPECT_EQ(processes[0].told, 3, "empty, of another version, torn");
    end();
}
