#include "pubsub/bus_local.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/map.h"
#include "base/metrics.h"

#define TOPIC_KEY_BYTES 9

struct local;

struct qb_bus_member {
    struct local *bus;
    struct qb_mailbox *mailbox;
    qb_bus_heard *heard;
    void *context;
    uint64_t bit; /* of this member in a topic's set */
};

/* Who has subscribed to a topic; in the map as long as anybody has. */
struct subscribers {
    uint64_t members;
};

struct local {
    struct qb_bus bus;
    pthread_rwlock_t lock;
    struct qb_map topics;
    struct qb_bus_member members[QB_BUS_MEMBERS_MAX];
    unsigned member_count;
};

struct message {
    struct qb_topic topic;
    uint64_t seq;
    struct qb_frame *frame;
};

static void key_of(struct qb_topic topic, uint8_t key[TOPIC_KEY_BYTES])
{
    key[0] = topic.kind;
    (void)memcpy(&key[1], &topic.id, sizeof topic.id);
}

static struct qb_bus_member *join(struct qb_bus *bus, struct qb_mailbox *mailbox,
                                  qb_bus_heard *heard, void *context)
{
    struct local *local = (struct local *)bus;

    QB_ASSERT(local->member_count < QB_BUS_MEMBERS_MAX);
    struct qb_bus_member *member = &local->members[local->member_count];
    *member = (struct qb_bus_member){
        .bus = local,
        .mailbox = mailbox,
        .heard = heard,
        .context = context,
        .bit = UINT64_C(1) << local->member_count,
    };
    local->member_count++;
    return member;
}

static void subscribe(struct qb_bus_member *member, struct qb_topic topic)
{
    struct local *local = member->bus;
    uint8_t key[TOPIC_KEY_BYTES];

    key_of(topic, key);
    (void)pthread_rwlock_wrlock(&local->lock);
    struct subscribers *found = qb_map_get(&local->topics, key);
    if (found == NULL) {
        found = calloc(1, sizeof *found);
        QB_ASSERT(found != NULL);
        (void)qb_map_set(&local->topics, key, found);
    }
    found->members |= member->bit;
    (void)pthread_rwlock_unlock(&local->lock);
}

static void unsubscribe(struct qb_bus_member *member, struct qb_topic topic)
{
    struct local *local = member->bus;
    uint8_t key[TOPIC_KEY_BYTES];

    key_of(topic, key);
    (void)pthread_rwlock_wrlock(&local->lock);
    struct subscribers *found = qb_map_get(&local->topics, key);
    if (found != NULL) {
        found->members &= ~member->bit;
        if (found->members == 0) free(qb_map_remove(&local->topics, key));
    }
    (void)pthread_rwlock_unlock(&local->lock);
}

static void deliver(void *context, void *message)
{
    struct qb_bus_member *member = context;
    struct message *letter = message;

    member->heard(member->context, letter->topic, letter->seq, letter->frame);
    qb_frame_free(&letter->frame);
    free(letter);
}

static void publish(struct qb_bus_member *member, struct qb_topic topic, uint64_t seq,
                    struct qb_frame *frame)
{
    struct local *local = member->bus;
    uint8_t key[TOPIC_KEY_BYTES];
    uint64_t members = 0;

    key_of(topic, key);
    (void)pthread_rwlock_rdlock(&local->lock);
    const struct subscribers *found = qb_map_get(&local->topics, key);
    if (found != NULL) members = found->members;
    (void)pthread_rwlock_unlock(&local->lock);
    for (unsigned i = 0; i < local->member_count; i++) {
        struct qb_bus_member *to = &local->members[i];
        if ((members & to->bit) == 0) continue;
        struct message *letter = malloc(sizeof *letter);
        QB_ASSERT(letter != NULL);
        *letter = (struct message){topic, seq, qb_frame_hold(frame)};
        if (qb_mailbox_post(to->mailbox, deliver, to, letter)) continue;
        qb_metric_add(QB_METRIC_bus_dropped_total, NULL, 1);
        qb_frame_free(&letter->frame);
        free(letter);
    }
}

static void bus_free(struct qb_bus *bus)
{
    struct local *local = (struct local *)bus;
    size_t cursor = 0;

    for (void *found = NULL; (found = qb_map_next(&local->topics, &cursor, NULL)) != NULL;) {
        free(found);
    }
    qb_map_fini(&local->topics);
    (void)pthread_rwlock_destroy(&local->lock);
    free(local);
}

struct qb_bus *qb_bus_local_new(void)
{
    static const struct qb_bus_ops ops = {.join = join,
                                          .subscribe = subscribe,
                                          .unsubscribe = unsubscribe,
                                          .publish = publish,
                                          .free = bus_free};
    struct local *local = calloc(1, sizeof *local);

    QB_ASSERT(local != NULL);
    local->bus.ops = &ops;
    (void)pthread_rwlock_init(&local->lock, NULL);
    qb_map_init(&local->topics, TOPIC_KEY_BYTES);
    return &local->bus;
}
