#include "storage/rabbit.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/assert.h"
#include "storage/rabbit_parts.h"

#define WORK       QB_RABBIT_WORK
#define ADMIN      2 /* of questions, whose errors close it */
#define WAITED_MAX 64
#define DELIVERIES 1000000 /* never -1: some brokers drop at the first lost connection then */

static amqp_bytes_t text(const char *string)
{
    return amqp_cstring_bytes(string);
}

void qb_rabbit_cut(struct qb_rabbit *rabbit)
{
    if (rabbit->link == NULL) return;
    int descriptor = amqp_get_sockfd(rabbit->link);
    if (descriptor >= 0) (void)shutdown(descriptor, SHUT_RDWR);
    (void)amqp_destroy_connection(rabbit->link);
    rabbit->link = NULL;
    rabbit->has_admin = false;
    rabbit->published = 0;
    rabbit->arriving = (struct qb_rabbit_arriving){0};
}

bool qb_rabbit_is_connected(const struct qb_rabbit *rabbit)
{
    return rabbit->link != NULL;
}

/* How the broker answered the question on `channel`. A refusal there ends the channel of questions
 * only, and its number is kept. */
static bool answered(struct qb_rabbit *rabbit, amqp_channel_t channel, const char *what,
                     struct qb_error *error)
{
    amqp_rpc_reply_t reply = amqp_get_rpc_reply(rabbit->link);

    if (reply.reply_type == AMQP_RESPONSE_NORMAL) return true;
    if (reply.reply_type == AMQP_RESPONSE_SERVER_EXCEPTION &&
        reply.reply.id == AMQP_CHANNEL_CLOSE_METHOD && channel == ADMIN) {
        const amqp_channel_close_t *close = reply.reply.decoded;
        amqp_channel_close_ok_t ok = {0};
        rabbit->refusal = close->reply_code;
        (void)qb_error_set(error, "%s: RabbitMQ says %.*s", what, (int)close->reply_text.len,
                           (const char *)close->reply_text.bytes);
        rabbit->has_admin = false;
        if (amqp_send_method(rabbit->link, ADMIN, AMQP_CHANNEL_CLOSE_OK_METHOD, &ok) !=
            AMQP_STATUS_OK)
            qb_rabbit_cut(rabbit);
        return false;
    }
    if (reply.reply_type == AMQP_RESPONSE_SERVER_EXCEPTION)
        (void)qb_rabbit_closed(rabbit, &reply.reply, error);
    else
        (void)qb_rabbit_lost(rabbit, reply.library_error, error);
    return qb_error_wrap(error, "%s", what);
}

bool qb_rabbit_confirms(struct qb_rabbit *rabbit, struct qb_error *error)
{
    (void)amqp_confirm_select(rabbit->link, WORK);
    return answered(rabbit, WORK, "asking for confirms", error);
}

bool qb_rabbit_can_publish(const struct qb_rabbit *rabbit)
{
    struct pollfd one = {.events = POLLOUT};

    if (rabbit->link == NULL) return false;
    one.fd = amqp_get_sockfd(rabbit->link);
    return poll(&one, 1, 0) == 1 && (one.revents & POLLOUT) != 0;
}

bool qb_rabbit_publish(struct qb_rabbit *rabbit, const struct qb_rabbit_message *message,
                       uint64_t *tag, struct qb_error *error)
{
    char id[24];
    amqp_basic_properties_t properties = {
        ._flags = AMQP_BASIC_DELIVERY_MODE_FLAG | AMQP_BASIC_MESSAGE_ID_FLAG,
        .delivery_mode = AMQP_DELIVERY_PERSISTENT,
    };
    amqp_bytes_t body = {.len = message->length};

    (void)snprintf(id, sizeof id, "%llu", (unsigned long long)message->id);
    properties.message_id = text(id);
    (void)memcpy(&body.bytes, &message->bytes, sizeof body.bytes); /* the library only reads it */
    int status = amqp_basic_publish(rabbit->link, WORK, text(message->exchange), text(message->key),
                                    1, 0, &properties, body);
    if (status != AMQP_STATUS_OK) return qb_rabbit_lost(rabbit, status, error);
    *tag = ++rabbit->published;
    return true;
}

bool qb_rabbit_consume(struct qb_rabbit *rabbit, const char *queue, uint16_t prefetch,
                       struct qb_error *error)
{
    (void)amqp_basic_qos(rabbit->link, WORK, 0, prefetch, 0);
    QB_TRY(answered(rabbit, WORK, "limiting what is delivered", error));
    (void)amqp_basic_consume(rabbit->link, WORK, text(queue), amqp_empty_bytes, 0, 0, 0,
                             amqp_empty_table);
    return answered(rabbit, WORK, queue, error);
}

