#include "storage/load.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/text.h"

#define PAGE_ROWS 1000

struct load {
    struct qb_loaded *loaded;
    size_t record_room;
    qb_load_entry *each;
    void *context;
    struct qb_error *error;
    bool is_good;
    size_t page_rows;
};

static void add_record(struct load *load, const struct qb_entry *entry,
                       const struct qb_verdict *verdict)
{
    struct qb_loaded *loaded = load->loaded;
    struct qb_bid_record record;

    if (!qb_bid_record_of(entry, verdict, &record)) return;
    if (loaded->record_count == load->record_room) {
        load->record_room = load->record_room == 0 ? 16 : load->record_room * 2;
        loaded->records = realloc(loaded->records, load->record_room * sizeof *loaded->records);
        QB_ASSERT(loaded->records != NULL);
    }
    loaded->records[loaded->record_count++] = record;
}

static bool refuse(struct load *load, uint64_t seq, const char *what)
{
    char auction[QB_ID_TEXT_BYTES];

    qb_id_text(load->loaded->lot.auction, auction);
    load->is_good = false;
    load->loaded->is_broken = true;
    return qb_error_set(load->error,
                        "auction %s, entry %llu: %s; the database was changed by something else "
                        "than QuickBid: restore a backup and keep this one for analysis",
                        auction, (unsigned long long)seq, what);
}

static bool fold(void *context, const struct qb_archived *archived)
{
    struct load *load = context;
    struct qb_loaded *loaded = load->loaded;
    struct qb_entry entry;
    struct qb_rules rules;
    uint64_t seq = loaded->lot.seq + 1;

    load->page_rows++;
    bool is_readable = qb_entry_decode(archived->bytes, archived->length, &entry, &rules) &&
                       entry.auction == loaded->lot.auction;
    if (!is_readable) return refuse(load, archived->seq, "it cannot be read");
    if (archived->seq != seq || entry.seq != seq) return refuse(load, seq, "it is missing");
    if (seq == 1 && entry.type != QB_ENTRY_OPEN) return refuse(load, 1, "it is no OPEN");
    struct qb_verdict verdict =
        qb_lot_fold(&loaded->lot, &entry, loaded->records, loaded->record_count);
    if (memcmp(archived->chain, loaded->lot.chain, QB_SHA256_BYTES) != 0) {
        return refuse(load, seq, "its chain differs");
    }
    bool is_same = verdict.code == archived->verdict.code &&
                   verdict.refusal == archived->verdict.refusal &&
                   verdict.price == archived->verdict.price;
    if (!is_same) return refuse(load, seq, "its verdict differs");
    add_record(load, &entry, &verdict);
    if (load->each != NULL) load->each(load->context, &entry, &verdict, &loaded->lot);
    return true;
}

/* The end: the newest archived state is of an entry that must be there. */
static bool check_end(struct load *load, const struct qb_store_ops *store,
                      struct qb_store_link *link)
{
    struct qb_listing listing;
    uint64_t seq = load->loaded->lot.seq;
    enum qb_store_result result =
        store->listing(link, load->loaded->lot.auction, &listing, load->error);

    if (result == QB_STORE_NOT_FOUND) return true; /* entries alone: nothing to compare with */
    if (result != QB_STORE_OK) return false;
    if (listing.applied_seq > seq) return refuse(load, seq + 1, "it is missing");
    return listing.applied_seq == seq || refuse(load, seq, "its auction does not know it");
}

bool qb_load_auction(const struct qb_store_ops *store, struct qb_store_link *link, qb_id auction,
                     qb_load_entry *each, void *context, struct qb_loaded *loaded,
                     struct qb_error *error)
{
    struct load load = {.loaded = loaded,
                        .each = each,
                        .context = context,
                        .error = error,
                        .is_good = true,
                        .page_rows = PAGE_ROWS};

    (void)memset(loaded, 0, sizeof *loaded);
    loaded->lot.auction = auction;
    loaded->lot.price = QB_AMOUNT_NONE;
    loaded->lot.final_price = QB_AMOUNT_NONE;
    while (load.is_good && load.page_rows == PAGE_ROWS) {
        load.page_rows = 0;
        enum qb_store_result result =
            store->entries(link, auction, loaded->lot.seq, PAGE_ROWS, fold, &load, error);
        if (result == QB_STORE_BROKEN) loaded->is_broken = true;
        if (result != QB_STORE_OK) load.is_good = false;
    }
    if (load.is_good) load.is_good = check_end(&load, store, link);
    if (!load.is_good) qb_loaded_fini(loaded);
    return load.is_good;
}

void qb_loaded_fini(struct qb_loaded *loaded)
{
    free(loaded->records);
    loaded->records = NULL;
    loaded->record_count = 0;
}

static bool add_live(void *context, qb_id auction)
{
    struct qb_live *live = context;

    if (live->count == live->room) {
        live->room = live->room == 0 ? 256 : live->room * 2;
        live->auctions = realloc(live->auctions, live->room * sizeof *live->auctions);
        QB_ASSERT(live->auctions != NULL);
    }
    live->auctions[live->count++] = auction;
    return true;
}

bool qb_load_live(const struct qb_store_ops *store, struct qb_store_link *link,
                  struct qb_live *live, struct qb_error *error)
{
    return store->live(link, add_live, live, error) == QB_STORE_OK;
}

void qb_live_fini(struct qb_live *live)
{
    free(live->auctions);
    *live = (struct qb_live){0};
}
