#include "storage/ledger_memory.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/map.h"
#include "base/random.h"

#define MARK_LIFE_US   (15 * QB_SECOND_US)
#define IDS_ROOM_FIRST 16

/* What has a bid_id: an entry, or the mark of an early refusal. */
struct known {
    uint8_t bid_id[QB_BID_ID_BYTES];
    uint64_t seq; /* its place; of a mark: as of which it was judged; 0: a free slot */
    uint64_t asked;
    uint8_t refusal; /* of a mark; else 0 */
};

struct mark {
    uint8_t bid_id[QB_BID_ID_BYTES];
    qb_time_us made_us;
};

struct log {
    uint64_t seq;
    uint64_t durable;
    qb_time_us last_us;
    struct known *ids; /* open addressing; room is a power of two */
    size_t id_count;
    size_t id_room;
    struct mark *marks; /* a ring, oldest first */
    uint32_t mark_first;
    uint32_t mark_count;
    uint32_t mark_room;
};

struct memory_ledger {
    struct qb_ledger ledger;
    struct qb_ledger_memory_options options;
    struct qb_map logs;
    uint64_t seed[2];
    qb_time_us now_us; /* the clock never goes back */
    struct qb_ledger_listener listener;
};

struct answer {
    qb_ledger_done *done;
    void *context;
    size_t count;
    struct qb_ledger_result results[];
};

static qb_time_us read_clock(struct memory_ledger *ledger)
{
    qb_time_us now_us = ledger->options.clock != NULL
                            ? ledger->options.clock(ledger->options.clock_context)
                            : qb_clock_even_us();

    if (now_us > ledger->now_us) ledger->now_us = now_us;
    return ledger->now_us;
}

static size_t home_of(const struct memory_ledger *ledger, const struct log *log,
                      const uint8_t bid_id[QB_BID_ID_BYTES])
{
    return (size_t)qb_siphash(ledger->seed, bid_id, QB_BID_ID_BYTES) & (log->id_room - 1);
}

/* The slot of an id, or the free one where it would go. */
static struct known *slot_of(const struct memory_ledger *ledger, const struct log *log,
                             const uint8_t bid_id[QB_BID_ID_BYTES])
{
    size_t at = home_of(ledger, log, bid_id);

    while (log->ids[at].seq != 0 && memcmp(log->ids[at].bid_id, bid_id, QB_BID_ID_BYTES) != 0) {
        at = (at + 1) & (log->id_room - 1);
    }
    return &log->ids[at];
}

static const struct known *find(const struct memory_ledger *ledger, const struct log *log,
                                const uint8_t bid_id[QB_BID_ID_BYTES])
{
    const struct known *known = log->id_room > 0 ? slot_of(ledger, log, bid_id) : NULL;
    return known != NULL && known->seq != 0 ? known : NULL;
}

static void grow(const struct memory_ledger *ledger, struct log *log)
{
    struct log old = *log;

    log->id_room = old.id_room == 0 ? IDS_ROOM_FIRST : old.id_room * 2;
    log->ids = calloc(log->id_room, sizeof *log->ids);
    QB_ASSERT(log->ids != NULL);
    for (size_t i = 0; i < old.id_room; i++) {
        if (old.ids[i].seq != 0) *slot_of(ledger, log, old.ids[i].bid_id) = old.ids[i];
    }
    free(old.ids);
}

static void remember(const struct memory_ledger *ledger, struct log *log, const struct known *known)
{
    QB_ASSERT(known->seq > 0);
    if ((log->id_count + 1) * 4 > log->id_room * 3) grow(ledger, log);
    struct known *slot = slot_of(ledger, log, known->bid_id);
    QB_ASSERT(slot->seq == 0);
    *slot = *known;
    log->id_count++;
}

/* Removes an id and moves back what was displaced over its slot. */
static void forget_id(const struct memory_ledger *ledger, struct log *log,
                      const uint8_t bid_id[QB_BID_ID_BYTES])
{
    size_t mask = log->id_room - 1;
    struct known *gone = slot_of(ledger, log, bid_id);
    size_t hole = (size_t)(gone - log->ids);

    QB_ASSERT(gone->seq != 0);
    for (size_t at = (hole + 1) & mask; log->ids[at].seq != 0; at = (at + 1) & mask) {
        size_t home = home_of(ledger, log, log->ids[at].bid_id);
        if (((at - home) & mask) < ((at - hole) & mask)) continue;
        log->ids[hole] = log->ids[at];
        hole = at;
    }
    log->ids[hole].seq = 0;
    log->id_count--;
}

