/*
 * From the journal into the tables: what is written, what a repetition changes (nothing), and what
 * becomes of an auction whose log contradicts itself.
 */
#include "tests/kit/archive.h"
#include "tests/kit/test.h"

enum { LOT = 7, OTHER_LOT = 8 };

static void archive(void)
{
    struct qb_error error = {""};

    QB_EXPECT(qb_world_archive(&error), error.text);
}

static void new_lots(void)
{
    qb_world_new();
    qb_world_listing(LOT, 1);
    qb_world_listing(OTHER_LOT, 1);
    qb_world_append(qb_test_entry(LOT, 1, QB_ENTRY_OPEN));
    qb_world_append(qb_test_entry(OTHER_LOT, 1, QB_ENTRY_OPEN));
}

static struct qb_listing listing_of(qb_id auction)
{
    struct qb_listing listing;
    struct qb_error error = {""};

    QB_EXPECT(qb_world.store->ops->listing(qb_world.link, auction, &listing, &error) == QB_STORE_OK,
              error.text);
    return listing;
}

QB_TEST(entries_become_rows_and_the_state_of_the_auction)
{
    new_lots();
    qb_world_append(qb_test_bid(LOT, 2, QB_ANN, 500));
    qb_world_append(qb_test_bid(LOT, 3, QB_BOB, 300));
    qb_world_append(qb_test_bid(LOT, 4, QB_BOB, 1)); /* too low: an entry, but no bid */
    archive();
    struct qb_listing listing = listing_of(LOT);
    QB_EXPECT_EQ(listing.applied_seq, 4, "as of the newest");
    QB_EXPECT_EQ(listing.status, QB_STATUS_OPEN, "open");
    QB_EXPECT_EQ(listing.bids, 2, "accepted bids");
    QB_EXPECT(listing.price > 300 && listing.price <= 500, "the price");
    QB_EXPECT_EQ(qb_world_number("SELECT count(*) FROM entries WHERE auction = 7"), 4, "entries");
    QB_EXPECT_EQ(qb_world_number("SELECT count(*) FROM bids WHERE auction = 7"), 2, "bids");
    QB_EXPECT_EQ(qb_world_number("SELECT count(*) FROM journal"), 0, "settled with them");
    qb_world_end();
}

QB_TEST(the_same_entry_again_changes_nothing)
{
    new_lots();
    qb_world_append(qb_test_bid(LOT, 2, QB_ANN, 500));
    archive();
    qb_world_append(qb_test_entry(LOT, 1, QB_ENTRY_OPEN));
    qb_world_append(qb_test_bid(LOT, 2, QB_ANN, 500));
    qb_world_append(qb_test_bid(LOT, 3, QB_BOB, 300));
    archive();
    QB_EXPECT_EQ(listing_of(LOT).applied_seq, 3, "it goes on behind");
    QB_EXPECT_EQ(listing_of(LOT).bids, 2, "nothing counted twice");
    QB_EXPECT_EQ(qb_world_number("SELECT count(*) FROM conflicts"), 0, "no conflict");
    qb_world_end();
}

QB_TEST(a_voided_bid_is_struck_from_the_history)
{
    new_lots();
    qb_world_append(qb_test_bid(LOT, 2, QB_ANN, 500));
    archive();
    qb_world_append(qb_test_bid(LOT, 3, QB_BOB, 900));
    qb_world_append(qb_test_void(LOT, 4, QB_BOB, 3));
    archive();
    QB_EXPECT_EQ(qb_world_number("SELECT is_live FROM bids WHERE auction = 7 AND seq = 3"), 0,
                 "struck");
    QB_EXPECT_EQ(qb_world_number("SELECT is_live FROM bids WHERE auction = 7 AND seq = 2"), 1,
                 "and no other");
    QB_EXPECT_EQ(listing_of(LOT).bids, 1, "one counts");
    qb_world_end();
}

