#include "tests/contract/store_contract.h"

#include <stdio.h>
#include <string.h>

#include "tests/contract/expect.h"

void store_add_users(const struct store_subject *subject, struct qb_store_link *link)
{
    static const struct qb_user users[] = {
        {.id = SAL, .email = "sal@example.com", .name = "Sal", .verifier = "$scrypt$s", .roles = 3},
        {.id = ANN, .email = "ann@example.com", .name = "Ann", .verifier = "$scrypt$a", .roles = 1},
        {.id = BOB, .email = "bob@example.com", .name = "Bob", .verifier = "$scrypt$b", .roles = 1},
    };
    struct qb_error error = {""};

    for (size_t i = 0; i < sizeof users / sizeof users[0]; i++) {
        expect(subject->ops()->user_add(link, &users[i], &error) == QB_STORE_OK, subject->name,
               "a user");
    }
}

struct qb_listing store_listing(qb_id id, const char *title)
{
    struct qb_listing listing = {
        .id = id, .seller = SAL, .currency = "USD", .start_price = 100, .buy_now = QB_AMOUNT_NONE};

    (void)snprintf(listing.title, sizeof listing.title, "%s", title);
    return listing;
}

void store_add_listing(const struct store_subject *subject, struct qb_store_link *link,
                       const struct qb_listing *listing)
{
    struct qb_error error = {""};

    expect(subject->ops()->listing_add(link, listing, NULL, &error) == QB_STORE_OK, subject->name,
           "a listing");
}

struct qb_lot store_lot(qb_id id)
{
    return (struct qb_lot){.auction = id,
                           .seq = 1,
                           .status = QB_STATUS_OPEN,
                           .price = QB_AMOUNT_NONE,
                           .final_price = QB_AMOUNT_NONE,
                           .rules = {.start_price = 100}};
}

void store_archive_state(const struct store_subject *subject, struct qb_store_link *link,
                         const struct qb_lot *lot)
{
    uint32_t epoch_least = 0;
    struct qb_error error = {""};

    expect(subject->ops()->archive_begin(link, &epoch_least, &error) == QB_STORE_OK &&
               subject->ops()->archive_state(link, lot, &error) == QB_STORE_OK &&
               subject->ops()->archive_end(link, true, &error) == QB_STORE_OK,
           subject->name, error.text);
}

#define FAR_US INT64_C(4000000000000000) /* the year 2096 */

static void an_email_has_one_account(const struct store_subject *subject)
{
    struct qb_store_link *link = subject->open();
    const struct qb_user again = {
        .id = 99, .email = "sal@example.com", .name = "S", .verifier = "v"};
    struct qb_error error = {""};
    struct qb_user found;

    store_add_users(subject, link);
    expect(subject->ops()->user_add(link, &again, &error) == QB_STORE_TAKEN, subject->name,
           "an e-mail is taken once");
    expect(subject->ops()->user_by_email(link, "sal@example.com", &found, &error) == QB_STORE_OK &&
               found.id == SAL && strcmp(found.name, "Sal") == 0,
           subject->name, "the first account stays");
    expect(subject->ops()->user_by_id(link, 99, &found, &error) == QB_STORE_NOT_FOUND,
           subject->name, "nobody");
    subject->close(&link);
}

static void an_account_is_changed_in_what_may_change(const struct store_subject *subject)
{
    struct qb_store_link *link = subject->open();
    const struct qb_store_ops *ops = subject->ops();
    struct qb_user user;
    struct qb_error error = {""};

    store_add_users(subject, link);
    expect(ops->user_by_id(link, ANN, &user, &error) == QB_STORE_OK, subject->name, "ann");
    user.is_banned = true;
    user.roles = QB_ROLE_ADMIN;
    (void)snprintf(user.name, sizeof user.name, "Anna");
    (void)snprintf(user.email, sizeof user.email, "other@example.com");
    expect(ops->user_update(link, &user, &error) == QB_STORE_OK, subject->name, "changed");
    expect(ops->user_by_email(link, "ann@example.com", &user, &error) == QB_STORE_OK &&
               user.is_banned && user.roles == QB_ROLE_ADMIN && strcmp(user.name, "Anna") == 0,
           subject->name, "but never the e-mail");
    subject->close(&link);
}

