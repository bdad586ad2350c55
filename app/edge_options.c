#include "app/edge_options.h"

struct qb_edge_options qb_edge_options_of(const struct qb_settings *s, unsigned threads)
{
    const int64_t count = threads;

    return (struct qb_edge_options){
        .connections_max = (uint32_t)((s->connections_max + count - 1) / count),
        .connections_per_address = (uint32_t)s->connections_per_address,
        .connections_per_user = (uint32_t)s->connections_per_user,
        .handshakes_per_second = (uint32_t)((s->handshakes_per_second + count - 1) / count),
        .head_bytes_max = (uint32_t)s->head_bytes_max,
        .url_bytes_max = (uint32_t)s->url_bytes_max,
        .headers_max = (uint32_t)s->headers_max,
        .body_bytes_max = (uint32_t)s->body_bytes_max,
        .bodies_bytes_max = (uint64_t)s->bodies_bytes_max,
        .head_timeout_ms = (uint32_t)s->head_timeout_ms,
        .keep_alive_ms = (uint32_t)s->keep_alive_ms,
        .message_bytes_max = (uint32_t)s->message_bytes_max,
        .messages_per_second = (uint32_t)s->messages_per_second,
        .messages_burst = (uint32_t)s->messages_burst,
        .watches_max = (uint32_t)s->watches_max,
        .outbox_bytes_max = (uint32_t)s->outbox_bytes_max,
        .socket_send_bytes = (uint32_t)s->socket_send_bytes,
        .first_command_ms = (uint32_t)s->first_command_ms,
        .ping_ms = (uint32_t)s->ping_ms,
        .pong_ms = (uint32_t)s->pong_ms,
        .stalled_ms = (uint32_t)s->stalled_ms,
        .sweep_slice = (uint32_t)s->sweep_slice,
        .amount_max = s->amount_max,
        .hosts = s->hosts,
    };
}