QB_TEST(one_sale_makes_one_payment)
{
    struct qb_payment payment;
    struct qb_error error = {""};

    new_lots();
    qb_world_append(qb_test_bid(LOT, 2, QB_ANN, 500));
    qb_world_append(qb_test_entry(LOT, 3, QB_ENTRY_CLOSE));
    qb_world_append(qb_test_entry(OTHER_LOT, 2, QB_ENTRY_CLOSE));
    archive();
    qb_world_append(qb_test_entry(LOT, 3, QB_ENTRY_CLOSE));
    qb_world_again();
    qb_world_append(qb_test_entry(LOT, 4, QB_ENTRY_CLOSE)); /* has no effect */
    archive();
    QB_EXPECT_EQ(listing_of(LOT).status, QB_STATUS_SOLD, "sold");
    QB_EXPECT_EQ(listing_of(OTHER_LOT).status, QB_STATUS_UNSOLD, "nobody bid");
    QB_EXPECT_EQ(qb_world_number("SELECT count(*) FROM payments"), 1, "one");
    QB_EXPECT(qb_world.store->ops->payment_of_auction(qb_world.link, LOT, &payment, &error) ==
                  QB_STORE_OK,
              error.text);
    QB_EXPECT_EQ(payment.buyer, QB_ANN, "the winner pays");
    QB_EXPECT_EQ(payment.seller, QB_SELLER, "to the seller");
    QB_EXPECT_EQ(payment.amount, listing_of(LOT).final_price, "the final price");
    QB_EXPECT_EQ(payment.status, QB_PAYMENT_PENDING, "not yet");
    qb_world_end();
}

/* LOT has two entries and a conflict by now; nothing more of it is applied, also after a restart,
 * and what came is kept beside. */
static void expect_frozen(int64_t conflicts)
{
    qb_world_append(qb_test_bid(OTHER_LOT, 2, QB_ANN, 500));
    archive();
    QB_EXPECT_EQ(listing_of(OTHER_LOT).applied_seq, 2, "other auctions go on");
    QB_EXPECT_EQ(qb_world_number("SELECT count(*) FROM conflicts WHERE auction = 7"), conflicts,
                 "kept beside");
    qb_world_again();
    qb_world_append(qb_test_bid(LOT, 3, QB_BOB, 700));
    archive();
    QB_EXPECT_EQ(listing_of(LOT).applied_seq, 2, "frozen until a person has looked");
    QB_EXPECT_EQ(qb_world_number("SELECT count(*) FROM conflicts WHERE auction = 7"), conflicts + 1,
                 "what follows is not lost");
    QB_EXPECT_EQ(qb_world_number("SELECT count(*) FROM conflicts WHERE auction = 8"), 0,
                 "the other one has none");
    qb_world_tamper("DELETE FROM conflicts");
    qb_world_again();
    qb_world_append(qb_test_bid(LOT, 3, QB_BOB, 700));
    archive();
    QB_EXPECT_EQ(listing_of(LOT).applied_seq, 3, "it goes on when that person says so");
    qb_world_end();
}

QB_TEST(other_content_in_a_taken_place_freezes_its_auction)
{
    new_lots();
    qb_world_append(qb_test_bid(LOT, 2, QB_ANN, 500));
    qb_world_append(qb_test_bid(LOT, 2, QB_BOB, 600));
    expect_frozen(1);
}

QB_TEST(a_gap_freezes_its_auction)
{
    new_lots();
    qb_world_append(qb_test_bid(LOT, 2, QB_ANN, 500));
    qb_world_append(qb_test_bid(LOT, 4, QB_BOB, 600));
    expect_frozen(1);
}

QB_TEST(a_repeated_bid_id_freezes_its_auction_and_no_other)
{
    struct qb_entry again = qb_test_bid(LOT, 3, QB_BOB, 600);

    new_lots();
    qb_world_append(qb_test_bid(LOT, 2, QB_ANN, 500));
    (void)memcpy(again.bid_id, qb_test_bid(LOT, 2, QB_ANN, 500).bid_id, sizeof again.bid_id);
    qb_world_append(again);
    expect_frozen(1);
}

QB_TEST(bytes_that_are_no_entry_freeze_their_auction)
{
    new_lots();
    qb_world_append(qb_test_bid(LOT, 2, QB_ANN, 500));
    qb_world_bytes(LOT, 3, (const uint8_t *)"\xff\xff", 2);
    qb_world_bytes(LOT, 4, (const uint8_t *)"", 0);
    expect_frozen(2);
}

QB_TEST(a_state_that_cannot_be_read_freezes_its_auction_and_no_other)
{
    new_lots();
    qb_world_append(qb_test_bid(LOT, 2, QB_ANN, 500));
    archive();
    qb_world_tamper("UPDATE auctions SET state = x'00' WHERE id = 7");
    qb_world_again();
    qb_world_append(qb_test_bid(LOT, 3, QB_BOB, 900));
    qb_world_append(qb_test_bid(OTHER_LOT, 2, QB_ANN, 500));
    archive();
    QB_EXPECT_EQ(qb_world_frozen, LOT, "told");
    QB_EXPECT_EQ(listing_of(OTHER_LOT).applied_seq, 2, "the other goes on");
    QB_EXPECT_EQ(listing_of(LOT).applied_seq, 2, "nothing is applied");
    QB_EXPECT_EQ(qb_world_number("SELECT count(*) FROM conflicts WHERE auction = 7"), 1, "kept");
    QB_EXPECT_EQ(qb_world_number("SELECT count(*) FROM journal"), 0, "and settled");
    qb_world_end();
}