bool qb_rabbit_ack(struct qb_rabbit *rabbit, uint64_t tag, struct qb_error *error)
{
    int status = amqp_basic_ack(rabbit->link, WORK, tag, 1);

    return status == AMQP_STATUS_OK || qb_rabbit_lost(rabbit, status, error);
}

bool qb_rabbit_reject(struct qb_rabbit *rabbit, uint64_t tag, struct qb_error *error)
{
    int status = amqp_basic_reject(rabbit->link, WORK, tag, 0);

    return status == AMQP_STATUS_OK || qb_rabbit_lost(rabbit, status, error);
}

static size_t smaller(uint64_t left, uint64_t right)
{
    return (size_t)(left < right ? left : right);
}

static uint64_t number_of(amqp_bytes_t digits)
{
    char copy[24] = "";

    (void)memcpy(copy, digits.bytes, smaller(digits.len, sizeof copy - 1));
    return strtoull(copy, NULL, 10);
}

static bool take_method(struct qb_rabbit *rabbit, const amqp_method_t *method,
                        struct qb_rabbit_event *event, struct qb_error *error)
{
    switch (method->id) {
    case AMQP_BASIC_ACK_METHOD: {
        const amqp_basic_ack_t *ack = method->decoded;
        *event = (struct qb_rabbit_event){
            QB_RABBIT_CONFIRMED, ack->delivery_tag, 0, ack->multiple != 0, NULL, 0};
        return true;
    }
    case AMQP_BASIC_NACK_METHOD: {
        const amqp_basic_nack_t *nack = method->decoded;
        *event = (struct qb_rabbit_event){
            QB_RABBIT_NACKED, nack->delivery_tag, 0, nack->multiple != 0, NULL, 0};
        return true;
    }
    case AMQP_BASIC_RETURN_METHOD:
        rabbit->arriving = (struct qb_rabbit_arriving){.kind = QB_RABBIT_RETURNED};
        return true;
    case AMQP_BASIC_DELIVER_METHOD: {
        const amqp_basic_deliver_t *deliver = method->decoded;
        rabbit->arriving =
            (struct qb_rabbit_arriving){.kind = QB_RABBIT_DELIVERED, .tag = deliver->delivery_tag};
        return true;
    }
    case AMQP_CONNECTION_BLOCKED_METHOD:
        event->kind = QB_RABBIT_BLOCKED;
        return true;
    case AMQP_CONNECTION_UNBLOCKED_METHOD:
        event->kind = QB_RABBIT_UNBLOCKED;
        return true;
    case AMQP_CHANNEL_CLOSE_METHOD:
    case AMQP_CONNECTION_CLOSE_METHOD:
        return qb_rabbit_closed(rabbit, method, error);
    case AMQP_BASIC_CANCEL_METHOD:
        qb_rabbit_cut(rabbit);
        return qb_error_set(error, "RabbitMQ ended the delivery: its queue is gone");
    default:
        return true; /* what else the broker may say changes nothing */
    }
}

/* Hands the message out once its body is whole; what is beyond the limit is left out. */
static void end_message(struct qb_rabbit *rabbit, struct qb_rabbit_event *event)
{
    struct qb_rabbit_arriving *arriving = &rabbit->arriving;

    if (arriving->arrived < arriving->expected) return;
    *event =
        (struct qb_rabbit_event){.kind = arriving->kind,
                                 .tag = arriving->tag,
                                 .id = arriving->id,
                                 .bytes = rabbit->body,
                                 .length = smaller(arriving->expected, QB_RABBIT_BODY_BYTES_MAX)};
    arriving->kind = QB_RABBIT_NOTHING;
}

static void take_header(struct qb_rabbit *rabbit, const amqp_frame_t *frame)
{
    const amqp_basic_properties_t *properties = frame->payload.properties.decoded;
    struct qb_rabbit_arriving *arriving = &rabbit->arriving;

    arriving->expected = frame->payload.properties.body_size;
    if ((properties->_flags & AMQP_BASIC_MESSAGE_ID_FLAG) != 0)
        arriving->id = number_of(properties->message_id);
    size_t needed = smaller(arriving->expected, QB_RABBIT_BODY_BYTES_MAX);
    if (needed <= rabbit->body_room) return;
    rabbit->body = realloc(rabbit->body, needed);
    QB_ASSERT(rabbit->body != NULL);
    rabbit->body_room = needed;
}

