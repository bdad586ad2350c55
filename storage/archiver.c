#include "storage/archiver.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/text.h"
#include "storage/archive_states.h"

#define CACHED_MAX 4096 /* beyond, all are let go and read again as they are needed */

struct item {
    struct qb_journal_item item;
    size_t offset;
};

struct qb_archive {
    struct qb_archive_options options;
    struct qb_archive_states states;
    uint32_t epoch_least;    /* of entries that may be applied, in the batch under way */
    uint32_t epoch_enforced; /* nothing staged is older than that */
    struct item *items;
    size_t item_count;
    struct qb_archive_head *heads; /* of the batch's auctions, ascending */
    struct qb_text bytes;          /* of the items */
    _Atomic qb_time_us oldest_us;  /* see qb_archive_oldest_us() */
    struct qb_bid_record *records;
    size_t record_count;
    size_t record_room;
};

struct qb_archive *qb_archive_new(const struct qb_archive_options *options)
{
    struct qb_archive *archive = calloc(1, sizeof *archive);

    QB_ASSERT(archive != NULL);
    QB_ASSERT(options->items_max > 0);
    archive->options = *options;
    archive->items = calloc(options->items_max, sizeof *archive->items);
    archive->heads = calloc(options->items_max, sizeof *archive->heads);
    QB_ASSERT(archive->items != NULL && archive->heads != NULL);
    archive->bytes.bytes_max = options->items_max * QB_ENTRY_BYTES_MAX;
    qb_archive_states_init(&archive->states, options->store, options->link);
    return archive;
}

void qb_archive_free(struct qb_archive **archive)
{
    struct qb_archive *old = *archive;

    *archive = NULL;
    if (old == NULL) return;
    qb_archive_states_fini(&old->states);
    qb_text_fini(&old->bytes);
    free(old->items);
    free(old->heads);
    free(old->records);
    free(old);
}

static bool keep_item(void *context, const struct qb_journal_item *item)
{
    struct qb_archive *archive = context;
    struct item *kept = &archive->items[archive->item_count++];

    kept->item = *item;
    kept->offset = archive->bytes.length;
    qb_text_add(&archive->bytes, (const char *)item->bytes, item->length);
    QB_ASSERT(!archive->bytes.is_full);
    return archive->item_count < archive->options.items_max;
}

static bool is_good(enum qb_store_result result)
{
    return result == QB_STORE_OK;
}

/* Looks what waits for the auction's next places. */
static bool find_staged(struct qb_archive *archive, struct qb_archive_state *cached,
                        struct qb_staged *staged, struct qb_error *error)
{
    enum qb_store_result result = archive->options.store->archive_staged(
        archive->options.link, cached->lot.auction, cached->lot.seq, staged, error);

    cached->staged_seq = is_good(result) ? staged->seq : 0;
    return is_good(result) || result == QB_STORE_NOT_FOUND;
}

static bool keep_record(void *context, const struct qb_bid_record *record)
{
    struct qb_archive *archive = context;

    if (archive->record_count == archive->record_room) {
        archive->record_room = archive->record_room == 0 ? 64 : archive->record_room * 2;
        archive->records = realloc(archive->records, archive->record_room * sizeof *record);
        QB_ASSERT(archive->records != NULL);
    }
    archive->records[archive->record_count++] = *record;
    return true;
}

/* The bids that a VOID or RETRACT struck out: live before, no longer. */
static bool write_struck(struct qb_archive *archive, qb_id auction, const bool *was_live,
                         struct qb_error *error)
{
    for (size_t i = 0; i < archive->record_count; i++) {
        if (!was_live[i] || archive->records[i].is_live) continue;
        QB_TRY(is_good(archive->options.store->archive_struck(archive->options.link, auction,
                                                              archive->records[i].seq, error)));
    }
    return true;
}

