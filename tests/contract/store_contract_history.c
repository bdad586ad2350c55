#include <string.h>

#include "tests/contract/expect.h"
#include "tests/contract/store_contract.h"

enum { BIKE = 5, LAMP = 6, ENTRIES = 10 };

#define ROWS_MAX 64

static struct qb_entry bid_of(qb_id auction, uint64_t seq)
{
    struct qb_entry entry = {.auction = auction,
                             .seq = seq,
                             .type = QB_ENTRY_BID,
                             .bidder = seq % 2 == 0 ? ANN : BOB,
                             .max = 1000 + (int64_t)seq};

    entry.bid_id[0] = (uint8_t)seq;
    entry.bid_id[1] = 1;
    return entry;
}

static enum qb_store_result add_entry(const struct store_subject *subject,
                                      struct qb_store_link *link, const struct qb_entry *entry)
{
    const uint8_t bytes[] = {(uint8_t)entry->auction, (uint8_t)entry->seq};
    struct qb_archived archived = {.seq = entry->seq,
                                   .bytes = bytes,
                                   .length = sizeof bytes,
                                   .verdict = {.code = QB_VERDICT_LEADING,
                                               .price = 500 + (int64_t)entry->seq,
                                               .t_us = (int64_t)entry->seq},
                                   .chain = {(uint8_t)entry->seq}};
    struct qb_error error = {""};

    return subject->ops()->archive_entry(link, entry, &archived, &error);
}

static void begin(const struct store_subject *subject, struct qb_store_link *link)
{
    uint32_t epoch_least = 0;
    struct qb_error error = {""};

    expect(subject->ops()->archive_begin(link, &epoch_least, &error) == QB_STORE_OK &&
               epoch_least == 0,
           subject->name, error.text);
}

static void end(const struct store_subject *subject, struct qb_store_link *link, bool do_commit)
{
    struct qb_error error = {""};

    expect(subject->ops()->archive_end(link, do_commit, &error) == QB_STORE_OK, subject->name,
           error.text);
}

/* Two auctions with as many bids, in turns by ANN and BOB. */
static struct qb_store_link *open_with_bids(const struct store_subject *subject)
{
    const struct qb_listing bike = store_listing(BIKE, "A bike");
    const struct qb_listing lamp = store_listing(LAMP, "A lamp");
    struct qb_store_link *link = subject->open();

    store_add_users(subject, link);
    store_add_listing(subject, link, &bike);
    store_add_listing(subject, link, &lamp);
    begin(subject, link);
    for (uint64_t seq = 1; seq <= ENTRIES; seq++) {
        const struct qb_entry bike_bid = bid_of(BIKE, seq);
        const struct qb_entry lamp_bid = bid_of(LAMP, seq);
        expect(add_entry(subject, link, &bike_bid) == QB_STORE_OK, subject->name, "an entry");
        expect(add_entry(subject, link, &lamp_bid) == QB_STORE_OK, subject->name, "an entry");
    }
    end(subject, link, true);
    return link;
}

struct rows {
    size_t count;
    struct qb_bid_row list[ROWS_MAX];
};

static bool keep_bid(void *context, const struct qb_bid_row *bid)
{
    struct rows *rows = context;

    if (rows->count == ROWS_MAX) return false;
    rows->list[rows->count++] = *bid;
    return true;
}

static void bids_come_newest_first(const struct store_subject *subject)
{
    struct qb_store_link *link = open_with_bids(subject);
    struct qb_error error = {""};
    struct rows rows = {0};
    uint64_t before = 0;

    while (rows.count < ENTRIES) {
        size_t count = rows.count;
        expect(subject->ops()->bids(link, BIKE, before, 3, keep_bid, &rows, &error) == QB_STORE_OK,
               subject->name, error.text);
        if (rows.count == count) break;
        before = rows.list[rows.count - 1].seq;
    }
    expect(rows.count == ENTRIES, subject->name, "all pages");
    for (size_t i = 0; i < rows.count; i++) {
        const struct qb_bid_row *row = &rows.list[i];
        expect(row->auction == BIKE && row->seq == ENTRIES - i, subject->name, "no gap, no repeat");
        expect(row->max == 1000 + (int64_t)row->seq && row->price == 500 + (int64_t)row->seq &&
                   row->is_live && row->code == QB_VERDICT_LEADING &&
                   row->bidder == (row->seq % 2 == 0 ? ANN : BOB),
               subject->name, "as it was bid");
    }
    subject->close(&link);
}

