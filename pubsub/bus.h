/*
 * Port: tell every thread and every replica; lossy on purpose, gaps healed by sequence.
 *
 * Implementations: bus_local.h, bus_redis.h. tests/contract/bus_contract.c says what each must do.
 *
 * Thread    each I/O thread has a member of the bus of its own and uses only that.
 * Order     messages of one publisher to one topic arrive in order, or not at all.
 * Callback  on the member's thread, never inside a call, also for its own messages.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attributes.h"
#include "base/frame.h"
#include "base/mailbox.h"

struct qb_bus;
struct qb_bus_member;

enum qb_topic_kind {
    QB_TOPIC_AUCTION, /* new states of an auction, for its watchers; within the process */
    QB_TOPIC_USER,    /* private notices for the connections of one account, wherever they are */
    /* What the ledger appended to an auction's log, from whatever process; never published by the
     * bus. Within one process there is nobody else, and nothing is heard but how many watch. */
    QB_TOPIC_LOG,
};

struct qb_topic {
    uint8_t kind; /* enum qb_topic_kind */
    qb_id id;
};

/* `seq` is the auction's (0 for a user's notice, and for what is no state of the auction); `frame`
 * is borrowed for the call. */
typedef void qb_bus_heard(void *context, struct qb_topic topic, uint64_t seq,
                          struct qb_frame *frame);

/* What a member is told about the bus itself, on its thread, inside no call. */
struct qb_bus_listener {
    /* Nothing of this shard is heard from other processes any more (is_deaf), or all of it is
     * again: what they said in between is lost. The state alternates; a shard hears at first. */
    void (*gap)(void *context, unsigned shard, bool is_deaf);
    /* What other processes say from here on about a topic that the member subscribed to is heard,
     * unless its shard is deaf: whoever must not miss any looks now at what came before. At least
     * once a subscription, but not again after a gap. */
    void (*begun)(void *context, struct qb_topic topic);
    /* How many watch the auction in all processes: when that has changed, and at each subscription
     * (unless nobody does); only of auctions whose LOG the member has subscribed to. From other
     * processes at most once a second. May be null. */
    void (*watchers)(void *context, qb_id auction, uint64_t total);
    void *context;
};

struct qb_bus_ops {
    struct qb_bus_member *(*join)(struct qb_bus *bus, struct qb_mailbox *mailbox,
                                  qb_bus_heard *heard, void *context);
    void (*subscribe)(struct qb_bus_member *member, struct qb_topic topic);
    void (*unsubscribe)(struct qb_bus_member *member, struct qb_topic topic);
    void (*publish)(struct qb_bus_member *member, struct qb_topic topic, uint64_t seq,
                    struct qb_frame *frame);
    void (*listen)(struct qb_bus_member *member, const struct qb_bus_listener *listener);
    void (*watching)(struct qb_bus_member *member, qb_id auction, uint32_t count);
    /* Null, as the one after it: there are no other processes. */
    unsigned (*shards)(const struct qb_bus *bus);
    int64_t (*deaf_since_us)(const struct qb_bus *bus, unsigned shard);
    void (*free)(struct qb_bus *bus);
};

struct qb_bus { /* first member of every implementation */
    const struct qb_bus_ops *ops;
};

/* A member for one thread; lives as long as the bus, which frees it. At start, before any use. */
static inline struct qb_bus_member *qb_bus_join(struct qb_bus *bus, struct qb_mailbox *mailbox,
                                                qb_bus_heard *heard, void *context)
{
    return bus->ops->join(bus, mailbox, heard, context);
}

/* From now on `heard` is called for the topic. Once subscribed, again is no error. */
static inline void qb_bus_subscribe(struct qb_bus *bus, struct qb_bus_member *member,
                                    struct qb_topic topic)
{
    bus->ops->subscribe(member, topic);
}

/* What is on its way may still arrive. */
static inline void qb_bus_unsubscribe(struct qb_bus *bus, struct qb_bus_member *member,
                                      struct qb_topic topic)
{
    bus->ops->unsubscribe(member, topic);
}

/* To all members that have subscribed to the topic; the frame is held as long as needed. Not to a
 * LOG. */
static inline void qb_bus_publish(struct qb_bus *bus, struct qb_bus_member *member,
                                  struct qb_topic topic, uint64_t seq, struct qb_frame *frame)
{
    bus->ops->publish(member, topic, seq, frame);
}

/* Who is told what this member misses, and how many watch; copied. Once, after the join. */
static inline void qb_bus_listen(struct qb_bus *bus, struct qb_bus_member *member,
                                 const struct qb_bus_listener *listener)
{
    bus->ops->listen(member, listener);
}

/* So many watch the auction here now. Other processes are told within a second or two; a process
 * that ends counts for some seconds more. Once it listens. */
static inline void qb_bus_watching(struct qb_bus *bus, struct qb_bus_member *member, qb_id auction,
                                   uint32_t count)
{
    bus->ops->watching(member, auction, count);
}

/* A topic is of the shard qb_shard_of(id, shards). Any thread. */
static inline unsigned qb_bus_shards(const struct qb_bus *bus)
{
    return bus->ops->shards != NULL ? bus->ops->shards(bus) : 1;
}

/* The monotonic time since when the shard is deaf, also before it was first heard; 0: it hears.
 * Any thread. */
static inline int64_t qb_bus_deaf_since_us(const struct qb_bus *bus, unsigned shard)
{
    return bus->ops->deaf_since_us != NULL ? bus->ops->deaf_since_us(bus, shard) : 0;
}

/* When no member uses it any more. What is on its way to a mailbox is lost. */
static inline void qb_bus_free(struct qb_bus **bus)
{
    if (*bus != NULL) (*bus)->ops->free(*bus);
    *bus = NULL;
}
