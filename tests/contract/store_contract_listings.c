#include <stdio.h>
#include <string.h>

#include "tests/contract/expect.h"
#include "tests/contract/store_contract.h"

enum { BIKE = 5, LAMP = 6, FIRST = 100, LISTINGS = 25, PAGE = 4 };

static void publish(const struct store_subject *subject, struct qb_store_link *link,
                    const struct qb_listing *listing)
{
    struct qb_lot lot = store_lot(listing->id);

    lot.ends_at_us = listing->ends_at_us;
    lot.rules.start_price = listing->start_price;
    store_add_listing(subject, link, listing);
    store_archive_state(subject, link, &lot);
}

static void a_listing_is_found_by_its_id(const struct store_subject *subject)
{
    const struct qb_listing bike = store_listing(BIKE, "A red bike");
    const struct qb_listing copy = store_listing(BIKE, "A copy");
    const struct qb_listing lamp = store_listing(LAMP, "A lamp");
    struct qb_store_link *link = subject->open();
    const struct qb_store_ops *ops = subject->ops();
    struct qb_error error = {""};
    struct qb_listing found;

    store_add_users(subject, link);
    store_add_listing(subject, link, &bike);
    store_add_listing(subject, link, &lamp);
    expect(ops->listing_add(link, &copy, NULL, &error) == QB_STORE_TAKEN, subject->name,
           "an id is taken once");
    expect(ops->listing(link, BIKE, &found, &error) == QB_STORE_OK &&
               strcmp(found.title, "A red bike") == 0 && found.status == QB_STATUS_NONE,
           subject->name, "as it was added");
    expect(ops->listing(link, 99, &found, &error) == QB_STORE_NOT_FOUND, subject->name,
           "no such auction");
    subject->close(&link);
}

static bool count_one(void *context, const struct qb_listing *listing, int64_t key)
{
    size_t *count = context;

    (void)key;
    if (listing->id == BIKE) (*count)++;
    return true;
}

static void expect_search(const struct store_subject *subject, struct qb_store_link *link,
                          const char *search, size_t found)
{
    const struct qb_listing_query query = {.search = search, .rows_max = 10};
    struct qb_error error = {""};
    size_t count = 0;
    bool is_answered =
        subject->ops()->listings(link, &query, count_one, &count, &error) == QB_STORE_OK;

    expect(is_answered && count == found, subject->name, search != NULL ? search : "any");
}

/* A connection keeps each statement that it was asked for. */
static void one_connection_answers_every_kind_of_list(const struct store_subject *subject)
{
    static const struct {
        qb_id seller, bidder, watcher;
        bool with_private;
    } whose[] = {
        {0}, {.seller = 1}, {.seller = 1, .with_private = true}, {.bidder = 1}, {.watcher = 1}};
    struct qb_store_link *link = subject->open();
    const struct qb_store_ops *ops = subject->ops();
    struct qb_error error = {""};
    struct qb_user user;
    bool is_answered = true;

    store_add_users(subject, link);
    for (int i = 0; i < 5 * 4 * 4 * 2; i++) {
        size_t count = 0;
        const struct qb_listing_query query = {.search = i % 2 != 0 ? "bike" : NULL,
                                               .phase = (uint8_t)(i / 2 % 4),
                                               .sort = (uint8_t)(i / 8 % 4),
                                               .seller = whose[i / 32].seller,
                                               .bidder = whose[i / 32].bidder,
                                               .watcher = whose[i / 32].watcher,
                                               .with_private = whose[i / 32].with_private,
                                               .rows_max = 10};
        is_answered = ops->listings(link, &query, count_one, &count, &error) == QB_STORE_OK;
        expect(is_answered && count == 0, subject->name, error.text);
    }
    is_answered = ops->user_by_id(link, 1, &user, &error) != QB_STORE_FAILED;
    expect(is_answered, subject->name, "and everything else");
    subject->close(&link);
}

static void a_search_is_words_and_nothing_else(const struct store_subject *subject)
{
    static const struct {
        const char *search;
        size_t found;
    } rows[] = {
        {NULL, 1},      {"bike", 1},      {"RED bik", 1}, {"red lamp", 0},
        {"bike OR", 0}, {"title:red", 0}, {"\"", 0},      {"*", 0},
        {"bike\"", 1},  {"NEAR(a b)", 0}, {"^red", 1},    {"-red", 1},
        {"'; DROP", 0}, {"\xff\xfe", 0},  {"((", 0},      {"%", 0},
    };
    const struct qb_listing bike = store_listing(BIKE, "A red bike");
    struct qb_store_link *link = subject->open();

    store_add_users(subject, link);
    publish(subject, link, &bike);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        expect_search(subject, link, rows[i].search, rows[i].found);
    }
    subject->close(&link);
}