static void own_bids_are_the_bidders_alone(const struct store_subject *subject)
{
    struct qb_store_link *link = open_with_bids(subject);
    const struct qb_store_ops *ops = subject->ops();
    struct qb_error error = {""};
    struct rows rows = {0};

    expect(ops->bids_of(link, ANN, BIKE, 100, keep_bid, &rows, &error) == QB_STORE_OK &&
               rows.count == ENTRIES / 2,
           subject->name, "in one auction");
    for (size_t i = 0; i < rows.count; i++) {
        expect(rows.list[i].bidder == ANN && rows.list[i].auction == BIKE, subject->name, "hers");
        expect(i == 0 || rows.list[i].seq < rows.list[i - 1].seq, subject->name, "newest first");
    }
    rows.count = 0;
    expect(ops->bids_of(link, BOB, 0, 100, keep_bid, &rows, &error) == QB_STORE_OK &&
               rows.count == ENTRIES,
           subject->name, "in all of them");
    rows.count = 0;
    expect(ops->bids_of(link, SAL, 0, 100, keep_bid, &rows, &error) == QB_STORE_OK &&
               rows.count == 0,
           subject->name, "who never bid has none");
    subject->close(&link);
}

struct log {
    uint64_t next;
    bool is_good;
};

static bool keep_entry(void *context, const struct qb_archived *archived)
{
    struct log *log = context;

    log->is_good = log->is_good && archived->seq == log->next && archived->length == 2 &&
                   archived->bytes[0] == BIKE && archived->bytes[1] == log->next &&
                   archived->chain[0] == log->next &&
                   archived->verdict.price == 500 + (int64_t)log->next;
    log->next++;
    return true;
}

static void the_log_is_read_in_order(const struct store_subject *subject)
{
    struct qb_store_link *link = open_with_bids(subject);
    const struct qb_store_ops *ops = subject->ops();
    struct qb_error error = {""};
    struct log log = {.next = 1, .is_good = true};
    const struct qb_entry fourth = bid_of(BIKE, 4);
    const uint8_t unknown[QB_BID_ID_BYTES] = {9, 9};
    struct qb_archived archived;
    uint8_t bytes[QB_ENTRY_BYTES_MAX];

    while (log.next <= ENTRIES) {
        uint64_t after = log.next - 1;
        expect(ops->entries(link, BIKE, after, 3, keep_entry, &log, &error) == QB_STORE_OK,
               subject->name, error.text);
        if (log.next == after + 1) break;
    }
    expect(log.is_good && log.next == ENTRIES + 1, subject->name, "each once, as it was");
    expect(ops->entry_by_bid_id(link, BIKE, fourth.bid_id, &archived, bytes, &error) ==
                   QB_STORE_OK &&
               archived.seq == 4 && archived.bytes == bytes && bytes[0] == BIKE,
           subject->name, "by its id, of that auction");
    expect(ops->entry_by_bid_id(link, BIKE, unknown, &archived, bytes, &error) ==
               QB_STORE_NOT_FOUND,
           subject->name, "an unknown id");
    subject->close(&link);
}

static void a_place_and_an_id_are_taken_once(const struct store_subject *subject)
{
    struct qb_store_link *link = open_with_bids(subject);
    struct qb_entry place = bid_of(BIKE, 3);
    struct qb_entry id = bid_of(BIKE, 3);
    struct qb_entry next = bid_of(BIKE, ENTRIES + 2);
    struct rows rows = {0};
    struct qb_error error = {""};

    place.bid_id[5] = 1;
    id.seq = ENTRIES + 1;
    begin(subject, link);
    if (add_entry(subject, link, &place) == QB_STORE_OK) { /* rows are written together */
        expect(add_entry(subject, link, &next) == QB_STORE_OK, subject->name, "so is this one");
        expect(subject->ops()->archive_end(link, true, &error) == QB_STORE_TAKEN, subject->name,
               "the end tells");
        begin(subject, link);
        expect(add_entry(subject, link, &place) == QB_STORE_TAKEN, subject->name, "and then which");
    }
    expect(add_entry(subject, link, &id) == QB_STORE_TAKEN, subject->name, "a taken id");
    expect(add_entry(subject, link, &next) == QB_STORE_OK, subject->name, "the batch goes on");
    end(subject, link, true);
    expect(subject->ops()->bids(link, BIKE, 0, 100, keep_bid, &rows, &error) == QB_STORE_OK &&
               rows.count == ENTRIES + 1,
           subject->name, "what was refused left nothing");
    subject->close(&link);
}

