#include "pubsub/bus_redis.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/map.h"
#include "base/metrics.h"
#include "base/random.h"
#include "base/shard.h"
#include "pubsub/bus_local.h"
#include "pubsub/bus_redis_shard.h"
#include "pubsub/bus_redis_thread.h"
#include "pubsub/presence.h"

#define MESSAGES_MAX    10000
#define TOPIC_KEY_BYTES 9

struct redis_bus;

struct qb_bus_member {
    struct redis_bus *bus;
    struct qb_bus_member *local; /* its member of the bus within the process; opaque here */
    struct qb_mailbox *mailbox;
    unsigned number;
    struct qb_bus_listener listener; /* set by the bus's thread, which alone looks at it */
};

/* A topic of other processes; in the map as long as anybody here has subscribed. */
struct topic {
    uint64_t members;
    bool is_awaited; /* Redis has not said yet that it took the subscription */
};

struct redis_bus {
    struct qb_bus bus;
    struct qb_bus *local;
    struct qb_bus_member *relay; /* of `local`: gives on what comes from Redis */
    struct qb_bus_member members[QB_BUS_MEMBERS_MAX];
    unsigned member_count; /* at start only */
    struct bus_thread *thread;
    unsigned shard_count;
    struct shard *shards;
    /* Of the bus's thread. */
    struct qb_map topics;
    struct qb_bus_member *listeners[QB_BUS_MEMBERS_MAX];
    unsigned listener_count;
    struct presence *presence;
    bool is_counting; /* some member wants to know how many watch */
};

/* To the bus's thread. */
struct order {
    struct qb_bus_member *member;
    struct qb_topic topic;
    struct qb_frame *frame;
    struct qb_bus_listener listener;
    uint32_t count;
};

/* To a member: about a shard, or about a topic. */
struct word {
    struct qb_bus_listener listener;
    struct qb_topic topic;
    uint64_t total;
    unsigned shard;
    bool is_deaf;
};

static void key_of(struct qb_topic topic, uint8_t key[TOPIC_KEY_BYTES])
{
    key[0] = topic.kind;
    (void)memcpy(&key[1], &topic.id, sizeof topic.id);
}

static struct shard *shard_of(struct redis_bus *bus, qb_id id)
{
    return &bus->shards[qb_shard_of(id, bus->shard_count)];
}

/* ---- telling members, on the bus's thread ---- */

static void take_gap(void *context, void *message)
{
    struct word *word = message;

    (void)context;
    word->listener.gap(word->listener.context, word->shard, word->is_deaf);
    free(word);
}

static void take_begun(void *context, void *message)
{
    struct word *word = message;

    (void)context;
    word->listener.begun(word->listener.context, word->topic);
    free(word);
}

static void take_watchers(void *context, void *message)
{
    struct word *word = message;

    (void)context;
    word->listener.watchers(word->listener.context, word->topic.id, word->total);
    free(word);
}

/* Never lost to a full mailbox: a gap is what heals the rest. */
static void tell(const struct qb_bus_member *member, qb_mailbox_call *call, struct word word)
{
    struct word *copy = malloc(sizeof *copy);

    QB_ASSERT(copy != NULL);
    word.listener = member->listener;
    *copy = word;
    qb_mailbox_post_answer(member->mailbox, call, NULL, copy);
}

static void on_gap(void *context, unsigned shard, bool is_deaf)
{
    struct redis_bus *bus = context;
    const void *key = NULL;
    size_t cursor = 0;

    for (struct topic *topic = NULL;
         !is_deaf && (topic = qb_map_next(&bus->topics, &cursor, &key)) != NULL;) {
        qb_id id = 0;
        (void)memcpy(&id, (const uint8_t *)key + 1, sizeof id);
        if (qb_shard_of(id, bus->shard_count) == shard) topic->is_awaited = false;
    }
    if (!is_deaf && bus->is_counting) presence_ask(bus->presence, shard);
    for (unsigned i = 0; i < bus->listener_count; i++)
        tell(bus->listeners[i], take_gap, (struct word){.shard = shard, .is_deaf = is_deaf});
}

