#include "storage/journal_rabbit_admin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/text.h"
#include "storage/journal_rabbit_parts.h"

#define HEARTBEAT_S 10
/* A broker killed within a second of making a queue forgets that it has it, with all that was
 * confirmed in it (seen with 3.10.8): nothing is routed there before that time is over. */
#define SETTLE_US   (2 * QB_SECOND_US)
#define ANSWER_US   (5 * QB_SECOND_US) /* for a confirm or a delivery */

bool qb_journal_rabbit_connect_any(struct qb_rabbit *rabbit, struct qb_error *error)
{
    for (size_t i = 0; i < qb_rabbit_addresses(rabbit); i++) {
        if (qb_rabbit_connect(rabbit, error)) return true;
    }
    return false;
}

struct qb_rabbit *qb_journal_rabbit_connect(const struct qb_journal_rabbit_options *options,
                                            struct qb_error *error)
{
    const struct qb_rabbit_options connection = {.urls = options->urls,
                                                 .ca_file = options->ca_file,
                                                 .name = "quickbid leader",
                                                 .heartbeat_s = HEARTBEAT_S};
    struct qb_rabbit *rabbit = qb_rabbit_new(&connection, error);

    if (rabbit != NULL && !qb_journal_rabbit_connect_any(rabbit, error)) qb_rabbit_free(&rabbit);
    return rabbit;
}

static void dead_name(const char *prefix, char name[NAME_BYTES])
{
    (void)snprintf(name, NAME_BYTES, "%s.dead", prefix);
}

/* What is there with other arguments cannot be changed, only removed. */
static bool advise(const char *name, struct qb_error *error)
{
    if (strstr(error->text, "PRECONDITION_FAILED") != NULL)
        return qb_error_wrap(error,
                             "%s was made with other settings than this program's; drain it with "
                             "those, then remove it. If a policy sets them, remove the policy",
                             name);
    return false;
}

static bool declare(struct qb_rabbit *rabbit, const struct qb_journal_rabbit_options *options,
                    const char *name, struct qb_error *error)
{
    char dead[NAME_BYTES];

    dead_name(options->prefix, dead);
    const struct qb_rabbit_queue end = {.name = dead};
    const struct qb_rabbit_queue queue = {
        .name = name, .dead_letters_to = dead, .messages_max = options->queue_messages_max};
    if (!qb_rabbit_queue(rabbit, &end, error)) return advise(dead, error);
    return qb_rabbit_queue(rabbit, &queue, error) || advise(name, error);
}

static bool route(struct qb_rabbit *rabbit, const struct qb_journal_rabbit_options *options,
                  uint32_t epoch, bool is_open, struct qb_error *error)
{
    char exchange[NAME_BYTES];

    qb_journal_rabbit_exchange_name(options->prefix, exchange);
    for (unsigned shard = 0; shard < options->shards; shard++) {
        char queue[NAME_BYTES];
        char key[NAME_BYTES];
        qb_journal_rabbit_queue_name(options->prefix, shard, queue);
        qb_journal_rabbit_route_name(epoch, shard, key);
        const struct qb_rabbit_route one = {queue, exchange, key};
        QB_TRY(qb_rabbit_route(rabbit, &one, is_open, error));
    }
    return true;
}

/* Whether the queue serves; a consumer that leaves again changes nothing. */
static bool serves(const struct qb_journal_rabbit_options *options, const char *queue,
                   struct qb_error *error)
{
    struct qb_rabbit *rabbit = qb_journal_rabbit_connect(options, error);
    bool is_connected = rabbit != NULL;
    bool is_good = is_connected && qb_rabbit_consume(rabbit, queue, 1, error);

    qb_rabbit_free(&rabbit);
    if (is_connected && !is_good)
        return qb_error_wrap(error,
                             "queue %s is there but does not serve; if that lasts, its data "
                             "is lost: remove it, and recovery fills a new one",
                             queue);
    return is_good;
}

static bool prepare(struct qb_rabbit *rabbit, const struct qb_journal_rabbit_options *options,
                    uint32_t epoch, struct qb_error *error)
{
    struct qb_rabbit_count count;
    char name[NAME_BYTES];
    bool is_new = false;

    qb_journal_rabbit_exchange_name(options->prefix, name);
    if (!qb_rabbit_exchange(rabbit, name, error)) return advise(name, error);
    for (unsigned shard = 0; shard < options->shards; shard++) {
        qb_journal_rabbit_queue_name(options->prefix, shard, name);
        QB_TRY(qb_rabbit_count(rabbit, name, &count, error));
        if (count.is_missing) is_new = true;
        QB_TRY(declare(rabbit, options, name, error));
    }
    if (is_new) qb_clock_sleep_us(SETTLE_US);
    for (unsigned shard = 0; shard < options->shards; shard++) {
        qb_journal_rabbit_queue_name(options->prefix, shard, name);
        QB_TRY(serves(options, name, error));
    }
    return route(rabbit, options, epoch, true, error);
}