/* Room for one more mark: false while the oldest is too young to be forgotten. */
static bool make_mark_room(const struct memory_ledger *ledger, struct log *log, qb_time_us now_us)
{
    uint32_t most = ledger->options.marks_max;

    if (log->mark_count < log->mark_room) return true;
    if (log->mark_room < most) {
        uint32_t room = log->mark_room == 0 ? 16 : log->mark_room * 2;
        if (room > most) room = most;
        struct mark *marks = malloc(room * sizeof *marks);
        QB_ASSERT(marks != NULL);
        for (uint32_t i = 0; i < log->mark_count && log->mark_room > 0; i++) {
            marks[i] = log->marks[(log->mark_first + i) % log->mark_room];
        }
        free(log->marks);
        log->marks = marks;
        log->mark_first = 0;
        log->mark_room = room;
        return true;
    }
    if (now_us - log->marks[log->mark_first].made_us < MARK_LIFE_US) return false;
    forget_id(ledger, log, log->marks[log->mark_first].bid_id);
    log->mark_first = (log->mark_first + 1) % log->mark_room;
    log->mark_count--;
    return true;
}

static void mark(struct memory_ledger *ledger, struct log *log,
                 const struct qb_ledger_command *command, qb_time_us now_us,
                 struct qb_ledger_result *result)
{
    struct known known = {
        .seq = command->as_of > 0 ? command->as_of : 1,
        .asked = qb_entry_asked(command->entry),
        .refusal = command->refusal,
    };

    if (!make_mark_room(ledger, log, now_us)) {
        result->outcome = QB_APPEND_BUSY;
        return;
    }
    (void)memcpy(known.bid_id, command->entry->bid_id, QB_BID_ID_BYTES);
    struct mark *made = &log->marks[(log->mark_first + log->mark_count) % log->mark_room];
    (void)memcpy(made->bid_id, known.bid_id, QB_BID_ID_BYTES);
    made->made_us = now_us;
    log->mark_count++;
    remember(ledger, log, &known);
    result->outcome = QB_APPEND_MARKED;
    result->seq = command->as_of;
}

static void append(struct memory_ledger *ledger, struct log *log,
                   const struct qb_ledger_command *command, qb_time_us now_us,
                   struct qb_ledger_result *result)
{
    const struct qb_entry *entry = command->entry;
    struct known known = {
        .seq = log->seq + 1,
        .asked = entry->type == QB_ENTRY_DISCARD ? 0 : qb_entry_asked(entry),
    };

    if (log->seq - log->durable >= ledger->options.unconfirmed_max) {
        result->outcome = QB_APPEND_BUSY;
        return;
    }
    (void)memcpy(known.bid_id, entry->bid_id, QB_BID_ID_BYTES);
    remember(ledger, log, &known);
    log->seq++;
    log->last_us = now_us;
    result->outcome = QB_APPEND_DONE;
    result->seq = log->seq;
    result->now_us = now_us;
}

static struct log *log_new(struct memory_ledger *ledger, qb_id auction)
{
    struct log *log = calloc(1, sizeof *log);

    QB_ASSERT(log != NULL);
    (void)qb_map_set(&ledger->logs, &auction, log);
    return log;
}

static void run(struct memory_ledger *ledger, const struct qb_ledger_command *command,
                struct qb_ledger_result *result)
{
    qb_id auction = command->entry->auction;
    struct log *log = qb_map_get(&ledger->logs, &auction);
    bool is_open = command->entry->type == QB_ENTRY_OPEN && !command->is_mark;

    *result = (struct qb_ledger_result){.epoch = ledger->options.epoch};
    qb_time_us now_us = read_clock(ledger);
    /* Without its OPEN a log has no place for anything; an OPEN that is late makes none. */
    if (log == NULL && (!is_open || now_us > command->expires_us)) {
        result->outcome = QB_APPEND_EXPIRED;
        return;
    }
    if (log == NULL) log = log_new(ledger, auction);
    if (now_us < log->last_us) now_us = log->last_us;
    const struct known *known = find(ledger, log, command->entry->bid_id);
    if (known != NULL) {
        result->outcome = known->refusal != 0 ? QB_APPEND_REFUSED : QB_APPEND_DUPLICATE;
        result->seq = known->seq;
        result->asked = known->asked;
        result->refusal = known->refusal;
    } else if (command->is_mark) {
        mark(ledger, log, command, now_us, result);
    } else if (now_us > command->expires_us) {
        result->outcome = QB_APPEND_EXPIRED;
    } else {
        append(ledger, log, command, now_us, result);
    }
}

static void deliver(void *context, void *message)
{
    struct answer *answer = message;

    (void)context;
    answer->done(answer->context, answer->results, answer->count);
    free(answer);
}

static void call(struct qb_ledger *port, const struct qb_ledger_command *commands, size_t count,
                 qb_ledger_done *done, void *context)
{
    struct memory_ledger *ledger = (struct memory_ledger *)port;
    struct answer *answer = malloc(sizeof *answer + count * sizeof answer->results[0]);

    QB_ASSERT(answer != NULL);
    answer->done = done;
    answer->context = context;
    answer->count = count;
    for (size_t i = 0; i < count; i++) run(ledger, &commands[i], &answer->results[i]);
    qb_mailbox_post_answer(ledger->options.mailbox, deliver, NULL, answer);
}