static void take_body(struct qb_rabbit *rabbit, amqp_bytes_t fragment)
{
    struct qb_rabbit_arriving *arriving = &rabbit->arriving;

    if (arriving->arrived < rabbit->body_room) {
        size_t room = rabbit->body_room - (size_t)arriving->arrived;
        (void)memcpy(&rabbit->body[arriving->arrived], fragment.bytes, smaller(fragment.len, room));
    }
    arriving->arrived += fragment.len;
}

bool qb_rabbit_next(struct qb_rabbit *rabbit, struct qb_rabbit_event *event, struct qb_error *error)
{
    const struct timeval at_once = {0, 0};

    *event = (struct qb_rabbit_event){.kind = QB_RABBIT_NOTHING};
    while (event->kind == QB_RABBIT_NOTHING) {
        amqp_frame_t frame;
        amqp_maybe_release_buffers(rabbit->link);
        int status = amqp_simple_wait_frame_noblock(rabbit->link, &frame, &at_once);
        if (status == AMQP_STATUS_TIMEOUT) return true;
        if (status != AMQP_STATUS_OK) return qb_rabbit_lost(rabbit, status, error);
        if (frame.frame_type == AMQP_FRAME_METHOD)
            QB_TRY(take_method(rabbit, &frame.payload.method, event, error));
        else if (frame.frame_type == AMQP_FRAME_HEADER)
            take_header(rabbit, &frame);
        else if (frame.frame_type == AMQP_FRAME_BODY)
            take_body(rabbit, frame.payload.body_fragment);
        if (frame.frame_type == AMQP_FRAME_METHOD) continue;
        if (rabbit->arriving.kind != QB_RABBIT_NOTHING) end_message(rabbit, event);
    }
    return true;
}

void qb_rabbit_wait(struct qb_rabbit *const *rabbits, size_t count, int wake_descriptor,
                    int64_t wait_us)
{
    struct pollfd all[WAITED_MAX + 1];
    uint64_t ignored = 0;

    QB_ASSERT(count <= WAITED_MAX);
    all[0] = (struct pollfd){.fd = wake_descriptor, .events = POLLIN};
    for (size_t i = 0; i < count; i++) {
        amqp_connection_state_t link = rabbits[i] != NULL ? rabbits[i]->link : NULL;
        all[i + 1] =
            (struct pollfd){.fd = link != NULL ? amqp_get_sockfd(link) : -1, .events = POLLIN};
        if (link == NULL) continue;
        if (amqp_frames_enqueued(link) || amqp_data_in_buffer(link)) wait_us = 0;
        int64_t quarter_us = (int64_t)rabbits[i]->options.heartbeat_s * 1000000 / 4;
        if (quarter_us > 0 && quarter_us < wait_us) wait_us = quarter_us;
    }
    (void)poll(all, (nfds_t)count + 1, (int)((wait_us + 999) / 1000));
    if ((all[0].revents & POLLIN) != 0) (void)!read(wake_descriptor, &ignored, sizeof ignored);
}

struct qb_rabbit *qb_rabbit_new(const struct qb_rabbit_options *options, struct qb_error *error)
{
    struct qb_rabbit *rabbit = calloc(1, sizeof *rabbit);

    QB_ASSERT(rabbit != NULL);
    rabbit->options = *options;
    rabbit->ca_file = options->ca_file != NULL ? strdup(options->ca_file) : NULL;
    bool is_good =
        qb_rabbit_addresses_parse(options->urls, rabbit->addresses, &rabbit->address_count, error);
    for (size_t i = 0; is_good && i < rabbit->address_count; i++) {
        if (!rabbit->addresses[i].is_tls || rabbit->ca_file != NULL) continue;
        is_good = qb_error_set(error,
                               "address %zu of a broker: amqps:// needs the file of the "
                               "certificate authority to trust",
                               i + 1);
    }
    if (!is_good) qb_rabbit_free(&rabbit);
    return rabbit;
}

void qb_rabbit_free(struct qb_rabbit **rabbit)
{
    struct qb_rabbit *old = *rabbit;

    *rabbit = NULL;
    if (old == NULL) return;
    qb_rabbit_cut(old);
    free(old->ca_file);
    free(old->body);
    explicit_bzero(old->addresses, sizeof old->addresses);
    free(old);
}

static bool ask(struct qb_rabbit *rabbit, struct qb_error *error)
{
    amqp_maybe_release_buffers(rabbit->link);
    if (rabbit->has_admin) return true;
    (void)amqp_channel_open(rabbit->link, ADMIN);
    rabbit->has_admin = answered(rabbit, ADMIN, "opening a channel", error);
    return rabbit->has_admin;
}