static void on_begun(void *context, struct qb_topic topic)
{
    struct redis_bus *bus = context;
    uint8_t key[TOPIC_KEY_BYTES];

    key_of(topic, key);
    struct topic *found = qb_map_get(&bus->topics, key);
    if (found == NULL) return;
    found->is_awaited = false;
    for (unsigned i = 0; i < bus->listener_count; i++) {
        struct qb_bus_member *member = bus->listeners[i];
        if ((found->members & UINT64_C(1) << member->number) != 0)
            tell(member, take_begun, (struct word){.topic = topic});
    }
}

static void on_heard(void *context, struct qb_topic topic, struct qb_frame *frame)
{
    struct redis_bus *bus = context;

    qb_bus_publish(bus->local, bus->relay, topic, 0, frame);
}

/* ---- watchers, on the bus's thread ---- */

static void on_counts(void *context, unsigned shard, const void *bytes, size_t length)
{
    struct redis_bus *bus = context;

    presence_heard(bus->presence, shard, bytes, length, qb_clock_mono_us());
}

static bool publish_counts(void *context, unsigned shard, const void *bytes, size_t length)
{
    struct redis_bus *bus = context;

    return shard_publish_counts(&bus->shards[shard], bytes, length);
}

static void tell_total(const struct qb_bus_member *member, qb_id auction, uint64_t total)
{
    const struct qb_topic topic = {.kind = QB_TOPIC_LOG, .id = auction};

    if (member->listener.watchers != NULL)
        tell(member, take_watchers, (struct word){.topic = topic, .total = total});
}

static void on_total(void *context, qb_id auction, uint64_t total)
{
    struct redis_bus *bus = context;
    uint8_t key[TOPIC_KEY_BYTES];

    key_of((struct qb_topic){.kind = QB_TOPIC_LOG, .id = auction}, key);
    const struct topic *topic = qb_map_get(&bus->topics, key);
    for (unsigned i = 0; topic != NULL && i < bus->listener_count; i++) {
        const struct qb_bus_member *member = bus->listeners[i];
        if ((topic->members & UINT64_C(1) << member->number) != 0)
            tell_total(member, auction, total);
    }
}

static void on_second(void *context)
{
    struct redis_bus *bus = context;

    if (bus->is_counting) presence_second(bus->presence, qb_clock_mono_us());
}

static void begin_counting(struct redis_bus *bus)
{
    for (unsigned i = 0; i < bus->shard_count && !bus->is_counting; i++) {
        shard_subscribe_counts(&bus->shards[i]);
        presence_ask(bus->presence, i);
    }
    bus->is_counting = true;
}

static void take_watching(void *context, void *message)
{
    struct redis_bus *bus = context;
    struct order *order = message;

    presence_watching(bus->presence, order->member->number, order->topic.id, order->count,
                      qb_clock_mono_us());
    free(order);
}

/* ---- what members order, on the bus's thread ---- */

static void take_listener(void *context, void *message)
{
    struct redis_bus *bus = context;
    struct order *order = message;

    order->member->listener = order->listener;
    if (order->listener.watchers != NULL) begin_counting(bus);
    bus->listeners[bus->listener_count++] = order->member;
    for (unsigned i = 0; i < bus->shard_count; i++) {
        if (!shard_hears(&bus->shards[i]))
            tell(order->member, take_gap, (struct word){.shard = i, .is_deaf = true});
    }
    free(order);
}

static bool has_listener(const struct qb_bus_member *member)
{
    return member->listener.begun != NULL;
}

static void take_subscription(void *context, void *message)
{
    struct redis_bus *bus = context;
    struct order *order = message;
    struct shard *shard = shard_of(bus, order->topic.id);
    uint64_t bit = UINT64_C(1) << order->member->number;
    uint8_t key[TOPIC_KEY_BYTES];

    key_of(order->topic, key);
    struct topic *topic = qb_map_get(&bus->topics, key);
    if (topic == NULL) {
        topic = calloc(1, sizeof *topic);
        QB_ASSERT(topic != NULL);
        topic->is_awaited = true;
        (void)qb_map_set(&bus->topics, key, topic);
        shard_subscribe(shard, order->topic);
    }
    bool is_new = (topic->members & bit) == 0;
    topic->members |= bit;
    /* Who comes second to a topic has nothing to wait for; in a gap, its end says it. */
    if (is_new && !topic->is_awaited && shard_hears(shard) && has_listener(order->member))
        tell(order->member, take_begun, (struct word){.topic = order->topic});
    uint64_t total = presence_total(bus->presence, order->topic.id);
    if (order->topic.kind == QB_TOPIC_LOG && total > 0)
        tell_total(order->member, order->topic.id, total);
    free(order);
}

