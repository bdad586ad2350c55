/* Commands on their way to Redis and their results on the way back (reliability.md P1, P4). */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/shard.h"
#include "storage/ledger_redis_state.h"

#define NO_ITEM      UINT32_MAX
#define RESULT_BYTES (1 + 1 + 8 + 8 + 8)
#define HEAD_BYTES   (1 + QB_BID_ID_BYTES + 8 + 8 + 9)

/* Lua's numbers are doubles: whole up to here. Times beyond mean "never". */
#define NUMBER_MAX ((INT64_C(1) << 53) - 1)

/* One command: where its result goes, and its two words. */
struct item {
    uint32_t index;
    uint32_t next;
    size_t at;
    size_t head_length;
    size_t payload_length;
};

/* The commands of one auction in one part. */
struct qb_group {
    struct qb_part *part;
    struct qb_track *track;
    uint32_t serial; /* of the following; 0: not followed */
    uint32_t first;
    uint32_t last;
    uint32_t count;
    uint64_t before; /* the newest seq before the first own one */
    uint64_t own;    /* entries of its own, behind `before` */
};

struct qb_part {
    struct call *call;
    struct qb_shard *shard;
    struct qb_part *next;
    uint32_t generation;
    uint32_t epoch;
    struct qb_group *groups;
    size_t group_count;
    struct item *items;
    uint32_t item_count;
    struct qb_text bytes;
    size_t waiting;       /* groups that wait for what lies before them */
    struct qb_wait *wait; /* behind its call; null: none is needed */
};

struct call {
    struct qb_redis_ledger *ledger;
    qb_ledger_done *done;
    void *context;
    size_t count;
    size_t left;            /* parts without an answer */
    struct qb_part **parts; /* by shard; null: nothing for it */
    struct qb_ledger_result results[];
};

static void call_free(struct call *call, unsigned shards)
{
    for (unsigned i = 0; i < shards; i++) {
        struct qb_part *part = call->parts[i];
        if (part == NULL) continue;
        free(part->groups);
        free(part->items);
        qb_text_fini(&part->bytes);
        free(part);
    }
    free(call->parts);
    free(call);
}

static const char *outcome_name(uint8_t outcome)
{
    static const char *const names[] = {
        [QB_APPEND_DONE] = "done",       [QB_APPEND_DUPLICATE] = "duplicate",
        [QB_APPEND_REFUSED] = "refused", [QB_APPEND_MARKED] = "marked",
        [QB_APPEND_EXPIRED] = "expired", [QB_APPEND_BUSY] = "busy",
        [QB_APPEND_FENCED] = "fenced",   [QB_APPEND_UNKNOWN] = "unknown",
    };
    return names[outcome];
}

static void tell_results(struct call *call)
{
    for (size_t i = 0; i < call->count; i++) {
        qb_metric_add(QB_METRIC_ledger_results_total, outcome_name(call->results[i].outcome), 1);
    }
    call->done(call->context, call->results, call->count);
}

static void tell_later(void *context, void *message)
{
    (void)context;
    tell_results(message);
    call_free(message, 0);
}

static void set_group(struct qb_group *group, enum qb_append_outcome outcome)
{
    const struct qb_part *part = group->part;

    for (uint32_t at = group->first; at != NO_ITEM; at = part->items[at].next) {
        part->call->results[part->items[at].index] =
            (struct qb_ledger_result){.outcome = (uint8_t)outcome, .epoch = part->epoch};
    }
    group->own = 0;
}

/* Own entries have their place: from here on what lies behind them may be told. */
static void end_group(struct qb_group *group)
{
    struct qb_track *track = group->track;
    int64_t now_us = qb_clock_mono_us();

    QB_ASSERT(track->calls > 0);
    track->calls--;
    if (group->own == 0) return;
    if (group->serial == 0 || track->serial != group->serial) {
        /* Let go of meanwhile: what lies before was not told, so neither is this. */
        set_group(group, QB_APPEND_UNKNOWN);
        return;
    }
    QB_ASSERT(track->told == group->before);
    for (uint64_t i = 0; i < group->own; i++) qb_spans_add(&track->own, ++track->told, now_us);
    if (track->newest < track->told) track->newest = track->told;
}

static void finish(struct call *call)
{
    struct qb_redis_ledger *ledger = call->ledger;
    unsigned shards = ledger->options.shards;

    for (unsigned i = 0; i < shards; i++) {
        struct qb_part *part = call->parts[i];
        if (part == NULL) continue;
        if (part->shard->flying == part) part->shard->flying = NULL;
        for (size_t at = 0; at < part->group_count; at++) end_group(&part->groups[at]);
    }
    tell_results(call);
    for (unsigned i = 0; i < shards; i++) {
        struct qb_part *part = call->parts[i];
        if (part == NULL) continue;
        for (size_t at = 0; at < part->group_count; at++) {
            struct qb_track *track = part->groups[at].track;
            if (!ledger->is_freeing) qb_track_settle(track);
            qb_track_release(track);
        }
        qb_part_next(part->shard);
    }
    call_free(call, shards);
}

