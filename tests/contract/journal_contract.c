#include "tests/contract/journal_contract.h"

#include <stdio.h>
#include <string.h>

#include "tests/contract/expect.h"

enum { LOT = 7, OTHER_LOT = 8 };

#define SEEN_MAX  256
#define ALL       1000
#define BYTES_MAX 1000000
#define MINUTE_US INT64_C(60000000)

/* A writer's thread as the journal sees it: its mailbox, and what it was told. */
struct ear {
    struct qb_mailbox *mailbox;
    struct qb_journal_writer *writer;
    size_t count;
    qb_id auctions[SEEN_MAX];
    uint64_t seqs[SEEN_MAX];
};

static void no_wake(void *context)
{
    (void)context;
}

static void hear(void *context, qb_id auction, uint64_t seq)
{
    struct ear *ear = context;

    if (ear->count == SEEN_MAX) return;
    ear->auctions[ear->count] = auction;
    ear->seqs[ear->count++] = seq;
}

static void listen(struct qb_journal *journal, struct ear *ear)
{
    *ear = (struct ear){.mailbox = qb_mailbox_new(10, no_wake, NULL)};
    ear->writer = qb_journal_writer(journal, ear->mailbox, hear, ear);
}

/* After the journal's end: what it said until then is still heard. */
static void deafen(struct ear *ear)
{
    while (qb_mailbox_drain(ear->mailbox) > 0) continue;
    qb_mailbox_free(&ear->mailbox);
}

/* What is told of all that was handed in; false if it does not become durable. */
static bool settle_down(struct qb_journal *journal, struct ear *ear)
{
    bool is_durable = qb_journal_flush(journal, MINUTE_US);

    while (qb_mailbox_drain(ear->mailbox) > 0) continue;
    return is_durable;
}

static bool append(struct qb_journal *journal, const struct ear *ear, qb_id auction, uint64_t seq)
{
    uint8_t bytes[32];
    int length =
        snprintf((char *)bytes, sizeof bytes, "%d/%d", (int)(auction % 1000), (int)(seq % 100000));
    const struct qb_journal_item item = {
        .auction = auction, .seq = seq, .epoch = 3, .bytes = bytes, .length = (size_t)length};

    return qb_journal_append(journal, ear->writer, &item, 1);
}

struct taken {
    size_t count;
    size_t stop_at;
    struct qb_journal_item items[SEEN_MAX];
    char texts[SEEN_MAX][32];
};

static bool keep(void *context, const struct qb_journal_item *item)
{
    struct taken *taken = context;

    if (taken->count == SEEN_MAX || item->length >= sizeof taken->texts[0]) return false;
    (void)memcpy(taken->texts[taken->count], item->bytes, item->length);
    taken->items[taken->count++] = *item;
    return taken->count != taken->stop_at;
}

static size_t take(const struct journal_subject *subject, struct qb_journal *journal,
                   size_t items_max, struct taken *taken)
{
    struct qb_error error = {""};

    *taken = (struct taken){0};
    expect(qb_journal_take(journal, items_max, 0, keep, taken, &error), subject->name, error.text);
    return taken->count;
}

static void what_is_taken_is_what_was_handed_in(const struct journal_subject *subject)
{
    struct qb_journal *journal = subject->make(BYTES_MAX);
    struct ear ear;
    struct taken taken;
    uint64_t next[2] = {1, 1};
    uint64_t position = 0;

    listen(journal, &ear);
    expect(take(subject, journal, ALL, &taken) == 0, subject->name, "empty at first");
    for (uint64_t seq = 1; seq <= 50; seq++) {
        expect(append(journal, &ear, LOT, seq), subject->name, "taken in");
        expect(append(journal, &ear, OTHER_LOT, seq), subject->name, "taken in");
    }
    expect(settle_down(journal, &ear), subject->name, "durable");
    expect(qb_journal_backlog(journal) == 100, subject->name, "all of it waits");
    expect(take(subject, journal, ALL, &taken) == 100, subject->name, "all of it is read");
    for (size_t i = 0; i < taken.count; i++) {
        const struct qb_journal_item *item = &taken.items[i];
        char text[32];
        (void)snprintf(text, sizeof text, "%d/%d", (int)(item->auction % 1000),
                       (int)(item->seq % 100000));
        expect(item->position > position, subject->name, "positions grow");
        expect(item->seq == next[item->auction - LOT]++, subject->name, "in order of the auction");
        expect(item->epoch == 3 && strcmp(taken.texts[i], text) == 0, subject->name, "unchanged");
        position = item->position;
    }
    subject->end(&journal);
    deafen(&ear);
}

