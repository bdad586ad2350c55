#include "base/redis_wire.h"

#include <hiredis/hiredis.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/metrics.h"
#include "base/text.h"

#define ADDRESSES_MAX    16
#define TICK_MS          50
#define LATE_US          QB_SECOND_US
#define INPUT_BYTES      65536
#define UNSENT_BYTES_MAX ((size_t)64 << 20)

struct command {
    qb_redis_answer *answer; /* may be null */
    void *context;
    int64_t sent_us;
};

/* An attempt at one address, and the connection if it comes about. */
struct attempt {
    uv_tcp_t tcp;
    uv_connect_t connecting;
    struct qb_redis_wire *wire;
};

struct letter {
    uv_write_t request;
    struct qb_redis_wire *wire;
    char *bytes;
};

struct qb_redis_wire {
    struct qb_redis_wire_options options;
    struct qb_redis_host host;
    uv_timer_t tick;
    uv_idle_t flush; /* what one turn sends leaves in one piece */
    uv_getaddrinfo_t resolving;
    bool is_resolving;
    struct sockaddr_storage addresses[ADDRESSES_MAX];
    size_t address_count;
    size_t address_next;
    struct attempt *attempt; /* null: none under way */
    bool is_begun;
    bool is_open;
    bool is_ready;
    bool is_over;     /* told, or freed */
    unsigned holders; /* the owner, handles, requests: the memory goes with the last */
    int64_t ready_until_us;
    int64_t attempt_until_us;
    int64_t ticked_us;
    int64_t heard_us;
    redisReader *reader;
    struct qb_text output;
    struct command *commands; /* a ring of `room`, a power of two */
    size_t first;
    size_t count;
    size_t room;
    char why[QB_ERROR_BYTES_MAX]; /* of the last address that failed */
    char input[INPUT_BYTES];
};

static void try_next_address(struct qb_redis_wire *wire);

static void release(struct qb_redis_wire *wire)
{
    wire->holders--;
    if (wire->holders > 0) return;
    redisReaderFree(wire->reader);
    qb_text_fini(&wire->output);
    free(wire->commands);
    free(wire);
}

static void end(struct qb_redis_wire *wire, const char *why)
{
    struct qb_error text;

    if (wire->is_over) return;
    wire->is_over = true;
    (void)qb_error_set(&text, "%s:%s: %s", wire->host.name, wire->host.port, why);
    wire->options.closed(wire->options.context, text.text);
}

static struct command pop(struct qb_redis_wire *wire)
{
    struct command command = wire->commands[wire->first];

    QB_ASSERT(wire->count > 0);
    wire->first = (wire->first + 1) & (wire->room - 1);
    wire->count--;
    return command;
}

static void push(struct qb_redis_wire *wire, struct command command)
{
    if (wire->count == wire->room) {
        size_t room = wire->room == 0 ? 64 : wire->room * 2;
        struct command *more = calloc(room, sizeof *more);
        QB_ASSERT(more != NULL);
        for (size_t i = 0; i < wire->count; i++)
            more[i] = wire->commands[(wire->first + i) & (wire->room - 1)];
        free(wire->commands);
        wire->commands = more;
        wire->first = 0;
        wire->room = room;
    }
    wire->commands[(wire->first + wire->count) & (wire->room - 1)] = command;
    wire->count++;
}

/* ---- what comes in ---- */

static bool is_pushed(const struct qb_redis_wire *wire, const struct qb_redis_reply *reply)
{
    if (!wire->options.is_subscriber || qb_redis_count(reply) != 3) return false;
    const struct qb_redis_reply *kind = qb_redis_item(reply, 0);
    return qb_redis_is_text(kind, "message") || qb_redis_is_text(kind, "subscribe") ||
           qb_redis_is_text(kind, "unsubscribe");
}