static bool count_live(void *context, const struct qb_bid_record *record)
{
    size_t *count = context;

    *count += record->is_live;
    return true;
}

static size_t live_records(const struct store_subject *subject, struct qb_store_link *link)
{
    struct qb_error error = {""};
    size_t count = 0;

    expect(subject->ops()->archive_records(link, BIKE, count_live, &count, &error) == QB_STORE_OK,
           subject->name, error.text);
    return count;
}

static void a_batch_is_there_whole_or_not_at_all(const struct store_subject *subject)
{
    struct qb_store_link *link = open_with_bids(subject);
    const struct qb_store_ops *ops = subject->ops();
    const struct qb_entry next = bid_of(BIKE, ENTRIES + 1);
    const struct qb_payment payment = {.id = 1, .auction = BIKE, .buyer = ANN, .seller = SAL};
    struct qb_lot lot = store_lot(BIKE);
    struct qb_lot found;
    struct qb_payment paid;
    struct qb_error error = {""};
    bool is_frozen = true;

    begin(subject, link);
    expect(add_entry(subject, link, &next) == QB_STORE_OK &&
               ops->archive_struck(link, BIKE, 2, &error) == QB_STORE_OK &&
               ops->archive_state(link, &lot, &error) == QB_STORE_OK &&
               ops->archive_payment(link, &payment, &error) == QB_STORE_OK &&
               ops->archive_conflict(link, BIKE, 1, (const uint8_t *)"x", 1, &error) == QB_STORE_OK,
           subject->name, error.text);
    expect(live_records(subject, link) == ENTRIES, subject->name,
           "seen inside: one more, one less");
    end(subject, link, false);
    begin(subject, link);
    expect(live_records(subject, link) == ENTRIES, subject->name, "as before");
    expect(ops->archive_is_frozen(link, BIKE, &is_frozen, &error) == QB_STORE_OK && !is_frozen,
           subject->name, "no conflict");
    expect(add_entry(subject, link, &next) == QB_STORE_OK, subject->name, "its place is free");
    expect(live_records(subject, link) == ENTRIES + 1, subject->name, "none was struck");
    end(subject, link, true);
    expect(ops->state(link, BIKE, &found, &error) == QB_STORE_NOT_FOUND, subject->name, "no state");
    expect(ops->payment_of_auction(link, BIKE, &paid, &error) == QB_STORE_NOT_FOUND, subject->name,
           "no payment");
    subject->close(&link);
}

static void a_conflict_freezes_one_auction(const struct store_subject *subject)
{
    struct qb_store_link *link = open_with_bids(subject);
    const struct qb_store_ops *ops = subject->ops();
    struct qb_error error = {""};
    bool is_frozen = false;

    begin(subject, link);
    expect(ops->archive_conflict(link, BIKE, 1, (const uint8_t *)"x", 1, &error) == QB_STORE_OK,
           subject->name, error.text);
    expect(ops->archive_is_frozen(link, BIKE, &is_frozen, &error) == QB_STORE_OK && is_frozen,
           subject->name, "this one");
    expect(ops->archive_is_frozen(link, LAMP, &is_frozen, &error) == QB_STORE_OK && !is_frozen,
           subject->name, "and no other");
    end(subject, link, true);
    subject->close(&link);
}

static struct qb_staged staged_of(qb_id auction, uint64_t seq, uint32_t epoch, const char *bytes)
{
    struct qb_staged staged = {
        .auction = auction, .seq = seq, .epoch = epoch, .length = strlen(bytes)};

    (void)memcpy(staged.bytes, bytes, staged.length);
    return staged;
}

static enum qb_store_result stage(const struct store_subject *subject, struct qb_store_link *link,
                                  struct qb_staged staged)
{
    struct qb_error error = {""};

    return subject->ops()->archive_stage(link, &staged, &error);
}