static void a_search_sees_through_accents_and_punctuation(const struct store_subject *subject)
{
    static const struct {
        const char *search;
        size_t found;
    } rows[] = {
        {"cafe", 1},     {"CR\xc3\x88ME", 1}, {"creme-cafe", 0},
        {"cafe-cr", 1},  {"10a 007", 1},      {"\xe5\x8f\xa4", 1},
        {"bike *", 0},   {"cafe *", 1},       {"a/b@c.example", 1},
        {"example", 1},  {"1.5e3", 1},        {"5e", 1},
        {"007 mint", 0}, {"007 new", 1},      {"cafe 007 10a creme a b c example no", 1},
    };
    struct qb_listing listing = store_listing(BIKE, "Caf\xc3\xa9-Cr\xc3\xa8me 10a, No. 007");
    struct qb_store_link *link = subject->open();

    (void)snprintf(listing.description, sizeof listing.description,
                   "New: \xe5\x8f\xa4 a/b@c.example 1.5e3");
    store_add_users(subject, link);
    publish(subject, link, &listing);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        expect_search(subject, link, rows[i].search, rows[i].found);
    }
    subject->close(&link);
}

struct page {
    size_t count;
    qb_id ids[LISTINGS + 1];
    int64_t keys[LISTINGS + 1];
};

static bool keep(void *context, const struct qb_listing *listing, int64_t key)
{
    struct page *page = context;

    if (page->count > LISTINGS) return false;
    page->ids[page->count] = listing->id;
    page->keys[page->count++] = key;
    return true;
}

static size_t find(const struct store_subject *subject, struct qb_store_link *link,
                   const struct qb_listing_query *query, struct page *page)
{
    struct qb_error error = {""};
    size_t before = page->count;

    expect(subject->ops()->listings(link, query, keep, page, &error) == QB_STORE_OK, subject->name,
           error.text);
    return page->count - before;
}

static void walk_pages(const struct store_subject *subject, struct qb_store_link *link,
                       enum qb_listing_sort sort)
{
    struct qb_listing_query query = {.sort = (uint8_t)sort, .rows_max = PAGE};
    struct page page = {0};
    bool seen[LISTINGS] = {false};
    bool is_down = sort == QB_SORT_NEWEST || sort == QB_SORT_PRICE_DOWN;

    while (page.count <= LISTINGS && find(subject, link, &query, &page) > 0) {
        query.after_key = page.keys[page.count - 1];
        query.after_id = page.ids[page.count - 1];
    }
    expect(page.count == LISTINGS, subject->name, "every listing on some page");
    for (size_t i = 0; i < page.count; i++) {
        size_t number = (size_t)(page.ids[i] - FIRST);
        expect(number < LISTINGS && !seen[number], subject->name, "no listing on two pages");
        if (number < LISTINGS) seen[number] = true;
        if (i == 0) continue;
        int64_t step = page.keys[i] - page.keys[i - 1];
        expect(is_down ? step <= 0 : step >= 0, subject->name, "in the order that was asked for");
    }
}

static void pages_have_no_gap_and_no_repeat(const struct store_subject *subject)
{
    struct qb_store_link *link = subject->open();

    store_add_users(subject, link);
    for (unsigned i = 0; i < LISTINGS; i++) { /* many with the same key */
        struct qb_listing listing = store_listing(FIRST + i, "A thing");
        listing.created_us = 1000 + i / 7;
        listing.ends_at_us = 5000 + i % 3;
        listing.start_price = 100 + (i * 5) % 4;
        publish(subject, link, &listing);
    }
    walk_pages(subject, link, QB_SORT_ENDING_SOON);
    walk_pages(subject, link, QB_SORT_NEWEST);
    walk_pages(subject, link, QB_SORT_PRICE_UP);
    walk_pages(subject, link, QB_SORT_PRICE_DOWN);
    subject->close(&link);
}