/* What cannot be applied is kept beside, and the auction waits for a person; the others go on. */
static bool quarantine(struct qb_archive *archive, struct qb_archive_state *cached,
                       const struct qb_journal_item *item, struct qb_error *error)
{
    char auction[QB_ID_TEXT_BYTES];

    cached->is_frozen = true;
    qb_id_text(item->auction, auction);
    qb_metric_add(QB_METRIC_archive_conflicts_total, NULL, 1);
    qb_log(QB_LOG_ERROR, "archive.conflict", QB_TEXT("auction", auction), QB_INT("seq", item->seq));
    if (archive->options.frozen != NULL && item->auction != 0)
        archive->options.frozen(archive->options.context, item->auction);
    return is_good(archive->options.store->archive_conflict(
        archive->options.link, item->auction, item->seq, item->bytes, item->length, error));
}

static bool fold(struct qb_archive *archive, struct qb_archive_state *cached,
                 const struct qb_entry *entry, const struct qb_journal_item *item,
                 struct qb_error *error)
{
    const struct qb_store_ops *store = archive->options.store;
    struct qb_archived archived = {.seq = entry->seq, .bytes = item->bytes, .length = item->length};
    struct qb_lot lot = cached->lot;
    bool *was_live = NULL;

    archive->record_count = 0;
    if (qb_entry_needs_records(entry)) {
        QB_TRY(is_good(store->archive_records(archive->options.link, entry->auction, keep_record,
                                              archive, error)));
        was_live = calloc(archive->record_count + 1, sizeof *was_live);
        QB_ASSERT(was_live != NULL);
        for (size_t i = 0; i < archive->record_count; i++) {
            was_live[i] = archive->records[i].is_live;
        }
    }
    archived.verdict = qb_lot_fold(&lot, entry, archive->records, archive->record_count);
    (void)memcpy(archived.chain, lot.chain, sizeof archived.chain);
    enum qb_store_result result =
        store->archive_entry(archive->options.link, entry, &archived, error);
    bool is_written = is_good(result) &&
                      (was_live == NULL || write_struck(archive, entry->auction, was_live, error));
    free(was_live);
    if (result == QB_STORE_TAKEN) return quarantine(archive, cached, item, error);
    if (!is_written) return false;
    cached->lot = lot;
    cached->is_dirty = true;
    return true;
}

struct comparison {
    const struct qb_journal_item *item;
    bool is_same;
};

static bool compare(void *context, const struct qb_archived *archived)
{
    struct comparison *comparison = context;

    comparison->is_same = archived->seq == comparison->item->seq &&
                          archived->length == comparison->item->length &&
                          memcmp(archived->bytes, comparison->item->bytes, archived->length) == 0;
    return false;
}

/* Whether the item's place has the item's content; never of a broken one. */
static bool is_archived(struct qb_archive *archive, const struct qb_journal_item *item,
                        bool *is_same, struct qb_error *error)
{
    struct comparison comparison = {.item = item};
    enum qb_store_result result = archive->options.store->entries(
        archive->options.link, item->auction, item->seq - 1, 1, compare, &comparison, error);

    *is_same = comparison.is_same;
    return result != QB_STORE_FAILED;
}

/* A place that is taken: by the same content it is a repetition, by other content a fault. */
static bool take_repeated(struct qb_archive *archive, struct qb_archive_state *cached,
                          const struct qb_journal_item *item, bool is_gap, struct qb_error *error)
{
    bool is_repetition = false;

    if (!is_gap) QB_TRY(is_archived(archive, item, &is_repetition, error));
    return is_repetition || quarantine(archive, cached, item, error);
}

static void fill(struct qb_staged *staged, const struct qb_journal_item *item, uint32_t epoch)
{
    staged->auction = item->auction;
    staged->seq = item->seq;
    staged->epoch = epoch;
    staged->length = item->length;
    (void)memcpy(staged->bytes, item->bytes, item->length);
}

/* Keeps an entry until its predecessors have come. */
static bool stage(struct qb_archive *archive, struct qb_archive_state *cached,
                  const struct qb_journal_item *item, uint32_t epoch, struct qb_error *error)
{
    struct qb_staged staged;

    fill(&staged, item, epoch);
    enum qb_store_result result =
        archive->options.store->archive_stage(archive->options.link, &staged, error);
    if (result == QB_STORE_TAKEN) return quarantine(archive, cached, item, error);
    if (!is_good(result)) return false;
    qb_metric_add(QB_METRIC_archive_staged_total, NULL, 1);
    if (cached->staged_seq == 0 || item->seq < cached->staged_seq) cached->staged_seq = item->seq;
    return true;
}