bool qb_rabbit_exchange(struct qb_rabbit *rabbit, const char *name, struct qb_error *error)
{
    QB_TRY(ask(rabbit, error));
    (void)amqp_exchange_declare(rabbit->link, ADMIN, text(name), text("direct"), 0, 1, 0, 0,
                                amqp_empty_table);
    return answered(rabbit, ADMIN, name, error);
}

bool qb_rabbit_queue(struct qb_rabbit *rabbit, const struct qb_rabbit_queue *queue,
                     struct qb_error *error)
{
    const char *dead = queue->dead_letters_to;
    amqp_table_entry_t arguments[9] = {
        {text("x-queue-type"), {AMQP_FIELD_KIND_UTF8, {.bytes = text("quorum")}}},
        {text("x-delivery-limit"), {AMQP_FIELD_KIND_I32, {.i32 = DELIVERIES}}},
    };
    const amqp_table_entry_t chained[] = {
        {text("x-single-active-consumer"), {AMQP_FIELD_KIND_BOOLEAN, {.boolean = 1}}},
        {text("x-overflow"), {AMQP_FIELD_KIND_UTF8, {.bytes = text("reject-publish")}}},
        {text("x-dead-letter-strategy"), {AMQP_FIELD_KIND_UTF8, {.bytes = text("at-least-once")}}},
        {text("x-dead-letter-exchange"), {AMQP_FIELD_KIND_UTF8, {.bytes = amqp_empty_bytes}}},
        {text("x-dead-letter-routing-key"),
         {AMQP_FIELD_KIND_UTF8, {.bytes = text(dead != NULL ? dead : "")}}},
    };
    int count = 2; /* these alone are the end of a chain */

    for (size_t i = 0; dead != NULL && i < QB_COUNT(chained); i++) arguments[count++] = chained[i];
    if (queue->messages_max > 0)
        arguments[count++] = (amqp_table_entry_t){
            text("x-max-length"), {AMQP_FIELD_KIND_I64, {.i64 = (int64_t)queue->messages_max}}};
    if (queue->expires_ms > 0)
        arguments[count++] = (amqp_table_entry_t){
            text("x-expires"), {AMQP_FIELD_KIND_I64, {.i64 = (int64_t)queue->expires_ms}}};
    const amqp_table_t table = {count, arguments};

    QB_TRY(ask(rabbit, error));
    (void)amqp_queue_declare(rabbit->link, ADMIN, text(queue->name), 0, 1, 0, 0, table);
    return answered(rabbit, ADMIN, queue->name, error);
}

bool qb_rabbit_count(struct qb_rabbit *rabbit, const char *queue, struct qb_rabbit_count *count,
                     struct qb_error *error)
{
    *count = (struct qb_rabbit_count){0};
    QB_TRY(ask(rabbit, error));
    const amqp_queue_declare_ok_t *ok =
        amqp_queue_declare(rabbit->link, ADMIN, text(queue), 1, 1, 0, 0, amqp_empty_table);
    rabbit->refusal = 0;
    if (!answered(rabbit, ADMIN, queue, error)) {
        count->is_missing = rabbit->refusal == AMQP_NOT_FOUND && qb_rabbit_is_connected(rabbit);
        return count->is_missing;
    }
    count->messages = ok->message_count;
    count->consumers = ok->consumer_count;
    return true;
}

bool qb_rabbit_route(struct qb_rabbit *rabbit, const struct qb_rabbit_route *route, bool is_open,
                     struct qb_error *error)
{
    amqp_bytes_t queue = text(route->queue);
    amqp_bytes_t exchange = text(route->exchange);

    QB_TRY(ask(rabbit, error));
    amqp_bytes_t key = text(route->key);
    if (is_open)
        (void)amqp_queue_bind(rabbit->link, ADMIN, queue, exchange, key, amqp_empty_table);
    else
        (void)amqp_queue_unbind(rabbit->link, ADMIN, queue, exchange, key, amqp_empty_table);
    return answered(rabbit, ADMIN, route->key, error);
}

bool qb_rabbit_remove(struct qb_rabbit *rabbit, enum qb_rabbit_thing thing, const char *name,
                      struct qb_error *error)
{
    QB_TRY(ask(rabbit, error));
    if (thing == QB_RABBIT_QUEUE)
        (void)amqp_queue_delete(rabbit->link, ADMIN, text(name), 0, 0);
    else
        (void)amqp_exchange_delete(rabbit->link, ADMIN, text(name), 0);
    return answered(rabbit, ADMIN, name, error);
}