struct revocations {
    size_t count;
    struct qb_revocation newest;
};

static bool see_revocation(void *context, const struct qb_revocation *revocation)
{
    struct revocations *seen = context;

    seen->count++;
    seen->newest = *revocation;
    return true;
}

static void a_login_is_found_until_it_is_removed(const struct store_subject *subject)
{
    const struct qb_login login = {
        .hash = {1, 2, 3}, .user = ANN, .created_us = 5, .expires_us = 9};
    const uint8_t unknown[QB_SHA256_BYTES] = {9};
    struct qb_store_link *link = subject->open();
    const struct qb_store_ops *ops = subject->ops();
    const struct qb_revocation gone = {
        .login = 77, .user = ANN, .since_us = FAR_US - 900, .until_us = FAR_US};
    const struct qb_revocation again = {
        .login = 78, .user = ANN, .since_us = FAR_US - 800, .until_us = FAR_US};
    struct revocations seen = {0};
    struct qb_login found;
    struct qb_error error = {""};

    store_add_users(subject, link);
    expect(ops->login_add(link, &login, &error) == QB_STORE_OK, subject->name, "logged in");
    expect(ops->login_find(link, login.hash, &found, &error) == QB_STORE_OK && found.user == ANN &&
               found.expires_us == 9,
           subject->name, "found");
    expect(ops->login_find(link, unknown, &found, &error) == QB_STORE_NOT_FOUND, subject->name,
           "another secret");
    expect(ops->login_remove(link, login.hash, &gone, &error) == QB_STORE_OK, subject->name, "out");
    expect(ops->login_find(link, login.hash, &found, &error) == QB_STORE_NOT_FOUND, subject->name,
           "gone");
    expect(ops->login_remove(link, login.hash, &again, &error) == QB_STORE_NOT_FOUND, subject->name,
           "twice");
    expect(ops->revocations(link, 0, see_revocation, &seen, &error) == QB_STORE_OK &&
               seen.count == 1 && seen.newest.login == 77 && seen.newest.user == ANN &&
               seen.newest.since_us == gone.since_us && seen.newest.until_us == FAR_US,
           subject->name, "its tokens are revoked with it, and once");
    subject->close(&link);
}

struct restrictions {
    size_t limits;
    int64_t amount;
    size_t banned;
};

static bool see_limit(void *context, qb_id user, const char *currency, int64_t amount)
{
    struct restrictions *seen = context;

    if (user == ANN && strcmp(currency, "USD") == 0) seen->amount = amount;
    seen->limits++;
    return true;
}

static bool see_banned(void *context, qb_id user)
{
    struct restrictions *seen = context;

    if (user == BOB) seen->banned++;
    return true;
}

static void limits_and_bans_are_there_at_the_next_start(const struct store_subject *subject)
{
    struct qb_store_link *link = subject->open();
    const struct qb_store_ops *ops = subject->ops();
    struct restrictions seen = {0};
    struct qb_user bob;
    struct qb_error error = {""};

    store_add_users(subject, link);
    (void)ops->user_by_id(link, BOB, &bob, &error);
    bob.is_banned = true;
    expect(ops->user_update(link, &bob, &error) == QB_STORE_OK &&
               ops->limit_set(link, ANN, "USD", 500, &error) == QB_STORE_OK &&
               ops->limit_set(link, ANN, "USD", 700, &error) == QB_STORE_OK &&
               ops->limit_set(link, ANN, "EUR", 1, &error) == QB_STORE_OK &&
               ops->limit_set(link, ANN, "EUR", -1, &error) == QB_STORE_OK,
           subject->name, error.text);
    expect(ops->limits(link, see_limit, &seen, &error) == QB_STORE_OK && seen.limits == 1 &&
               seen.amount == 700,
           subject->name, "the newest limit, and not the removed one");
    expect(ops->banned(link, see_banned, &seen, &error) == QB_STORE_OK && seen.banned == 1,
           subject->name, "the banned one");
    subject->close(&link);
}

