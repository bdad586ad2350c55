#include "tests/property/generator.h"

#include <string.h>

#define HOUR_US INT64_C(3600000000)

uint64_t generator_seed(uint64_t run_seed, uint64_t number)
{
    return run_seed * UINT64_C(0x9E3779B97F4A7C15) + number;
}

void generator_init(struct generator *generator, uint64_t seed)
{
    struct qb_random *random = &generator->random;

    memset(generator, 0, sizeof *generator);
    qb_random_seed(random, seed);
    generator->rules = generator_rules(random);
    generator->length = (size_t)(generator_chance(random, 15) ? generator_between(random, 60, 200)
                                                              : generator_between(random, 5, 60));
    generator->bidder_count = (unsigned)generator_between(random, 1, GENERATOR_BIDDERS_MAX);
    generator->is_stamped = generator_chance(random, 60);
    generator->spread = generator_between(random, 1, 40) * generator->rules.tick;
    generator->jump_percent = (unsigned)generator_between(random, 0, 30);
    generator->weights[QB_ENTRY_BID] = 100;
    for (int type = QB_ENTRY_BUY_NOW; type < QB_ENTRY_TYPE_COUNT; type++) {
        if (generator_chance(random, 40)) {
            generator->weights[type] = (unsigned)generator_between(random, 1, 25);
        }
    }
    /* What ends an auction comes seldom, or most would be short. */
    generator->weights[QB_ENTRY_CANCEL] = generator->weights[QB_ENTRY_CANCEL] > 15;
    generator->weights[QB_ENTRY_CLOSE] = (unsigned)generator_between(random, 1, 10);
    if (generator->weights[QB_ENTRY_PAUSE] > 0) generator->weights[QB_ENTRY_RESUME] = 60;
    if (generator->rules.reserve != QB_AMOUNT_NONE && generator_chance(random, 50)) {
        generator->weights[QB_ENTRY_RESERVE] = 15;
    }
    /* A few auctions block more bidders than there is room for. */
    if (generator_chance(random, 1)) {
        generator->is_crowded = true;
        generator->length = 200;
        generator->weights[QB_ENTRY_BLOCK] = 400;
        generator->weights[QB_ENTRY_CLOSE] = 1;
    }
}

static enum qb_entry_type draw_type(struct generator *generator)
{
    unsigned total = 0;

    for (int type = 0; type < QB_ENTRY_TYPE_COUNT; type++) total += generator->weights[type];
    uint64_t rest = qb_random_below(&generator->random, total);
    for (int type = 0; type < QB_ENTRY_TYPE_COUNT; type++) {
        if (rest < generator->weights[type]) return (enum qb_entry_type)type;
        rest -= generator->weights[type];
    }
    return QB_ENTRY_BID;
}

/* An edge in time: where a rule changes its mind. */
static qb_time_us draw_edge(struct generator *generator, const struct model *model)
{
    struct qb_random *random = &generator->random;
    const struct qb_rules *rules = &generator->rules;
    qb_time_us edge_us = model->ends_at_us;

    switch (qb_random_below(random, 7)) {
    case 0:
        edge_us = rules->starts_at_us;
        break;
    case 1:
        edge_us -= rules->soft_window_us;
        break;
    case 2:
        edge_us += rules->drain_us;
        break;
    case 3:
        edge_us -= 12 * HOUR_US;
        break;
    case 4:
        if (model->record_count > 0) {
            edge_us = model->records[model->record_count - 1].t_us + HOUR_US;
        }
        break;
    case 5:
        edge_us = generator_between(random, rules->starts_at_us, model->ends_at_us);
        break;
    default:
        break;
    }
    return edge_us + generator_between(random, -2, 2) * (generator_chance(random, 50) ? 1 : 100000);
}

static qb_time_us draw_now(struct generator *generator, const struct model *model,
                           const struct qb_entry *last)
{
    struct qb_random *random = &generator->random;

    if (last == NULL) return generator->rules.starts_at_us - generator_between(random, 0, 2000000);
    /* Before the start and behind the end little can be learned: seldom linger there. */
    if (last->now_us < generator->rules.starts_at_us && generator_chance(random, 40)) {
        return generator->rules.starts_at_us + generator_between(random, 0, 1);
    }
    if (generator_chance(random, generator->jump_percent)) {
        const qb_time_us edge_us = draw_edge(generator, model);
        if (edge_us > last->now_us) return edge_us;
    }
    if (generator_chance(random, 30)) return last->now_us;
    return last->now_us + generator_between(random, 0, 1) * generator_between(random, 0, 300000) +
           generator_between(random, 0, 2);
}