static bool finds_staged(const struct store_subject *subject, struct qb_store_link *link,
                         uint64_t after_seq, struct qb_staged expected)
{
    struct qb_staged found;
    struct qb_error error = {""};

    return subject->ops()->archive_staged(link, expected.auction, after_seq, &found, &error) ==
               QB_STORE_OK &&
           found.auction == expected.auction && found.seq == expected.seq &&
           found.epoch == expected.epoch && found.length == expected.length &&
           memcmp(found.bytes, expected.bytes, found.length) == 0;
}

static void what_is_staged_waits_for_its_place(const struct store_subject *subject)
{
    const struct qb_staged four = staged_of(BIKE, 4, 2, "four of two");
    const struct qb_staged six = staged_of(BIKE, 6, 1, "six");
    struct qb_store_link *link = subject->open();
    struct qb_staged found;
    struct qb_error error = {""};

    begin(subject, link);
    expect(stage(subject, link, six) == QB_STORE_OK &&
               stage(subject, link, staged_of(BIKE, 4, 1, "four of one")) == QB_STORE_OK &&
               stage(subject, link, four) == QB_STORE_OK &&
               stage(subject, link, staged_of(LAMP, 2, 1, "another's")) == QB_STORE_OK,
           subject->name, "staged");
    end(subject, link, true);
    begin(subject, link);
    expect(stage(subject, link, six) == QB_STORE_OK, subject->name, "the same again");
    expect(stage(subject, link, staged_of(BIKE, 6, 1, "sex")) == QB_STORE_TAKEN, subject->name,
           "other bytes in its place");
    expect(finds_staged(subject, link, 0, four), subject->name, "the lowest, of its newest epoch");
    expect(finds_staged(subject, link, 4, six), subject->name, "the next place");
    expect(subject->ops()->archive_staged(link, BIKE, 6, &found, &error) == QB_STORE_NOT_FOUND,
           subject->name, "no more of it");
    expect(subject->ops()->archive_unstage(link, &six, &error) == QB_STORE_OK &&
               subject->ops()->archive_staged(link, BIKE, 4, &found, &error) == QB_STORE_NOT_FOUND,
           subject->name, "it waits no longer");
    end(subject, link, false);
    begin(subject, link);
    expect(finds_staged(subject, link, 4, six), subject->name, "unless that is undone");
    end(subject, link, true);
    subject->close(&link);
}

static void heads_say_how_far_an_auction_is(const struct store_subject *subject)
{
    struct qb_store_link *link = open_with_bids(subject);
    const struct qb_store_ops *ops = subject->ops();
    struct qb_archive_head heads[] = {{.auction = 0}, {.auction = BIKE}, {.auction = LAMP}};
    struct qb_lot bike = store_lot(BIKE);
    struct qb_error error = {""};

    bike.seq = ENTRIES;
    store_archive_state(subject, link, &bike);
    begin(subject, link);
    expect(stage(subject, link, staged_of(BIKE, ENTRIES, 1, "old")) == QB_STORE_OK &&
               stage(subject, link, staged_of(BIKE, ENTRIES + 3, 1, "later")) == QB_STORE_OK &&
               stage(subject, link, staged_of(BIKE, ENTRIES + 2, 1, "next")) == QB_STORE_OK &&
               ops->archive_conflict(link, LAMP, 1, (const uint8_t *)"x", 1, &error) == QB_STORE_OK,
           subject->name, error.text);
    end(subject, link, true);
    begin(subject, link);
    expect(ops->archive_heads(link, heads, 3, &error) == QB_STORE_OK, subject->name, error.text);
    end(subject, link, true);
    expect(heads[0].applied_seq == 0 && heads[0].staged_seq == 0 && !heads[0].is_frozen,
           subject->name, "nobody's auction");
    expect(heads[1].applied_seq == ENTRIES && !heads[1].is_frozen, subject->name, "as archived");
    expect(heads[1].staged_seq == ENTRIES + 2, subject->name, "the lowest that waits ahead");
    expect(heads[2].applied_seq == 0 && heads[2].is_frozen, subject->name, "it has a conflict");
    subject->close(&link);
}