static void take_unsubscription(void *context, void *message)
{
    struct redis_bus *bus = context;
    struct order *order = message;
    uint8_t key[TOPIC_KEY_BYTES];

    key_of(order->topic, key);
    struct topic *topic = qb_map_get(&bus->topics, key);
    if (topic != NULL) {
        topic->members &= ~(UINT64_C(1) << order->member->number);
        if (topic->members == 0) {
            free(qb_map_remove(&bus->topics, key));
            shard_unsubscribe(shard_of(bus, order->topic.id), order->topic);
        }
    }
    free(order);
}

static void take_notice(void *context, void *message)
{
    struct redis_bus *bus = context;
    struct order *order = message;

    shard_publish(shard_of(bus, order->topic.id), order->topic, order->frame);
    qb_frame_free(&order->frame);
    free(order);
}

static void take_end(void *context, void *message)
{
    struct redis_bus *bus = context;

    (void)message;
    for (unsigned i = 0; i < bus->shard_count; i++) shard_close(&bus->shards[i]);
    bus_thread_end(bus->thread);
}

/* ---- the port ---- */

static struct order *order_new(struct order order)
{
    struct order *copy = malloc(sizeof *copy);

    QB_ASSERT(copy != NULL);
    *copy = order;
    return copy;
}

/* Bounded by what the member holds: may not be lost. */
static void post(struct redis_bus *bus, qb_mailbox_call *call, struct order order)
{
    qb_mailbox_post_answer(bus_thread_mailbox(bus->thread), call, bus, order_new(order));
}

static struct qb_bus_member *join(struct qb_bus *bus, struct qb_mailbox *mailbox,
                                  qb_bus_heard *heard, void *context)
{
    struct redis_bus *redis = (struct redis_bus *)bus;

    QB_ASSERT(redis->member_count < QB_BUS_MEMBERS_MAX - 1); /* one is the relay */
    struct qb_bus_member *member = &redis->members[redis->member_count];
    *member = (struct qb_bus_member){
        .bus = redis,
        .local = qb_bus_join(redis->local, mailbox, heard, context),
        .mailbox = mailbox,
        .number = redis->member_count,
    };
    redis->member_count++;
    return member;
}

static void subscribe(struct qb_bus_member *member, struct qb_topic topic)
{
    qb_bus_subscribe(member->bus->local, member->local, topic);
    if (topic.kind == QB_TOPIC_AUCTION) return;
    post(member->bus, take_subscription, (struct order){.member = member, .topic = topic});
}

static void unsubscribe(struct qb_bus_member *member, struct qb_topic topic)
{
    qb_bus_unsubscribe(member->bus->local, member->local, topic);
    if (topic.kind == QB_TOPIC_AUCTION) return;
    post(member->bus, take_unsubscription, (struct order){.member = member, .topic = topic});
}

static void publish(struct qb_bus_member *member, struct qb_topic topic, uint64_t seq,
                    struct qb_frame *frame)
{
    struct redis_bus *bus = member->bus;

    QB_ASSERT(topic.kind != QB_TOPIC_LOG);
    qb_bus_publish(bus->local, member->local, topic, seq, frame);
    if (topic.kind != QB_TOPIC_USER) return;
    struct order *order = order_new((struct order){.topic = topic, .frame = qb_frame_hold(frame)});
    if (qb_mailbox_post(bus_thread_mailbox(bus->thread), take_notice, bus, order)) return;
    qb_metric_add(QB_METRIC_bus_unsent_total, NULL, 1);
    qb_frame_free(&order->frame);
    free(order);
}