/* Of an entry that was taken or staged: whether its bytes are one, and of that place. */
static bool is_entry_of(const struct qb_journal_item *item, struct qb_entry *entry,
                        struct qb_rules *rules)
{
    return qb_entry_decode(item->bytes, item->length, entry, rules) &&
           entry->auction == item->auction && entry->seq == item->seq;
}

/* Folds what waited for the entry of `epoch` that was just folded, and what waited for that. What
 * is staged of an older epoch was voided by the recovery between the two, and stays where it is. */
static bool fold_staged(struct qb_archive *archive, struct qb_archive_state *cached, uint32_t epoch,
                        struct qb_error *error)
{
    const struct qb_store_ops *store = archive->options.store;

    while (cached->staged_seq != 0 && cached->staged_seq <= cached->lot.seq + 1 &&
           !cached->is_frozen) {
        struct qb_staged staged;
        struct qb_entry entry;
        struct qb_rules rules;
        QB_TRY(find_staged(archive, cached, &staged, error));
        if (cached->staged_seq != cached->lot.seq + 1 || staged.epoch < epoch) break;
        const struct qb_journal_item item = {.auction = staged.auction,
                                             .seq = staged.seq,
                                             .epoch = staged.epoch,
                                             .bytes = staged.bytes,
                                             .length = staged.length};
        QB_TRY(is_good(store->archive_unstage(archive->options.link, &staged, error)));
        bool is_readable = is_entry_of(&item, &entry, &rules);
        if (!is_readable) return quarantine(archive, cached, &item, error);
        QB_TRY(fold(archive, cached, &entry, &item, error));
        epoch = staged.epoch;
    }
    return true;
}

/* An entry of an epoch that recovery has ended: it counts for nobody, unless it was archived before
 * that and is only repeated. */
static bool take_late(struct qb_archive *archive, const struct qb_journal_item *item,
                      uint32_t epoch, uint64_t applied_seq, struct qb_error *error)
{
    bool is_repetition = false;
    char auction[QB_ID_TEXT_BYTES];
    struct qb_staged late;

    if (item->seq <= applied_seq) QB_TRY(is_archived(archive, item, &is_repetition, error));
    if (is_repetition) return true;
    qb_id_text(item->auction, auction);
    qb_metric_add(QB_METRIC_archive_void_total, NULL, 1);
    qb_log(QB_LOG_WARNING, "archive.void", QB_TEXT("auction", auction), QB_INT("seq", item->seq),
           QB_INT("epoch", epoch));
    fill(&late, item, epoch);
    return is_good(archive->options.store->archive_void(archive->options.link, &late, error));
}

static bool apply(struct qb_archive *archive, const struct qb_journal_item *item,
                  struct qb_error *error)
{
    struct qb_entry entry;
    struct qb_rules rules;
    struct qb_archive_state *cached = qb_archive_state_of(&archive->states, item->auction, error);

    if (cached == NULL) return false;
    bool is_readable = is_entry_of(item, &entry, &rules);
    uint32_t epoch = is_readable ? entry.epoch : item->epoch;
    if (epoch < archive->epoch_least && item->auction != 0)
        return take_late(archive, item, epoch, cached->lot.seq, error);
    bool is_next = is_readable && item->seq == cached->lot.seq + 1 && !cached->is_frozen &&
                   (item->seq > 1 || entry.type == QB_ENTRY_OPEN);
    if (is_next) {
        return fold(archive, cached, &entry, item, error) &&
               fold_staged(archive, cached, entry.epoch, error);
    }
    bool is_ahead = is_readable && item->seq > cached->lot.seq + 1 && !cached->is_frozen;
    if (is_ahead && archive->options.is_journal_apart)
        return stage(archive, cached, item, entry.epoch, error);
    bool is_gap = item->seq > cached->lot.seq || !is_readable;
    return take_repeated(archive, cached, item, is_gap, error);
}

