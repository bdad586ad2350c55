#include <stdlib.h>
#include <string.h>

#include "app/runner_state.h"
#include "app/state_json.h"
#include "base/assert.h"
#include "base/clock.h"
#include "base/metrics.h"

#define RING_ROOM_FIRST 16

struct qb_home *qb_home_find(const struct qb_runner *runner, qb_id auction)
{
    return qb_map_get(&runner->homes, &auction);
}

struct qb_home **qb_homes_list(const struct qb_runner *runner, size_t *count)
{
    struct qb_home **homes = calloc(runner->homes.count + 1, sizeof(struct qb_home *));
    struct qb_home *home = NULL;
    size_t cursor = 0;

    QB_ASSERT(homes != NULL);
    *count = 0;
    while ((home = qb_map_next(&runner->homes, &cursor, NULL)) != NULL) homes[(*count)++] = home;
    return homes;
}

/* What others append to its log, and how many watch. */
void qb_home_subscribe(struct qb_runner *runner, qb_id auction, bool is_wanted)
{
    const struct qb_topic topic = {.kind = QB_TOPIC_LOG, .id = auction};
    struct qb_bus *bus = runner->all->options.bus;

    if (is_wanted)
        qb_bus_subscribe(bus, runner->member, topic);
    else
        qb_bus_unsubscribe(bus, runner->member, topic);
}

struct qb_home *qb_home_add(struct qb_runner *runner, const struct qb_lot *state)
{
    uint32_t lot = qb_auctioneer_add(runner->auctioneer, state);

    if (lot == QB_LOT_NOWHERE) return NULL;
    struct qb_home *home = calloc(1, sizeof *home);
    QB_ASSERT(home != NULL);
    home->auction = state->auction;
    home->lot = lot;
    home->shown = qb_lot_moment_of(state);
    runner->lots[lot] = home;
    void *before = qb_map_set(&runner->homes, &home->auction, home);
    QB_ASSERT(before == NULL);
    home->snapshot_seq = state->seq;
    if (qb_lot_is_over(state))
        home->over_us = qb_clock_mono_us(); /* stays as long as one that ended here */
    else
        qb_metric_add(QB_METRIC_auctions_live, NULL, 1);
    qb_home_subscribe(runner, home->auction, true);
    return home;
}

void qb_home_free(struct qb_home *home)
{
    free(home->records);
    free(home->ring.items);
    free(home);
}

static void forget_in(struct qb_home **list, size_t *count, const struct qb_home *home)
{
    for (size_t i = 0; i < *count; i++) {
        if (list[i] != home) continue;
        list[i] = list[--*count];
        return;
    }
}

void qb_home_remove(struct qb_runner *runner, struct qb_home *home)
{
    if (home->is_dirty) forget_in(runner->dirty, &runner->dirty_count, home);
    if (home->is_recent) forget_in(runner->recent, &runner->recent_count, home);
    if (home->is_crowd_new) forget_in(runner->crowded, &runner->crowded_count, home);
    qb_auctioneer_remove(runner->auctioneer, home->lot);
    qb_home_subscribe(runner, home->auction, false);
    qb_ledger_forget(runner->ledger, home->auction);
    runner->lots[home->lot] = NULL;
    (void)qb_map_remove(&runner->homes, &home->auction);
    if (home->over_us == 0) qb_metric_add(QB_METRIC_auctions_live, NULL, -1);
    qb_home_free(home);
}

void qb_home_record(struct qb_home *home, const struct qb_bid_record *record)
{
    if (home->record_count == home->record_room) {
        home->record_room = home->record_room == 0 ? 8 : home->record_room * 2;
        home->records = realloc(home->records, home->record_room * sizeof *record);
        QB_ASSERT(home->records != NULL);
    }
    home->records[home->record_count++] = *record;
}

static struct qb_ring_item *ring_at(const struct qb_ring *ring, uint32_t index)
{
    return &ring->items[(ring->first + index) % ring->room];
}

static void grow(struct qb_ring *ring, uint32_t most)
{
    uint32_t room = ring->room == 0 ? RING_ROOM_FIRST : ring->room * 2;

    if (room > most) room = most;
    struct qb_ring_item *items = malloc(room * sizeof *items);
    QB_ASSERT(items != NULL);
    for (uint32_t i = 0; i < ring->count; i++) items[i] = *ring_at(ring, i);
    free(ring->items);
    ring->items = items;
    ring->room = room;
    ring->first = 0;
}

void qb_home_remember(struct qb_runner *runner, struct qb_home *home,
                      const struct qb_ring_item *item)
{
    struct qb_ring *ring = &home->ring;
    bool is_next = ring->count == 0 || ring_at(ring, ring->count - 1)->seq + 1 == item->seq;
    uint32_t most = runner->all->options.ring_entries;

    if (!is_next) ring->count = 0; /* some were announced together: a resume begins anew */
    if (ring->count == ring->room && ring->room < most) grow(ring, most);
    QB_ASSERT(ring->room > 0);
    if (ring->count == ring->room) {
        ring->first = (ring->first + 1) % ring->room;
        ring->count--;
    }
    *ring_at(ring, ring->count) = *item;
    ring->count++;
}

