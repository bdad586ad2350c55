/*
 * Whether the broker keeps what the journal rests on (reliability.md P0). Arguments of a queue are
 * no proof: a policy at the broker overrules some of them, and versions differ. So each promise is
 * tried on a queue of its own, whose name begins like the real ones' so that their policies hold.
 */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "storage/journal_rabbit_admin.h"
#include "storage/journal_rabbit_parts.h"

#define CUTS_MAX     25     /* one more than any limit of deliveries that is a default somewhere */
#define MESSAGES_MAX 3      /* of the queue that is filled */
#define FILL_MAX     20     /* a broker refuses some messages late */
#define EXPIRES_MS   600000 /* a queue that a crash of the test left goes by itself */

/* One run. */
struct trial {
    const struct qb_journal_rabbit_options *options;
    struct qb_rabbit *publisher;
    struct qb_rabbit *readers[2];
    char queue[NAME_BYTES];
    char dead[NAME_BYTES];
    bool *is_unfit;
    struct qb_error *error;
};

/* The broker answers, and not as it must: no trouble of the network. */
static bool unfit(struct trial *trial, const char *what)
{
    *trial->is_unfit = true;
    return qb_error_set(trial->error, "%s", what);
}

static bool publish(struct trial *trial, const char *queue, uint8_t number, bool *is_taken,
                    bool *is_returned)
{
    struct qb_rabbit_event seen;

    QB_TRY(qb_journal_rabbit_publish_one(trial->publisher, queue, &number, 1, is_returned, &seen,
                                         trial->error));
    *is_taken = seen.kind == QB_RABBIT_CONFIRMED;
    if (*is_taken || seen.kind == QB_RABBIT_NACKED) return true;
    return qb_error_set(trial->error, "RabbitMQ does not confirm in time");
}

static bool put(struct trial *trial, uint8_t number)
{
    bool is_taken = false;
    bool is_returned = false;

    QB_TRY(publish(trial, trial->queue, number, &is_taken, &is_returned));
    if (is_returned) return qb_error_set(trial->error, "queue %s is gone", trial->queue);
    return is_taken || unfit(trial, "RabbitMQ refuses a message to a queue that has room: remove "
                                    "every policy that sets max-length");
}

/* The next delivery is that message, of which `*tag` is for the answer. */
static bool expect(struct trial *trial, struct qb_rabbit *reader, uint8_t number, uint64_t *tag,
                   const char *otherwise)
{
    struct qb_rabbit_event event;

    QB_TRY(qb_journal_rabbit_await(reader, &event, trial->error));
    if (tag != NULL) *tag = event.tag;
    bool is_it = event.kind == QB_RABBIT_DELIVERED && event.length == 1 && event.bytes[0] == number;
    return is_it || unfit(trial, otherwise);
}

static bool read_with(struct trial *trial, struct qb_rabbit *reader, const char *queue)
{
    return qb_rabbit_consume(reader, queue, 10, trial->error);
}

static bool reconnect(struct trial *trial, struct qb_rabbit *rabbit)
{
    qb_rabbit_cut(rabbit);
    return qb_journal_rabbit_connect_any(rabbit, trial->error);
}

static bool test_returns(struct trial *trial)
{
    bool is_taken = false;
    bool is_returned = false;
    char nowhere[NAME_BYTES + 8];

    (void)snprintf(nowhere, sizeof nowhere, "%s.none", trial->queue);
    QB_TRY(publish(trial, nowhere, 0, &is_taken, &is_returned));
    return is_returned ||
           unfit(trial, "RabbitMQ does not return what it cannot route; connect to it directly, "
                        "without a proxy that changes messages");
}

/* Takes the message and loses the connection, again and again. */
static bool test_deliveries(struct trial *trial)
{
    struct qb_rabbit *reader = trial->readers[0];

    QB_TRY(put(trial, 1));
    for (int i = 0; i < CUTS_MAX; i++) {
        QB_TRY(read_with(trial, reader, trial->queue));
        QB_TRY(expect(trial, reader, 1, NULL,
                      "RabbitMQ discards a message whose reader's connection broke a few times: "
                      "remove every policy that sets delivery-limit or message-ttl, or use another "
                      "version"));
        QB_TRY(reconnect(trial, reader));
    }
    return true;
}