bool qb_journal_rabbit_prepare(const struct qb_journal_rabbit_options *options, uint32_t epoch,
                               struct qb_error *error)
{
    struct qb_rabbit *rabbit = qb_journal_rabbit_connect(options, error);
    bool is_done = rabbit != NULL && prepare(rabbit, options, epoch, error);

    qb_rabbit_free(&rabbit);
    return is_done;
}

bool qb_journal_rabbit_seal(const struct qb_journal_rabbit_options *options, uint32_t epoch,
                            struct qb_error *error)
{
    struct qb_rabbit *rabbit = qb_journal_rabbit_connect(options, error);
    bool is_done = rabbit != NULL && route(rabbit, options, epoch, false, error);

    qb_rabbit_free(&rabbit);
    return is_done;
}

bool qb_journal_rabbit_await(struct qb_rabbit *rabbit, struct qb_rabbit_event *event,
                             struct qb_error *error)
{
    int64_t until_us = qb_clock_mono_us() + ANSWER_US;

    event->kind = QB_RABBIT_NOTHING;
    while (event->kind == QB_RABBIT_NOTHING && qb_clock_mono_us() < until_us) {
        qb_rabbit_wait(&rabbit, 1, -1, QB_SECOND_US / 10);
        QB_TRY(qb_rabbit_next(rabbit, event, error));
    }
    return true;
}

bool qb_journal_rabbit_publish_one(struct qb_rabbit *rabbit, const char *queue,
                                   const uint8_t *bytes, size_t length, bool *is_returned,
                                   struct qb_rabbit_event *seen, struct qb_error *error)
{
    const struct qb_rabbit_message message = {"", queue, 1, bytes, length};
    uint64_t tag = 0;

    *is_returned = false;
    QB_TRY(qb_rabbit_publish(rabbit, &message, &tag, error));
    do {
        QB_TRY(qb_journal_rabbit_await(rabbit, seen, error));
        if (seen->kind == QB_RABBIT_RETURNED) *is_returned = true;
    } while (seen->kind != QB_RABBIT_NOTHING && seen->kind != QB_RABBIT_CONFIRMED &&
             seen->kind != QB_RABBIT_NACKED);
    return true;
}

static bool publish_confirmed(struct qb_rabbit *rabbit, const char *queue, const uint8_t *bytes,
                              size_t length, struct qb_error *error)
{
    struct qb_rabbit_event seen;
    bool is_returned = false;

    QB_TRY(qb_journal_rabbit_publish_one(rabbit, queue, bytes, length, &is_returned, &seen, error));
    if (is_returned) return qb_error_set(error, "queue %s is missing", queue);
    if (seen.kind == QB_RABBIT_CONFIRMED) return true;
    return qb_error_set(error, "RabbitMQ %s a message to %s",
                        seen.kind == QB_RABBIT_NACKED ? "refuses" : "does not confirm", queue);
}

static bool mark(struct qb_rabbit *rabbit, const struct qb_journal_rabbit_options *options,
                 uint32_t epoch, unsigned number, struct qb_error *error)
{
    QB_TRY(qb_rabbit_confirms(rabbit, error));
    for (unsigned shard = 0; shard < options->shards; shard++) {
        const struct qb_journal_message barrier = {QB_JOURNAL_MESSAGE_BARRIER, epoch,
                                                   (uint16_t)shard, (uint16_t)number};
        uint8_t bytes[QB_JOURNAL_MESSAGE_HEAD_BYTES];
        char queue[NAME_BYTES];
        qb_journal_rabbit_queue_name(options->prefix, shard, queue);
        qb_journal_message_head(&barrier, bytes);
        QB_TRY(publish_confirmed(rabbit, queue, bytes, sizeof bytes, error));
    }
    return true;
}

bool qb_journal_rabbit_mark(const struct qb_journal_rabbit_options *options, uint32_t epoch,
                            unsigned number, struct qb_error *error)
{
    struct qb_rabbit *rabbit = qb_journal_rabbit_connect(options, error);
    bool is_done = rabbit != NULL && mark(rabbit, options, epoch, number, error);

    qb_rabbit_free(&rabbit);
    return is_done;
}

