/*
 * The reading side: one consumer a shard, whose messages are held in the order they came until
 * they are settled. A consumer's connection only ever ends by being cut, since a polite end with
 * something unsettled would let what is behind it overtake (reliability.md, finding 10).
 *
 * Messages move from `in_queue` to held when they come, and out when they are settled; a broken
 * connection forgets what it held, and the broker gives it again.
 */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "bidding/entry.h"
#include "storage/journal_rabbit_parts.h"

#define HEARTBEAT_S 2
#define QUIET_US    (100 * QB_MS_US)    /* what the broker has ready comes sooner than that */
#define COUNT_US    QB_SECOND_US        /* between two questions how much there is */
#define HELD_US     (60 * QB_SECOND_US) /* unsettled for longer: another reader shall try */

struct incoming {
    struct incoming *next;
    unsigned shard;
    uint64_t tag;
    uint64_t first; /* position of its first item */
    uint64_t last;  /* a marker takes one, too */
    int64_t came_us;
    enum qb_journal_message_result result;
    struct qb_journal_message head;
    size_t length;
    uint8_t bytes[];
};

static bool has_items(const struct incoming *incoming)
{
    return incoming->result == QB_JOURNAL_MESSAGE_UNREADABLE ||
           (incoming->result == QB_JOURNAL_MESSAGE_READ &&
            incoming->head.kind == QB_JOURNAL_MESSAGE_ENTRIES);
}

/* Items of a message: its entries, or the pieces of what nobody can read. */
static uint64_t items_of(const struct incoming *incoming)
{
    if (!has_items(incoming)) return 1;
    if (incoming->result == QB_JOURNAL_MESSAGE_READ) return incoming->head.count;
    return incoming->length == 0 ? 1 : (incoming->length - 1) / QB_ENTRY_BYTES_MAX + 1;
}

static uint64_t unsettled(const struct reader *reader, const struct incoming *incoming)
{
    uint64_t from = incoming->first > reader->settled ? incoming->first : reader->settled + 1;

    return has_items(incoming) && incoming->last >= from ? incoming->last - from + 1 : 0;
}

static void hold(struct rabbit_journal *journal, unsigned shard,
                 const struct qb_rabbit_event *event)
{
    struct reader *reader = &journal->reader;
    struct shard_in *in = &reader->shards[shard];
    struct incoming *incoming = malloc(sizeof *incoming + event->length);

    QB_ASSERT(incoming != NULL);
    *incoming = (struct incoming){
        .shard = shard, .tag = event->tag, .came_us = qb_clock_mono_us(), .length = event->length};
    if (event->length > 0) (void)memcpy(incoming->bytes, event->bytes, event->length);
    incoming->result = qb_journal_message_read(incoming->bytes, incoming->length, &incoming->head);
    uint64_t count = items_of(incoming);
    incoming->first = reader->position + 1;
    incoming->last = reader->position + count;
    reader->position = incoming->last;
    *reader->end = incoming;
    reader->end = &incoming->next;
    in->held++;
    in->delivered_us = incoming->came_us;
    in->is_silent = false;
    if (!has_items(incoming)) return;
    (void)atomic_fetch_sub(&in->in_queue, (int64_t)count);
    (void)atomic_fetch_add(&reader->held, count);
}

static void let_go(struct rabbit_journal *journal, struct incoming **at)
{
    struct reader *reader = &journal->reader;
    struct incoming *old = *at;

    (void)atomic_fetch_sub(&reader->held, unsettled(reader, old));
    reader->shards[old->shard].held--;
    *at = old->next;
    if (*at == NULL) reader->end = at;
    free(old);
}

/* Nothing that this connection delivered can be acknowledged any more; it comes again. */
static void lose_shard(struct rabbit_journal *journal, unsigned shard, const char *why)
{
    struct reader *reader = &journal->reader;
    struct shard_in *in = &reader->shards[shard];
    struct incoming **at = &reader->first;

    qb_rabbit_cut(in->rabbit);
    in->failures++;
    in->connect_us =
        qb_clock_mono_us() + qb_journal_rabbit_backoff_us(&reader->random, in->failures);
    qb_log(QB_LOG_WARNING, "journal.reader_disconnected", QB_INT("shard", shard),
           QB_TEXT("error", why), QB_INT("unsettled", in->held));
    while (*at != NULL) {
        if ((*at)->shard == shard)
            let_go(journal, at);
        else
            at = &(*at)->next;
    }
}

