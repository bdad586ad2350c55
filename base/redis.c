#include "base/redis.h"

#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/metrics.h"
#include "base/random.h"
#include "base/redis_address.h"
#include "base/redis_channels.h"
#include "base/redis_greeting.h"
#include "base/redis_wire.h"

#define WAIT_FIRST_MS    100
#define WAIT_MAX_MS      2000
#define COMMANDS_MAX     10000
#define CHANNELS_AT_ONCE 256

enum step {
    WAITING,     /* for the next try */
    ASKING,      /* a Sentinel */
    GREETING,    /* the server: log in, role, settings */
    SUBSCRIBING, /* all channels anew */
    UP,
};

/* A command that could not be sent, until the turn at which its null is given. */
struct refused {
    qb_redis_answer *answer;
    void *context;
};

struct qb_redis {
    struct qb_redis_options options;
    struct qb_redis_address address;
    char *name;
    enum step step;
    struct qb_redis_wire *wire;
    struct qb_redis_greeting greeting;
    struct qb_redis_host primary; /* as a Sentinel told */
    size_t sentinel;              /* the one asked first */
    size_t sentinels_asked;       /* of this round */
    uv_timer_t timer;             /* WAITING: the next try; UP: each second */
    uv_timer_t soon;              /* what may not happen inside a call */
    unsigned holders;
    bool is_freed;
    int64_t wait_ms;
    struct qb_random random;
    struct qb_redis_channels channels;
    struct refused *refused;
    size_t refused_count;
    size_t refused_room;
    char drop[QB_ERROR_BYTES_MAX]; /* empty: stay */
    char told[QB_ERROR_BYTES_MAX]; /* by the last `down` since `up` */
};

static void try(struct qb_redis *redis);
static void on_timer(uv_timer_t *handle);

/* ---- losing and finding a server ---- */

static void tell_down(struct qb_redis *redis, const char *why, bool was_up)
{
    if (!was_up && strcmp(redis->told, why) == 0) return;
    (void)snprintf(redis->told, sizeof redis->told, "%s", why);
    redis->options.down(redis->options.context, why);
}

/* Ends what there is, answers what is under way, and waits for the next try. */
static void lose(struct qb_redis *redis, const char *why)
{
    struct qb_error copy;
    bool was_up = redis->step == UP;

    (void)qb_error_set(&copy, "%s", why);
    redis->step = WAITING;
    redis->drop[0] = '\0';
    qb_metric_add(QB_METRIC_redis_links_total, was_up ? "lost" : "failed", 1);
    int64_t half_ms = redis->wait_ms / 2;
    uint64_t jitter_ms = qb_random_below(&redis->random, (uint64_t)half_ms + 1);
    (void)uv_timer_start(&redis->timer, on_timer, (uint64_t)half_ms + jitter_ms, 0);
    redis->wait_ms = redis->wait_ms * 2 < WAIT_MAX_MS ? redis->wait_ms * 2 : WAIT_MAX_MS;
    qb_redis_wire_free(&redis->wire);
    if (!redis->is_freed) tell_down(redis, copy.text, was_up);
}

static void lose_with_host(struct qb_redis *redis, const char *why)
{
    const struct qb_redis_host *host =
        redis->address.is_sentinel ? &redis->primary : &redis->address.hosts[0];
    struct qb_error text;

    (void)qb_error_set(&text, "%s:%s: %s", host->name, host->port, why);
    lose(redis, text.text);
}

static void sentinel_failed(struct qb_redis *redis, const char *why)
{
    redis->sentinel = (redis->sentinel + 1) % redis->address.host_count;
    redis->sentinels_asked++;
    if (redis->sentinels_asked >= redis->address.host_count) {
        lose(redis, why);
        return;
    }
    qb_redis_wire_free(&redis->wire);
    if (!redis->is_freed) try(redis);
}

static void on_closed(void *context, const char *why)
{
    struct qb_redis *redis = context;

    if (redis->step == ASKING) {
        sentinel_failed(redis, why);
        return;
    }
    lose(redis, why);
}

/* A server that does not write is no primary, whatever it says. */
static void on_refused(void *context, const char *text)
{
    if (strncmp(text, "READONLY", strlen("READONLY")) == 0)
        lose_with_host(context, "it is read-only: no longer the primary");
}

/* ---- up, and what is asked then ---- */