/* All go to the first reader, and when that one is gone to the next, in their order. */
static bool test_single_reader(struct trial *trial)
{
    static const char not_single[] = "RabbitMQ gives messages of one queue to two readers at a "
                                     "time: single active consumer does "
                                     "not work; use another version";
    struct qb_rabbit *first = trial->readers[0];
    struct qb_rabbit *second = trial->readers[1];

    QB_TRY(read_with(trial, first, trial->queue) && expect(trial, first, 1, NULL, not_single));
    QB_TRY(read_with(trial, second, trial->queue) && put(trial, 2) && put(trial, 3));
    QB_TRY(expect(trial, first, 2, NULL, not_single) && expect(trial, first, 3, NULL, not_single));
    qb_rabbit_cut(first);
    for (uint8_t number = 1; number <= 3; number++) {
        QB_TRY(
            expect(trial, second, number, NULL,
                   "RabbitMQ gives back what a lost reader held in another order, or not at all; "
                   "use another version"));
    }
    return qb_journal_rabbit_connect_any(first, trial->error);
}

/* What is given up goes to the queue of dead letters, and not away. */
static bool test_dead_letters(struct trial *trial)
{
    uint64_t tag = 0;

    QB_TRY(reconnect(trial, trial->readers[1]) &&
           read_with(trial, trial->readers[1], trial->queue));
    QB_TRY(expect(trial, trial->readers[1], 1, &tag, "RabbitMQ gives back another message first"));
    QB_TRY(qb_rabbit_reject(trial->readers[1], tag, trial->error));
    QB_TRY(read_with(trial, trial->readers[0], trial->dead));
    return expect(trial, trial->readers[0], 1, NULL,
                  "RabbitMQ does not keep dead letters: remove every policy that sets "
                  "dead-letter-exchange or dead-letter-routing-key, or use another version");
}

/* A full queue refuses, and keeps what it has. */
static bool test_overflow(struct trial *trial)
{
    static const char drops[] =
        "RabbitMQ drops messages when a queue is full, instead of refusing more: remove every "
        "policy that sets overflow";
    bool is_taken = true;
    bool is_returned = false;

    for (uint8_t number = 4; number < 4 + FILL_MAX && is_taken; number++) {
        QB_TRY(publish(trial, trial->queue, number, &is_taken, &is_returned));
    }
    if (is_taken) return unfit(trial, drops);
    QB_TRY(reconnect(trial, trial->readers[1]) &&
           read_with(trial, trial->readers[1], trial->queue));
    return expect(trial, trial->readers[1], 2, NULL, drops);
}

static bool run(struct trial *trial)
{
    const struct qb_rabbit_queue dead = {.name = trial->dead, .expires_ms = EXPIRES_MS};
    const struct qb_rabbit_queue queue = {trial->queue, trial->dead, MESSAGES_MAX, EXPIRES_MS};

    for (size_t i = 0; i < QB_COUNT(trial->readers); i++) {
        trial->readers[i] = qb_journal_rabbit_connect(trial->options, trial->error);
        if (trial->readers[i] == NULL) return false;
    }
    QB_TRY(qb_rabbit_confirms(trial->publisher, trial->error) &&
           qb_rabbit_queue(trial->publisher, &dead, trial->error) &&
           qb_rabbit_queue(trial->publisher, &queue, trial->error));
    return test_returns(trial) && test_deliveries(trial) && test_single_reader(trial) &&
           test_dead_letters(trial) && test_overflow(trial);
}

bool qb_journal_rabbit_self_test(const struct qb_journal_rabbit_options *options, bool *is_unfit,
                                 struct qb_error *error)
{
    struct trial trial = {.options = options, .is_unfit = is_unfit, .error = error};
    struct qb_error ignored;
    char id[QB_ID_TEXT_BYTES];

    *is_unfit = false;
    trial.publisher = qb_journal_rabbit_connect(options, error);
    if (trial.publisher == NULL) return false;
    qb_id_text(qb_id_new(), id);
    (void)snprintf(trial.queue, sizeof trial.queue, "%s.entries.test.%s", options->prefix, id);
    (void)snprintf(trial.dead, sizeof trial.dead, "%.*s.dead", (int)sizeof trial.dead - 6,
                   trial.queue);
    bool is_good = run(&trial);
    for (size_t i = 0; i < QB_COUNT(trial.readers); i++) qb_rabbit_free(&trial.readers[i]);
    bool is_there = qb_rabbit_is_connected(trial.publisher) ||
                    qb_journal_rabbit_connect_any(trial.publisher, &ignored);
    if (is_there) {
        (void)!qb_rabbit_remove(trial.publisher, QB_RABBIT_QUEUE, trial.queue, &ignored);
        (void)!qb_rabbit_remove(trial.publisher, QB_RABBIT_QUEUE, trial.dead, &ignored);
    }
    qb_rabbit_free(&trial.publisher);
    return is_good || qb_error_wrap(error, "self-test of the journal");
}