/* Asks how much is in the queue; what has come meanwhile is not in the answer. */
static bool count_queue(struct rabbit_journal *journal, unsigned shard, struct qb_rabbit *rabbit,
                        struct qb_error *error)
{
    struct shard_in *in = &journal->reader.shards[shard];
    struct qb_rabbit_count count;
    char name[NAME_BYTES];

    qb_journal_rabbit_queue_name(journal->prefix, shard, name);
    QB_TRY(qb_rabbit_count(rabbit, name, &count, error));
    if (count.is_missing) return qb_error_set(error, "RabbitMQ has no queue %s", name);
    atomic_store(&in->in_queue, count.messages);
    in->counted_us = qb_clock_mono_us();
    return true;
}

static bool connect_shard(struct rabbit_journal *journal, unsigned shard, struct qb_error *error)
{
    struct shard_in *in = &journal->reader.shards[shard];
    char name[NAME_BYTES];

    qb_journal_rabbit_queue_name(journal->prefix, shard, name);
    bool is_good = qb_rabbit_connect(in->rabbit, error) &&
                   count_queue(journal, shard, in->rabbit, error) &&
                   qb_rabbit_consume(in->rabbit, name, journal->options.prefetch, error);
    if (!is_good) {
        lose_shard(journal, shard, error->text);
        return false;
    }
    in->failures = 0;
    in->is_silent = false;
    in->delivered_us = qb_clock_mono_us();
    qb_metric_add(QB_METRIC_journal_reader_connects_total, NULL, 1);
    return true;
}

/* One try at most, so that the other connections do not starve. Counts those that are there. */
static unsigned connect_one(struct rabbit_journal *journal, struct qb_error *error)
{
    unsigned connected = 0;
    bool has_tried = false;

    for (unsigned shard = 0; shard < journal->options.shards; shard++) {
        struct shard_in *in = &journal->reader.shards[shard];
        bool is_there = qb_rabbit_is_connected(in->rabbit);
        if (!is_there && !has_tried && qb_clock_mono_us() >= in->connect_us) {
            is_there = connect_shard(journal, shard, error);
            has_tried = !is_there;
        }
        if (is_there) connected++;
    }
    return connected;
}

static void read_shard(struct rabbit_journal *journal, unsigned shard)
{
    struct shard_in *in = &journal->reader.shards[shard];
    struct qb_rabbit_event event = {.kind = QB_RABBIT_DELIVERED};
    struct qb_error error = {""};

    while (qb_rabbit_is_connected(in->rabbit) && event.kind != QB_RABBIT_NOTHING) {
        if (!qb_rabbit_next(in->rabbit, &event, &error)) {
            lose_shard(journal, shard, error.text);
            return;
        }
        if (event.kind == QB_RABBIT_DELIVERED) hold(journal, shard, &event);
    }
}

/* Whether the shard's queue has something for us that has not come yet. */
static bool is_expected(struct rabbit_journal *journal, unsigned shard, int64_t since_us)
{
    struct shard_in *in = &journal->reader.shards[shard];
    int64_t now_us = qb_clock_mono_us();
    int64_t quiet_us = in->delivered_us > since_us ? in->delivered_us : since_us;
    struct qb_error error = {""};

    if (!qb_rabbit_is_connected(in->rabbit)) return false;
    bool is_idle = in->held == 0 && now_us - in->counted_us > COUNT_US;
    bool is_more = atomic_load(&in->in_queue) > 0 && in->held < journal->options.prefetch;
    bool is_due = is_more && !in->is_silent && now_us - quiet_us < QUIET_US;
    if (is_due || (!is_idle && (!is_more || in->is_silent))) return is_due;
    if (!count_queue(journal, shard, in->rabbit, &error)) {
        lose_shard(journal, shard, error.text);
        return false;
    }
    if (is_more && now_us - quiet_us >= QUIET_US) in->is_silent = true;
    return false;
}

static bool is_any_expected(struct rabbit_journal *journal, int64_t since_us)
{
    bool is_any = false;

    for (unsigned shard = 0; shard < journal->options.shards; shard++) {
        if (is_expected(journal, shard, since_us)) is_any = true;
    }
    return is_any;
}

/* Reads what has come until there are so many items, or nothing more is expected and there is one
 * or the time is over. */
static bool gather(struct rabbit_journal *journal, size_t items_max, int64_t wait_us,
                   struct qb_error *error)
{
    struct reader *reader = &journal->reader;
    int64_t since_us = qb_clock_mono_us();
    int64_t until_us = since_us + wait_us;

