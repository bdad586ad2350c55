/*
 * Sessions are told which of their auctions may be behind, and when they no longer are.
 */
#include "base/clock.h"
#include "base/shard.h"
#include "base/text.h"
#include "ws/server.h"
#include "ws/session.h"

#define AUCTIONS_PER_PUSH 256

static uint16_t shard_bit(const struct qb_edge *edge, qb_id auction)
{
    return (uint16_t)(1U << qb_shard_of(auction, edge->options.shards));
}

static void send(struct qb_session *session, struct qb_text *text)
{
    if (text->length == 0) return;
    qb_text_string(text, "]}");
    qb_session_send(session, text->bytes, text->length);
    text->length = 0;
}

static void begin_push(const struct qb_edge *edge, struct qb_text *text, bool is_stale)
{
    qb_text_string(text, is_stale ? "{\"on\":\"stale\"" : "{\"on\":\"live\"");
    if (is_stale) qb_text_json_int(text, "since_ms", edge->stale_since_us / QB_MS_US);
    qb_text_json_name(text, "auctions");
    qb_text_string(text, "[");
}

/* Those of its auctions that are of the shards. */
static void tell(struct qb_session *session, uint16_t shards, bool is_stale)
{
    const struct qb_watcher *watcher = &session->watcher;
    QB_CLEANUP(qb_text_fini) struct qb_text text = {0};
    char words[QB_ID_TEXT_BYTES];
    uint32_t count = 0;

    for (uint32_t i = 0; shards != 0 && i < watcher->count; i++) {
        qb_id auction = qb_watcher_auction(watcher, i);
        if ((shards & shard_bit(session->edge, auction)) == 0) continue;
        bool is_first = count++ % AUCTIONS_PER_PUSH == 0;
        if (is_first) send(session, &text);
        if (is_first)
            begin_push(session->edge, &text, is_stale);
        else
            qb_text_string(&text, ",");
        qb_id_text(auction, words);
        qb_text_format(&text, "\"%s\"", words);
    }
    send(session, &text);
}

static void look_at(struct qb_edge *edge, struct qb_session *session)
{
    uint16_t was = session->stale;
    uint16_t changed = was ^ edge->stale;

    if (changed == 0 || session->is_leaving) return;
    session->stale = edge->stale;
    tell(session, changed & edge->stale, true);
    tell(session, changed & was, false);
}

static void begin(struct qb_edge *edge)
{
    edge->stale_left = edge->slot_count;
    qb_server_want_turn(edge->server);
}

void qb_edge_set_stale(struct qb_edge *edge, uint16_t shards, qb_time_us since_us)
{
    if (edge->stale == shards) return;
    edge->stale = shards;
    edge->stale_since_us = since_us;
    begin(edge);
}

/* Told in a later turn, with all that it watches of the shard: behind the answer to its `watch`. */
void qb_edge_watched(struct qb_edge *edge, struct qb_session *session, qb_id auction)
{
    uint16_t bit = shard_bit(edge, auction);

    if ((edge->stale & bit) == 0) return;
    session->stale &= (uint16_t)~bit;
    begin(edge);
}

bool qb_edge_tell_stale(struct qb_edge *edge)
{
    for (uint32_t i = 0; i < edge->options.sweep_slice && edge->stale_left > 0; i++) {
        if (edge->stale_next >= edge->slot_count) edge->stale_next = 0;
        struct qb_session *session = edge->slots[edge->stale_next++].session;
        edge->stale_left--;
        if (session != NULL) look_at(edge, session);
    }
    return edge->stale_left > 0;
}