static void
revocations_are_there_at_the_next_start_until_they_end(const struct store_subject *subject)
{
    const struct qb_revocation first = {.user = ANN, .since_us = 100, .until_us = FAR_US};
    const struct qb_revocation second = {.user = BOB, .since_us = 50, .until_us = FAR_US + 1};
    const struct qb_revocation newer = {.user = ANN, .since_us = 200, .until_us = FAR_US + 2};
    const struct qb_revocation over = {.user = SAL, .since_us = 1, .until_us = 2};
    struct qb_store_link *link = subject->open();
    const struct qb_store_ops *ops = subject->ops();
    struct revocations seen = {0};
    struct revocations later = {0};
    struct qb_error error = {""};

    store_add_users(subject, link);
    expect(ops->revoke(link, &over, &error) == QB_STORE_OK &&
               ops->revoke(link, &first, &error) == QB_STORE_OK &&
               ops->revoke(link, &second, &error) == QB_STORE_OK &&
               ops->revoke(link, &newer, &error) == QB_STORE_OK,
           subject->name, error.text);
    expect(ops->revocations(link, 0, see_revocation, &seen, &error) == QB_STORE_OK &&
               seen.count == 2 && seen.newest.user == ANN && seen.newest.since_us == 200,
           subject->name, "one of each account, the newest last, and what has ended is gone");
    expect(ops->revocations(link, FAR_US + 1, see_revocation, &later, &error) == QB_STORE_OK &&
               later.count == 1 && later.newest.user == ANN,
           subject->name, "those that have ended are not told");
    subject->close(&link);
}

static void each_start_has_a_number_of_its_own(const struct store_subject *subject)
{
    struct qb_store_link *link = subject->open();
    uint32_t epoch = 0;
    struct qb_error error = {""};

    for (uint32_t i = 1; i <= 3; i++) {
        expect(subject->ops()->epoch_next(link, &epoch, &error) == QB_STORE_OK && epoch == i,
               subject->name, "one more");
    }
    subject->close(&link);
}

static void take_image(void *context, const char *type, const void *bytes, size_t length)
{
    bool *is_same = context;

    *is_same = strcmp(type, "image/png") == 0 && length == 3 && memcmp(bytes, "abc", 3) == 0;
}

static void an_image_is_found_by_its_hash(const struct store_subject *subject)
{
    const struct qb_image image = {
        .hash = {1}, .type = "image/png", .bytes = "abc", .length = 3, .owner = SAL};
    const uint8_t other[QB_IMAGE_HASH_BYTES] = {2};
    struct qb_store_link *link = subject->open();
    const struct qb_store_ops *ops = subject->ops();
    struct qb_error error = {""};
    bool is_same = false;

    store_add_users(subject, link);
    for (int i = 0; i < 2; i++) {
        expect(ops->image_add(link, &image, 4096, &error) == QB_STORE_OK, subject->name,
               "the same again is no error");
    }
    expect(ops->image(link, image.hash, take_image, &is_same, &error) == QB_STORE_OK && is_same,
           subject->name, "as it was");
    expect(ops->image_is_there(link, image.hash, &error) == QB_STORE_OK &&
               ops->image_is_there(link, other, &error) == QB_STORE_NOT_FOUND,
           subject->name, "there, and not");
    expect(ops->image(link, other, take_image, &is_same, &error) == QB_STORE_NOT_FOUND,
           subject->name, "no other");
    subject->close(&link);
}