static void durable(struct qb_ledger *port, qb_id auction, uint64_t seq)
{
    struct memory_ledger *ledger = (struct memory_ledger *)port;
    struct log *log = qb_map_get(&ledger->logs, &auction);

    if (log == NULL) return;
    if (seq > log->durable) log->durable = seq < log->seq ? seq : log->seq;
    /* Nobody else appends: what is durable here has everything below it durable too. */
    if (ledger->listener.durable != NULL) {
        ledger->listener.durable(ledger->listener.context, auction, log->durable);
    }
}

static void listen(struct qb_ledger *port, const struct qb_ledger_listener *listener)
{
    ((struct memory_ledger *)port)->listener = *listener;
}

struct lookup {
    qb_id auction;
    qb_ledger_followed *done;
    void *context;
};

static void not_found(void *context, void *message)
{
    struct lookup *lookup = message;

    (void)context;
    lookup->done(lookup->context, lookup->auction, QB_LEDGER_NOT_FOUND, NULL);
    free(lookup);
}

/* Every live auction is in memory from the start: what is not there is in no log. */
static void follow(struct qb_ledger *port, qb_id auction, qb_ledger_followed *done, void *context)
{
    struct memory_ledger *ledger = (struct memory_ledger *)port;
    struct lookup *lookup = malloc(sizeof *lookup);

    QB_ASSERT(lookup != NULL);
    *lookup = (struct lookup){auction, done, context};
    qb_mailbox_post_answer(ledger->options.mailbox, not_found, NULL, lookup);
}

static void fed(struct qb_ledger *port, qb_id auction, const uint8_t *bytes, size_t length)
{
    (void)port;
    (void)auction;
    (void)bytes;
    (void)length;
    QB_ASSERT(false); /* nothing is published for others here */
}

static void adopted(struct qb_ledger *port, qb_id auction, uint64_t seq)
{
    (void)port;
    (void)auction;
    (void)seq;
    QB_ASSERT(false); /* nobody else appends: there are no orphans */
}

/* The log is rebuilt from the store, which keeps states of its own. */
static void snapshot(struct qb_ledger *port, const struct qb_lot *lot,
                     const struct qb_bid_record *records, size_t count)
{
    (void)port;
    (void)lot;
    (void)records;
    (void)count;
}

/* There is nothing but what was appended here. */
static void missed(struct qb_ledger *port, qb_id auction)
{
    (void)port;
    (void)auction;
}

static void log_free(struct log *log)
{
    free(log->ids);
    free(log->marks);
    free(log);
}

static void forget(struct qb_ledger *port, qb_id auction)
{
    struct memory_ledger *ledger = (struct memory_ledger *)port;
    struct log *log = qb_map_remove(&ledger->logs, &auction);

    if (log != NULL) log_free(log);
}

static qb_time_us now_us(struct qb_ledger *port, int64_t *uncertainty_us)
{
    *uncertainty_us = 0; /* it is this process's own clock */
    return read_clock((struct memory_ledger *)port);
}

static void ledger_free(struct qb_ledger *port)
{
    struct memory_ledger *ledger = (struct memory_ledger *)port;
    size_t cursor = 0;
    struct log *log = NULL;

    while ((log = qb_map_next(&ledger->logs, &cursor, NULL)) != NULL) log_free(log);
    qb_map_fini(&ledger->logs);
    free(ledger);
}

struct qb_ledger *qb_ledger_memory_new(const struct qb_ledger_memory_options *options)
{
    static const struct qb_ledger_ops ops = {
        .listen = listen,
        .follow = follow,
        .fed = fed,
        .missed = missed,
        .call = call,
        .durable = durable,
        .adopted = adopted,
        .snapshot = snapshot,
        .forget = forget,
        .now_us = now_us,
        .free = ledger_free,
    };
    struct memory_ledger *ledger = calloc(1, sizeof *ledger);

    QB_ASSERT(ledger != NULL);
    QB_ASSERT(options->marks_max > 0);
    ledger->ledger.ops = &ops;
    ledger->options = *options;
    qb_map_init(&ledger->logs, sizeof(qb_id));
    qb_random_secret(ledger->seed, sizeof ledger->seed);
    return &ledger->ledger;
}

void qb_ledger_memory_restore(struct qb_ledger *port, qb_id auction, uint64_t seq,
                              qb_time_us last_now_us)
{
    struct memory_ledger *ledger = (struct memory_ledger *)port;
    struct log *log = log_new(ledger, auction);

    log->seq = seq;
    log->durable = seq;
    log->last_us = last_now_us;
}

void qb_ledger_memory_restore_id(struct qb_ledger *port, qb_id auction,
                                 const uint8_t bid_id[QB_BID_ID_BYTES], uint64_t seq,
                                 uint64_t asked)
{
    struct memory_ledger *ledger = (struct memory_ledger *)port;
    struct log *log = qb_map_get(&ledger->logs, &auction);
    struct known known = {.seq = seq, .asked = asked};

    QB_ASSERT(log != NULL);
    (void)memcpy(known.bid_id, bid_id, QB_BID_ID_BYTES);
    remember(ledger, log, &known);
}