static qb_time_us draw_recv(struct generator *generator, const struct model *model,
                            qb_time_us now_us)
{
    struct qb_random *random = &generator->random;
    const int64_t drain_us = generator->rules.drain_us;

    if (!generator->is_stamped || generator_chance(random, 15)) return 0;
    switch (qb_random_below(random, 6)) {
    case 0:
        return now_us - drain_us + generator_between(random, -2, 2);
    case 1:
        return now_us + generator_between(random, -2, 400000);
    case 2:
        return model->ends_at_us + generator_between(random, -2, 2);
    case 3:
        return generator_between(random, 1, now_us);
    default:
        return now_us - generator_between(random, 0, drain_us);
    }
}

/* Some bidder, seldom the seller. */
static qb_id draw_bidder(struct generator *generator)
{
    if (generator_chance(&generator->random, 2)) return GENERATOR_SELLER;
    return GENERATOR_SELLER + 1 + qb_random_below(&generator->random, generator->bidder_count);
}

static int64_t draw_amount(struct generator *generator, const struct model *model)
{
    struct qb_random *random = &generator->random;
    const struct qb_rules *rules = &generator->rules;
    const int64_t minimum = model_minimum(model);
    int64_t amount = minimum != QB_AMOUNT_NONE ? minimum : rules->start_price;

    switch (qb_random_below(random, 12)) {
    case 0:
        amount = model->view.m1;
        break;
    case 1:
        amount = model->view.m1 + rules->tick * generator_between(random, -2, 2);
        break;
    case 2:
        if (model->reserve > 0)
            amount = model->reserve + rules->tick * generator_between(random, -1, 1);
        break;
    case 3:
        amount = model->view.m2 + rules->tick * generator_between(random, -1, 1);
        break;
    case 4:
        if (generator_chance(random, 30)) amount = generator_between(random, -5, 1);
        break;
    case 5:
        if (generator_chance(random, 30)) amount = rules->cap + generator_between(random, -1, 1);
        break;
    case 6:
    case 7:
        break;
    default:
        amount += generator_between(random, -2, generator->spread);
        break;
    }
    /* Off the tick seldom: nothing is learned from it but bad_amount. */
    if (generator_chance(random, 97)) amount -= amount % rules->tick;
    return amount;
}

static int64_t draw_allowance(struct generator *generator, int64_t amount)
{
    if (generator_chance(&generator->random, 85)) return -1;
    const int64_t allowance = amount + generator_between(&generator->random, -1, 1);
    return allowance >= 0 ? allowance : 0;
}

static void draw_bid(struct generator *generator, const struct model *model, struct qb_entry *entry)
{
    struct qb_random *random = &generator->random;
    const int64_t buy_now = generator->rules.buy_now;

    entry->by = QB_ACTOR_BIDDER;
    entry->bidder = entry->actor = draw_bidder(generator);
    entry->max = draw_amount(generator, model);
    if (entry->type == QB_ENTRY_BUY_NOW) {
        entry->max = buy_now != QB_AMOUNT_NONE ? buy_now : 100;
        if (generator_chance(random, 15)) entry->max += generator_between(random, -1, 1);
    }
    entry->allowance = draw_allowance(generator, entry->max);
    memcpy(entry->currency, generator_chance(random, 98) ? "USD" : "EUR", QB_CURRENCY_BYTES);
    entry->recv_us = draw_recv(generator, model, entry->now_us);
}

/* Whom or what a VOID strikes: all of a bidder, or one bid, sometimes one that is not there. */
static void draw_void(struct generator *generator, const struct model *model,
                      struct qb_entry *entry)
{
    struct qb_random *random = &generator->random;

    entry->bidder = draw_bidder(generator);
    if (model->record_count == 0 || generator_chance(random, 35)) return;
    const struct model_record *record =
        &model->records[qb_random_below(random, model->record_count)];
    entry->target_seq = generator_chance(random, 90) ? record->seq : entry->seq;
    if (generator_chance(random, 90)) entry->bidder = record->bidder;
}

