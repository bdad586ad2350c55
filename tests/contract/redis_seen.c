#include "tests/contract/redis_seen.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/kit/stack.h"

uv_loop_t seen_loop;

static bool has_begun;

void seen_begin(const char *parts)
{
    if (has_begun) return;
    has_begun = true;
    (void)signal(SIGPIPE, SIG_IGN);
    qb_stack_start(parts);
    (void)uv_loop_init(&seen_loop);
}

void seen_end(void)
{
    if (uv_loop_close(&seen_loop) != 0) abort();
    qb_stack_stop();
}

void seen_turn(void)
{
    (void)uv_run(&seen_loop, UV_RUN_NOWAIT);
    qb_clock_sleep_us(500);
}

const char *seen_address(const char *name, int shard)
{
    static char text[512];
    const char *from = qb_stack_value(name);

    for (int i = 0; i < shard; i++) from = strchr(from, ',') + 1;
    (void)snprintf(text, sizeof text, "%.*s", (int)strcspn(from, ","), from);
    return text;
}

const char *seen_application(void)
{
    return seen_address("REDIS_URL", 1);
}

const char *seen_operator(void)
{
    return seen_address("REDIS_OPERATOR_URL", 1);
}

static void on_up(void *context, const char *run_id)
{
    struct seen *seen = context;

    seen->ups++;
    (void)snprintf(seen->run_id, sizeof seen->run_id, "%s", run_id);
}

static void on_down(void *context, const char *why)
{
    struct seen *seen = context;

    seen->downs++;
    (void)snprintf(seen->why, sizeof seen->why, "%s", why);
}

static void on_message(void *context, const char *channel, size_t channel_length, const void *bytes,
                       size_t length)
{
    struct seen *seen = context;

    (void)bytes;
    (void)length;
    seen->messages++;
    (void)snprintf(seen->last, sizeof seen->last, "%.*s", (int)channel_length, channel);
}

static void on_subscribed(void *context, const char *channel, size_t channel_length)
{
    struct seen *seen = context;

    (void)channel;
    (void)channel_length;
    seen->subscribed++;
}

struct qb_redis_options seen_options(struct seen *seen, const char *address)
{
    *seen = (struct seen){0};
    return (struct qb_redis_options){
        .loop = &seen_loop,
        .address = address,
        .name = "link-test",
        .up = on_up,
        .down = on_down,
        .message = on_message,
        .subscribed = on_subscribed,
        .context = seen,
    };
}

bool seen_open(struct seen *seen, const struct qb_redis_options *options)
{
    seen->link = qb_redis_new(options, NULL);
    return seen->link != NULL;
}

void seen_close(struct seen *seen)
{
    qb_redis_free(&seen->link);
    for (int i = 0; i < 8; i++) seen_turn();
}

void seen_answer(void *context, const struct qb_redis_reply *reply)
{
    struct seen *seen = context;

    if (reply == NULL) {
        seen->nulls++;
        return;
    }
    seen->answers++;
    if (qb_redis_kind_of(reply) == QB_REDIS_ERROR) seen->errors++;
    (void)qb_redis_text(reply, &seen->length);
}

void seen_say(struct seen *seen, size_t count, const char *const *words)
{
    qb_redis_command(seen->link, count, words, NULL, seen_answer, seen);
}

bool seen_do(struct seen *seen, size_t count, const char *const *words)
{
    int answers = seen->answers;
    int errors = seen->errors;

    UNTIL(qb_redis_is_up(seen->link), 10000);
    seen_say(seen, count, words);
    UNTIL(seen->answers > answers, 10000);
    return seen->answers > answers && seen->errors == errors;
}