    while (true) {
        unsigned connected = connect_one(journal, error);
        for (unsigned shard = 0; shard < journal->options.shards; shard++) {
            read_shard(journal, shard);
        }
        int64_t now_us = qb_clock_mono_us();
        bool is_enough = atomic_load(&reader->held) >= items_max;
        if (is_enough || (reader->first != NULL && !is_any_expected(journal, since_us)))
            return true;
        if (reader->first == NULL && now_us >= until_us) {
            if (connected == 0 && error->text[0] == '\0')
                (void)qb_error_set(error, "no queue of the journal can be read yet");
            if (connected == 0) return false;
            if (!is_any_expected(journal, since_us)) return true;
        }
        bool is_waiting_on = now_us < until_us && reader->first == NULL;
        int64_t left_us = is_waiting_on ? until_us - now_us : QUIET_US / 10;
        if (left_us > QUIET_US) left_us = QUIET_US;
        qb_rabbit_wait(reader->rabbits, journal->options.shards, -1, left_us);
    }
}

static void acknowledge(struct rabbit_journal *journal, unsigned shard, uint64_t tag)
{
    struct qb_error error = {""};

    if (!qb_rabbit_ack(journal->reader.shards[shard].rabbit, tag, &error))
        lose_shard(journal, shard, error.text);
}

/* Deals with markers at the head: all before them is settled. False: one must wait. */
static bool pass_markers(struct rabbit_journal *journal)
{
    struct reader *reader = &journal->reader;
    const struct qb_journal_rabbit_options *options = &journal->options;

    while (reader->first != NULL && !has_items(reader->first)) {
        const struct incoming *marker = reader->first;
        unsigned shard = marker->shard;
        uint64_t tag = marker->tag;
        if (marker->result == QB_JOURNAL_MESSAGE_NEWER) return true;
        bool is_barrier = marker->head.kind == QB_JOURNAL_MESSAGE_BARRIER;
        if (is_barrier && options->barrier != NULL &&
            !options->barrier(options->context, marker->head.epoch, shard, marker->head.count))
            return false;
        let_go(journal, &reader->first);
        acknowledge(journal, shard, tag);
    }
    return true;
}

struct giving {
    bool (*each)(void *context, const struct qb_journal_item *item);
    void *context;
    size_t left;
};

/* Gives the message's items that are not settled. False: that is enough. */
static bool give(const struct reader *reader, const struct incoming *incoming,
                 struct giving *giving)
{
    size_t at = QB_JOURNAL_MESSAGE_HEAD_BYTES;

    for (uint64_t position = incoming->first; position <= incoming->last; position++) {
        struct qb_journal_item item = {0};
        if (incoming->result == QB_JOURNAL_MESSAGE_READ) {
            qb_journal_message_next(incoming->bytes, &incoming->head, &at, &item);
        } else { /* nobody's auction, in pieces, which the archiver keeps beside */
            size_t offset = (size_t)(position - incoming->first) * QB_ENTRY_BYTES_MAX;
            size_t left = incoming->length - offset;
            item.seq = position - incoming->first + 1;
            item.bytes = &incoming->bytes[offset];
            item.length = left < QB_ENTRY_BYTES_MAX ? left : QB_ENTRY_BYTES_MAX;
        }
        item.position = position;
        if (position <= reader->settled) continue;
        if (giving->left == 0) return false;
        giving->left--;
        if (!giving->each(giving->context, &item)) return false;
    }
    return true;
}

bool qb_journal_rabbit_take(struct qb_journal *port, size_t items_max, int64_t wait_us,
                            bool (*each)(void *context, const struct qb_journal_item *item),
                            void *context, struct qb_error *error)
{
    struct rabbit_journal *journal = (struct rabbit_journal *)port;
    struct reader *reader = &journal->reader;
    struct giving giving = {each, context, items_max};

    QB_ASSERT(journal->options.is_reader);
    if (reader->first != NULL && qb_clock_mono_us() - reader->first->came_us > HELD_US)
        lose_shard(journal, reader->first->shard, "held too long unsettled");
    QB_TRY(gather(journal, items_max, wait_us, error));
    if (!pass_markers(journal)) {
        qb_clock_sleep_us(wait_us < QUIET_US ? wait_us : QUIET_US); /* it is tried again */
        return true;
    }
    const struct incoming *incoming = reader->first;
    if (incoming != NULL && incoming->result == QB_JOURNAL_MESSAGE_NEWER)
        return qb_error_set(error,
                            "the journal has messages of version %u; this program reads "
                            "up to %d: start a newer one",
                            incoming->bytes[0], QB_JOURNAL_MESSAGE_VERSION);
    for (; incoming != NULL && has_items(incoming); incoming = incoming->next) {
        if (!give(reader, incoming, &giving)) break;
    }
    return true;
}

