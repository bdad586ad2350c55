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
    struct qb_bus_listener listener;
};

/* Who has subscribed to a topic; in the map as long as anybody has. */
struct subscribers {
    uint64_t members;
};

/* Who watches an auction; in the map as long as anybody does. */
struct crowd {
    uint64_t total;
    unsigned size;
    uint32_t counts[]; /* by member */
};

struct local {
    struct qb_bus bus;
    pthread_rwlock_t lock;
    struct qb_map topics;
    struct qb_map crowds; /* by auction */
    struct qb_bus_member members[QB_BUS_MEMBERS_MAX];
    unsigned member_count;
};

struct total {
    qb_id auction;
    uint64_t total;
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

static void take_total(void *context, void *message)
{
    const struct qb_bus_member *member = context;
    struct total *told = message;

    member->listener.watchers(member->listener.context, told->auction, told->total);
    free(told);
}

/* Under the lock: of two totals the newer is told last. */
static void tell_total(struct qb_bus_member *member, qb_id auction, uint64_t total)
{
    if (member->listener.watchers == NULL) return;
    struct total *told = malloc(sizeof *told);
    QB_ASSERT(told != NULL);
    *told = (struct total){auction, total};
    qb_mailbox_post_answer(member->mailbox, take_total, member, told);
}

static void listen(struct qb_bus_member *member, const struct qb_bus_listener *listener)
{
    member->listener = *listener; /* there is no other process that could not be heard */
}

static struct crowd *crowd_of(struct local *local, qb_id auction)
{
    struct crowd *crowd = qb_map_get(&local->crowds, &auction);

    if (crowd != NULL) return crowd;
    crowd = calloc(1, sizeof *crowd + local->member_count * sizeof crowd->counts[0]);
    QB_ASSERT(crowd != NULL);
    crowd->size = local->member_count;
    (void)qb_map_set(&local->crowds, &auction, crowd);
    return crowd;
}

static void watching(struct qb_bus_member *member, qb_id auction, uint32_t count)
{
    struct local *local = member->bus;
    size_t number = (size_t)(member - local->members);
    uint8_t key[TOPIC_KEY_BYTES];

    key_of((struct qb_topic){.kind = QB_TOPIC_LOG, .id = auction}, key);
    (void)pthread_rwlock_wrlock(&local->lock);
    struct crowd *crowd = crowd_of(local, auction);
    QB_ASSERT(number < crowd->size); /* all have joined before any use */
    bool is_new = crowd->counts[number] != count;
    crowd->total += count;
    crowd->total -= crowd->counts[number];
    crowd->counts[number] = count;
    const struct subscribers *found = qb_map_get(&local->topics, key);
    for (unsigned i = 0; is_new && found != NULL && i < local->member_count; i++) {
        if ((found->members & local->members[i].bit) != 0)
            tell_total(&local->members[i], auction, crowd->total);
    }
    if (crowd->total == 0) free(qb_map_remove(&local->crowds, &auction));
    (void)pthread_rwlock_unlock(&local->lock);
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
    const struct crowd *crowd = qb_map_get(&local->crowds, &topic.id);
    if (topic.kind == QB_TOPIC_LOG && crowd != NULL) tell_total(member, topic.id, crowd->total);
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
    cursor = 0;
    for (void *crowd = NULL; (crowd = qb_map_next(&local->crowds, &cursor, NULL)) != NULL;) {
        free(crowd);
    }
    qb_map_fini(&local->topics);
    qb_map_fini(&local->crowds);
    (void)pthread_rwlock_destroy(&local->lock);
    free(local);
}

struct qb_bus *qb_bus_local_new(void)
{
    static const struct qb_bus_ops ops = {.join = join,
                                          .subscribe = subscribe,
                                          .unsubscribe = unsubscribe,
                                          .publish = publish,
                                          .listen = listen,
                                          .watching = watching,
                                          .free = bus_free};
    struct local *local = calloc(1, sizeof *local);

    QB_ASSERT(local != NULL);
    local->bus.ops = &ops;
    (void)pthread_rwlock_init(&local->lock, NULL);
    qb_map_init(&local->topics, TOPIC_KEY_BYTES);
    qb_map_init(&local->crowds, sizeof(qb_id));
    return &local->bus;
}
