#include "app/demo.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/runner_state.h"
#include "base/assert.h"
#include "base/clock.h"
#include "base/random.h"
#include "base/text.h"

#define MINUTE_US (60 * QB_SECOND_US)
#define ONE_IN    9  /* of an auction's seconds see a bid */
#define TOP_TIMES 30 /* demo bidders stop at so many times the start price */

struct qb_demo {
    qb_id seller;
    qb_id bidders[QB_DEMO_BIDDERS];
};

static const char *const names[QB_DEMO_BIDDERS + 1] = {
    "Harbour Street Auctions", "Ana", "Bo", "Chidi", "Dara", "Emre", "Freya", "Goro"};

static const struct {
    const char *title;
    const char *description;
    const char *category;
    int64_t start_price;
    int64_t reserve;
    int64_t buy_now;
    int64_t minutes;
} lots[] = {
    /* clang-format off */
    {"Mechanical chronograph, 1968", "Steel case, manual winding, serviced last year. Dial with light patina, new strap.", "jewellery", 12000, 45000, -1, 12},
    {"Oak writing desk with brass fittings", "Three drawers, original key. Some wear on the top, no woodworm.", "antiques", 8000, -1, -1, 25},
    {"First edition field guide to alpine flowers", "Cloth binding, all 112 colour plates. Name of a former owner on the flyleaf.", "books", 1500, -1, 9000, 40},
    {"Road bicycle, hand-built steel frame", "Size 56, eleven gears, two wheelsets. Ready to ride.", "sports", 20000, 60000, -1, 60},
    {"Pair of studio monitor loudspeakers", "Matched pair with stands, in their cartons. Tested.", "electronics", 9900, -1, -1, 90},
    {"Watercolour: boats at low tide", "Signed, about 1930. 38 by 28 cm, framed behind glass.", "art", 5000, -1, -1, 180},
    {"Cast-iron cooking set, seven pieces", "Pans, pot and casserole with lids. Seasoned, no cracks.", "home", 2500, -1, -1, 360},
    {"Telescope, 150 mm reflector with mount", "Three eyepieces, finder, manual. Mirror cleaned.", "electronics", 7000, 18000, 42000, 720},
    {"Silver brooch with moonstone", "Hallmarked, in its case. 4 cm.", "jewellery", 3000, -1, -1, 1440},
    {"Box of 40 jazz records", "Pressings from 1955 to 1972, played, most sleeves very good.", "music", 4000, -1, -1, 2880},
    /* clang-format on */
};

void qb_demo_email(unsigned index, char email[QB_EMAIL_BYTES_MAX + 1])
{
    (void)snprintf(email, QB_EMAIL_BYTES_MAX + 1, "demo-%u@demo.invalid", index);
}

const char *qb_demo_name(unsigned index)
{
    QB_ASSERT(index <= QB_DEMO_BIDDERS);
    return names[index];
}

size_t qb_demo_auctions(void)
{
    return QB_COUNT(lots);
}

void qb_demo_auction(size_t index, qb_id seller, qb_time_us now_us, struct qb_listing *listing,
                     struct qb_rules *rules)
{
    qb_time_us ends_at_us = now_us + lots[index].minutes * MINUTE_US;

    *rules = (struct qb_rules){
        .version = QB_RULES_VERSION,
        .kind = QB_AUCTION_ENGLISH,
        .currency = "USD",
        .seller = seller,
        .tick = 1,
        .cap = INT64_C(1000000000000),
        .start_price = lots[index].start_price,
        .reserve = lots[index].reserve,
        .buy_now = lots[index].buy_now,
        .starts_at_us = now_us,
        .ends_at_us = ends_at_us,
        .soft_window_us = 30 * QB_SECOND_US,
        .soft_extend_us = 30 * QB_SECOND_US,
        .hard_end_us = ends_at_us + 10 * MINUTE_US,
        .drain_us = QB_SECOND_US / 4,
        .min_resume_us = 2 * MINUTE_US,
    };
    bool is_known = qb_increment_preset("EBAY_US", 2, &rules->table);
    QB_ASSERT(is_known);
    qb_random_secret(rules->secret, sizeof rules->secret);
    *listing = (struct qb_listing){
        .id = qb_id_new(),
        .seller = seller,
        .currency = "USD",
        .created_us = now_us,
        .starts_at_us = now_us,
        .start_price = lots[index].start_price,
        .buy_now = lots[index].buy_now,
        .ends_at_us = ends_at_us,
    };
    (void)snprintf(listing->title, sizeof listing->title, "%s", lots[index].title);
    (void)snprintf(listing->description, sizeof listing->description, "%s",
                   lots[index].description);
    (void)snprintf(listing->category, sizeof listing->category, "%s", lots[index].category);
}

