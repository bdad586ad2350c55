#include <amqp_ssl_socket.h>
#include <amqp_tcp_socket.h>
#include <sys/socket.h>

#include "base/assert.h"
#include "storage/rabbit_parts.h"

#define FRAME_BYTES   131072
#define SENDING_BYTES (1 << 20) /* of the socket, so that a message fits when it is writable */

/* What the library's numbers mean to whoever set the address; the library's words for the rest. */
static const struct {
    int status;
    const char *text;
} troubles[] = {
    {AMQP_STATUS_SSL_PEER_VERIFY_FAILED,
     "its certificate is not of an authority in rabbitmq_ca_file, or not valid now"},
    {AMQP_STATUS_SSL_HOSTNAME_VERIFY_FAILED,
     "its certificate is for another host name than that of the address"},
    {AMQP_STATUS_SSL_CONNECTION_FAILED,
     "no TLS could be agreed on: is this the port for amqps://, and does it take TLS 1.2?"},
    {AMQP_STATUS_SSL_ERROR, "the TLS connection broke"},
    {AMQP_STATUS_HOSTNAME_RESOLUTION_FAILED, "the host name is not known"},
    {AMQP_STATUS_SOCKET_ERROR, "no connection: it does not listen there, or hung up"},
    {AMQP_STATUS_TIMEOUT, "no answer in time"},
    {AMQP_STATUS_HEARTBEAT_TIMEOUT, "it was silent for too long"},
    {AMQP_STATUS_CONNECTION_CLOSED, "it hung up"},
};

static const char *trouble_of(int status)
{
    for (size_t i = 0; i < QB_COUNT(troubles); i++) {
        if (troubles[i].status == status) return troubles[i].text;
    }
    return amqp_error_string2(status);
}

bool qb_rabbit_lost(struct qb_rabbit *rabbit, int status, struct qb_error *error)
{
    qb_rabbit_cut(rabbit);
    return qb_error_set(error, "connection to RabbitMQ: %s", trouble_of(status));
}

bool qb_rabbit_closed(struct qb_rabbit *rabbit, const amqp_method_t *method, struct qb_error *error)
{
    uint16_t code = 0;
    amqp_bytes_t reason = amqp_empty_bytes;

    if (method->id == AMQP_CHANNEL_CLOSE_METHOD) {
        const amqp_channel_close_t *close = method->decoded;
        code = close->reply_code;
        reason = close->reply_text;
    } else if (method->id == AMQP_CONNECTION_CLOSE_METHOD) {
        const amqp_connection_close_t *close = method->decoded;
        code = close->reply_code;
        reason = close->reply_text;
    }
    (void)qb_error_set(error, "RabbitMQ says %u: %.*s", code, (int)reason.len,
                       (const char *)reason.bytes);
    qb_rabbit_cut(rabbit);
    return false;
}

static amqp_socket_t *new_socket(struct qb_rabbit *rabbit, const struct qb_rabbit_address *address,
                                 struct qb_error *error)
{
    if (!address->is_tls) return amqp_tcp_socket_new(rabbit->link);
    amqp_socket_t *made = amqp_ssl_socket_new(rabbit->link);
    QB_ASSERT(made != NULL);
    amqp_ssl_socket_set_verify_peer(made, 1);
    amqp_ssl_socket_set_verify_hostname(made, 1);
    if (amqp_ssl_socket_set_ssl_versions(made, AMQP_TLSv1_2, AMQP_TLSvLATEST) != AMQP_STATUS_OK ||
        amqp_ssl_socket_set_cacert(made, rabbit->ca_file) != AMQP_STATUS_OK) {
        (void)qb_error_set(error, "%s holds no certificate authority in PEM form", rabbit->ca_file);
        qb_rabbit_cut(rabbit);
        return NULL;
    }
    return made;
}