static void go_up(struct qb_redis *redis)
{
    redis->step = UP;
    redis->wait_ms = WAIT_FIRST_MS;
    redis->told[0] = '\0';
    qb_redis_wire_ready(redis->wire);
    (void)uv_timer_start(&redis->timer, on_timer, 1000, 1000);
    qb_metric_add(QB_METRIC_redis_links_total, "up", 1);
    redis->options.up(redis->options.context, redis->greeting.run_id);
}

static void on_role(void *context, const struct qb_redis_reply *reply)
{
    struct qb_error error;

    if (reply == NULL || qb_redis_role_check(reply, &error)) return;
    lose_with_host(context, error.text);
}

static void on_pong(void *context, const struct qb_redis_reply *reply)
{
    struct qb_redis *redis = context;

    if (reply == NULL) return;
    if (qb_redis_kind_of(reply) == QB_REDIS_ERROR) {
        lose_with_host(redis, qb_redis_text(reply, NULL));
        return;
    }
    if (redis->step == SUBSCRIBING) go_up(redis);
}

static void each_second(struct qb_redis *redis)
{
    bool is_sent = true;

    if (!redis->options.is_subscriber) {
        is_sent =
            qb_redis_wire_send(redis->wire, 1, (const char *[]){"ROLE"}, NULL, on_role, redis);
    } else if (qb_clock_mono_us() - qb_redis_wire_heard_us(redis->wire) >= QB_SECOND_US / 2 &&
               qb_redis_wire_under_way(redis->wire) == 0) {
        is_sent =
            qb_redis_wire_send(redis->wire, 1, (const char *[]){"PING"}, NULL, on_pong, redis);
    }
    if (!is_sent) lose_with_host(redis, "it takes nothing more");
}

/* ---- subscriptions ---- */

static bool say_channels(struct qb_redis *redis, const char **words, size_t count)
{
    words[0] = "SUBSCRIBE";
    return count == 1 || qb_redis_wire_subscribe(redis->wire, count, words, NULL);
}

/* The answer to the ping behind them says that the server has taken them all. */
static void subscribe_all(struct qb_redis *redis)
{
    const char *words[1 + CHANNELS_AT_ONCE];
    size_t count = 1;
    size_t cursor = 0;
    bool is_sent = true;

    redis->step = SUBSCRIBING;
    for (const char *channel = NULL;
         (channel = qb_redis_channels_next(&redis->channels, &cursor)) != NULL;) {
        words[count++] = channel;
        if (count < QB_COUNT(words)) continue;
        is_sent = is_sent && say_channels(redis, words, count);
        count = 1;
    }
    is_sent = is_sent && say_channels(redis, words, count) &&
              qb_redis_wire_send(redis->wire, 1, (const char *[]){"PING"}, NULL, on_pong, redis);
    if (!is_sent) lose_with_host(redis, "it does not take so many subscriptions");
}

static void on_pushed(void *context, const struct qb_redis_reply *message)
{
    struct qb_redis *redis = context;
    size_t channel_length = 0;
    size_t length = 0;
    const char *channel = qb_redis_text(qb_redis_item(message, 1), &channel_length);

    if (qb_redis_is_text(qb_redis_item(message, 0), "message")) {
        const char *bytes = qb_redis_text(qb_redis_item(message, 2), &length);
        redis->options.message(redis->options.context, channel, channel_length, bytes, length);
    } else if (redis->step == UP && redis->options.subscribed != NULL &&
               qb_redis_is_text(qb_redis_item(message, 0), "subscribe")) {
        redis->options.subscribed(redis->options.context, channel, channel_length);
    }
}

static void change(struct qb_redis *redis, const char *command, const char *channel)
{
    if (redis->step != SUBSCRIBING && redis->step != UP) return;
    if (!qb_redis_wire_subscribe(redis->wire, 2, (const char *[]){command, channel}, NULL))
        qb_redis_drop(redis, "it takes no more subscriptions");
}

void qb_redis_subscribe(struct qb_redis *redis, const char *channel)
{
    QB_ASSERT(redis->options.is_subscriber);
    if (qb_redis_channels_add(&redis->channels, channel)) change(redis, "SUBSCRIBE", channel);
}

void qb_redis_unsubscribe(struct qb_redis *redis, const char *channel)
{
    QB_ASSERT(redis->options.is_subscriber);
    if (qb_redis_channels_remove(&redis->channels, channel)) change(redis, "UNSUBSCRIBE", channel);
}