bool qb_journal_rabbit_put(const struct qb_journal_rabbit_options *options, unsigned shard,
                           const struct qb_journal_item *items, size_t count,
                           struct qb_error *error)
{
    const struct qb_journal_message message = {QB_JOURNAL_MESSAGE_ENTRIES, items[0].epoch,
                                               (uint16_t)shard, (uint16_t)count};
    char queue[NAME_BYTES];
    size_t room = QB_JOURNAL_MESSAGE_HEAD_BYTES;

    QB_ASSERT(count > 0 && count <= QB_JOURNAL_RABBIT_PUT_MAX);
    for (size_t i = 0; i < count; i++) room += QB_JOURNAL_MESSAGE_ENTRY_BYTES + items[i].length;
    uint8_t *bytes = malloc(room);
    QB_ASSERT(bytes != NULL);
    qb_journal_message_head(&message, bytes);
    size_t length = QB_JOURNAL_MESSAGE_HEAD_BYTES;
    for (size_t i = 0; i < count; i++) {
        QB_ASSERT(items[i].epoch == items[0].epoch);
        length += qb_journal_message_entry(&items[i], &bytes[length]);
    }
    qb_journal_rabbit_queue_name(options->prefix, shard, queue);
    struct qb_rabbit *rabbit = qb_journal_rabbit_connect(options, error);
    bool is_done = rabbit != NULL && qb_rabbit_confirms(rabbit, error) &&
                   publish_confirmed(rabbit, queue, bytes, length, error);
    qb_rabbit_free(&rabbit);
    free(bytes);
    return is_done;
}

bool qb_journal_rabbit_look(const struct qb_journal_rabbit_options *options,
                            struct qb_journal_rabbit_seen *seen, struct qb_error *error)
{
    struct qb_rabbit *rabbit = qb_journal_rabbit_connect(options, error);
    bool is_asked = rabbit != NULL;
    char name[NAME_BYTES];

    *seen = (struct qb_journal_rabbit_seen){0};
    for (unsigned shard = 0; is_asked && shard < options->shards; shard++) {
        qb_journal_rabbit_queue_name(options->prefix, shard, name);
        is_asked = qb_rabbit_count(rabbit, name, &seen->queues[shard], error);
    }
    dead_name(options->prefix, name);
    is_asked = is_asked && qb_rabbit_count(rabbit, name, &seen->dead, error);
    qb_rabbit_free(&rabbit);
    return is_asked;
}

bool qb_journal_rabbit_is_empty(const struct qb_journal_rabbit_options *options, unsigned shard,
                                bool *is_empty, struct qb_error *error)
{
    struct qb_rabbit *rabbit = qb_journal_rabbit_connect(options, error);
    struct qb_rabbit_count found = {0};
    char name[NAME_BYTES];

    *is_empty = false;
    qb_journal_rabbit_queue_name(options->prefix, shard, name);
    bool is_asked = rabbit != NULL && qb_rabbit_count(rabbit, name, &found, error);
    qb_rabbit_free(&rabbit);
    if (!is_asked) return false;
    if (found.is_missing) return qb_error_set(error, "RabbitMQ: the queue %s is missing", name);
    *is_empty = found.messages == 0;
    return true;
}

bool qb_journal_rabbit_find(const struct qb_journal_rabbit_options *options, bool *is_missing,
                            struct qb_error *error)
{
    struct qb_journal_rabbit_seen seen;

    *is_missing = false;
    QB_TRY(qb_journal_rabbit_look(options, &seen, error));
    for (unsigned shard = 0; shard < options->shards; shard++) {
        if (seen.queues[shard].is_missing) *is_missing = true;
    }
    return true;
}

bool qb_journal_rabbit_remove(const struct qb_journal_rabbit_options *options,
                              struct qb_error *error)
{
    struct qb_rabbit *rabbit = qb_journal_rabbit_connect(options, error);
    char name[NAME_BYTES];
    bool is_done = rabbit != NULL;

    for (unsigned shard = 0; is_done && shard < options->shards; shard++) {
        qb_journal_rabbit_queue_name(options->prefix, shard, name);
        is_done = qb_rabbit_remove(rabbit, QB_RABBIT_QUEUE, name, error);
    }
    qb_journal_rabbit_exchange_name(options->prefix, name);
    is_done = is_done && qb_rabbit_remove(rabbit, QB_RABBIT_EXCHANGE, name, error);
    dead_name(options->prefix, name);
    is_done = is_done && qb_rabbit_remove(rabbit, QB_RABBIT_QUEUE, name, error);
    qb_rabbit_free(&rabbit);
    return is_done;
}