static void a_filter_leaves_out_what_does_not_fit(const struct store_subject *subject)
{
    static const struct {
        struct qb_listing_query query;
        qb_id found; /* 0: nothing */
        const char *says;
    } rows[] = {
        {{.category = "art"}, LAMP, "category"},
        {{.category = "toys"}, 0, "no such category"},
        {{.currency = "EUR"}, LAMP, "currency"},
        {{.seller = ANN}, LAMP, "seller"},
        {{.seller = BOB}, 0, "sells nothing"},
        {{.phase = QB_PHASE_SCHEDULED, .now_us = 50}, LAMP, "not begun"},
        {{.phase = QB_PHASE_LIVE, .now_us = 50}, BIKE, "begun"},
        {{.phase = QB_PHASE_OVER, .now_us = 50}, 0, "none is over"},
        {{.watcher = BOB}, BIKE, "on the watch list"},
        {{.watcher = ANN}, 0, "watches nothing"},
        {{.bidder = BOB}, 0, "has bid nowhere"},
        {{.seller = BOB, .with_private = true}, 7, "private ones for their owner"},
    };
    struct qb_listing bike = store_listing(BIKE, "A bike");
    struct qb_listing lamp = store_listing(LAMP, "A lamp");
    struct qb_listing secret = store_listing(7, "A secret");
    const struct qb_listing draft = store_listing(8, "A draft");
    struct qb_store_link *link = subject->open();
    struct qb_error error = {""};
    const struct qb_listing_query all = {.with_private = true, .rows_max = 10};

    lamp.seller = ANN;
    lamp.starts_at_us = 60;
    (void)snprintf(lamp.category, sizeof lamp.category, "art");
    (void)snprintf(lamp.currency, sizeof lamp.currency, "EUR");
    secret.seller = BOB;
    secret.is_private = true;
    secret.starts_at_us = 60;
    store_add_users(subject, link);
    publish(subject, link, &bike);
    publish(subject, link, &lamp);
    publish(subject, link, &secret);
    store_add_listing(subject, link, &draft);
    expect(subject->ops()->watch_set(link, BOB, BIKE, true, &error) == QB_STORE_OK, subject->name,
           error.text);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct qb_listing_query query = rows[i].query;
        struct page page = {0};
        query.rows_max = 10;
        size_t count = find(subject, link, &query, &page);
        expect(count == (rows[i].found != 0), subject->name, rows[i].says);
        expect(count == 0 || page.ids[0] == rows[i].found, subject->name, rows[i].says);
    }
    expect(find(subject, link, &all, &(struct page){0}) == 3, subject->name, "never a draft");
    subject->close(&link);
}

static bool add_up(void *context, qb_id auction)
{
    uint64_t *sum = context;

    *sum += auction;
    return true;
}

static void live_are_those_that_are_open_or_paused(const struct store_subject *subject)
{
    static const uint8_t statuses[] = {QB_STATUS_OPEN, QB_STATUS_PAUSED, QB_STATUS_SOLD,
                                       QB_STATUS_UNSOLD, QB_STATUS_CANCELLED};
    const struct qb_listing draft = store_listing(10000, "A draft");
    struct qb_store_link *link = subject->open();
    uint64_t sum = 0;
    struct qb_error error = {""};

    store_add_users(subject, link);
    store_add_listing(subject, link, &draft);
    for (size_t i = 0; i < sizeof statuses; i++) {
        const struct qb_listing listing = store_listing(1U << i, "A thing");
        struct qb_lot lot = store_lot(listing.id);
        lot.status = statuses[i];
        store_add_listing(subject, link, &listing);
        store_archive_state(subject, link, &lot);
    }
    expect(subject->ops()->live(link, add_up, &sum, &error) == QB_STORE_OK && sum == 3,
           subject->name, "the first two, and no draft");
    subject->close(&link);
}