static void what_is_void_waits_no_longer(const struct store_subject *subject)
{
    const struct qb_staged new = staged_of(BIKE, 4, 2, "of two");
    const struct qb_staged late = staged_of(BIKE, 9, 1, "late");
    struct qb_store_link *link = subject->open();
    const struct qb_store_ops *ops = subject->ops();
    struct qb_staged found;
    struct qb_error error = {""};
    size_t count = 9;

    begin(subject, link);
    expect(stage(subject, link, new) == QB_STORE_OK &&
               stage(subject, link, staged_of(BIKE, 4, 1, "of one")) == QB_STORE_OK &&
               stage(subject, link, staged_of(LAMP, 3, 1, "another's")) == QB_STORE_OK,
           subject->name, "staged");
    expect(ops->archive_void_staged(link, 2, &count, &error) == QB_STORE_OK && count == 2,
           subject->name, "two are of an ended epoch");
    expect(finds_staged(subject, link, 0, new), subject->name, "the new one waits on");
    expect(ops->archive_staged(link, LAMP, 0, &found, &error) == QB_STORE_NOT_FOUND, subject->name,
           "the old ones do not");
    expect(ops->archive_void_staged(link, 2, &count, &error) == QB_STORE_OK && count == 0,
           subject->name, "each once");
    expect(ops->archive_void(link, &late, &error) == QB_STORE_OK, subject->name, error.text);
    end(subject, link, true);
    subject->close(&link);
}

struct payments {
    size_t count;
    qb_id ids[ROWS_MAX];
};

static bool keep_payment(void *context, const struct qb_payment *payment)
{
    struct payments *payments = context;

    if (payments->count == ROWS_MAX || payment->title[0] == '\0') return false;
    payments->ids[payments->count++] = payment->id;
    return true;
}

static size_t count_payments(const struct store_subject *subject, struct qb_store_link *link,
                             qb_id user)
{
    struct payments seen = {0};
    struct qb_error error = {""};
    qb_id before = 0;
    size_t count = 1;

    while (count > 0) {
        size_t so_far = seen.count;
        expect(subject->ops()->payments_of(link, user, before, 2, keep_payment, &seen, &error) ==
                   QB_STORE_OK,
               subject->name, error.text);
        count = seen.count - so_far;
        if (count > 0) before = seen.ids[seen.count - 1];
    }
    for (size_t i = 1; i < seen.count; i++) {
        expect(seen.ids[i] < seen.ids[i - 1], subject->name, "newest first, each once");
    }
    return seen.count;
}

static void a_payment_is_its_buyers_and_its_sellers(const struct store_subject *subject)
{
    struct qb_store_link *link = subject->open();
    const struct qb_store_ops *ops = subject->ops();
    struct qb_payment found;
    struct qb_error error = {""};

    store_add_users(subject, link);
    for (qb_id id = 1; id <= 5; id++) {
        const struct qb_listing listing = store_listing(100 + id, "A thing");
        store_add_listing(subject, link, &listing);
        const struct qb_payment payment = {.id = id,
                                           .auction = 100 + id,
                                           .buyer = id == 5 ? BOB : ANN,
                                           .seller = SAL,
                                           .amount = (int64_t)id * 10,
                                           .currency = "USD"};
        const struct qb_payment again = {.id = 50 + id, .auction = 100 + id, .currency = "USD"};
        begin(subject, link);
        expect(ops->archive_payment(link, &payment, &error) == QB_STORE_OK, subject->name,
               error.text);
        expect(ops->archive_payment(link, &again, &error) == QB_STORE_TAKEN, subject->name,
               "one an auction");
        end(subject, link, true);
    }
    expect(count_payments(subject, link, ANN) == 4, subject->name, "what she pays");
    expect(count_payments(subject, link, BOB) == 1, subject->name, "what he pays");
    expect(count_payments(subject, link, SAL) == 5, subject->name, "what she is paid");
    expect(ops->payment_of_auction(link, 103, &found, &error) == QB_STORE_OK && found.id == 3 &&
               found.amount == 30 && strcmp(found.currency, "USD") == 0 &&
               strcmp(found.title, "A thing") == 0,
           subject->name, "by its auction");
    subject->close(&link);
}

void store_contract_history(const struct store_subject *subject)
{
    bids_come_newest_first(subject);
    own_bids_are_the_bidders_alone(subject);
    the_log_is_read_in_order(subject);
    a_place_and_an_id_are_taken_once(subject);
    a_batch_is_there_whole_or_not_at_all(subject);
    a_conflict_freezes_one_auction(subject);
    what_is_staged_waits_for_its_place(subject);
    heads_say_how_far_an_auction_is(subject);
    what_is_void_waits_no_longer(subject);
    a_payment_is_its_buyers_and_its_sellers(subject);
}