static bool add_payment(struct qb_archive *archive, const struct qb_lot *lot,
                        struct qb_error *error)
{
    struct qb_payment payment = {
        .id = qb_id_new(),
        .auction = lot->auction,
        .buyer = lot->winner,
        .seller = lot->rules.seller,
        .amount = lot->final_price,
        .status = (uint8_t)qb_payment_next(QB_PAYMENT_NONE, QB_PAYMENT_SOLD).status,
        .created_us = lot->now_us,
        .deadline_us = lot->now_us + QB_PAYMENT_DEADLINE_US,
    };

    (void)memcpy(payment.currency, lot->rules.currency, sizeof payment.currency);
    enum qb_store_result result =
        archive->options.store->archive_payment(archive->options.link, &payment, error);
    return result == QB_STORE_OK || result == QB_STORE_TAKEN; /* one sale, one payment */
}

static bool write_states(struct qb_archive *archive, struct qb_error *error)
{
    size_t cursor = 0;
    struct qb_archive_state *cached = NULL;

    while ((cached = qb_map_next(&archive->states.map, &cursor, NULL)) != NULL) {
        if (!cached->is_dirty) continue;
        enum qb_store_result result =
            archive->options.store->archive_state(archive->options.link, &cached->lot, error);
        if (result == QB_STORE_FAILED) return false;
        cached->is_dirty = false;
        bool is_over = qb_lot_is_over(&cached->lot);
        if (is_over && !cached->was_over && cached->lot.status == QB_STATUS_SOLD) {
            QB_TRY(add_payment(archive, &cached->lot, error));
        }
        cached->was_over = is_over;
    }
    return true;
}

static bool settle(struct qb_archive *archive, struct qb_error *error)
{
    uint64_t position = archive->items[archive->item_count - 1].item.position;

    return qb_journal_settle(archive->options.journal, position, error);
}

static int compare_auctions(const void *left, const void *right)
{
    const struct qb_archive_head *a = left;
    const struct qb_archive_head *b = right;

    return (a->auction > b->auction) - (a->auction < b->auction);
}

/* Other processes archive, too, one after another: what is known here may be old. */
static bool catch_up(struct qb_archive *archive, struct qb_error *error)
{
    struct qb_archive_head *heads = archive->heads;
    size_t count = 0;

    for (size_t i = 0; i < archive->item_count; i++) {
        heads[i] = (struct qb_archive_head){.auction = archive->items[i].item.auction};
    }
    qsort(heads, archive->item_count, sizeof *heads, compare_auctions);
    for (size_t i = 0; i < archive->item_count; i++) {
        if (count == 0 || heads[count - 1].auction != heads[i].auction) heads[count++] = heads[i];
    }
    return qb_archive_states_renew(&archive->states, heads, count, error);
}

/* What waits for its turn since before the newest recovery has lost it. */
static bool enforce_epoch(struct qb_archive *archive, struct qb_error *error)
{
    size_t count = 0;

    if (archive->epoch_least == archive->epoch_enforced) return true;
    QB_TRY(is_good(archive->options.store->archive_void_staged(
        archive->options.link, archive->epoch_least, &count, error)));
    if (count == 0) return true;
    qb_metric_add(QB_METRIC_archive_void_total, NULL, (int64_t)count);
    qb_log(QB_LOG_WARNING, "archive.void_staged", QB_INT("entries", count),
           QB_INT("epoch_least", archive->epoch_least));
    return true;
}

static bool write_batch(struct qb_archive *archive, struct qb_error *error)
{
    QB_TRY(enforce_epoch(archive, error));
    if (archive->options.is_journal_apart) QB_TRY(catch_up(archive, error));
    for (size_t i = 0; i < archive->item_count; i++) {
        struct item *item = &archive->items[i];
        item->item.bytes = (const uint8_t *)&archive->bytes.bytes[item->offset];
        QB_TRY(apply(archive, &item->item, error));
    }
    QB_TRY(write_states(archive, error));
    return archive->options.is_journal_apart || settle(archive, error);
}

