#include "app/replica_load.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "storage/ledger_memory.h"
#include "storage/load.h"

/* Of one auction: the ids of all entries, and the newest with their verdicts, in a ring. */
struct newest {
    struct qb_entry entry;
    struct qb_verdict verdict;
};

struct id {
    uint8_t bid_id[QB_BID_ID_BYTES];
    uint64_t asked;
};

struct loading {
    struct newest *ring;
    size_t ring_room;
    struct id *ids; /* by seq - 1 */
    size_t id_room;
    uint64_t seq;
};

static bool set_limit(void *context, qb_id user, const char *currency, int64_t amount)
{
    qb_holds_limit_set(context, user, currency, amount);
    return true;
}

static bool set_banned(void *context, qb_id user)
{
    qb_holds_ban(context, user, true);
    return true;
}

static void take_entry(void *context, const struct qb_entry *entry,
                       const struct qb_verdict *verdict, const struct qb_lot *lot)
{
    struct loading *loading = context;

    (void)lot;
    if (loading->id_room < entry->seq) {
        loading->id_room = loading->id_room == 0 ? 256 : loading->id_room * 2;
        loading->ids = realloc(loading->ids, loading->id_room * sizeof *loading->ids);
        QB_ASSERT(loading->ids != NULL);
    }
    struct id *id = &loading->ids[entry->seq - 1];
    (void)memcpy(id->bid_id, entry->bid_id, QB_BID_ID_BYTES);
    id->asked = entry->type == QB_ENTRY_DISCARD ? 0 : qb_entry_asked(entry);
    struct newest *newest = &loading->ring[entry->seq % loading->ring_room];
    newest->entry = *entry;
    newest->entry.rules = NULL; /* borrowed from the page it was read in */
    newest->verdict = *verdict;
    loading->seq = entry->seq;
}

static bool move_in(struct loading *loading, const struct qb_loaded *loaded,
                    struct qb_runners *runners, struct qb_error *error)
{
    struct qb_runner *runner = qb_runners_home(runners, loaded->lot.auction);
    struct qb_ledger *ledger = qb_runner_ledger(runner);
    QB_ASSERT(loading->ring_room > 0);
    uint64_t first = loading->seq > loading->ring_room ? loading->seq - loading->ring_room + 1 : 1;

    if (!qb_runner_restore(runner, &loaded->lot, loaded->records, loaded->record_count)) {
        return qb_error_set(error, "more auctions are live than auctions_max: raise the setting");
    }
    qb_ledger_memory_restore(ledger, loaded->lot.auction, loaded->lot.seq, loaded->lot.now_us);
    for (uint64_t seq = 1; seq <= loading->seq; seq++) {
        const struct id *id = &loading->ids[seq - 1];
        qb_ledger_memory_restore_id(ledger, loaded->lot.auction, id->bid_id, seq, id->asked);
    }
    for (uint64_t seq = first; seq <= loading->seq; seq++) {
        const struct newest *newest = &loading->ring[seq % loading->ring_room];
        qb_runner_restore_entry(runner, &newest->entry, &newest->verdict);
    }
    return true;
}

/* Why an auction that was restored must take no more; null: it may. False: the store failed. */
static bool judge(struct qb_data *data, qb_id auction, const char **why, struct qb_error *error)
{
    const struct qb_store_ops *store = data->store->ops;
    struct qb_lot lot;
    bool is_frozen = false;

    *why = NULL;
    if (store->archive_is_frozen(data->link, auction, &is_frozen, error) != QB_STORE_OK)
        return false;
    if (is_frozen) *why = "its record contradicts itself: see `conflicts`";
    /* Bids would be taken, and then nothing could be added to a state that cannot be read. */
    enum qb_store_result result = store->state(data->link, auction, &lot, error);
    if (result == QB_STORE_BROKEN) *why = "its stored state cannot be read";
    return result != QB_STORE_FAILED;
}

/* A log that is not what was written halts its own auction, and no other. */
static bool load_one(struct qb_data *data, struct qb_runners *runners, struct loading *loading,
                     qb_id auction, struct qb_error *error)
{
    struct qb_runner *runner = qb_runners_home(runners, auction);
    struct qb_loaded loaded;
    const char *why = NULL;

    loading->seq = 0;
    if (!qb_load_auction(data->store->ops, data->link, auction, take_entry, loading, &loaded,
                         error)) {
        if (!loaded.is_broken) return false;
        qb_runner_halt(runner, auction, error->text);
        return true;
    }
    bool is_in = loaded.lot.seq == 0 || qb_lot_is_over(&loaded.lot) ||
                 move_in(loading, &loaded, runners, error);
    qb_loaded_fini(&loaded);
    if (!is_in || !judge(data, auction, &why, error)) return false;
    if (why != NULL) qb_runner_halt(runner, auction, why);
    return true;
}

bool qb_replica_load(struct qb_data *data, struct qb_runners *runners, struct qb_holds *holds,
                     size_t ring_entries, struct qb_error *error)
{
    const struct qb_store_ops *store = data->store->ops;
    struct loading loading = {.ring_room = ring_entries};
    struct qb_live live = {0};

    QB_ASSERT(ring_entries > 0);
    loading.ring = calloc(ring_entries, sizeof *loading.ring);
    QB_ASSERT(loading.ring != NULL);
    bool is_good = store->limits(data->link, set_limit, holds, error) == QB_STORE_OK &&
                   store->banned(data->link, set_banned, holds, error) == QB_STORE_OK;
    if (is_good && data->cluster == NULL) /* else they come when they are asked for */
        is_good = qb_load_live(store, data->link, &live, error);
    for (size_t i = 0; is_good && i < live.count; i++) {
        is_good = load_one(data, runners, &loading, live.auctions[i], error);
    }
    free(loading.ring);
    free(loading.ids);
    qb_live_fini(&live);
    return is_good;
}

static bool add_revoked(void *context, const struct qb_revocation *revocation)
{
    qb_revoked_add(context, revocation, qb_clock_wall_us());
    return true;
}

bool qb_replica_load_revoked(struct qb_data *data, struct qb_revoked *revoked,
                             struct qb_error *error)
{
    return data->store->ops->revocations(data->link, qb_clock_wall_us(), add_revoked, revoked,
                                         error) == QB_STORE_OK;
}
