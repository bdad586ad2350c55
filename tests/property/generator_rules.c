#include <string.h>

#include "base/assert.h"
#include "tests/property/generator.h"

#define SECOND_US INT64_C(1000000)
#define MINUTE_US (60 * SECOND_US)
#define HOUR_US   (60 * MINUTE_US)
#define EPOCH_US  INT64_C(1700000000000000)

#define ATTEMPTS_MAX 1000

#define PICK(random, array) ((array)[qb_random_below((random), QB_COUNT(array))])

bool generator_chance(struct qb_random *random, unsigned percent)
{
    return qb_random_below(random, 100) < percent;
}

int64_t generator_between(struct qb_random *random, int64_t from, int64_t to)
{
    return from + (int64_t)qb_random_below(random, (uint64_t)(to - from) + 1);
}

static void draw_table(struct qb_random *random, struct qb_rules *rules)
{
    static const uint8_t percents[] = {1, 5, 10, 33};
    struct qb_increment_table *table = &rules->table;
    int64_t from = generator_between(random, 0, 1) * rules->tick;
    int64_t step = generator_between(random, 1, 3) * rules->tick;

    if (generator_chance(random, 20)) {
        table->percent = PICK(random, percents);
        return;
    }
    table->row_count =
        (uint8_t)(generator_chance(random, 40) ? 1 : generator_between(random, 2, 6));
    for (size_t i = 0; i < table->row_count; i++) {
        table->rows[i] = (struct qb_increment_row){.from = from, .step = step};
        from += generator_between(random, 1, 25) * rules->tick;
        step += generator_between(random, 0, 4) * rules->tick;
    }
}

static void draw_amounts(struct qb_random *random, struct qb_rules *rules)
{
    static const int64_t ticks[] = {1, 1, 1, 5, 100};

    rules->tick = PICK(random, ticks);
    rules->start_price = rules->tick * generator_between(random, 1, 20);
    rules->cap = generator_chance(random, 20)
                     ? rules->start_price + rules->tick * generator_between(random, 20, 90)
                     : QB_AMOUNT_MAX;
    rules->reserve = QB_AMOUNT_NONE;
    rules->buy_now = QB_AMOUNT_NONE;
    if (generator_chance(random, 55)) {
        rules->reserve = rules->start_price + rules->tick * generator_between(random, 0, 60);
    }
    if (generator_chance(random, 40)) {
        const int64_t lowest = (rules->start_price * 13 + 9) / 10;
        const int64_t from = lowest > rules->reserve ? lowest : rules->reserve;
        const int64_t ticks_up = (from + rules->tick - 1) / rules->tick;
        rules->buy_now = rules->tick * (ticks_up + generator_between(random, 0, 20));
    }
    rules->is_without_reserve = rules->reserve == QB_AMOUNT_NONE && generator_chance(random, 40);
}

static void draw_times(struct qb_random *random, struct qb_rules *rules)
{
    static const int64_t lengths[] = {SECOND_US,    10 * SECOND_US, 10 * MINUTE_US, 12 * HOUR_US,
                                      13 * HOUR_US, 13 * HOUR_US,   26 * HOUR_US};
    static const int64_t windows[] = {0, SECOND_US, 10 * SECOND_US, 120 * SECOND_US, HOUR_US};
    static const int64_t extends[] = {SECOND_US, 10 * SECOND_US, 120 * SECOND_US};
    static const int64_t drains[] = {0, 250000, 250000, SECOND_US};
    static const int64_t resumes[] = {0, SECOND_US, 2 * MINUTE_US};
    static const int64_t beyond[] = {0, SECOND_US, 15 * SECOND_US, 60 * MINUTE_US};

    rules->starts_at_us = EPOCH_US;
    rules->ends_at_us = EPOCH_US + PICK(random, lengths);
    rules->soft_window_us = PICK(random, windows);
    if (rules->soft_window_us != 0) {
        rules->soft_extend_us =
            generator_chance(random, 60) ? rules->soft_window_us : PICK(random, extends);
        if (generator_chance(random, 30)) {
            rules->max_extensions = (uint32_t)generator_between(random, 1, 3);
        }
        if (generator_chance(random, 50)) {
            rules->hard_end_us = rules->ends_at_us + PICK(random, beyond);
        }
    }
    rules->drain_us = PICK(random, drains);
    rules->min_resume_us = PICK(random, resumes);
}

struct qb_rules generator_rules(struct qb_random *random)
{
    /* Most drafts pass the product's own check; what it refuses is drawn anew. */
    for (int attempt = 0;; attempt++) {
        QB_ASSERT(attempt < ATTEMPTS_MAX);
        struct qb_rules rules = {.version = QB_RULES_VERSION, .kind = QB_AUCTION_ENGLISH};
        const char *field = NULL;

        memcpy(rules.currency, "USD", sizeof "USD");
        rules.seller = GENERATOR_SELLER;
        rules.self_raise = generator_chance(random, 40);
        rules.retraction = generator_chance(random, 30);
        rules.reserve_style = generator_chance(random, 25);
        draw_amounts(random, &rules);
        draw_times(random, &rules);
        draw_table(random, &rules);
        for (size_t i = 0; i < sizeof rules.secret; i++) {
            rules.secret[i] = (uint8_t)qb_random_below(random, 256);
        }
        if (qb_rules_problem(&rules, &field) == NULL) return rules;
    }
}