static void listen(struct qb_bus_member *member, const struct qb_bus_listener *listener)
{
    QB_ASSERT(listener->gap != NULL && listener->begun != NULL);
    post(member->bus, take_listener, (struct order){.member = member, .listener = *listener});
}

static void watching(struct qb_bus_member *member, qb_id auction, uint32_t count)
{
    const struct qb_topic topic = {.kind = QB_TOPIC_AUCTION, .id = auction};
    struct order order = {.member = member, .topic = topic, .count = count};

    post(member->bus, take_watching, order);
}

static unsigned shards(const struct qb_bus *bus)
{
    return ((const struct redis_bus *)bus)->shard_count;
}

static int64_t deaf_since_us(const struct qb_bus *bus, unsigned shard)
{
    const struct redis_bus *redis = (const struct redis_bus *)bus;

    QB_ASSERT(shard < redis->shard_count);
    return atomic_load(&redis->shards[shard].deaf_since_us);
}

static void bus_free(struct qb_bus *bus)
{
    struct redis_bus *redis = (struct redis_bus *)bus;
    struct bus_thread *thread = redis->thread; /* which looks at the bus to its end */
    size_t cursor = 0;

    qb_mailbox_post_answer(bus_thread_mailbox(thread), take_end, redis, NULL);
    bus_thread_free(&thread);
    for (void *topic = NULL; (topic = qb_map_next(&redis->topics, &cursor, NULL)) != NULL;)
        free(topic);
    qb_map_fini(&redis->topics);
    presence_free(&redis->presence);
    qb_bus_free(&redis->local);
    free(redis->shards);
    free(redis);
}

static bool open_shards(struct redis_bus *bus, const struct qb_bus_redis_options *options,
                        uint64_t origin, struct qb_error *error)
{
    struct shard_options shard = {
        .shards = options->shards,
        .loop = bus_thread_loop(bus->thread),
        .name = options->name,
        .connect_ms = options->connect_ms,
        .answer_ms = options->answer_ms,
        .heard = on_heard,
        .gap = on_gap,
        .begun = on_begun,
        .counts = on_counts,
        .origin = origin,
        .context = bus,
    };

    for (unsigned i = 0; i < options->shards; i++) {
        shard.number = i;
        shard.address = options->addresses[i];
        if (!shard_open(&bus->shards[i], &shard, error))
            return qb_error_wrap(error, "Redis of shard %u", i);
    }
    return true;
}

struct qb_bus *qb_bus_redis_new(const struct qb_bus_redis_options *options, struct qb_error *error)
{
    static const struct qb_bus_ops ops = {.join = join,
                                          .subscribe = subscribe,
                                          .unsubscribe = unsubscribe,
                                          .publish = publish,
                                          .listen = listen,
                                          .watching = watching,
                                          .shards = shards,
                                          .deaf_since_us = deaf_since_us,
                                          .free = bus_free};
    struct redis_bus *bus = calloc(1, sizeof *bus);
    uint64_t origin = 0;

    QB_ASSERT(bus != NULL && options->shards > 0);
    bus->bus.ops = &ops;
    bus->thread = bus_thread_new(options->messages_max > 0 ? options->messages_max : MESSAGES_MAX);
    bus->local = qb_bus_local_new();
    bus->relay = qb_bus_join(bus->local, bus_thread_mailbox(bus->thread), NULL, NULL);
    bus->shard_count = options->shards;
    bus->shards = calloc(options->shards, sizeof *bus->shards);
    QB_ASSERT(bus->shards != NULL);
    qb_map_init(&bus->topics, TOPIC_KEY_BYTES);
    qb_random_secret(&origin, sizeof origin);
    bus->presence = presence_new(&(struct presence_options){.origin = origin,
                                                            .shards = options->shards,
                                                            .publish = publish_counts,
                                                            .told = on_total,
                                                            .context = bus});
    bus_thread_each_second(bus->thread, on_second, bus);
    if (open_shards(bus, options, origin, error)) {
        bus_thread_run(bus->thread);
        return &bus->bus;
    }
    bus_free(&bus->bus);
    return NULL;
}