static void part_done(struct qb_part *part)
{
    struct call *call = part->call;

    QB_ASSERT(call->left > 0);
    if (--call->left == 0) finish(call);
}

static void set_part(struct qb_part *part, enum qb_append_outcome outcome)
{
    for (size_t i = 0; i < part->group_count; i++) set_group(&part->groups[i], outcome);
}

/* The results of a group, each of fixed width. False: not what the script gives. */
static bool take_results(struct qb_group *group, struct qb_reader *reader)
{
    struct qb_part *part = group->part;

    for (uint32_t at = group->first; at != NO_ITEM; at = part->items[at].next) {
        struct qb_ledger_result *result = &part->call->results[part->items[at].index];
        *result = (struct qb_ledger_result){.epoch = part->epoch};
        result->outcome = (uint8_t)qb_take_uint(reader, 1);
        result->refusal = (uint8_t)qb_take_uint(reader, 1);
        result->seq = qb_take_uint(reader, 8);
        result->asked = qb_take_uint(reader, 8);
        result->now_us = qb_take_int(reader);
        if (reader->is_bad || result->outcome > QB_APPEND_BUSY) return false;
        if (result->outcome == QB_APPEND_DONE) group->own++;
    }
    return true;
}

/* What lies before the first own entry is told before its result. */
static void take_group(struct qb_group *group, const char *bytes, size_t length)
{
    struct qb_reader reader = {.bytes = (const uint8_t *)bytes, .length = length};
    struct qb_track *track = group->track;
    struct qb_piece piece = {0};
    const uint8_t *entry = NULL;
    size_t entry_length = 0;
    bool is_good = take_results(group, &reader) &&
                   qb_piece_open(&piece, bytes + reader.at, length - reader.at) &&
                   piece.seq >= group->own;

    if (!is_good) {
        qb_log(QB_LOG_ERROR, "ledger.strange_answer", QB_INT("auction", track->auction));
        set_group(group, QB_APPEND_UNKNOWN);
        return;
    }
    /* Also what others appended: it lies before. */
    if (group->part->wait != NULL)
        qb_wait_reached(group->part->wait, (size_t)(group - group->part->groups), piece.seq);
    if ((piece.flags & QB_PIECE_BROKEN) != 0) {
        qb_log(QB_LOG_ERROR, "ledger.broken", QB_INT("auction", track->auction),
               QB_INT("seq", piece.seq));
    }
    if (group->serial == 0 || track->serial != group->serial) return;
    group->before = piece.seq - group->own;
    while (qb_piece_next(&piece, &entry, &entry_length)) {
        (void)qb_track_tell(track, entry, entry_length);
    }
    if (track->serial != group->serial) return; /* let go of by who was told */
    qb_track_set_durable(track, piece.durable);
    if (group->own == 0 && track->newest < group->before) track->newest = group->before;
    if (group->own == 0 || track->told >= group->before) return;
    track->waiting = group;
    group->part->waiting++;
    qb_track_read(track);
}

void qb_group_ready(struct qb_group *group, bool is_good)
{
    struct qb_part *part = group->part;

    group->track->waiting = NULL;
    if (!is_good) set_group(group, QB_APPEND_UNKNOWN); /* asked again it is a duplicate */
    QB_ASSERT(part->waiting > 0);
    if (--part->waiting == 0) part_done(part);
}

uint64_t qb_group_before(const struct qb_group *group)
{
    return group->before;
}

struct part_ask {
    struct qb_ask ask;
    struct qb_part *part;
};

static void take_part(struct qb_ask *ask, enum qb_answer_kind kind,
                      const struct qb_redis_reply *reply)
{
    struct qb_part *part = ((struct part_ask *)ask)->part;
    bool is_whole = kind == QB_ANSWER_GOOD && qb_redis_count(reply) == part->group_count;

    qb_metric_observe(QB_METRIC_ledger_append_us, qb_clock_mono_us() - ask->sent_us);
    if (ask->shard->ledger->is_freeing) {
        set_part(part, QB_APPEND_UNKNOWN);
    } else if (kind == QB_ANSWER_FENCED || !qb_ask_is_current(ask)) {
        set_part(part, QB_APPEND_FENCED); /* across a recovery nothing is asked again */
    } else if (kind == QB_ANSWER_NOTHING) {
        set_part(part, QB_APPEND_BUSY);
    } else if (!is_whole) {
        set_part(part, QB_APPEND_UNKNOWN);
    } else {
        part->waiting = 1; /* this loop */
        for (size_t i = 0; i < part->group_count; i++) {
            size_t length = 0;
            const char *bytes = qb_redis_text(qb_redis_item(reply, i), &length);
            take_group(&part->groups[i], bytes, length);
        }
        part->waiting--;
    }
    if (part->waiting == 0) part_done(part);
}