bool qb_journal_rabbit_settle(struct qb_journal *port, uint64_t position, struct qb_error *error)
{
    struct rabbit_journal *journal = (struct rabbit_journal *)port;
    struct reader *reader = &journal->reader;
    uint64_t tags[QB_JOURNAL_RABBIT_SHARDS_MAX] = {0};

    (void)error; /* what cannot be acknowledged comes again, and is known then */
    QB_ASSERT(position <= reader->position);
    if (position <= reader->settled) return true;
    uint64_t left = 0;
    uint64_t all = 0;
    for (const struct incoming *at = reader->first; at != NULL && at->first <= position;
         at = at->next) {
        all += unsettled(reader, at);
        if (has_items(at) && at->last > position) left = at->last - position;
    }
    (void)atomic_fetch_sub(&reader->held, all - left);
    reader->settled = position;
    while (reader->first != NULL && has_items(reader->first) && reader->first->last <= position) {
        tags[reader->first->shard] = reader->first->tag;
        let_go(journal, &reader->first);
    }
    for (unsigned shard = 0; shard < journal->options.shards; shard++) {
        if (tags[shard] != 0) acknowledge(journal, shard, tags[shard]);
    }
    return true;
}

void qb_journal_rabbit_let_go(struct qb_journal *port, const char *why)
{
    struct rabbit_journal *journal = (struct rabbit_journal *)port;

    QB_ASSERT(journal->options.is_reader);
    for (unsigned shard = 0; shard < journal->options.shards; shard++) {
        struct qb_rabbit *rabbit = journal->reader.shards[shard].rabbit;
        if (qb_rabbit_is_connected(rabbit)) lose_shard(journal, shard, why);
    }
}

uint64_t qb_journal_rabbit_backlog(struct qb_journal *port)
{
    struct rabbit_journal *journal = (struct rabbit_journal *)port;
    uint64_t backlog = atomic_load(&journal->reader.held);

    if (!journal->options.is_reader) return 0;
    for (unsigned shard = 0; shard < journal->options.shards; shard++) {
        int64_t in_queue = atomic_load(&journal->reader.shards[shard].in_queue);
        if (in_queue > 0) backlog += (uint64_t)in_queue;
    }
    return backlog;
}

void qb_journal_rabbit_reader_init(struct rabbit_journal *journal)
{
    struct reader *reader = &journal->reader;
    const struct qb_rabbit_options connection = {.urls = journal->urls,
                                                 .ca_file = journal->ca_file,
                                                 .name = "quickbid reader",
                                                 .heartbeat_s = HEARTBEAT_S};
    struct qb_error error = {""};
    uint64_t seed = 0;

    if (!journal->options.is_reader) return;
    qb_random_secret(&seed, sizeof seed);
    qb_random_seed(&reader->random, seed);
    reader->end = &reader->first;
    reader->shards = calloc(journal->options.shards, sizeof *reader->shards);
    reader->rabbits = calloc(journal->options.shards, sizeof(struct qb_rabbit *));
    QB_ASSERT(reader->shards != NULL && reader->rabbits != NULL);
    for (unsigned shard = 0; shard < journal->options.shards; shard++) {
        reader->rabbits[shard] = qb_rabbit_new(&connection, &error);
        reader->shards[shard].rabbit = reader->rabbits[shard];
    }
    /* What is there from before; if the broker is not, the first take will tell. */
    struct qb_rabbit *first = reader->rabbits[0];
    bool is_good = first != NULL && qb_rabbit_connect(first, &error);
    for (unsigned shard = 0; is_good && shard < journal->options.shards; shard++) {
        is_good = count_queue(journal, shard, first, &error);
    }
    if (first != NULL) qb_rabbit_cut(first);
}

void qb_journal_rabbit_reader_fini(struct rabbit_journal *journal)
{
    struct reader *reader = &journal->reader;

    if (reader->shards == NULL) return;
    for (unsigned shard = 0; shard < journal->options.shards; shard++) {
        qb_rabbit_free(&reader->rabbits[shard]);
    }
    while (reader->first != NULL) let_go(journal, &reader->first);
    free(reader->shards);
    free(reader->rabbits);
}
