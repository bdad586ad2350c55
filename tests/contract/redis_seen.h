/*
 * A link to Redis under test: what it told, and a loop to turn until it has. For the tests of
 * base/redis.h, one test program at a time.
 */
#pragma once

#include <uv.h>

#include "base/clock.h"
#include "base/redis.h"

struct seen {
    int ups;
    int downs;
    int answers;
    int nulls;
    int errors;
    size_t length; /* of the last answer */
    int messages;
    int subscribed;
    char last[64]; /* channel of the last message */
    char run_id[64];
    char why[512]; /* of the last `down` */
    struct qb_redis *link;
};

extern uv_loop_t seen_loop;

/* Starts the servers and the loop, once. */
void seen_begin(const char *parts);
/* The loop must have nothing left; ends the servers. */
void seen_end(void);

/* One turn of the loop, and a moment's sleep. */
void seen_turn(void);

/* Turns until the condition holds, at most `ms`. */
#define UNTIL(condition, ms)                                                                       \
    for (int64_t until_us = qb_clock_mono_us() + (ms)*QB_MS_US;                                    \
         !(condition) && qb_clock_mono_us() < until_us;)                                           \
    seen_turn()

/* The address of one shard in an exported list of them; lives until the next call. */
const char *seen_address(const char *name, int shard);
/* That of shard 1, as the program and as who may do everything; likewise. */
const char *seen_application(void);
const char *seen_operator(void);

/* What tells everything to `seen`, which is cleared. */
struct qb_redis_options seen_options(struct seen *seen, const char *address);
/* False: the address is bad. */
bool seen_open(struct seen *seen, const struct qb_redis_options *options);
/* Frees the link and lets its handles close. */
void seen_close(struct seen *seen);

void seen_answer(void *context, const struct qb_redis_reply *reply);
void seen_say(struct seen *seen, size_t count, const char *const *words);
/* One command that must succeed, waited for. */
bool seen_do(struct seen *seen, size_t count, const char *const *words);

#define WORDS(...)                                                                                 \
    sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *), (const char *[])                       \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }

#define OPEN(seen, options) QB_EXPECT(seen_open((seen), (options)), "the address is good")
#define SAY(seen, ...)      seen_say((seen), WORDS(__VA_ARGS__))
/* By a link that may do everything. */
#define OPERATOR(boss, ...) QB_EXPECT(seen_do((boss), WORDS(__VA_ARGS__)), #__VA_ARGS__)