/* ---- connecting ---- */

static void on_greeted(void *context, const char *trouble)
{
    struct qb_redis *redis = context;

    if (trouble != NULL) {
        /* Another Sentinel may know a newer primary. */
        redis->sentinel = (redis->sentinel + 1) % redis->address.host_count;
        lose_with_host(redis, trouble);
    } else if (redis->options.is_subscriber) {
        subscribe_all(redis);
    } else {
        go_up(redis);
    }
}

static void open_wire(struct qb_redis *redis, const struct qb_redis_host *host);

static void on_sentinel_login(void *context, const struct qb_redis_reply *reply)
{
    struct qb_error error;

    if (reply == NULL || qb_redis_login_check(reply, &error)) return;
    (void)qb_error_wrap(&error, "Sentinel");
    sentinel_failed(context, error.text);
}

static void on_primary(void *context, const struct qb_redis_reply *reply)
{
    struct qb_redis *redis = context;
    struct qb_error why;

    if (reply == NULL) return;
    if (qb_redis_count(reply) == 2) {
        const char *name = qb_redis_text(qb_redis_item(reply, 0), NULL);
        const char *port = qb_redis_text(qb_redis_item(reply, 1), NULL);
        (void)snprintf(redis->primary.name, sizeof redis->primary.name, "%s", name);
        (void)snprintf(redis->primary.port, sizeof redis->primary.port, "%.5s", port);
        qb_redis_wire_free(&redis->wire);
        redis->step = GREETING;
        open_wire(redis, &redis->primary);
        return;
    }
    const char *text = qb_redis_text(reply, NULL);
    const struct qb_redis_host *host = &redis->address.hosts[redis->sentinel];
    if (text[0] == '\0') text = "it knows no such primary";
    (void)qb_error_set(&why, "Sentinel %s:%s: %s: %s", host->name, host->port,
                       redis->address.primary, text);
    sentinel_failed(redis, why.text);
}

static void ask_sentinel(struct qb_redis *redis)
{
    const char *words[] = {"SENTINEL", "get-master-addr-by-name", redis->address.primary};
    const char *password = redis->address.sentinel_password;

    if (password[0] != '\0') qb_redis_login(redis->wire, "", password, on_sentinel_login, redis);
    bool is_taken =
        qb_redis_wire_send(redis->wire, QB_COUNT(words), words, NULL, on_primary, redis);
    QB_ASSERT(is_taken); /* the first words on a wire find room */
}

static void on_opened(void *context)
{
    struct qb_redis *redis = context;

    if (redis->step == ASKING) {
        ask_sentinel(redis);
        return;
    }
    redis->greeting.wire = redis->wire;
    qb_redis_greet(&redis->greeting);
}

static void open_wire(struct qb_redis *redis, const struct qb_redis_host *host)
{
    redis->wire = qb_redis_wire_new(&(struct qb_redis_wire_options){
        .loop = redis->options.loop,
        .host = host,
        .connect_ms = redis->options.connect_ms,
        .answer_ms = redis->options.answer_ms,
        .is_subscriber = redis->options.is_subscriber && redis->step == GREETING,
        .opened = on_opened,
        .closed = on_closed,
        .pushed = on_pushed,
        .refused = on_refused,
        .context = redis,
    });
}

static void try(struct qb_redis *redis)
{
    redis->step = redis->address.is_sentinel ? ASKING : GREETING;
    open_wire(redis, &redis->address.hosts[redis->address.is_sentinel ? redis->sentinel : 0]);
}

static void on_timer(uv_timer_t *handle)
{
    struct qb_redis *redis = handle->data;

    if (redis->is_freed) return;
    if (redis->step == UP) {
        each_second(redis);
        return;
    }
    QB_ASSERT(redis->step == WAITING);
    redis->sentinels_asked = 0;
    try(redis);
}

/* ---- commands ---- */

static void answer_refused(struct qb_redis *redis)
{
    struct refused *refused = redis->refused;
    size_t count = redis->refused_count;

    redis->refused = NULL;
    redis->refused_count = 0;
    redis->refused_room = 0;
    for (size_t i = 0; i < count; i++) {
        qb_metric_add(QB_METRIC_redis_unanswered_total, NULL, 1);
        if (refused[i].answer != NULL) refused[i].answer(refused[i].context, NULL);
    }
    free(refused);
}

