/*
 * Port: tell every thread and every replica; lossy on purpose, gaps healed by sequence.
 *
 * Implementations: bus_local.h. tests/contract/bus_contract.c says what each must do.
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
    QB_TOPIC_AUCTION, /* new states of an auction, for its watchers */
    QB_TOPIC_USER,    /* private notices for the connections of one account */
};

struct qb_topic {
    uint8_t kind; /* enum qb_topic_kind */
    qb_id id;
};

/* `seq` is the auction's (0 for a user's notice); `frame` is borrowed for the call. */
typedef void qb_bus_heard(void *context, struct qb_topic topic, uint64_t seq,
                          struct qb_frame *frame);

struct qb_bus_ops {
    struct qb_bus_member *(*join)(struct qb_bus *bus, struct qb_mailbox *mailbox,
                                  qb_bus_heard *heard, void *context);
    void (*subscribe)(struct qb_bus_member *member, struct qb_topic topic);
    void (*unsubscribe)(struct qb_bus_member *member, struct qb_topic topic);
    void (*publish)(struct qb_bus_member *member, struct qb_topic topic, uint64_t seq,
                    struct qb_frame *frame);
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

/* To all members that have subscribed to the topic; the frame is held as long as needed. */
static inline void qb_bus_publish(struct qb_bus *bus, struct qb_bus_member *member,
                                  struct qb_topic topic, uint64_t seq, struct qb_frame *frame)
{
    bus->ops->publish(member, topic, seq, frame);
}

static inline void qb_bus_free(struct qb_bus **bus)
{
    if (*bus != NULL) (*bus)->ops->free(*bus);
    *bus = NULL;
}