static void a_listing_that_never_opened_is_forgotten(const struct store_subject *subject)
{
    struct qb_listing bike = store_listing(BIKE, "A bike");
    struct qb_listing old = store_listing(LAMP, "A lamp");
    struct qb_listing young = store_listing(7, "A new lamp");
    struct qb_listing frozen = store_listing(8, "A torn lamp");
    const struct qb_listing_query lamps = {.search = "lamp", .rows_max = 10};
    struct qb_store_link *link = subject->open();
    const struct qb_store_ops *ops = subject->ops();
    struct qb_listing found;
    struct qb_lot lot = store_lot(LAMP);
    uint32_t epoch_least = 0;
    struct qb_error error = {""};
    size_t count = 0;

    bike.created_us = old.created_us = frozen.created_us = 10;
    young.created_us = 100;
    store_add_users(subject, link);
    publish(subject, link, &bike);
    store_add_listing(subject, link, &old);
    store_add_listing(subject, link, &young);
    store_add_listing(subject, link, &frozen);
    expect(ops->watch_set(link, ANN, LAMP, true, &error) == QB_STORE_OK &&
               ops->archive_begin(link, &epoch_least, &error) == QB_STORE_OK &&
               ops->archive_conflict(link, 8, 1, (const uint8_t *)"x", 1, &error) == QB_STORE_OK &&
               ops->archive_end(link, true, &error) == QB_STORE_OK,
           subject->name, error.text);
    expect(ops->listings_forget(link, 100, &count, &error) == QB_STORE_OK && count == 1,
           subject->name, "one, also when somebody watches it");
    expect(ops->listing(link, LAMP, &found, &error) == QB_STORE_NOT_FOUND, subject->name, "gone");
    expect(ops->listing(link, BIKE, &found, &error) == QB_STORE_OK, subject->name, "it opened");
    expect(ops->listing(link, 7, &found, &error) == QB_STORE_OK, subject->name, "it may open yet");
    expect(ops->listing(link, 8, &found, &error) == QB_STORE_OK, subject->name,
           "a person must look at it");
    old = store_listing(LAMP, "A chair");
    store_add_listing(subject, link, &old);
    store_archive_state(subject, link, &lot);
    expect(find(subject, link, &lamps, &(struct page){0}) == 0, subject->name,
           "its words are gone, too");
    expect(ops->listings_forget(link, 100, &count, &error) == QB_STORE_OK && count == 0,
           subject->name, "once");
    subject->close(&link);
}

static void a_watch_list_has_an_end(const struct store_subject *subject)
{
    struct qb_store_link *link = subject->open();
    const struct qb_store_ops *ops = subject->ops();
    struct qb_error error = {""};
    bool is_good = true;

    store_add_users(subject, link);
    for (qb_id id = FIRST; id <= FIRST + 1000; id++) {
        const struct qb_listing listing = store_listing(id, "A thing");
        is_good = is_good && ops->listing_add(link, &listing, NULL, &error) == QB_STORE_OK;
        if (id == FIRST + 1000) break;
        is_good = is_good && ops->watch_set(link, ANN, id, true, &error) == QB_STORE_OK;
    }
    expect(is_good, subject->name, "a thousand");
    expect(ops->watch_set(link, ANN, FIRST + 1000, true, &error) == QB_STORE_TAKEN, subject->name,
           "and no more");
    expect(ops->watch_set(link, ANN, FIRST, true, &error) == QB_STORE_OK, subject->name,
           "again is no other");
    expect(ops->watch_set(link, BOB, FIRST + 1000, true, &error) == QB_STORE_OK, subject->name,
           "each account has its own");
    expect(ops->watch_set(link, BOB, 99, true, &error) == QB_STORE_NOT_FOUND, subject->name,
           "no such auction");
    expect(ops->watch_set(link, ANN, FIRST, false, &error) == QB_STORE_OK &&
               ops->watch_set(link, ANN, FIRST + 1000, true, &error) == QB_STORE_OK,
           subject->name, "what is taken off makes room");
    subject->close(&link);
}

#define HOUR_US INT64_C(3600000000)

static enum qb_store_result add_at(const struct store_subject *subject, struct qb_store_link *link,
                                   qb_id id, qb_time_us created_us, struct qb_listing_terms *terms)
{
    struct qb_listing listing = store_listing(id, "A thing");
    struct qb_error error = {""};

    listing.created_us = created_us;
    return subject->ops()->listing_add(link, &listing, terms, &error);
}

