/*
 * How many watch each auction in all processes: everybody says what has changed, each second, and
 * says all of it again every few seconds, so that what was lost is healed and who has ended is
 * forgotten. Nothing is written in Redis: its log is on the disk before each answer, which figures
 * for people are not worth.
 *
 * Pure: time comes in, messages go out through callbacks. One thread at a time. Private to pubsub/.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attributes.h"

#define PRESENCE_AUCTIONS_MAX 100000
/* Sources of one auction: members here and processes elsewhere. */
#define PRESENCE_SOURCES_MAX  512
/* Counts in one message; what does not fit goes with the next second's. */
#define PRESENCE_COUNTS_MAX   4096

struct presence;

struct presence_options {
    uint64_t origin; /* of this process */
    unsigned shards;
    /* A message for all other processes; false: it cannot leave now. Inside presence_second(). */
    bool (*publish)(void *context, unsigned shard, const void *bytes, size_t length);
    /* A new total. Inside presence_second(). */
    void (*told)(void *context, qb_id auction, uint64_t total);
    void *context;
};

struct presence *presence_new(const struct presence_options *options);
void presence_free(struct presence **presence);

/* A member of this process has so many watchers. */
void presence_watching(struct presence *presence, unsigned member, qb_id auction, uint32_t count,
                       int64_t now_us);
/* What a process published for the shard; its own, and what is no such message, is left out. */
void presence_heard(struct presence *presence, unsigned shard, const void *bytes, size_t length,
                    int64_t now_us);
/* As far as it is known here. */
uint64_t presence_total(const struct presence *presence, qb_id auction);
/* Messages of the shard may have been lost: asks the others to say all of it. */
void presence_ask(struct presence *presence, unsigned shard);
/* Each second: says and tells what has changed. */
void presence_second(struct presence *presence, int64_t now_us);
