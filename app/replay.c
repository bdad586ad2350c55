#include "app/replay.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "app/data.h"
#include "base/clock.h"
#include "base/text.h"
#include "storage/load.h"

struct story {
    char currency[QB_CURRENCY_BYTES];
    uint8_t secret[QB_SECRET_BYTES];
};

/* 1050 of USD as "10.50". */
static void money(const struct story *story, int64_t minor, char text[48])
{
    int decimals = qb_currency_decimals(story->currency);
    int64_t unit = 1;

    if (minor == QB_AMOUNT_NONE) {
        (void)memcpy(text, "-", 2);
        return;
    }
    for (int i = 0; i < decimals; i++) unit *= 10;
    unsigned part = (unsigned)(minor % unit);
    int64_t whole = minor / unit;
    if (decimals <= 0)
        (void)snprintf(text, 48, "%" PRId64, minor);
    else if (decimals == 2)
        (void)snprintf(text, 48, "%" PRId64 ".%02u", whole, part);
    else
        (void)snprintf(text, 48, "%" PRId64 ".%03u", whole, part);
}

static void result_text(const struct qb_verdict *verdict, char text[64])
{
    const char *name = qb_verdict_name((enum qb_verdict_code)verdict->code);
    const char *refusal = qb_refusal_code((enum qb_refusal)verdict->refusal);

    if (refusal == NULL)
        (void)snprintf(text, 64, "%s", name);
    else
        (void)snprintf(text, 64, "%s: %s", name, refusal);
}

static void tell(void *context, const struct qb_entry *entry, const struct qb_verdict *verdict,
                 const struct qb_lot *lot)
{
    struct story *story = context;
    char when[QB_TIME_TEXT_BYTES];
    char label[QB_LABEL_BYTES] = "";
    char leader[QB_LABEL_BYTES] = "-";
    char max[48];
    char price[48];
    char result[64];

    if (entry->seq == 1) {
        (void)memcpy(story->currency, lot->rules.currency, sizeof story->currency);
        (void)memcpy(story->secret, lot->rules.secret, sizeof story->secret);
    }
    qb_clock_text(verdict->t_us, when);
    if (entry->bidder != 0) qb_bidder_label(story->secret, entry->bidder, label);
    if (verdict->leader != 0) qb_bidder_label(story->secret, verdict->leader, leader);
    money(story, entry->max, max);
    money(story, verdict->price, price);
    result_text(verdict, result);
    (void)printf("%6" PRIu64 "  %s  %-8s %-5s %12s  %-24s  price %12s  leader %-5s  bids %" PRIu32
                 "\n",
                 entry->seq, when, qb_entry_type_name((enum qb_entry_type)entry->type), label, max,
                 result, price, leader, verdict->bids);
}

static void tell_end(const struct story *story, const struct qb_lot *lot)
{
    char chain[QB_SHA256_BYTES * 2 + 1];
    char price[48];
    const char *outcome = qb_outcome_name((enum qb_outcome)lot->outcome);

    qb_hex(lot->chain, QB_SHA256_BYTES, chain);
    money(story, lot->final_price, price);
    (void)printf("\n%" PRIu64 " entries, every link of the chain holds.\nstate    %s%s%s\n",
                 lot->seq, qb_lot_status_name(lot, lot->now_us), outcome != NULL ? ", " : "",
                 outcome != NULL ? outcome : "");
    if (lot->winner != 0) {
        char label[QB_LABEL_BYTES];
        qb_bidder_label(story->secret, lot->winner, label);
        (void)printf("winner   %s at %s %s\n", label, price, story->currency);
    }
    (void)printf("chain    %s\n", chain);
}

int qb_replay(const struct qb_settings *settings, const char *argument)
{
    struct qb_data data;
    struct qb_loaded loaded;
    struct qb_error error = {""};
    struct story story = {.currency = "USD"};
    qb_id auction = 0;

    if (!qb_id_parse(argument, strlen(argument), &auction)) {
        (void)fprintf(stderr, "quickbid replay: \"%.40s\" is no auction's id (13 characters)\n",
                      argument);
        return 2;
    }
    if (!qb_data_open(&data, settings, &error)) {
        (void)fprintf(stderr, "quickbid replay: %s\n", error.text);
        return 1;
    }
    bool is_good =
        qb_load_auction(data.store->ops, data.link, auction, tell, &story, &loaded, &error);
    if (is_good && loaded.lot.seq == 0) {
        is_good =
            qb_error_set(&error, "there is no auction %s in %s", argument, settings->data_dir);
    } else if (is_good) {
        tell_end(&story, &loaded.lot);
    }
    if (!is_good)
        (void)fprintf(stderr, "quickbid replay: %s\n", error.text);
    else
        qb_loaded_fini(&loaded);
    qb_data_close(&data);
    return is_good ? 0 : 1;
}