void qb_home_keep_snapshot(struct qb_runner *runner, struct qb_home *home, uint64_t entries)
{
    const struct qb_lot *lot = qb_auctioneer_lot(runner->auctioneer, home->lot);
    bool is_over = qb_lot_is_over(lot) && home->snapshot_seq < lot->seq;

    if (lot->seq < home->snapshot_seq + entries && !is_over) return;
    home->snapshot_seq = lot->seq;
    qb_ledger_snapshot(runner->ledger, lot, home->records, home->record_count);
}

const struct qb_ring_item *qb_home_recall(const struct qb_home *home, uint64_t seq)
{
    const struct qb_ring *ring = &home->ring;

    if (ring->count == 0) return NULL;
    uint64_t oldest = ring_at(ring, 0)->seq;
    if (seq < oldest || seq >= oldest + ring->count) return NULL;
    const struct qb_ring_item *item = ring_at(ring, (uint32_t)(seq - oldest));
    QB_ASSERT(item->seq == seq); /* remembered in order, without gaps */
    return item;
}

uint64_t qb_home_position(const struct qb_home *home)
{
    return (uint64_t)home->shown.epoch << 32 | (home->shown.seq & UINT32_MAX);
}

void qb_home_shown(const struct qb_runner *runner, const struct qb_home *home, struct qb_lot *lot)
{
    *lot = *qb_auctioneer_lot(runner->auctioneer, home->lot);
    qb_lot_moment_apply(&home->shown, lot);
}

/* The newest event that people see, or null. */
static const struct qb_ring_item *newest_public(const struct qb_home *home)
{
    for (uint32_t i = home->ring.count; i > 0; i--) {
        const struct qb_ring_item *item = ring_at(&home->ring, i - 1);
        if (item->verdict.is_public_change) return item;
    }
    return NULL;
}

static struct qb_state_event event_of(const struct qb_ring_item *item)
{
    return (struct qb_state_event){
        .seq = item->seq,
        .type = item->type,
        .bidder = item->bidder,
        .verdict = item->verdict,
    };
}

void qb_home_state_json(struct qb_runner *runner, const struct qb_home *home, struct qb_text *text)
{
    struct qb_lot lot;
    const struct qb_ring_item *newest = newest_public(home);
    struct qb_state_event last = {0};
    struct qb_state_view view = {
        .epoch = home->shown.epoch,
        .dur = home->shown.seq,
        .now_us = qb_runner_now_us(runner),
        .watchers = home->watchers,
    };

    qb_home_shown(runner, home, &lot);
    if (newest != NULL) {
        last = event_of(newest);
        view.last = &last;
    }
    qb_state_json(text, &lot, &view);
}

bool qb_home_missed_json(const struct qb_runner *runner, const struct qb_home *home, uint32_t epoch,
                         uint64_t seq, struct qb_text *text)
{
    const struct qb_ring_item *seen = qb_home_recall(home, seq);
    const struct qb_lot *lot = qb_auctioneer_lot(runner->auctioneer, home->lot);
    bool is_first = true;

    if (seen == NULL || seen->epoch != epoch) return false;
    qb_text_json_name(text, "missed");
    qb_text_string(text, "[");
    for (uint32_t i = (uint32_t)(seq - ring_at(&home->ring, 0)->seq) + 1; i < home->ring.count;
         i++) {
        const struct qb_ring_item *item = ring_at(&home->ring, i);
        if (!item->verdict.is_public_change) continue;
        if (!is_first) qb_text_string(text, ",");
        const struct qb_state_event event = event_of(item);
        qb_state_event_json(text, lot, &event);
        is_first = false;
    }
    qb_text_string(text, "]");
    return true;
}

void qb_home_show(struct qb_runner *runner, struct qb_home *home)
{
    if (home == NULL || home->is_dirty || home->shown.seq == 0) return;
    home->is_dirty = true;
    home->changed_us = qb_clock_mono_us();
    runner->dirty[runner->dirty_count++] = home;
}

void qb_home_publish(struct qb_runner *runner, struct qb_home *home)
{
    const struct qb_topic topic = {.kind = QB_TOPIC_AUCTION, .id = home->auction};
    struct qb_text text = {0};
    struct qb_text state = {0};

    qb_home_state_json(runner, home, &state);
    QB_ASSERT(state.length > 2);
    qb_text_string(&text, "{\"on\":\"update\",");
    qb_text_add(&text, state.bytes + 1, state.length - 1);
    struct qb_frame *frame = qb_edge_seal(text.bytes, text.length);
    frame->is_protected = home->must_protect;
    frame->position = qb_home_position(home);
    home->must_protect = false;
    /* The same position again is shown to nobody who has it. */
    if (frame->position > home->published) home->crowd_told = home->watchers;
    home->published = frame->position;
    qb_bus_publish(runner->all->options.bus, runner->member, topic, frame->position, frame);
    qb_frame_free(&frame);
    qb_text_fini(&text);
    qb_text_fini(&state);
}