/* A new reserve: mostly between what is allowed and the hidden maximum that it would cut. */
static int64_t draw_reserve(struct generator *generator, const struct model *model)
{
    struct qb_random *random = &generator->random;
    const int64_t minimum = model_minimum(model);
    int64_t amount = draw_amount(generator, model);

    if (minimum > 0 && generator_chance(random, 70)) {
        const int64_t tick = generator->rules.tick;
        const int64_t top = model->view.m1 > minimum ? model->view.m1 : model->reserve;
        const int64_t span = top > minimum ? (top - minimum) / tick : 0;
        amount = (minimum + tick - 1) / tick * tick + tick * generator_between(random, 0, span);
    }
    return amount > 0 ? amount : generator->rules.start_price;
}

static void draw_operation(struct generator *generator, const struct model *model,
                           struct qb_entry *entry)
{
    struct qb_random *random = &generator->random;

    entry->by = generator_chance(random, 50) ? QB_ACTOR_SELLER : QB_ACTOR_ADMIN;
    entry->actor = entry->by == QB_ACTOR_SELLER ? GENERATOR_SELLER : 900;
    if (entry->type == QB_ENTRY_VOID) draw_void(generator, model, entry);
    if (entry->type == QB_ENTRY_BLOCK || entry->type == QB_ENTRY_UNBLOCK) {
        entry->bidder =
            generator->is_crowded ? 1000 + qb_random_below(random, 300) : draw_bidder(generator);
    }
    if (entry->type == QB_ENTRY_RETRACT) {
        if (generator_chance(random, 90)) entry->by = QB_ACTOR_BIDDER;
        entry->bidder = entry->actor = draw_bidder(generator);
        entry->reason = (uint8_t)generator_between(random, QB_RETRACT_WRONG_AMOUNT,
                                                   QB_RETRACT_SELLER_UNREACHABLE);
    }
    if (entry->type == QB_ENTRY_RESERVE) entry->max = draw_reserve(generator, model);
    if (entry->type == QB_ENTRY_EXTEND) {
        const bool is_late = entry->now_us >= model->ends_at_us && generator_chance(random, 80);
        entry->end_us = (is_late ? entry->now_us : model->ends_at_us) +
                        generator_between(random, 0, 3) * 1000000 +
                        generator_between(random, -1, 1);
        /* Now and then so far that the rules of the last 12 hours are out of force again. */
        if (generator_chance(random, 15)) entry->end_us += 13 * HOUR_US;
    }
}

struct qb_entry generator_next(struct generator *generator, const struct model *model,
                               const struct qb_entry *last)
{
    struct qb_random *random = &generator->random;
    struct qb_entry entry = {
        .auction = 77,
        .epoch = last == NULL ? 1 : last->epoch + generator_chance(random, 1),
        .seq = last == NULL ? 1 : last->seq + 1,
        .by = QB_ACTOR_SYSTEM,
        .max = QB_AMOUNT_NONE,
        .allowance = -1,
    };

    for (size_t i = 0; i < sizeof entry.bid_id; i++) {
        entry.bid_id[i] = (uint8_t)qb_random_below(random, 256);
    }
    entry.now_us = draw_now(generator, model, last);
    if (last == NULL) {
        entry.type = QB_ENTRY_OPEN;
        entry.by = QB_ACTOR_SELLER;
        entry.actor = GENERATOR_SELLER;
        entry.rules = &generator->rules;
        return entry;
    }
    entry.type = (uint8_t)draw_type(generator);
    if (entry.now_us >= model->ends_at_us && generator_chance(random, 30)) {
        entry.type = generator->weights[QB_ENTRY_EXTEND] > 0 && generator_chance(random, 70)
                         ? QB_ENTRY_EXTEND
                         : QB_ENTRY_CLOSE;
    }
    if (entry.type == QB_ENTRY_BID || entry.type == QB_ENTRY_BUY_NOW) {
        draw_bid(generator, model, &entry);
    } else if (entry.type != QB_ENTRY_CLOSE && entry.type != QB_ENTRY_DISCARD) {
        draw_operation(generator, model, &entry);
    }
    return entry;
}
