/*
 * The journal on RabbitMQ from inside; private to storage/journal_rabbit*.c.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "base/random.h"
#include "storage/journal_outbox.h"
#include "storage/journal_rabbit.h"
#include "storage/rabbit.h"

#define OUTSTANDING_MAX 10 /* messages published and not confirmed */
#define NAME_BYTES      (QB_JOURNAL_RABBIT_PREFIX_BYTES + 32)

/* What any thread may read; see qb_journal_rabbit_is_open. */
struct breaker {
    atomic_bool is_connected;
    atomic_bool is_blocked;
    atomic_bool lacks_queue;
    _Atomic uint32_t lacks_route; /* the epoch whose messages come back from a queue's exchange */
    atomic_uint unproven;         /* shards whose newest publish failed */
    _Atomic int64_t oldest_us;    /* monotonic: since when the oldest unconfirmed waits; 0: none */
    _Atomic uint64_t entries;     /* handed in and not confirmed */
    _Atomic uint64_t bytes;       /* of them */
    _Atomic uint64_t asked;       /* how often, for the chance in retry_after_ms */
};

/* A shard as the publisher sees it. */
struct shard_out {
    bool is_proven;    /* what was published last arrived: any number may be under way */
    bool is_missing;   /* it has no queue */
    bool must_look;    /* a message was returned: is it the queue, or only the route? */
    bool has_no_route; /* for `returned_epoch`: its messages come back again and again */
    uint32_t returned_epoch;
    int64_t returned_us; /* since when; 0: they do not */
    unsigned outstanding;
    int64_t probe_us; /* while not proven: when to try with one message */
};

struct publisher {
    struct qb_rabbit *rabbit;
    struct qb_journal_outbox outbox;
    struct shard_out *shards;
    struct qb_journal_outgoing *outstanding[OUTSTANDING_MAX];
    size_t outstanding_count;
    struct qb_journal_pile pile; /* being taken over */
    uint64_t serial;             /* of the newest entry taken over */
    uint32_t epoch;
    unsigned failures; /* in a row, to connect or to get anything confirmed */
    int64_t connect_us;
    int64_t confirmed_us; /* when anything was confirmed last */
    struct qb_random random;
};

/* A message that was delivered; private to journal_rabbit_take.c. */
struct incoming;

/* A shard as the reader sees it. */
struct shard_in {
    struct qb_rabbit *rabbit;
    int64_t connect_us; /* when to try again */
    unsigned failures;
    unsigned held;            /* messages delivered and not settled */
    int64_t delivered_us;     /* when one came last */
    int64_t counted_us;       /* when the broker was asked last */
    bool is_silent;           /* the queue has messages that do not come: another one reads it */
    _Atomic int64_t in_queue; /* about how many entries are there, not delivered here */
};

struct reader {
    struct shard_in *shards;
    struct qb_rabbit **rabbits; /* of the shards, for waiting */
    struct incoming *first;     /* in the order they came */
    struct incoming **end;
    uint64_t position; /* of the newest item */
    uint64_t settled;
    _Atomic uint64_t held; /* entries delivered and not settled */
    struct qb_random random;
};

struct rabbit_journal {
    struct qb_journal journal;
    struct qb_journal_rabbit_options options;
    char *urls;
    char *ca_file;
    char prefix[QB_JOURNAL_RABBIT_PREFIX_BYTES];
    struct breaker breaker;
    _Atomic uint32_t epoch;
    int wake; /* an eventfd that wakes the publisher */
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    /* under the lock */
    struct qb_journal_pile waiting;
    struct qb_journal_writer writers[QB_JOURNAL_WRITERS_MAX];
    size_t writer_count;
    uint64_t appended;     /* entries ever handed in */
    uint64_t settled_upto; /* of them, all up to here are durable or dropped */
    uint64_t dropped;      /* of an epoch that recovery has voided */
    bool is_ending;
    /* of their threads */
    struct publisher publisher;
    struct reader reader;
};

/* Names at the broker. */
void qb_journal_rabbit_exchange_name(const char *prefix, char name[NAME_BYTES]);
void qb_journal_rabbit_queue_name(const char *prefix, unsigned shard, char name[NAME_BYTES]);
void qb_journal_rabbit_route_name(uint32_t epoch, unsigned shard, char name[NAME_BYTES]);

/* How long to wait before the try after so many failures: 0.1 to 2 s, by chance. */
int64_t qb_journal_rabbit_backoff_us(struct qb_random *random, unsigned failures);

/* journal_rabbit_publish.c: the publishing thread, from start to end. */
void *qb_journal_rabbit_publish(void *journal);

/* journal_rabbit_admin.c: a connection to any of the addresses, that one anew, and how it is used
 * by who may wait. */
struct qb_rabbit *qb_journal_rabbit_connect(const struct qb_journal_rabbit_options *options,
                                            struct qb_error *error);
QB_MUST_USE bool qb_journal_rabbit_connect_any(struct qb_rabbit *rabbit, struct qb_error *error);
/* The next event; NOTHING: it did not come in time. */
QB_MUST_USE bool qb_journal_rabbit_await(struct qb_rabbit *rabbit, struct qb_rabbit_event *event,
                                         struct qb_error *error);
/* Publishes to a queue past the routes and waits for the answer: `*seen` is the last event of it.
 */
QB_MUST_USE bool qb_journal_rabbit_publish_one(struct qb_rabbit *rabbit, const char *queue,
                                               const uint8_t *bytes, size_t length,
                                               bool *is_returned, struct qb_rabbit_event *seen,
                                               struct qb_error *error);

/* journal_rabbit_take.c */
void qb_journal_rabbit_reader_init(struct rabbit_journal *journal);
void qb_journal_rabbit_reader_fini(struct rabbit_journal *journal);
bool qb_journal_rabbit_take(struct qb_journal *journal, size_t items_max, int64_t wait_us,
                            bool (*each)(void *context, const struct qb_journal_item *item),
                            void *context, struct qb_error *error);
bool qb_journal_rabbit_settle(struct qb_journal *journal, uint64_t position,
                              struct qb_error *error);
uint64_t qb_journal_rabbit_backlog(struct qb_journal *journal);