QB_TEST(an_archived_entry_that_cannot_be_read_is_no_repetition)
{
    new_lots();
    qb_world_append(qb_test_bid(LOT, 2, QB_ANN, 500));
    archive();
    qb_world_tamper("DROP TRIGGER entries_stay; UPDATE entries SET verdict = x'00' WHERE auction = "
                    "7 AND seq = 2");
    qb_world_append(qb_test_bid(LOT, 2, QB_ANN, 500));
    expect_frozen(1);
}

QB_TEST(a_log_that_does_not_begin_with_its_opening_is_a_conflict)
{
    qb_world_new();
    qb_world_listing(LOT, 1);
    qb_world_append(qb_test_bid(LOT, 1, QB_ANN, 500));
    archive();
    QB_EXPECT_EQ(listing_of(LOT).applied_seq, 0, "not applied");
    QB_EXPECT_EQ(qb_world_number("SELECT count(*) FROM conflicts"), 1, "kept beside");
    qb_world_end();
}

QB_TEST(a_batch_that_fails_leaves_nothing_and_is_done_again)
{
    struct qb_error error = {""};

    new_lots();
    qb_world_tamper("CREATE TRIGGER broken BEFORE INSERT ON entries WHEN new.seq = 3 BEGIN "
                    "SELECT raise(ABORT, 'broken'); END");
    for (uint64_t seq = 2; seq <= 5; seq++)
        qb_world_append(qb_test_bid(LOT, seq, seq % 2 == 0 ? QB_ANN : QB_BOB, (int64_t)seq * 500));
    QB_EXPECT(!qb_world_archive(&error), "it fails");
    QB_EXPECT(strstr(error.text, "broken") != NULL, error.text);
    QB_EXPECT_EQ(qb_world_number("SELECT count(*) FROM entries"), 0, "nothing is written");
    QB_EXPECT_EQ(qb_world_number("SELECT count(*) FROM journal"), 6, "nothing is settled");
    qb_world_tamper("DROP TRIGGER broken");
    archive();
    QB_EXPECT_EQ(listing_of(LOT).applied_seq, 5, "the next try does all of it");
    QB_EXPECT_EQ(qb_world_number("SELECT count(*) FROM conflicts"), 0, "as if nothing had been");
    qb_world_end();
}

/* An entry of a bid of that epoch, as another replica may have published it. */
static struct qb_entry bid_of_epoch(uint64_t seq, uint32_t epoch, int64_t max)
{
    struct qb_entry bid = qb_test_bid(LOT, seq, seq % 2 == 0 ? QB_ANN : QB_BOB, max);

    bid.epoch = epoch;
    bid.bid_id[3] = (uint8_t)epoch;
    return bid;
}

static int64_t staged_count(void)
{
    return qb_world_number("SELECT count(*) FROM staging");
}

QB_TEST(of_a_journal_that_others_write_what_is_ahead_waits_for_its_turn)
{
    qb_world_is_apart = true;
    new_lots();
    for (uint64_t seq = 6; seq >= 4; seq--) {
        qb_world_append(bid_of_epoch(seq, 1, (int64_t)seq * 500));
        qb_world_append(bid_of_epoch(seq, 1, (int64_t)seq * 500)); /* delivered twice */
    }
    qb_world_append(qb_test_bid(OTHER_LOT, 2, QB_ANN, 500));
    archive();
    QB_EXPECT_EQ(listing_of(LOT).applied_seq, 1, "not yet");
    QB_EXPECT_EQ(staged_count(), 3, "each waits once");
    QB_EXPECT_EQ(listing_of(OTHER_LOT).applied_seq, 2, "others do not");
    qb_world_again();
    qb_world_append(bid_of_epoch(2, 1, 700));
    archive();
    QB_EXPECT_EQ(listing_of(LOT).applied_seq, 2, "one is still missing");
    qb_world_append(bid_of_epoch(3, 1, 1200));
    archive();
    QB_EXPECT_EQ(listing_of(LOT).applied_seq, 6, "now all have their turn");
    QB_EXPECT_EQ(staged_count(), 0, "and none waits");
    qb_world_append(bid_of_epoch(8, 1, 6000));
    qb_world_append(bid_of_epoch(5, 1, 2500));
    qb_world_append(bid_of_epoch(7, 1, 5000));
    archive();
    QB_EXPECT_EQ(listing_of(LOT).applied_seq, 8, "a repetition between them is none of it");
    QB_EXPECT_EQ(qb_world_number("SELECT count(*) FROM conflicts"), 0, "no conflict");
    qb_world_end();
    qb_world_is_apart = false;
}

