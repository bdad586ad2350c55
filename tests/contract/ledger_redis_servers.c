/* The servers under the replicas, and who may do more with them than a replica. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/shard.h"
#include "storage/ledger_redis_open.h"
#include "tests/contract/ledger_redis_world.h"
#include "tests/kit/stack.h"

/* Of each shard: how the replicas reach it, and somebody who may do all, and recovery. */
static char addresses[WORLD_SHARDS][512];
static char coordinator_addresses[WORLD_SHARDS][512];
static struct qb_redis *operators[WORLD_SHARDS];
static struct qb_redis *coordinators[WORLD_SHARDS];

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

static struct qb_redis *link_to(const char *address)
{
    const struct qb_redis_options options = {.loop = world_loop(),
                                             .address = address,
                                             .name = "world",
                                             .up = link_up,
                                             .down = link_down};
    struct qb_error error = {{0}};
    struct qb_redis *made = qb_redis_new(&options, &error);

    QB_ASSERT(made != NULL);
    WORLD_UNTIL(qb_redis_is_up(made), 5000);
    QB_ASSERT(qb_redis_is_up(made));
    return made;
}

/* The address of a shard in a list that may have one for all. */
static const char *address_of(const char *name, unsigned shard)
{
    static char address[512];
    const char *from = qb_stack_value(name);

    if (shard > 0 && strchr(from, ',') != NULL) from = strchr(from, ',') + 1;
    (void)snprintf(address, sizeof address, "%.*s", (int)strcspn(from, ","), from);
    return address;
}

void world_start_with(const char *parts)
{
    if (operators[0] != NULL) return;
    qb_stack_start(parts);
    for (unsigned i = 0; i < WORLD_SHARDS; i++) {
        operators[i] = link_to(address_of("REDIS_OPERATOR_URL", i));
        (void)snprintf(coordinator_addresses[i], sizeof coordinator_addresses[i], "%s",
                       address_of("REDIS_COORDINATOR_URL", i));
        coordinators[i] = link_to(coordinator_addresses[i]);
        (void)snprintf(addresses[i], sizeof addresses[i], "%s", address_of("REDIS_URL", i));
    }
}

const char *world_address(unsigned shard)
{
    return addresses[shard];
}

const char *world_coordinator_address(unsigned shard)
{
    return coordinator_addresses[shard];
}

void world_start(void)
{
    world_start_with("redis-single");
}

struct waited {
    bool is_answered;
    int64_t number;
};

static void on_waited(void *context, const struct qb_redis_reply *reply)
{
    struct waited *waited = context;

    waited->is_answered = true;
    waited->number = reply != NULL ? qb_redis_integer(reply, -1) : -1;
    if (reply == NULL || qb_redis_kind_of(reply) == QB_REDIS_ERROR) {
        (void)printf("world: %s\n", reply != NULL ? qb_redis_text(reply, NULL) : "no answer");
    }
}

static int64_t ask(struct qb_redis *link, size_t count, const char *const *words)
{
    struct waited waited = {0};

    WORLD_UNTIL(qb_redis_is_up(link), 5000);
    qb_redis_command(link, count, words, NULL, on_waited, &waited);
    WORLD_UNTIL(waited.is_answered, 5000);
    QB_ASSERT(waited.is_answered);
    return waited.number;
}

int64_t world_command_to(unsigned shard, size_t count, const char *const *words)
{
    return ask(operators[shard], count, words);
}

int64_t world_command_to_primary(unsigned shard, size_t count, const char *const *words)
{
    return ask(coordinators[shard], count, words);
}

int64_t world_command(size_t count, const char *const *words)
{
    return world_command_to(0, count, words);
}

struct opening {
    int left;
    bool is_bad;
};

static void on_opened(void *context, const char *why)
{
    struct opening *opening = context;

    if (why != NULL) opening->is_bad = true;
    opening->left--;
}

void world_open(uint32_t epoch)
{
    bool is_open = false;

    for (int again = 0; again < 20 && !is_open; again++) { /* the server may just be back */
        struct opening opening = {.left = WORLD_SHARDS};
        for (unsigned i = 0; i < WORLD_SHARDS; i++) {
            WORLD_UNTIL(qb_redis_is_up(coordinators[i]), 5000);
            qb_ledger_redis_open_shard(coordinators[i], i, epoch, on_opened, &opening);
        }
        WORLD_UNTIL(opening.left == 0, 5000);
        is_open = opening.left == 0 && !opening.is_bad;
    }
    QB_ASSERT(is_open);
}

void world_reset(uint32_t epoch)
{
    for (unsigned i = 0; i < WORLD_SHARDS; i++) {
        (void)world_command_to(i, 1, (const char *[]){"FLUSHALL"});
        (void)world_command_to(i, 2, (const char *[]){"SCRIPT", "FLUSH"});
    }
    world_open(epoch);
}

void world_break(qb_id auction)
{
    char key[64];

    (void)snprintf(key, sizeof key, "qb:{q%u}:%016" PRIx64 ":stream",
                   qb_shard_of(auction, WORLD_SHARDS), auction);
    (void)world_command(5, (const char *[]){"XADD", key, "1000000-0", "e", "x"});
}

void world_trim(qb_id auction, uint64_t seq)
{
    char key[64];
    char least[32];

    (void)snprintf(key, sizeof key, "qb:{q%u}:%016" PRIx64 ":stream",
                   qb_shard_of(auction, WORLD_SHARDS), auction);
    (void)snprintf(least, sizeof least, "%" PRIu64 "-0", seq);
    (void)world_command(4, (const char *[]){"XTRIM", key, "MINID", least});
}

struct committing {
    struct qb_trim_item *item;
    bool is_answered;
    bool is_good;
};

static void on_committed(void *context, const struct qb_redis_reply *reply)
{
    struct committing *committing = context;

    committing->is_answered = true;
    committing->is_good = reply != NULL && qb_trim_read(reply, committing->item, 1);
}

bool world_committed(uint32_t epoch, const struct qb_trim_options *options,
                     struct qb_trim_item *item)
{
    static struct qb_redis *persisters[WORLD_SHARDS]; /* with a persister's rights */
    unsigned shard = qb_shard_of(item->auction, WORLD_SHARDS);
    struct committing committing = {.item = item};
    struct qb_words words = {0};

    if (persisters[shard] == NULL) persisters[shard] = link_to(addresses[shard]);
    WORLD_UNTIL(qb_redis_is_up(persisters[shard]), 5000);
    qb_trim_words(&words, epoch, shard, options, item, 1);
    qb_words_send(&words, persisters[shard], on_committed, &committing);
    qb_words_fini(&words);
    WORLD_UNTIL(committing.is_answered, 5000);
    QB_ASSERT(committing.is_answered);
    return committing.is_good;
}