static void on_soon(uv_timer_t *handle)
{
    struct qb_redis *redis = handle->data;

    answer_refused(redis);
    if (redis->is_freed || redis->drop[0] == '\0') return;
    char why[sizeof redis->drop];
    (void)memcpy(why, redis->drop, sizeof why);
    redis->drop[0] = '\0';
    if (redis->step != WAITING && redis->step != ASKING) lose_with_host(redis, why);
}

/* Not at once, so that whoever asks again at every null does not keep the loop from turning. */
static void do_soon(struct qb_redis *redis)
{
    if (!uv_is_active((uv_handle_t *)&redis->soon))
        (void)uv_timer_start(&redis->soon, on_soon, 1, 0);
}

void qb_redis_command(struct qb_redis *redis, size_t count, const char *const *words,
                      const size_t *lengths, qb_redis_answer *answer, void *context)
{
    QB_ASSERT(!redis->options.is_subscriber);
    QB_ASSERT(!redis->is_freed);
    if (redis->step == UP && qb_redis_wire_under_way(redis->wire) < redis->options.commands_max &&
        qb_redis_wire_send(redis->wire, count, words, lengths, answer, context))
        return;
    if (redis->refused_count == redis->refused_room) {
        redis->refused_room = redis->refused_room == 0 ? 16 : redis->refused_room * 2;
        redis->refused = realloc(redis->refused, redis->refused_room * sizeof *redis->refused);
        QB_ASSERT(redis->refused != NULL);
    }
    redis->refused[redis->refused_count++] = (struct refused){answer, context};
    do_soon(redis);
}

void qb_redis_drop(struct qb_redis *redis, const char *why)
{
    (void)snprintf(redis->drop, sizeof redis->drop, "%s", why);
    do_soon(redis);
}

bool qb_redis_is_up(const struct qb_redis *redis)
{
    return redis->step == UP;
}

/* ---- making and freeing ---- */

struct qb_redis *qb_redis_new(const struct qb_redis_options *options, struct qb_error *error)
{
    struct qb_redis *redis = calloc(1, sizeof *redis);
    uint64_t seed = 0;

    QB_ASSERT(redis != NULL);
    QB_ASSERT(options->up != NULL && options->down != NULL);
    QB_ASSERT(!options->is_subscriber || options->message != NULL);
    if (!qb_redis_address_parse(options->address, &redis->address, error)) {
        qb_redis_address_clear(&redis->address);
        free(redis);
        return NULL;
    }
    redis->options = *options;
    redis->options.address = NULL; /* borrowed: parsed above */
    if (redis->options.connect_ms == 0) redis->options.connect_ms = 3000;
    if (redis->options.answer_ms == 0) redis->options.answer_ms = 2000;
    if (redis->options.commands_max == 0) redis->options.commands_max = COMMANDS_MAX;
    redis->name = strdup(options->name);
    QB_ASSERT(redis->name != NULL);
    redis->greeting = (struct qb_redis_greeting){.address = &redis->address,
                                                 .name = redis->name,
                                                 .must_be_safe = options->must_be_safe,
                                                 .done = on_greeted,
                                                 .context = redis};
    qb_random_secret(&seed, sizeof seed);
    qb_random_seed(&redis->random, seed);
    qb_redis_channels_init(&redis->channels);
    redis->wait_ms = WAIT_FIRST_MS;
    redis->holders = 2;
    (void)uv_timer_init(options->loop, &redis->timer);
    (void)uv_timer_init(options->loop, &redis->soon);
    redis->timer.data = redis;
    redis->soon.data = redis;
    try(redis);
    return redis;
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct qb_redis *redis = handle->data;

    redis->holders--;
    if (redis->holders > 0) return;
    qb_redis_address_clear(&redis->address);
    free(redis->name);
    free(redis);
}

void qb_redis_free(struct qb_redis **redis)
{
    struct qb_redis *old = *redis;

    *redis = NULL;
    if (old == NULL) return;
    old->is_freed = true;
    old->step = WAITING;
    qb_redis_wire_free(&old->wire);
    answer_refused(old);
    qb_redis_channels_fini(&old->channels);
    uv_close((uv_handle_t *)&old->timer, on_handle_closed);
    uv_close((uv_handle_t *)&old->soon, on_handle_closed);
}