static void a_key_of_a_seller_has_one_listing(const struct store_subject *subject)
{
    struct qb_store_link *link = subject->open();
    const struct qb_store_ops *ops = subject->ops();
    struct qb_listing_terms terms = {.key = "k1", .asked = {7}};
    struct qb_listing_terms other = {.key = "k2", .asked = {8}};
    struct qb_listing listing = store_listing(FIRST + 9, "Somebody else's");
    uint8_t asked[QB_SHA256_BYTES] = {0};
    struct qb_error error = {""};

    store_add_users(subject, link);
    expect(add_at(subject, link, FIRST, 1, &terms) == QB_STORE_OK &&
               add_at(subject, link, FIRST + 1, 1, &terms) == QB_STORE_TAKEN &&
               add_at(subject, link, FIRST + 1, 1, &other) == QB_STORE_OK,
           subject->name, "one of each key");
    expect(add_at(subject, link, FIRST + 2, 1, NULL) == QB_STORE_OK &&
               add_at(subject, link, FIRST + 3, 1, NULL) == QB_STORE_OK,
           subject->name, "any number without");
    listing.seller = ANN;
    expect(ops->listing_add(link, &listing, &terms, &error) == QB_STORE_OK, subject->name,
           "another seller's keys are their own");
    expect(ops->listing_by_key(link, SAL, "k1", &listing, asked, &error) == QB_STORE_OK &&
               listing.id == FIRST && asked[0] == 7,
           subject->name, "found, with what was asked");
    expect(ops->listing_by_key(link, BOB, "k1", &listing, asked, &error) == QB_STORE_NOT_FOUND &&
               ops->listing_by_key(link, SAL, "k3", &listing, asked, &error) == QB_STORE_NOT_FOUND,
           subject->name, "no other");
    subject->close(&link);
}

static void a_seller_has_so_many_auctions_that_are_not_over(const struct store_subject *subject)
{
    struct qb_store_link *link = subject->open();
    struct qb_listing_terms terms = {.live_max = 2};
    struct qb_lot lot = store_lot(FIRST);

    store_add_users(subject, link);
    expect(add_at(subject, link, FIRST, HOUR_US, &terms) == QB_STORE_OK &&
               add_at(subject, link, FIRST + 1, HOUR_US, &terms) == QB_STORE_OK,
           subject->name, "two");
    expect(add_at(subject, link, FIRST + 2, HOUR_US, &terms) == QB_STORE_FULL, subject->name,
           "a third");
    store_archive_state(subject, link, &lot);
    expect(add_at(subject, link, FIRST + 2, 2 * HOUR_US, &terms) == QB_STORE_OK, subject->name,
           "one that did not open within an hour never will");
    expect(add_at(subject, link, FIRST + 3, 2 * HOUR_US, &terms) == QB_STORE_FULL, subject->name,
           "an open one counts");
    lot.status = QB_STATUS_SOLD;
    lot.seq = 2;
    store_archive_state(subject, link, &lot);
    expect(add_at(subject, link, FIRST + 3, 2 * HOUR_US, &terms) == QB_STORE_OK, subject->name,
           "one that is over makes room");
    expect(add_at(subject, link, FIRST + 4, 2 * HOUR_US, NULL) == QB_STORE_OK, subject->name,
           "without terms");
    subject->close(&link);
}

static void a_seller_lists_so_many_in_a_day(const struct store_subject *subject)
{
    struct qb_store_link *link = subject->open();
    struct qb_listing_terms terms = {.day_max = 2};

    store_add_users(subject, link);
    expect(add_at(subject, link, FIRST, HOUR_US, &terms) == QB_STORE_OK &&
               add_at(subject, link, FIRST + 1, 3 * HOUR_US, &terms) == QB_STORE_OK,
           subject->name, "two");
    expect(add_at(subject, link, FIRST + 2, 25 * HOUR_US - 1, &terms) == QB_STORE_LATER &&
               terms.free_us == 25 * HOUR_US,
           subject->name, "a third, until a day after the first");
    expect(add_at(subject, link, FIRST + 2, 25 * HOUR_US, &terms) == QB_STORE_OK, subject->name,
           "then");
    expect(add_at(subject, link, FIRST + 3, 25 * HOUR_US, &terms) == QB_STORE_LATER &&
               terms.free_us == 27 * HOUR_US,
           subject->name, "and no more");
    subject->close(&link);
}

void store_contract_listings(const struct store_subject *subject)
{
    a_listing_is_found_by_its_id(subject);
    one_connection_answers_every_kind_of_list(subject);
    a_search_is_words_and_nothing_else(subject);
    a_search_sees_through_accents_and_punctuation(subject);
    pages_have_no_gap_and_no_repeat(subject);
    a_filter_leaves_out_what_does_not_fit(subject);
    live_are_those_that_are_open_or_paused(subject);
    a_listing_that_never_opened_is_forgotten(subject);
    a_watch_list_has_an_end(subject);
    a_key_of_a_seller_has_one_listing(subject);
    a_seller_has_so_many_auctions_that_are_not_over(subject);
    a_seller_lists_so_many_in_a_day(subject);
}