static void take(struct qb_redis_wire *wire, const struct qb_redis_reply *reply)
{
    if (is_pushed(wire, reply)) {
        wire->options.pushed(wire->options.context, reply);
        return;
    }
    if (wire->count == 0) {
        bool is_error = qb_redis_kind_of(reply) == QB_REDIS_ERROR;
        end(wire, is_error ? qb_redis_text(reply, NULL) : "an answer that nobody asked for");
        return;
    }
    struct command command = pop(wire);
    qb_metric_observe(QB_METRIC_redis_answer_us, wire->heard_us - command.sent_us);
    if (command.answer != NULL) command.answer(command.context, reply);
    if (qb_redis_kind_of(reply) == QB_REDIS_ERROR && !wire->is_over)
        wire->options.refused(wire->options.context, qb_redis_text(reply, NULL));
}

static void on_room(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    struct attempt *attempt = handle->data;

    (void)suggested;
    *buffer = uv_buf_init(attempt->wire->input, INPUT_BYTES);
}

static void on_read(uv_stream_t *stream, ssize_t length, const uv_buf_t *buffer)
{
    struct attempt *attempt = stream->data;
    struct qb_redis_wire *wire = attempt->wire;

    if (length == 0 || wire->is_over) return;
    if (length < 0) {
        end(wire, length == UV_EOF ? "the server ended the connection" : uv_strerror((int)length));
        return;
    }
    wire->heard_us = qb_clock_mono_us();
    (void)redisReaderFeed(wire->reader, buffer->base, (size_t)length);
    while (!wire->is_over) {
        void *reply = NULL;
        if (redisReaderGetReply(wire->reader, &reply) != REDIS_OK) {
            end(wire, "what came is not the protocol of Redis");
            return;
        }
        if (reply == NULL) return;
        take(wire, reply);
        freeReplyObject(reply);
    }
}

/* ---- the connection ---- */

static void on_attempt_closed(uv_handle_t *handle)
{
    struct attempt *attempt = handle->data;
    struct qb_redis_wire *wire = attempt->wire;

    free(attempt);
    release(wire);
}

static void give_up_attempt(struct qb_redis_wire *wire)
{
    struct attempt *attempt = wire->attempt;

    wire->attempt = NULL;
    if (attempt != NULL) uv_close((uv_handle_t *)&attempt->tcp, on_attempt_closed);
}

static void next_address_after(struct qb_redis_wire *wire, const char *why)
{
    give_up_attempt(wire);
    (void)snprintf(wire->why, sizeof wire->why, "%s", why);
    try_next_address(wire);
}

static void on_connected(uv_connect_t *request, int status)
{
    struct attempt *attempt = request->data;
    struct qb_redis_wire *wire = attempt->wire;

    if (attempt != wire->attempt || wire->is_over) return;
    if (status == 0) status = uv_read_start((uv_stream_t *)&attempt->tcp, on_room, on_read);
    if (status < 0) {
        next_address_after(wire, uv_strerror(status));
        return;
    }
    wire->is_open = true;
    wire->heard_us = qb_clock_mono_us();
    wire->options.opened(wire->options.context);
}

static int connect_to(struct qb_redis_wire *wire, const struct sockaddr *address)
{
    struct attempt *attempt = calloc(1, sizeof *attempt);

    QB_ASSERT(attempt != NULL);
    attempt->wire = wire;
    int failed = uv_tcp_init(wire->options.loop, &attempt->tcp);
    QB_ASSERT(failed == 0);
    attempt->tcp.data = attempt;
    attempt->connecting.data = attempt;
    wire->attempt = attempt;
    wire->holders++;
    failed = uv_tcp_connect(&attempt->connecting, &attempt->tcp, address, on_connected);
    if (failed == 0) (void)uv_tcp_nodelay(&attempt->tcp, 1);
    return failed;
}

/* Each address gets its share of the time, so that one that swallows packets hides no other. */
static void try_next_address(struct qb_redis_wire *wire)
{
    while (wire->address_next < wire->address_count) {
        int64_t now_us = qb_clock_mono_us();
        int64_t left = (int64_t)(wire->address_count - wire->address_next);
        const struct sockaddr_storage *address = &wire->addresses[wire->address_next++];
        wire->attempt_until_us = now_us + (wire->ready_until_us - now_us) / left;
        int failed = connect_to(wire, (const struct sockaddr *)address);
        if (failed == 0) return;
        give_up_attempt(wire);
        (void)snprintf(wire->why, sizeof wire->why, "%s", uv_strerror(failed));
    }
    end(wire, wire->why);
}