QB_TEST(an_entry_of_an_old_epoch_never_stands_in_the_way_of_a_new_ones)
{
    qb_world_is_apart = true;
    new_lots();
    qb_world_append(bid_of_epoch(3, 1, 800)); /* its predecessor never came: a barrier */
    qb_world_append(bid_of_epoch(5, 1, 900));
    archive();
    qb_world_append(bid_of_epoch(2, 2, 1000));
    archive();
    QB_EXPECT_EQ(listing_of(LOT).applied_seq, 2, "the old one has no turn any more");
    qb_world_append(bid_of_epoch(3, 2, 1500));
    qb_world_append(bid_of_epoch(6, 2, 4000));
    qb_world_append(bid_of_epoch(5, 2, 3000));
    qb_world_append(bid_of_epoch(4, 2, 2000));
    archive();
    QB_EXPECT_EQ(listing_of(LOT).applied_seq, 6, "the new ones have theirs");
    QB_EXPECT_EQ(staged_count(), 2, "what is left is for the leader to void");
    QB_EXPECT_EQ(qb_world_number("SELECT count(*) FROM staging WHERE epoch = 1"), 2, "of the old");
    QB_EXPECT_EQ(qb_world_number("SELECT count(*) FROM conflicts"), 0, "no conflict");
    qb_world_end();
    qb_world_is_apart = false;
}

static uint32_t floor_now;

static enum qb_store_result begin_above(struct qb_store_link *link, uint32_t *epoch_least,
                                        struct qb_error *error)
{
    enum qb_store_result result = qb_world.store->ops->archive_begin(link, epoch_least, error);

    *epoch_least = floor_now;
    return result;
}

/* The world's archive again, on a store that has a recovery. */
static void archive_above(uint32_t epoch)
{
    static struct qb_store_ops ops;
    const struct qb_archive_options options = {.journal = qb_world.journal,
                                               .store = &ops,
                                               .link = qb_world.link,
                                               .items_max = 100,
                                               .is_journal_apart = true};

    ops = *qb_world.store->ops;
    ops.archive_begin = begin_above;
    floor_now = epoch;
    qb_archive_free(&qb_world.archive);
    qb_world.archive = qb_archive_new(&options);
}

static int64_t void_count(void)
{
    return qb_world_number("SELECT count(*) FROM void_entries");
}

QB_TEST(what_comes_of_an_ended_epoch_is_void_and_what_is_only_repeated_is_not)
{
    new_lots();
    archive_above(1);
    qb_world_append(bid_of_epoch(2, 1, 500));
    qb_world_append(bid_of_epoch(4, 1, 900));
    archive();
    QB_EXPECT_EQ(staged_count(), 1, "one waits");
    floor_now = 2;
    qb_world_append(bid_of_epoch(2, 1, 500)); /* archived already */
    qb_world_append(bid_of_epoch(3, 1, 700)); /* what that one waits for, too late */
    archive();
    QB_EXPECT_EQ(listing_of(LOT).applied_seq, 2, "nothing more of it is applied");
    QB_EXPECT_EQ(void_count(), 2, "it is kept beside, as is what waited");
    QB_EXPECT_EQ(staged_count(), 0, "that waits no longer");
    qb_world_append(bid_of_epoch(3, 2, 800));
    qb_world_append(bid_of_epoch(3, 1, 700)); /* its place is taken by the new epoch */
    qb_world_append(bid_of_epoch(4, 2, 1600));
    archive();
    QB_EXPECT_EQ(listing_of(LOT).applied_seq, 4, "the new epoch goes on from there");
    QB_EXPECT_EQ(void_count(), 3, "the old one is void again");
    QB_EXPECT_EQ(qb_world_number("SELECT count(*) FROM void_entries WHERE epoch = 1"), 3, "all");
    QB_EXPECT_EQ(qb_world_number("SELECT count(*) FROM conflicts"), 0, "no conflict");
    qb_world_end();
}