static void send_part(struct qb_part *part)
{
    struct qb_shard *shard = part->shard;
    struct part_ask *ask = qb_ask_new(shard, sizeof *ask, take_part);
    const struct qb_ledger_redis_options *options = &shard->ledger->options;
    bool must_wait = shard->ledger->ack == QB_ACK_LEDGER;
    struct qb_words *words = qb_ask_script(shard, QB_SCRIPT_APPEND, 4 + 4 * part->group_count);

    ask->part = part;
    qb_words_shard_key(words, shard->index, "pend");
    qb_words_shard_key(words, shard->index, "due");
    qb_words_shard_key(words, shard->index, "live");
    qb_words_shard_key(words, shard->index, QB_OUTBOX_KEY);
    for (size_t i = 0; i < part->group_count; i++) {
        qb_id auction = part->groups[i].track->auction;
        qb_words_auction_key(words, shard->index, auction, "state");
        qb_words_auction_key(words, shard->index, auction, "stream");
        qb_words_auction_key(words, shard->index, auction, "ids");
        qb_words_auction_key(words, shard->index, auction, "marks");
    }
    qb_words_int(words, (int64_t)options->unconfirmed_max);
    qb_words_int(words, options->marks_max);
    qb_words_int(words, must_wait ? (int64_t)options->outbox_max : -1);
    qb_words_int(words, (int64_t)part->group_count);
    for (size_t i = 0; i < part->group_count; i++) {
        struct qb_group *group = &part->groups[i];
        struct qb_track *track = group->track;
        bool is_told = group->serial != 0 && track->serial == group->serial;
        qb_words_id(words, track->auction);
        qb_words_channel(words, shard->index, track->auction);
        qb_words_int(words, is_told ? (int64_t)track->told : -1);
        qb_words_int(words, group->count);
        for (uint32_t at = group->first; at != NO_ITEM; at = part->items[at].next) {
            const struct item *item = &part->items[at];
            const char *bytes = &part->bytes.bytes[item->at];
            qb_words_add(words, bytes, item->head_length);
            qb_words_add(words, bytes + item->head_length, item->payload_length);
        }
        track->calls++; /* from here on it may be in the log */
    }
    shard->flying = part;
    qb_ask_send_script(&ask->ask);
    if (!must_wait) return;
    part->wait = qb_wait_new(shard, part->group_count);
    for (size_t i = 0; i < part->group_count; i++) qb_wait_add(part->wait, part->groups[i].track);
    qb_wait_send(part->wait);
}

void qb_part_next(struct qb_shard *shard)
{
    const struct qb_redis_ledger *ledger = shard->ledger;

    while (shard->flying == NULL && shard->first != NULL) {
        struct qb_part *part = shard->first;
        shard->first = part->next;
        if (shard->first == NULL) shard->last = NULL;
        bool is_current = part->generation == ledger->generation && !ledger->is_freeing;
        if (is_current && ledger->is_open && qb_shard_is_ready(shard)) {
            send_part(part);
            return;
        }
        /* Never sent: safe to refuse. */
        for (size_t i = 0; i < part->group_count; i++) part->groups[i].track->calls++;
        set_part(part, ledger->is_freeing ? QB_APPEND_UNKNOWN : QB_APPEND_FENCED);
        part_done(part);
    }
}

static struct qb_part *part_of(struct call *call, struct qb_shard *shard)
{
    struct qb_part *part = call->parts[shard->index];

    if (part != NULL) return part;
    part = calloc(1, sizeof *part);
    QB_ASSERT(part != NULL);
    part->call = call;
    part->shard = shard;
    part->generation = call->ledger->generation;
    part->epoch = call->ledger->epoch;
    part->bytes.bytes_max = 64U << 20;
    part->groups = calloc(call->count, sizeof *part->groups);
    part->items = calloc(call->count, sizeof *part->items);
    QB_ASSERT(part->groups != NULL);
    QB_ASSERT(part->items != NULL);
    call->parts[shard->index] = part;
    call->left++;
    return part;
}

static struct qb_group *group_of(struct qb_part *part, struct qb_track *track)
{
    struct qb_group *group = track->gathering;

    if (group != NULL) return group;
    group = &part->groups[part->group_count++];
    group->part = part;
    group->track = track;
    group->serial = track->is_followed ? track->serial : 0;
    group->first = NO_ITEM;
    track->gathering = group;
    qb_track_hold(track);
    return group;
}