static void each_auction_is_confirmed_once_a_commit(const struct journal_subject *subject)
{
    struct qb_journal *journal = subject->make(BYTES_MAX);
    struct qb_journal_item items[20];
    struct ear ear;
    struct ear other;

    listen(journal, &ear);
    listen(journal, &other);
    for (size_t i = 0; i < 20; i++) {
        items[i] = (struct qb_journal_item){.auction = i % 2 == 0 ? LOT : OTHER_LOT,
                                            .seq = 1 + i / 2,
                                            .bytes = (const uint8_t *)"x",
                                            .length = 1};
    }
    expect(qb_journal_append(journal, ear.writer, items, 20), subject->name, "many in one call");
    expect(ear.count == 0, subject->name, "never inside the call");
    expect(settle_down(journal, &ear), subject->name, "durable");
    expect(ear.count == 2, subject->name, "one answer for each auction");
    for (size_t i = 0; i < ear.count; i++) {
        expect(ear.seqs[i] == 10, subject->name, "with its newest seq");
    }
    while (qb_mailbox_drain(other.mailbox) > 0) continue;
    expect(other.count == 0, subject->name, "and only the writer hears it");
    for (uint64_t seq = 11; seq <= 60; seq++) (void)append(journal, &ear, LOT, seq);
    expect(settle_down(journal, &ear), subject->name, "durable");
    for (size_t i = 3; i < ear.count; i++) {
        expect(ear.seqs[i] > ear.seqs[i - 1], subject->name, "answers rise");
    }
    expect(ear.seqs[ear.count - 1] == 60, subject->name, "up to the newest");
    subject->end(&journal);
    deafen(&ear);
    deafen(&other);
}

static void what_waits_is_limited(const struct journal_subject *subject)
{
    struct qb_journal *journal = subject->make(100);
    struct ear ear;
    struct taken taken;
    uint64_t seq = 0;

    listen(journal, &ear);
    subject->stall(true);
    while (seq < SEEN_MAX && append(journal, &ear, LOT, seq + 1)) seq++;
    expect(seq > 0 && seq < SEEN_MAX, subject->name, "refused at the limit of waiting bytes");
    expect(!qb_journal_flush(journal, 1000), subject->name, "nothing is durable meanwhile");
    while (qb_mailbox_drain(ear.mailbox) > 0) continue;
    expect(ear.count == 0, subject->name, "and nothing is said to be");
    subject->stall(false);
    expect(settle_down(journal, &ear), subject->name, "it goes on");
    expect(take(subject, journal, ALL, &taken) == seq, subject->name, "with what it took, no more");
    expect(append(journal, &ear, LOT, seq + 1), subject->name, "and has room again");
    subject->end(&journal);
    deafen(&ear);
}

static void what_is_settled_is_gone_and_the_rest_stays(const struct journal_subject *subject)
{
    struct qb_journal *journal = subject->make(BYTES_MAX);
    struct qb_error error = {""};
    struct ear ear;
    struct taken taken = {.stop_at = 3};

    listen(journal, &ear);
    for (uint64_t seq = 1; seq <= 10; seq++) (void)append(journal, &ear, LOT, seq);
    expect(settle_down(journal, &ear), subject->name, "durable");
    expect(qb_journal_take(journal, ALL, 0, keep, &taken, &error) && taken.count == 3,
           subject->name, "who reads may stop");
    expect(take(subject, journal, 4, &taken) == 4 && taken.items[0].seq == 1, subject->name,
           "reading settles nothing");
    expect(qb_journal_settle(journal, taken.items[3].position, &error), subject->name, error.text);
    expect(take(subject, journal, ALL, &taken) == 6 && taken.items[0].seq == 5, subject->name,
           "from the first not settled");
    expect(qb_journal_backlog(journal) == 6, subject->name, "and so many wait");
    qb_journal_free(&journal);
    journal = subject->again();
    expect(journal != NULL, subject->name, "opened again");
    if (journal == NULL) return;
    expect(qb_journal_backlog(journal) == 6, subject->name, "they wait after a restart, too");
    expect(take(subject, journal, ALL, &taken) == 6 && taken.items[0].seq == 5, subject->name,
           "settled stays settled");
    expect(qb_journal_settle(journal, taken.items[5].position, &error), subject->name, error.text);
    expect(take(subject, journal, ALL, &taken) == 0 && qb_journal_backlog(journal) == 0,
           subject->name, "empty");
    subject->end(&journal);
    deafen(&ear);
}

static void what_waits_is_durable_when_it_is_freed(const struct journal_subject *subject)
{
    struct qb_journal *journal = subject->make(BYTES_MAX);
    struct ear ear;
    struct taken taken;

    listen(journal, &ear);
    for (uint64_t seq = 1; seq <= 100; seq++) (void)append(journal, &ear, LOT, seq);
    qb_journal_free(&journal);
    expect(journal == NULL, subject->name, "nulled");
    while (qb_mailbox_drain(ear.mailbox) > 0) continue;
    expect(ear.count > 0 && ear.seqs[ear.count - 1] == 100, subject->name, "told");
    journal = subject->again();
    expect(journal != NULL && take(subject, journal, ALL, &taken) == 100, subject->name, "kept");
    subject->end(&journal);
    deafen(&ear);
}

void journal_contract(const struct journal_subject *subject)
{
    what_is_taken_is_what_was_handed_in(subject);
    each_auction_is_confirmed_once_a_commit(subject);
    what_waits_is_limited(subject);
    what_is_settled_is_gone_and_the_rest_stays(subject);
    what_waits_is_durable_when_it_is_freed(subject);
}
