#include "pubsub/presence.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/map.h"
#include "base/shard.h"

#define REPEAT_US  (5 * QB_SECOND_US)
#define FORGET_US  (15 * QB_SECOND_US)
#define IDLE_MAX   4096
#define NEVER_TOLD UINT64_MAX

/* Version, flags, origin; then an auction and a count each. */
#define VERSION     1
#define FLAG_ASKS   1
#define HEAD_BYTES  10
#define COUNT_BYTES 12

/* The bit that no member's number has. */
#define ELSEWHERE (UINT64_C(1) << 63)

struct source {
    uint64_t name;    /* a member's number, or a process's origin */
    int64_t heard_us; /* elsewhere */
    uint32_t count;   /* never 0 */
};

struct crowd {
    struct source *sources;
    size_t count;
    size_t room;
    uint32_t said; /* of this process, to the others */
    bool must_say; /* also if it is the same as before */
    uint64_t told; /* here */
};

struct message {
    uint8_t bytes[HEAD_BYTES + PRESENCE_COUNTS_MAX * COUNT_BYTES];
    size_t length;
    bool asks;
};

struct presence {
    struct presence_options options;
    struct qb_map crowds; /* by auction */
    size_t cursor;        /* where this second's walk begins: none is passed over for ever */
    int64_t repeat_us;
    struct message *messages; /* one a shard */
};

static uint64_t number_at(const uint8_t *bytes, size_t width)
{
    uint64_t number = 0;

    for (size_t i = 0; i < width; i++) number |= (uint64_t)bytes[i] << (8 * i);
    return number;
}

static void put_number(struct message *message, uint64_t number, size_t width)
{
    for (size_t i = 0; i < width; i++)
        message->bytes[message->length++] = (uint8_t)(number >> (8 * i));
}

static uint32_t own_count(const struct crowd *crowd)
{
    uint64_t count = 0;

    for (size_t i = 0; i < crowd->count; i++) {
        if ((crowd->sources[i].name & ELSEWHERE) == 0) count += crowd->sources[i].count;
    }
    return count < UINT32_MAX ? (uint32_t)count : UINT32_MAX;
}

static uint64_t sum(const struct crowd *crowd)
{
    uint64_t total = 0;

    for (size_t i = 0; i < crowd->count; i++) total += crowd->sources[i].count;
    return total;
}

static void set_count(struct presence *presence, qb_id auction, const struct source *source)
{
    struct crowd *crowd = qb_map_get(&presence->crowds, &auction);
    size_t at = 0;

    if (crowd == NULL) {
        if (source->count == 0 || presence->crowds.count >= PRESENCE_AUCTIONS_MAX) return;
        crowd = calloc(1, sizeof *crowd);
        QB_ASSERT(crowd != NULL);
        crowd->told = NEVER_TOLD;
        (void)qb_map_set(&presence->crowds, &auction, crowd);
    }
    while (at < crowd->count && crowd->sources[at].name != source->name) at++;
    if (source->count == 0) {
        if (at < crowd->count) crowd->sources[at] = crowd->sources[--crowd->count];
        return;
    }
    if (at == crowd->count) {
        if (at == PRESENCE_SOURCES_MAX) return;
        if (at == crowd->room) {
            crowd->room = crowd->room == 0 ? 4 : crowd->room * 2;
            crowd->sources = realloc(crowd->sources, crowd->room * sizeof *crowd->sources);
            QB_ASSERT(crowd->sources != NULL);
        }
        crowd->count++;
    }
    crowd->sources[at] = *source;
}

void presence_watching(struct presence *presence, unsigned member, qb_id auction, uint32_t count,
                       int64_t now_us)
{
    const struct source source = {.name = member, .heard_us = now_us, .count = count};
    set_count(presence, auction, &source);
}

/* Everything of the shard is due again; it goes out as there is room. */
static void repeat(struct presence *presence, unsigned shard)
{
    size_t cursor = 0;
    const void *key = NULL;

    for (struct crowd *crowd = NULL;
         (crowd = qb_map_next(&presence->crowds, &cursor, &key)) != NULL;) {
        qb_id auction = 0;
        (void)memcpy(&auction, key, sizeof auction);
        if (qb_shard_of(auction, presence->options.shards) == shard && own_count(crowd) > 0)
            crowd->must_say = true;
    }
}

void presence_heard(struct presence *presence, unsigned shard, const void *bytes, size_t length,
                    int64_t now_us)
{
    const uint8_t *at = bytes;

    if (length < HEAD_BYTES || at[0] != VERSION) return;
    uint64_t origin = number_at(&at[2], sizeof origin);
    if (origin == presence->options.origin) return;
    for (size_t i = HEAD_BYTES; i + COUNT_BYTES <= length; i += COUNT_BYTES) {
        const struct source source = {.name = origin | ELSEWHERE,
                                      .heard_us = now_us,
                                      .count = (uint32_t)number_at(&at[i + 8], 4)};
        set_count(presence, number_at(&at[i], 8), &source);
    }
    if ((at[1] & FLAG_ASKS) != 0) repeat(presence, shard);
}