/* The batch in one transaction. */
static enum qb_store_result commit_batch(struct qb_archive *archive, struct qb_error *error)
{
    const struct qb_store_ops *store = archive->options.store;
    struct qb_error ignored;

    if (!is_good(store->archive_begin(archive->options.link, &archive->epoch_least, error)))
        return QB_STORE_FAILED;
    bool is_written = write_batch(archive, error);
    enum qb_store_result ended =
        store->archive_end(archive->options.link, is_written, is_written ? error : &ignored);
    bool is_done = is_good(ended) && is_written;
    if (is_done) archive->epoch_enforced = archive->epoch_least;
    /* After a failure the states in memory are ahead of the store's: read them again. */
    if (!is_done || archive->states.map.count > CACHED_MAX)
        qb_archive_states_clear(&archive->states);
    if (is_done || ended == QB_STORE_TAKEN) return ended;
    return QB_STORE_FAILED;
}

/* The stamp of the batch's first entry that can be read. */
static qb_time_us stamp_of_batch(struct qb_archive *archive)
{
    struct qb_entry entry;
    struct qb_rules rules;

    for (size_t i = 0; i < archive->item_count; i++) {
        struct item *item = &archive->items[i];
        item->item.bytes = (const uint8_t *)&archive->bytes.bytes[item->offset];
        if (is_entry_of(&item->item, &entry, &rules)) return entry.now_us;
    }
    return 0;
}

qb_time_us qb_archive_oldest_us(const struct qb_archive *archive)
{
    return atomic_load(&archive->oldest_us);
}

static void tell_written(struct qb_archive *archive, int64_t began_us)
{
    qb_time_us oldest_us = atomic_load(&archive->oldest_us);
    int64_t lag_us = oldest_us > 0 ? qb_clock_wall_us() - oldest_us : 0;

    atomic_store(&archive->oldest_us, 0);
    qb_metric_set(QB_METRIC_archive_lag_us, NULL, lag_us > 0 ? lag_us : 0);
    qb_metric_observe(QB_METRIC_archive_commit_us, qb_clock_mono_us() - began_us);
    qb_metric_observe(QB_METRIC_archive_batch_entries, (int64_t)archive->item_count);
    qb_metric_add(QB_METRIC_archive_entries_total, NULL, (int64_t)archive->item_count);
}

bool qb_archive_batch(struct qb_archive *archive, int64_t wait_us, size_t *count,
                      struct qb_error *error)
{
    *count = 0;
    archive->item_count = 0;
    archive->bytes.length = 0;
    QB_TRY(qb_journal_take(archive->options.journal, archive->options.items_max, wait_us, keep_item,
                           archive, error));
    qb_metric_set(QB_METRIC_archive_backlog_entries, NULL,
                  (int64_t)qb_journal_backlog(archive->options.journal));
    if (archive->item_count == 0) {
        atomic_store(&archive->oldest_us, 0);
        qb_metric_set(QB_METRIC_archive_lag_us, NULL, 0);
        return true;
    }
    int64_t began_us = qb_clock_mono_us();
    if (atomic_load(&archive->oldest_us) == 0) /* else it comes again after a failure */
        atomic_store(&archive->oldest_us, stamp_of_batch(archive));
    enum qb_store_result result = commit_batch(archive, error);
    /* A store that writes rows together finds out late that one has no place; asked again, it
     * writes them one by one and says which. */
    if (result == QB_STORE_TAKEN) result = commit_batch(archive, error);
    if (result == QB_STORE_TAKEN) return qb_error_set(error, "a place was taken twice");
    if (!is_good(result)) return false;
    if (archive->options.is_journal_apart) QB_TRY(settle(archive, error));
    *count = archive->item_count;
    tell_written(archive, began_us);
    return true;
}

void qb_archive_tend(struct qb_archive *archive, bool is_due)
{
    if (archive->options.between != NULL)
        archive->options.between(archive->options.context, is_due);
}
