#include "tests/contract/store_contract.h"

#include <stdio.h>
#include <string.h>

#include "tests/contract/expect.h"

enum { SAL = 1, BIKE = 5, LAMP = 6 };

static void add_user(const struct store_subject *subject, struct qb_store_link *link)
{
    const struct qb_user sal = {.id = SAL,
                                .email = "sal@example.com",
                                .name = "Sal",
                                .verifier = "$scrypt$",
                                .roles = QB_ROLE_SELLER};
    struct qb_error error = {""};

    expect(subject->ops()->user_add(link, &sal, &error) == QB_STORE_OK, subject->name, "a user");
}

static enum qb_store_result add_listing(const struct store_subject *subject,
                                        struct qb_store_link *link, qb_id id, const char *title)
{
    struct qb_listing listing = {
        .id = id, .seller = SAL, .currency = "USD", .start_price = 100, .buy_now = QB_AMOUNT_NONE};
    struct qb_error error = {""};

    (void)snprintf(listing.title, sizeof listing.title, "%s", title);
    return subject->ops()->listing_add(link, &listing, &error);
}

static void an_email_has_one_account(const struct store_subject *subject)
{
    struct qb_store_link *link = subject->open();
    const struct qb_user again = {
        .id = 2, .email = "sal@example.com", .name = "S", .verifier = "v"};
    struct qb_error error = {""};
    struct qb_user found;

    add_user(subject, link);
    expect(subject->ops()->user_add(link, &again, &error) == QB_STORE_TAKEN, subject->name,
           "an e-mail is taken once");
    expect(subject->ops()->user_by_email(link, "sal@example.com", &found, &error) == QB_STORE_OK &&
               found.id == SAL && strcmp(found.name, "Sal") == 0,
           subject->name, "the first account stays");
    expect(subject->ops()->user_by_id(link, 99, &found, &error) == QB_STORE_NOT_FOUND,
           subject->name, "nobody");
    subject->close(&link);
}

static void a_listing_is_found_by_its_id(const struct store_subject *subject)
{
    struct qb_store_link *link = subject->open();
    struct qb_error error = {""};
    struct qb_listing found;

    add_user(subject, link);
    expect(add_listing(subject, link, BIKE, "A red bike") == QB_STORE_OK, subject->name, "added");
    expect(add_listing(subject, link, LAMP, "A lamp") == QB_STORE_OK, subject->name, "another");
    expect(add_listing(subject, link, BIKE, "A copy") == QB_STORE_TAKEN, subject->name,
           "an id is taken once");
    expect(subject->ops()->listing(link, BIKE, &found, &error) == QB_STORE_OK &&
               strcmp(found.title, "A red bike") == 0 && found.status == QB_STATUS_NONE,
           subject->name, "as it was added");
    expect(subject->ops()->listing(link, 99, &found, &error) == QB_STORE_NOT_FOUND, subject->name,
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

/* The newest archived state of an open auction, as the archiver writes it. */
static void publish(const struct store_subject *subject, struct qb_store_link *link, qb_id id)
{
    const struct qb_lot lot = {.auction = id,
                               .seq = 1,
                               .status = QB_STATUS_OPEN,
                               .price = QB_AMOUNT_NONE,
                               .final_price = QB_AMOUNT_NONE};
    struct qb_error error = {""};

    expect(subject->ops()->archive_begin(link, &error) == QB_STORE_OK &&
               subject->ops()->archive_state(link, &lot, &error) == QB_STORE_OK &&
               subject->ops()->archive_end(link, true, &error) == QB_STORE_OK,
           subject->name, "published");
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
    struct qb_store_link *link = subject->open();

    add_user(subject, link);
    (void)add_listing(subject, link, BIKE, "A red bike");
    publish(subject, link, BIKE);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct qb_listing_query query = {.search = rows[i].search, .rows_max = 10};
        struct qb_error error = {""};
        size_t count = 0;
        bool is_answered =
            subject->ops()->listings(link, &query, count_one, &count, &error) == QB_STORE_OK;
        const char *says = rows[i].search != NULL ? rows[i].search : "any";
        expect(is_answered, subject->name, says);
        expect(count == rows[i].found, subject->name, says);
    }
    subject->close(&link);
}

void store_contract(const struct store_subject *subject)
{
    an_email_has_one_account(subject);
    a_listing_is_found_by_its_id(subject);
    a_search_is_words_and_nothing_else(subject);
}