QB_TEST(a_batch_that_fails_voids_nothing)
{
    struct qb_error error = {""};

    new_lots();
    archive_above(1);
    qb_world_append(bid_of_epoch(4, 1, 900));
    archive();
    floor_now = 2;
    qb_world_tamper("CREATE TRIGGER broken BEFORE INSERT ON entries BEGIN "
                    "SELECT raise(ABORT, 'broken'); END");
    qb_world_append(bid_of_epoch(2, 2, 500));
    QB_EXPECT(!qb_world_archive(&error), "it fails");
    QB_EXPECT_EQ(staged_count(), 1, "as it was");
    QB_EXPECT_EQ(void_count(), 0, "nothing is void");
    qb_world_tamper("DROP TRIGGER broken");
    archive();
    QB_EXPECT_EQ(void_count(), 1, "the next try does it");
    QB_EXPECT_EQ(listing_of(LOT).applied_seq, 2, "and goes on");
    qb_world_end();
}

/* Two archivers, of which one pauses while the other goes on. */
QB_TEST(an_archive_that_others_went_past_goes_on_from_there)
{
    struct qb_error error = {""};

    qb_world_is_apart = true;
    new_lots();
    qb_world_append(bid_of_epoch(2, 1, 500));
    archive();
    struct qb_archive *first = qb_world.archive;
    const struct qb_archive_options other = {.journal = qb_world.journal,
                                             .store = qb_world.store->ops,
                                             .link = qb_world.link,
                                             .items_max = 100,
                                             .is_journal_apart = true};
    qb_world.archive = qb_archive_new(&other);
    qb_world_append(bid_of_epoch(3, 1, 900));
    qb_world_append(bid_of_epoch(6, 1, 9000)); /* waits; the first has never heard of it */
    archive();
    struct qb_archive *second = qb_world.archive;
    qb_world.archive = first;
    qb_world_append(bid_of_epoch(3, 1, 900));
    qb_world_append(bid_of_epoch(4, 1, 2000));
    qb_world_append(bid_of_epoch(5, 1, 4000));
    QB_EXPECT(qb_world_archive(&error), error.text);
    QB_EXPECT_EQ(listing_of(LOT).applied_seq, 6, "all of it");
    QB_EXPECT_EQ(staged_count(), 0, "nothing waits");
    QB_EXPECT_EQ(qb_world_number("SELECT count(*) FROM conflicts"), 0, "no conflict");
    qb_archive_free(&second);
    qb_world_end();
    qb_world_is_apart = false;
}

QB_TEST(other_content_in_a_staged_place_freezes_its_auction)
{
    qb_world_is_apart = true;
    new_lots();
    qb_world_append(bid_of_epoch(4, 1, 800));
    qb_world_append(bid_of_epoch(4, 1, 900));
    archive();
    QB_EXPECT_EQ(qb_world_number("SELECT count(*) FROM conflicts WHERE auction = 7"), 1, "kept");
    qb_world_append(bid_of_epoch(2, 1, 800));
    archive();
    QB_EXPECT_EQ(listing_of(LOT).applied_seq, 1, "frozen");
    qb_world_end();
    qb_world_is_apart = false;
}

QB_TEST(a_journal_apart_is_settled_after_the_commit_and_not_before)
{
    struct qb_error error = {""};

    qb_world_is_apart = true;
    new_lots();
    qb_world_tamper("CREATE TRIGGER broken BEFORE INSERT ON entries WHEN new.seq = 3 BEGIN "
                    "SELECT raise(ABORT, 'broken'); END");
    qb_world_append(bid_of_epoch(2, 1, 500));
    qb_world_append(bid_of_epoch(3, 1, 900));
    QB_EXPECT(!qb_world_archive(&error), "it fails");
    QB_EXPECT_EQ(qb_world_number("SELECT count(*) FROM journal"), 4, "nothing is settled");
    qb_world_tamper("DROP TRIGGER broken");
    archive();
    QB_EXPECT_EQ(qb_world_number("SELECT count(*) FROM journal"), 0, "then all is");
    qb_world_end();
    qb_world_is_apart = false;
}

QB_TEST(the_thread_archives_what_is_left_before_it_ends)
{
    new_lots();
    struct qb_archiver *archiver = qb_archiver_new(qb_world.archive);
    for (uint64_t seq = 2; seq <= 300; seq++)
        qb_world_append(qb_test_bid(LOT, seq, seq % 2 == 0 ? QB_ANN : QB_BOB, (int64_t)seq * 500));
    QB_EXPECT(qb_journal_flush(qb_world.journal, 60 * QB_SECOND_US), "durable");
    qb_archiver_free(&archiver);
    QB_EXPECT(archiver == NULL, "nulled");
    QB_EXPECT_EQ(listing_of(LOT).applied_seq, 300, "all of it");
    qb_world_end();
}