static bool log_in(struct qb_rabbit *rabbit, const struct qb_rabbit_address *address,
                   struct qb_error *error)
{
    amqp_table_entry_t capabilities[] = {
        {amqp_cstring_bytes("connection.blocked"), {AMQP_FIELD_KIND_BOOLEAN, {.boolean = 1}}},
        {amqp_cstring_bytes("consumer_cancel_notify"), {AMQP_FIELD_KIND_BOOLEAN, {.boolean = 1}}},
        {amqp_cstring_bytes("publisher_confirms"), {AMQP_FIELD_KIND_BOOLEAN, {.boolean = 1}}},
        {amqp_cstring_bytes("authentication_failure_close"),
         {AMQP_FIELD_KIND_BOOLEAN, {.boolean = 1}}},
    };
    amqp_table_t all = {QB_COUNT(capabilities), capabilities};
    amqp_table_entry_t entries[] = {
        {amqp_cstring_bytes("capabilities"), {AMQP_FIELD_KIND_TABLE, {.table = all}}},
        {amqp_cstring_bytes("connection_name"),
         {AMQP_FIELD_KIND_UTF8, {.bytes = amqp_cstring_bytes(rabbit->options.name)}}},
    };
    const amqp_table_t properties = {QB_COUNT(entries), entries};
    amqp_rpc_reply_t reply = amqp_login_with_properties(
        rabbit->link, address->vhost, 0, FRAME_BYTES, (int)rabbit->options.heartbeat_s, &properties,
        AMQP_SASL_METHOD_PLAIN, address->user, address->password);

    if (reply.reply_type == AMQP_RESPONSE_SERVER_EXCEPTION)
        return qb_rabbit_closed(rabbit, &reply.reply, error);
    if (reply.reply_type != AMQP_RESPONSE_NORMAL) {
        (void)qb_rabbit_lost(rabbit, reply.library_error, error);
        if (!address->is_tls && reply.library_error == AMQP_STATUS_SOCKET_ERROR)
            (void)qb_error_set(error, "it hung up before a login: is the port for amqps://?");
        return false;
    }
    (void)amqp_channel_open(rabbit->link, QB_RABBIT_WORK);
    reply = amqp_get_rpc_reply(rabbit->link);
    if (reply.reply_type == AMQP_RESPONSE_NORMAL) return true;
    if (reply.reply_type == AMQP_RESPONSE_SERVER_EXCEPTION)
        return qb_rabbit_closed(rabbit, &reply.reply, error);
    return qb_rabbit_lost(rabbit, reply.library_error, error);
}

size_t qb_rabbit_addresses(const struct qb_rabbit *rabbit)
{
    return rabbit->address_count;
}

bool qb_rabbit_connect(struct qb_rabbit *rabbit, struct qb_error *error)
{
    const struct timeval connect_time = {.tv_sec = QB_RABBIT_CONNECT_S};
    const struct timeval answer_time = {.tv_sec = QB_RABBIT_ANSWER_S};
    const struct qb_rabbit_address *address = &rabbit->addresses[rabbit->next_address];
    const int sending_bytes = SENDING_BYTES;

    QB_ASSERT(rabbit->link == NULL);
    rabbit->next_address = (rabbit->next_address + 1) % rabbit->address_count;
    rabbit->link = amqp_new_connection();
    QB_ASSERT(rabbit->link != NULL);
    amqp_socket_t *connection = new_socket(rabbit, address, error);
    if (connection == NULL) return false;
    int status = amqp_socket_open_noblock(connection, address->host, address->port, &connect_time);
    bool is_open = status == AMQP_STATUS_OK || qb_rabbit_lost(rabbit, status, error);
    if (is_open) {
        (void)setsockopt(amqp_get_sockfd(rabbit->link), SOL_SOCKET, SO_SNDBUF, &sending_bytes,
                         sizeof sending_bytes);
        (void)amqp_set_handshake_timeout(rabbit->link, &answer_time);
        (void)amqp_set_rpc_timeout(rabbit->link, &answer_time);
        is_open = log_in(rabbit, address, error);
    }
    return is_open || qb_error_wrap(error, "%s:%u", address->host, address->port);
}
