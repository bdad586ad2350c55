#include "app/seed.h"

#include <stdio.h>
#include <string.h>

#include "app/data.h"
#include "app/demo.h"
#include "app/password.h"
#include "base/clock.h"
#include "base/random.h"
#include "base/text.h"

#define FLUSH_US (10 * QB_SECOND_US)

static bool add_accounts(struct qb_data *data, const char *password, qb_id *seller,
                         struct qb_error *error)
{
    struct qb_user user = {.roles = QB_ROLE_BIDDER | QB_ROLE_SELLER};

    if (!qb_password_hash(password, strlen(password), user.verifier)) {
        return qb_error_set(error, "the password could not be hashed");
    }
    for (unsigned i = 0; i <= QB_DEMO_BIDDERS; i++) {
        user.id = qb_id_new();
        user.created_us = qb_clock_wall_us();
        qb_demo_email(i, user.email);
        (void)snprintf(user.name, sizeof user.name, "%s", qb_demo_name(i));
        enum qb_store_result result = data->store->ops->user_add(data->link, &user, error);
        if (result == QB_STORE_TAKEN) {
            return qb_error_set(error, "the demo is there already; use another --data-dir");
        }
        if (result != QB_STORE_OK) return false;
        if (i == 0) *seller = user.id;
    }
    return true;
}

static void ignore_durable(void *context, qb_id auction, uint64_t seq)
{
    (void)context; /* qb_journal_flush() waits for all of them */
    (void)auction;
    (void)seq;
}

static void no_wake(void *context)
{
    (void)context;
}

static bool add_auction(struct qb_data *data, struct qb_journal_writer *writer, size_t index,
                        qb_id seller, uint32_t epoch, struct qb_error *error)
{
    struct qb_listing listing;
    struct qb_rules rules;
    uint8_t bytes[QB_ENTRY_BYTES_MAX];
    qb_time_us now_us = qb_clock_wall_us();

    qb_demo_auction(index, seller, now_us, &listing, &rules);
    if (data->store->ops->listing_add(data->link, &listing, NULL, error) != QB_STORE_OK)
        return false;
    struct qb_entry open = qb_demo_open(listing.id, seller, &rules);
    open.seq = 1;
    open.epoch = epoch;
    open.now_us = now_us;
    const struct qb_journal_item item = {
        .auction = listing.id,
        .seq = 1,
        .epoch = epoch,
        .bytes = bytes,
        .length = qb_entry_encode(&open, bytes),
    };
    return qb_journal_append(data->journal, writer, &item, 1) ||
           qb_error_set(error, "the journal takes no entries");
}

static bool fill(struct qb_data *data, const char *password, struct qb_error *error)
{
    struct qb_mailbox *mailbox = qb_mailbox_new(1000, no_wake, NULL);
    struct qb_journal_writer *writer =
        qb_journal_writer(data->journal, mailbox, ignore_durable, NULL);
    qb_id seller = 0;
    uint32_t epoch = 0;

    bool is_good = add_accounts(data, password, &seller, error) &&
                   data->store->ops->epoch_next(data->link, &epoch, error) == QB_STORE_OK;
    for (size_t i = 0; is_good && i < qb_demo_auctions(); i++) {
        is_good = add_auction(data, writer, i, seller, epoch, error);
    }
    if (is_good && !qb_journal_flush(data->journal, FLUSH_US)) {
        is_good = qb_error_set(error, "the journal could not be made durable");
    }
    (void)qb_mailbox_drain(mailbox);
    qb_mailbox_free(&mailbox);
    return is_good;
}

int qb_seed(const struct qb_settings *settings, const char *argument)
{
    struct qb_data data;
    struct qb_error error = {""};
    uint8_t secret[9];
    char password[16];

    if (strcmp(argument, "--demo") != 0) {
        (void)fprintf(stderr, "quickbid seed: the one thing to seed is --demo\n");
        return 2;
    }
    if (!qb_data_open(&data, settings, &error)) {
        (void)fprintf(stderr, "quickbid seed: %s\n", error.text);
        return 1;
    }
    qb_random_secret(secret, sizeof secret);
    (void)qb_base64url(secret, sizeof secret, password);
    bool is_good = fill(&data, password, &error);
    qb_data_close(&data);
    if (!is_good) {
        (void)fprintf(stderr, "quickbid seed: %s\n", error.text);
        return 1;
    }
    (void)printf("%zu demo auctions in %s. Sign in as demo-0@demo.invalid (the seller) or "
                 "demo-1@demo.invalid … demo-%d@demo.invalid with the password %s\n",
                 qb_demo_auctions(), settings->data_dir, QB_DEMO_BIDDERS, password);
    return 0;
}
