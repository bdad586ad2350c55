/*
 * One connection to a RabbitMQ broker, out of several that are tried in turn: publish with
 * confirms, consume, and declare. The only way to the client library.
 *
 * Every call that asks the broker waits for its answer, at most QB_RABBIT_ANSWER_S; qb_rabbit_next
 * and qb_rabbit_publish do not wait. When a call fails with the connection it is cut already:
 * qb_rabbit_is_connected() tells. Heartbeats are answered only inside calls, so call
 * qb_rabbit_next at least four times in a heartbeat; qb_rabbit_wait wakes up for that.
 *
 * Thread    one at a time.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attributes.h"
#include "base/error.h"

#define QB_RABBIT_CONNECT_S 3
#define QB_RABBIT_ANSWER_S  3

/* A message longer than this is delivered cut to it: nobody of ours writes one. */
#define QB_RABBIT_BODY_BYTES_MAX (1U << 20)

struct qb_rabbit;

struct qb_rabbit_options {
    const char *urls;     /* see rabbit_address.h; copied */
    const char *ca_file;  /* whom to trust at amqps://; null: no amqps:// address is allowed */
    const char *name;     /* what the broker shows for the connection; must outlive it */
    unsigned heartbeat_s; /* both sides give the connection up after about two of them */
};

enum qb_rabbit_event_kind {
    QB_RABBIT_NOTHING,
    QB_RABBIT_CONFIRMED, /* the broker answers for `tag`, with `is_multiple` also for all below */
    QB_RABBIT_NACKED,    /* the broker does not take `tag`, or all up to it */
    QB_RABBIT_RETURNED,  /* no queue is bound for the message with that `id`; a confirm follows */
    QB_RABBIT_DELIVERED, /* `bytes` to consume, to be acknowledged by `tag` */
    QB_RABBIT_BLOCKED,   /* the broker is short of memory or disk: publish nothing */
    QB_RABBIT_UNBLOCKED,
};

struct qb_rabbit_event {
    enum qb_rabbit_event_kind kind;
    uint64_t tag;
    uint64_t id;
    bool is_multiple;
    const uint8_t *bytes; /* until the next call */
    size_t length;
};

struct qb_rabbit_message {
    const char *exchange; /* "": the default one, which routes by a queue's name */
    const char *key;
    uint64_t id; /* the publisher's own; comes back when the message does */
    const uint8_t *bytes;
    size_t length;
};

/* A quorum queue to declare as docs/journal.md says: never drops, one active consumer. */
struct qb_rabbit_queue {
    const char *name;
    const char *dead_letters_to; /* a queue that is there; null: this one is for dead letters */
    uint32_t messages_max;       /* beyond, a publish is nacked; 0: no limit */
    uint32_t expires_ms;         /* it goes when nobody used it for so long; 0: it stays */
};

struct qb_rabbit_route {
    const char *queue;
    const char *exchange;
    const char *key;
};

enum qb_rabbit_thing { QB_RABBIT_QUEUE, QB_RABBIT_EXCHANGE };

struct qb_rabbit_count {
    bool is_missing; /* there is no such queue */
    uint32_t messages;
    uint32_t consumers;
};

/* Not connected yet. Null with `error` set: an address is wrong. */
struct qb_rabbit *qb_rabbit_new(const struct qb_rabbit_options *options, struct qb_error *error);
/* Cuts the connection, frees, nulls the pointer. Accepts null. */
void qb_rabbit_free(struct qb_rabbit **rabbit);

/* How many addresses there are. */
size_t qb_rabbit_addresses(const struct qb_rabbit *rabbit);
/* Tries the next of the addresses; the one after it next time. */
QB_MUST_USE bool qb_rabbit_connect(struct qb_rabbit *rabbit, struct qb_error *error);
bool qb_rabbit_is_connected(const struct qb_rabbit *rabbit);
/* Ends the connection without a word, as a crash would: the broker gives what was delivered and not
 * acknowledged to the next consumer, in its old place. */
void qb_rabbit_cut(struct qb_rabbit *rabbit);

/* Waits for input of any of `rabbits` (null and cut ones allowed), for a write to `wake_descriptor`
 * (an eventfd, which is emptied; -1: none), or so long, or until a heartbeat is due. */
void qb_rabbit_wait(struct qb_rabbit *const *rabbits, size_t count, int wake_descriptor,
                    int64_t wait_us);
/* What has come, one at a time, NOTHING when there is no more. */
QB_MUST_USE bool qb_rabbit_next(struct qb_rabbit *rabbit, struct qb_rabbit_event *event,
                                struct qb_error *error);

/* Asks for confirms. Before the first publish. */
QB_MUST_USE bool qb_rabbit_confirms(struct qb_rabbit *rabbit, struct qb_error *error);
/* Whether the socket takes a message of 64 KiB now. */
bool qb_rabbit_can_publish(const struct qb_rabbit *rabbit);
/* Publishes, persistent and mandatory; `*tag` is what its confirm will name. */
QB_MUST_USE bool qb_rabbit_publish(struct qb_rabbit *rabbit,
                                   const struct qb_rabbit_message *message, uint64_t *tag,
                                   struct qb_error *error);

/* Asks for the queue's messages, so many unacknowledged ones at most. One queue a connection. */
QB_MUST_USE bool qb_rabbit_consume(struct qb_rabbit *rabbit, const char *queue, uint16_t prefetch,
                                   struct qb_error *error);
/* Acknowledges all deliveries up to `tag`. */
QB_MUST_USE bool qb_rabbit_ack(struct qb_rabbit *rabbit, uint64_t tag, struct qb_error *error);

/* Gives one delivery up, to the dead letters. Only the self-test may: who reads entries never does.
 */
QB_MUST_USE bool qb_rabbit_reject(struct qb_rabbit *rabbit, uint64_t tag, struct qb_error *error);

/* Declares a durable direct exchange. */
QB_MUST_USE bool qb_rabbit_exchange(struct qb_rabbit *rabbit, const char *name,
                                    struct qb_error *error);
QB_MUST_USE bool qb_rabbit_queue(struct qb_rabbit *rabbit, const struct qb_rabbit_queue *queue,
                                 struct qb_error *error);
/* Declares passively: what is in a queue, if it is there. */
QB_MUST_USE bool qb_rabbit_count(struct qb_rabbit *rabbit, const char *queue,
                                 struct qb_rabbit_count *count, struct qb_error *error);
/* Binds the queue, or ends its binding: messages to `exchange` with `key` go to it or no longer. */
QB_MUST_USE bool qb_rabbit_route(struct qb_rabbit *rabbit, const struct qb_rabbit_route *route,
                                 bool is_open, struct qb_error *error);
/* Removes it, whatever is in it; fine if there is none. */
QB_MUST_USE bool qb_rabbit_remove(struct qb_rabbit *rabbit, enum qb_rabbit_thing thing,
                                  const char *name, struct qb_error *error);