struct qb_entry qb_demo_open(qb_id auction, qb_id seller, const struct qb_rules *rules)
{
    struct qb_entry open = {
        .auction = auction,
        .type = QB_ENTRY_OPEN,
        .by = QB_ACTOR_SELLER,
        .actor = seller,
        .max = QB_AMOUNT_NONE,
        .allowance = -1,
        .rules = rules,
    };

    qb_bid_id(auction, 0, "open", 4, open.bid_id);
    return open;
}

struct qb_demo *qb_demo_new(const struct qb_store_ops *store, struct qb_store_link *link)
{
    struct qb_demo *demo = calloc(1, sizeof *demo);

    QB_ASSERT(demo != NULL);
    for (unsigned i = 0; i <= QB_DEMO_BIDDERS; i++) {
        char email[QB_EMAIL_BYTES_MAX + 1];
        struct qb_user user;
        struct qb_error error = {""};
        qb_demo_email(i, email);
        if (store->user_by_email(link, email, &user, &error) != QB_STORE_OK) {
            qb_demo_free(&demo);
            return NULL;
        }
        if (i == 0)
            demo->seller = user.id;
        else
            demo->bidders[i - 1] = user.id;
    }
    return demo;
}

void qb_demo_free(struct qb_demo **demo)
{
    free(*demo);
    *demo = NULL;
}

static void ignore_answer(void *context, const struct qb_answer *answer)
{
    (void)context; /* whether it led or was outbid, the next second goes on from there */
    (void)answer;
}

/* A bid somewhat above the minimum, in whole dollars as most people bid. */
static void bid(const struct qb_demo *demo, struct qb_runner *runner, const struct qb_lot *lot)
{
    uint64_t dice[3];
    int64_t minimum = qb_lot_minimum(lot);

    qb_random_secret(dice, sizeof dice);
    qb_id bidder = demo->bidders[dice[0] % QB_DEMO_BIDDERS];
    if (bidder == lot->leader) return;
    int64_t max = minimum + minimum * (int64_t)(dice[1] % 12) / 100;
    if (dice[2] % 5 > 0) max = (max + 99) / 100 * 100;
    char key[17];
    qb_hex(&dice[1], 8, key);
    struct qb_entry entry = {
        .auction = lot->auction,
        .type = QB_ENTRY_BID,
        .by = QB_ACTOR_BIDDER,
        .bidder = bidder,
        .actor = bidder,
        .max = max,
        .currency = "USD",
        .allowance = -1,
    };
    qb_bid_id(lot->auction, bidder, key, 16, entry.bid_id);
    qb_runner_command(runner, &entry, qb_clock_mono_us(), ignore_answer, NULL);
}

void qb_demo_second(const struct qb_demo *demo, struct qb_runner *runner)
{
    qb_time_us now_us = qb_runner_now_us(runner);
    size_t cursor = 0;
    struct qb_home *home = NULL;

    while ((home = qb_map_next(&runner->homes, &cursor, NULL)) != NULL) {
        const struct qb_lot *lot = qb_auctioneer_lot(runner->auctioneer, home->lot);
        uint32_t dice = 0;
        bool is_on = lot->status == QB_STATUS_OPEN && lot->rules.seller == demo->seller &&
                     now_us >= lot->rules.starts_at_us && now_us < lot->ends_at_us &&
                     lot->price < lot->rules.start_price * TOP_TIMES;
        qb_random_secret(&dice, sizeof dice);
        if (is_on && dice % ONE_IN == 0) bid(demo, runner, lot);
    }
}