static void the_images_of_an_account_have_an_end(const struct store_subject *subject)
{
    static const char bytes[5000];
    struct qb_image image = {.type = "image/png", .bytes = bytes, .length = 5000, .owner = SAL};
    struct qb_store_link *link = subject->open();
    const struct qb_store_ops *ops = subject->ops();
    struct qb_error error = {""};
    bool is_same = false;

    store_add_users(subject, link);
    image.hash[0] = 1;
    expect(ops->image_add(link, &image, 9095, &error) == QB_STORE_OK, subject->name, "5000 bytes");
    image.hash[0] = 2;
    image.length = 3;
    expect(ops->image_add(link, &image, 9095, &error) == QB_STORE_FULL, subject->name,
           "a small one counts as 4096");
    expect(ops->image(link, image.hash, take_image, &is_same, &error) == QB_STORE_NOT_FOUND,
           subject->name, "what is refused is not kept");
    expect(ops->image_add(link, &image, 9096, &error) == QB_STORE_OK, subject->name, "just so");
    expect(ops->image_add(link, &image, 9096, &error) == QB_STORE_OK, subject->name,
           "again takes no room");
    image.hash[0] = 3;
    expect(ops->image_add(link, &image, 9096, &error) == QB_STORE_FULL, subject->name, "full");
    expect(ops->image_add(link, &image, 0, &error) == QB_STORE_OK, subject->name, "no limit");
    image.hash[0] = 4;
    image.owner = ANN;
    expect(ops->image_add(link, &image, 4096, &error) == QB_STORE_OK, subject->name,
           "another account has its own");
    subject->close(&link);
}

static void it_says_what_of_a_log_is_committed(const struct store_subject *subject)
{
    const struct qb_listing bike = store_listing(9, "A bike");
    const struct qb_listing lamp = store_listing(4, "A lamp");
    struct qb_applied found[] = {{.auction = 9}, {.auction = 7}, {.auction = 4}};
    struct qb_store_link *link = subject->open();
    const struct qb_store_ops *ops = subject->ops();
    struct qb_lot lot = store_lot(9);
    struct qb_error error = {""};
    uint32_t epoch_least = 0;

    store_add_users(subject, link);
    store_add_listing(subject, link, &bike);
    store_add_listing(subject, link, &lamp);
    lot.seq = 12;
    store_archive_state(subject, link, &lot);
    expect(ops->applied(link, found, 3, &error) == QB_STORE_OK, subject->name, error.text);
    expect(found[0].seq == 12 && !found[0].is_over && !found[0].is_frozen, subject->name, "live");
    expect(found[1].seq == 0 && !found[1].is_over, subject->name, "unknown");
    expect(found[2].seq == 0 && !found[2].is_over, subject->name, "not opened");
    lot.seq = 13;
    lot.status = QB_STATUS_CANCELLED;
    expect(ops->archive_begin(link, &epoch_least, &error) == QB_STORE_OK &&
               ops->archive_conflict(link, 4, 1, (const uint8_t *)"x", 1, &error) == QB_STORE_OK &&
               ops->archive_state(link, &lot, &error) == QB_STORE_OK &&
               ops->archive_end(link, true, &error) == QB_STORE_OK,
           subject->name, error.text);
    expect(ops->applied(link, found, 3, &error) == QB_STORE_OK, subject->name, error.text);
    expect(found[0].seq == 13 && found[0].is_over, subject->name, "over");
    expect(found[2].is_frozen && !found[0].is_frozen, subject->name, "it has a conflict");
    subject->close(&link);
}

void store_contract(const struct store_subject *subject)
{
    an_email_has_one_account(subject);
    an_account_is_changed_in_what_may_change(subject);
    a_login_is_found_until_it_is_removed(subject);
    limits_and_bans_are_there_at_the_next_start(subject);
    revocations_are_there_at_the_next_start_until_they_end(subject);
    each_start_has_a_number_of_its_own(subject);
    an_image_is_found_by_its_hash(subject);
    the_images_of_an_account_have_an_end(subject);
    it_says_what_of_a_log_is_committed(subject);
    store_contract_listings(subject);
    store_contract_history(subject);
}
