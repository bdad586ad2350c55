#include "storage/archive_states.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/log.h"

void qb_archive_states_init(struct qb_archive_states *states, const struct qb_store_ops *store,
                            struct qb_store_link *link)
{
    states->store = store;
    states->link = link;
    qb_map_init(&states->map, sizeof(qb_id));
}

void qb_archive_states_fini(struct qb_archive_states *states)
{
    size_t cursor = 0;
    struct qb_archive_state *state = NULL;

    while ((state = qb_map_next(&states->map, &cursor, NULL)) != NULL) free(state);
    qb_map_fini(&states->map);
}

void qb_archive_states_clear(struct qb_archive_states *states)
{
    qb_archive_states_fini(states);
    qb_map_init(&states->map, sizeof(qb_id));
}

static bool read_lot(struct qb_archive_states *states, qb_id auction,
                     struct qb_archive_state *state, struct qb_error *error)
{
    enum qb_store_result result = states->store->state(states->link, auction, &state->lot, error);

    if (result == QB_STORE_FAILED) return false;
    if (result == QB_STORE_BROKEN)
        qb_log(QB_LOG_ERROR, "archive.broken", QB_TEXT("error", error->text));
    state->is_broken = result == QB_STORE_BROKEN;
    state->was_over = result == QB_STORE_OK && qb_lot_is_over(&state->lot);
    if (result != QB_STORE_OK) (void)memset(&state->lot, 0, sizeof state->lot);
    if (result == QB_STORE_NOT_FOUND) {
        state->lot.auction = auction;
        state->lot.price = QB_AMOUNT_NONE;
        state->lot.final_price = QB_AMOUNT_NONE;
    }
    return true;
}

/* A state not yet in the map, without what heads say. */
static struct qb_archive_state *read_state(struct qb_archive_states *states, qb_id auction,
                                           struct qb_error *error)
{
    struct qb_archive_state *state = calloc(1, sizeof *state);

    QB_ASSERT(state != NULL);
    if (read_lot(states, auction, state, error)) return state;
    free(state);
    return NULL;
}

struct qb_archive_state *qb_archive_state_of(struct qb_archive_states *states, qb_id auction,
                                             struct qb_error *error)
{
    struct qb_archive_state *state = qb_map_get(&states->map, &auction);
    bool has_conflict = false;

    if (state != NULL) return state;
    state = read_state(states, auction, error);
    if (state == NULL) return NULL;
    if (states->store->archive_is_frozen(states->link, auction, &has_conflict, error) !=
        QB_STORE_OK) {
        free(state);
        return NULL;
    }
    state->is_frozen = has_conflict || state->is_broken;
    (void)qb_map_set(&states->map, &auction, state);
    return state;
}

static bool renew(struct qb_archive_states *states, const struct qb_archive_head *head,
                  struct qb_error *error)
{
    struct qb_archive_state *state = qb_map_get(&states->map, &head->auction);

    if (state != NULL && state->lot.seq != head->applied_seq) {
        free(qb_map_remove(&states->map, &head->auction));
        state = NULL;
    }
    if (state == NULL) {
        state = read_state(states, head->auction, error);
        if (state == NULL) return false;
        (void)qb_map_set(&states->map, &head->auction, state);
    }
    state->staged_seq = head->staged_seq;
    state->is_frozen = head->is_frozen || state->is_broken;
    return true;
}

bool qb_archive_states_renew(struct qb_archive_states *states, struct qb_archive_head *heads,
                             size_t count, struct qb_error *error)
{
    QB_TRY(states->store->archive_heads(states->link, heads, count, error) == QB_STORE_OK);
    for (size_t i = 0; i < count; i++) QB_TRY(renew(states, &heads[i], error));
    return true;
}