static void on_resolved(uv_getaddrinfo_t *request, int status, struct addrinfo *found)
{
    struct qb_redis_wire *wire = request->data;

    wire->is_resolving = false;
    for (const struct addrinfo *at = found; at != NULL; at = at->ai_next) {
        if (wire->address_count == ADDRESSES_MAX) break;
        (void)memcpy(&wire->addresses[wire->address_count++], at->ai_addr, at->ai_addrlen);
    }
    uv_freeaddrinfo(found);
    if (!wire->is_over && status < 0) end(wire, uv_strerror(status));
    if (!wire->is_over) try_next_address(wire);
    release(wire);
}

static void begin(struct qb_redis_wire *wire)
{
    int port = (int)strtol(wire->host.port, NULL, 10);
    const struct addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};

    wire->is_begun = true;
    wire->address_count = 1;
    void *address = &wire->addresses[0];
    if (uv_ip4_addr(wire->host.name, port, address) == 0 ||
        uv_ip6_addr(wire->host.name, port, address) == 0) {
        try_next_address(wire);
        return;
    }
    wire->address_count = 0;
    wire->resolving.data = wire;
    int failed = uv_getaddrinfo(wire->options.loop, &wire->resolving, on_resolved, wire->host.name,
                                wire->host.port, &hints);
    if (failed < 0) {
        end(wire, uv_strerror(failed));
        return;
    }
    wire->is_resolving = true;
    wire->holders++;
}

/* ---- deadlines ---- */

static void check_answers(struct qb_redis_wire *wire, int64_t now_us)
{
    struct qb_error why;

    if (wire->count == 0) return;
    int64_t since_us = wire->commands[wire->first].sent_us;
    /* The answer to a subscriber's ping stands in line behind the messages before it. */
    if (wire->options.is_subscriber && wire->heard_us > since_us) since_us = wire->heard_us;
    if (now_us - since_us <= wire->options.answer_ms * QB_MS_US) return;
    (void)qb_error_set(&why, "no answer within %d ms", (int)wire->options.answer_ms);
    end(wire, why.text);
}

static void on_tick(uv_timer_t *handle)
{
    struct qb_redis_wire *wire = handle->data;
    int64_t now_us = qb_clock_mono_us();
    bool is_late = now_us - wire->ticked_us > LATE_US;

    wire->ticked_us = now_us;
    if (wire->is_over) return;
    if (!wire->is_begun) {
        begin(wire);
        return;
    }
    /* This thread stood still, not the server: what came meanwhile is read first. */
    if (is_late) return;
    if (!wire->is_ready && now_us > wire->ready_until_us) {
        end(wire, wire->is_open ? "no answer to the first commands" : "no connection in time");
    } else if (!wire->is_open && wire->attempt != NULL && now_us > wire->attempt_until_us) {
        next_address_after(wire, "no connection in time");
    } else {
        check_answers(wire, now_us);
    }
}

/* ---- what goes out ---- */

static void on_sent(uv_write_t *request, int status)
{
    struct letter *letter = (struct letter *)request;
    struct qb_redis_wire *wire = letter->wire;

    free(letter->bytes);
    free(letter);
    if (status < 0) end(wire, uv_strerror(status));
    release(wire);
}

static void on_flush(uv_idle_t *handle)
{
    struct qb_redis_wire *wire = handle->data;
    struct letter *letter = NULL;

    (void)uv_idle_stop(handle);
    if (wire->is_over || wire->output.length == 0) return;
    letter = calloc(1, sizeof *letter);
    QB_ASSERT(letter != NULL);
    letter->wire = wire;
    letter->bytes = wire->output.bytes;
    uv_buf_t buffer = uv_buf_init(letter->bytes, (unsigned)wire->output.length);
    wire->output = (struct qb_text){.bytes_max = UNSENT_BYTES_MAX};
    wire->holders++;
    uv_stream_t *stream = (uv_stream_t *)&wire->attempt->tcp;
    int failed = uv_write(&letter->request, stream, &buffer, 1, on_sent);
    if (failed < 0) on_sent(&letter->request, failed);
}