uint64_t presence_total(const struct presence *presence, qb_id auction)
{
    const struct crowd *crowd = qb_map_get(&presence->crowds, &auction);

    return crowd != NULL ? sum(crowd) : 0;
}

void presence_ask(struct presence *presence, unsigned shard)
{
    presence->messages[shard].asks = true;
    repeat(presence, shard); /* the others missed what was said here, too */
}

/* ---- each second ---- */

static void forget_the_silent(struct crowd *crowd, int64_t now_us)
{
    for (size_t i = crowd->count; i-- > 0;) {
        const struct source *source = &crowd->sources[i];
        bool is_elsewhere = (source->name & ELSEWHERE) != 0;
        if (is_elsewhere && now_us - source->heard_us > FORGET_US)
            crowd->sources[i] = crowd->sources[--crowd->count];
    }
}

static void say(struct presence *presence, qb_id auction, struct crowd *crowd)
{
    struct message *message = &presence->messages[qb_shard_of(auction, presence->options.shards)];
    uint32_t own = own_count(crowd);

    if (own == crowd->said && !crowd->must_say) return;
    if (message->length + COUNT_BYTES > sizeof message->bytes) return;
    put_number(message, auction, 8);
    put_number(message, own, 4);
    crowd->said = own;
    crowd->must_say = false;
}

static void tell(struct presence *presence, qb_id auction, struct crowd *crowd)
{
    uint64_t total = sum(crowd);

    if (total == crowd->told) return;
    crowd->told = total;
    presence->options.told(presence->options.context, auction, total);
}

static void begin_messages(struct presence *presence)
{
    for (unsigned i = 0; i < presence->options.shards; i++) {
        struct message *message = &presence->messages[i];
        message->length = 0;
        put_number(message, VERSION, 1);
        put_number(message, message->asks ? FLAG_ASKS : 0, 1);
        put_number(message, presence->options.origin, 8);
    }
}

static void send_messages(struct presence *presence)
{
    for (unsigned i = 0; i < presence->options.shards; i++) {
        struct message *message = &presence->messages[i];
        if (message->length == HEAD_BYTES && !message->asks) continue;
        bool is_sent = presence->options.publish(presence->options.context, i, message->bytes,
                                                 message->length);
        if (is_sent) message->asks = false;
    }
}

void presence_second(struct presence *presence, int64_t now_us)
{
    qb_id idle[IDLE_MAX];
    size_t idle_count = 0;
    const void *key = NULL;

    if (now_us - presence->repeat_us >= REPEAT_US) {
        presence->repeat_us = now_us;
        for (unsigned i = 0; i < presence->options.shards; i++) repeat(presence, i);
    }
    begin_messages(presence);
    for (size_t left = presence->crowds.count; left > 0; left--) {
        struct crowd *crowd = qb_map_next(&presence->crowds, &presence->cursor, &key);
        qb_id auction = 0;
        if (crowd == NULL) {
            presence->cursor = 0;
            crowd = qb_map_next(&presence->crowds, &presence->cursor, &key);
        }
        (void)memcpy(&auction, key, sizeof auction);
        forget_the_silent(crowd, now_us);
        say(presence, auction, crowd);
        tell(presence, auction, crowd);
        bool is_idle = crowd->count == 0 && crowd->said == 0 && !crowd->must_say;
        if (is_idle && idle_count < IDLE_MAX) idle[idle_count++] = auction;
    }
    send_messages(presence);
    for (size_t i = 0; i < idle_count; i++) {
        struct crowd *crowd = qb_map_remove(&presence->crowds, &idle[i]);
        free(crowd->sources);
        free(crowd);
    }
}

/* ---- making and freeing ---- */

struct presence *presence_new(const struct presence_options *options)
{
    struct presence *presence = calloc(1, sizeof *presence);

    QB_ASSERT(presence != NULL);
    presence->options = *options;
    presence->messages = calloc(options->shards, sizeof *presence->messages);
    QB_ASSERT(presence->messages != NULL);
    qb_map_init(&presence->crowds, sizeof(qb_id));
    return presence;
}

void presence_free(struct presence **presence)
{
    struct presence *old = *presence;
    size_t cursor = 0;

    *presence = NULL;
    if (old == NULL) return;
    for (struct crowd *crowd = NULL; (crowd = qb_map_next(&old->crowds, &cursor, NULL)) != NULL;) {
        free(crowd->sources);
        free(crowd);
    }
    qb_map_fini(&old->crowds);
    free(old->messages);
    free(old);
}