static uint64_t number_of(int64_t value)
{
    return (uint64_t)(value < 0 ? 0 : value > NUMBER_MAX ? NUMBER_MAX : value);
}

/* A command as the script takes it: see storage/redis/append.lua. */
static void encode(struct qb_part *part, struct item *item, const struct qb_ledger_command *command)
{
    const struct qb_entry *entry = command->entry;
    bool is_open = entry->type == QB_ENTRY_OPEN && !command->is_mark;
    bool is_discard = entry->type == QB_ENTRY_DISCARD && !command->is_mark;
    uint8_t head[HEAD_BYTES];
    uint8_t payload[QB_ENTRY_BYTES_MAX];
    struct qb_writer writer = {.bytes = head, .room = sizeof head};

    qb_put_uint(&writer, (uint8_t)(command->is_mark ? 'R' : is_open ? 'O' : 'A'), 1);
    qb_put(&writer, entry->bid_id, QB_BID_ID_BYTES);
    qb_put_uint(&writer, is_discard ? 0 : qb_entry_asked(entry), 8);
    qb_put_uint(&writer, number_of(command->expires_us), 8);
    if (is_open) qb_put_uint(&writer, number_of(entry->rules->ends_at_us), 8);
    if (command->is_mark) {
        qb_put_uint(&writer, command->refusal, 1);
        qb_put_uint(&writer, command->as_of, 8);
    }
    item->at = part->bytes.length;
    item->head_length = writer.length;
    item->payload_length = command->is_mark ? 0 : qb_entry_encode(entry, payload);
    qb_text_add(&part->bytes, (const char *)head, item->head_length);
    qb_text_add(&part->bytes, (const char *)payload, item->payload_length);
    QB_ASSERT(!part->bytes.is_full);
}

/* Whether the command has to go to Redis; else its result is there already. */
static bool gather(struct call *call, uint32_t index, const struct qb_ledger_command *command)
{
    struct qb_redis_ledger *ledger = call->ledger;
    qb_id auction = command->entry->auction;
    struct qb_shard *shard = &ledger->shards[qb_shard_of(auction, ledger->options.shards)];
    struct qb_track *track = qb_track_find(ledger, auction);
    bool is_open = command->entry->type == QB_ENTRY_OPEN && !command->is_mark;
    struct qb_ledger_result *result = &call->results[index];

    *result = (struct qb_ledger_result){.outcome = QB_APPEND_FENCED, .epoch = ledger->epoch};
    if (!ledger->is_open || !qb_shard_is_ready(shard)) return false;
    bool is_loading = track != NULL && track->follow != NULL;
    bool is_known = track != NULL && track->is_followed;
    /* It may be in a log that is not followed: to call it EXPIRED would be a lie. */
    if (is_loading || (!is_known && !is_open)) return false;
    if (!is_known) {
        track = qb_track_make(ledger, auction);
        qb_track_follow(track, 0, 0);
    }
    struct qb_part *part = part_of(call, shard);
    struct qb_group *group = group_of(part, track);
    uint32_t at = part->item_count++;
    struct item *item = &part->items[at];
    item->index = index;
    item->next = NO_ITEM;
    if (group->first == NO_ITEM)
        group->first = at;
    else
        part->items[group->last].next = at;
    group->last = at;
    group->count++;
    encode(part, item, command);
    return true;
}

void qb_call_begin(struct qb_ledger *port, const struct qb_ledger_command *commands, size_t count,
                   qb_ledger_done *done, void *context)
{
    struct qb_redis_ledger *ledger = (struct qb_redis_ledger *)port;
    struct call *call = calloc(1, sizeof *call + count * sizeof call->results[0]);

    QB_ASSERT(call != NULL);
    call->parts = calloc(ledger->options.shards, sizeof *call->parts);
    QB_ASSERT(call->parts != NULL);
    call->ledger = ledger;
    call->done = done;
    call->context = context;
    call->count = count;
    for (size_t i = 0; i < count; i++) (void)gather(call, (uint32_t)i, &commands[i]);
    if (call->left == 0) {
        qb_mailbox_post_answer(ledger->options.mailbox, tell_later, NULL, call);
        return;
    }
    for (unsigned i = 0; i < ledger->options.shards; i++) {
        struct qb_part *part = call->parts[i];
        if (part == NULL) continue;
        struct qb_shard *shard = part->shard;
        for (size_t at = 0; at < part->group_count; at++) {
            part->groups[at].track->gathering = NULL;
        }
        if (shard->last != NULL)
            shard->last->next = part;
        else
            shard->first = part;
        shard->last = part;
        qb_part_next(shard);
    }
}