static bool put(struct qb_redis_wire *wire, size_t count, const char *const *words,
                const size_t *lengths)
{
    size_t bytes = 32 * (count + 1);

    QB_ASSERT(wire->is_open);
    if (wire->is_over) return false;
    for (size_t i = 0; i < count; i++) bytes += lengths != NULL ? lengths[i] : strlen(words[i]);
    bytes += wire->output.length + wire->attempt->tcp.write_queue_size;
    if (bytes > UNSENT_BYTES_MAX) return false;
    qb_text_format(&wire->output, "*%zu\r\n", count);
    for (size_t i = 0; i < count; i++) {
        size_t length = lengths != NULL ? lengths[i] : strlen(words[i]);
        qb_text_format(&wire->output, "$%zu\r\n", length);
        qb_text_add(&wire->output, words[i], length);
        qb_text_add(&wire->output, "\r\n", 2);
    }
    QB_ASSERT(!wire->output.is_full);
    (void)uv_idle_start(&wire->flush, on_flush);
    return true;
}

bool qb_redis_wire_send(struct qb_redis_wire *wire, size_t count, const char *const *words,
                        const size_t *lengths, qb_redis_answer *answer, void *context)
{
    if (!put(wire, count, words, lengths)) return false;
    push(wire, (struct command){answer, context, qb_clock_mono_us()});
    return true;
}

bool qb_redis_wire_subscribe(struct qb_redis_wire *wire, size_t count, const char *const *words,
                             const size_t *lengths)
{
    QB_ASSERT(wire->options.is_subscriber);
    return put(wire, count, words, lengths);
}

/* ---- from outside ---- */

struct qb_redis_wire *qb_redis_wire_new(const struct qb_redis_wire_options *options)
{
    struct qb_redis_wire *wire = calloc(1, sizeof *wire);

    QB_ASSERT(wire != NULL);
    wire->options = *options;
    wire->host = *options->host;
    wire->output.bytes_max = UNSENT_BYTES_MAX;
    wire->reader = redisReaderCreate();
    QB_ASSERT(wire->reader != NULL);
    (void)uv_timer_init(options->loop, &wire->tick);
    (void)uv_idle_init(options->loop, &wire->flush);
    wire->tick.data = wire;
    wire->flush.data = wire;
    wire->holders = 3;
    wire->ticked_us = qb_clock_mono_us();
    wire->ready_until_us = wire->ticked_us + options->connect_ms * QB_MS_US;
    (void)uv_timer_start(&wire->tick, on_tick, 0, TICK_MS);
    return wire;
}

static void on_handle_closed(uv_handle_t *handle)
{
    release(handle->data);
}

void qb_redis_wire_free(struct qb_redis_wire **wire)
{
    struct qb_redis_wire *old = *wire;

    *wire = NULL;
    if (old == NULL) return;
    old->is_over = true;
    uv_close((uv_handle_t *)&old->tick, on_handle_closed);
    uv_close((uv_handle_t *)&old->flush, on_handle_closed);
    give_up_attempt(old);
    if (old->is_resolving) (void)uv_cancel((uv_req_t *)&old->resolving);
    while (old->count > 0) {
        struct command command = pop(old);
        qb_metric_add(QB_METRIC_redis_unanswered_total, NULL, 1);
        if (command.answer != NULL) command.answer(command.context, NULL);
    }
    release(old);
}

void qb_redis_wire_ready(struct qb_redis_wire *wire)
{
    wire->is_ready = true;
}

size_t qb_redis_wire_under_way(const struct qb_redis_wire *wire)
{
    return wire->count;
}

int64_t qb_redis_wire_heard_us(const struct qb_redis_wire *wire)
{
    return wire->heard_us;
}
