#include <stdlib.h>
#include <string.h>

#include "app/listing_json.h"
#include "app/runner_state.h"
#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"

/* Other replicas load an auction from its newest snapshot and what follows. */
#define SNAPSHOT_ENTRIES 500

qb_time_us qb_runner_now_us(struct qb_runner *runner)
{
    int64_t uncertainty_us = 0;

    if (runner->ledger == NULL) return 0;
    return qb_ledger_now_us(runner->ledger, &uncertainty_us);
}

void qb_call_list_grow(struct qb_call_list *list, size_t least)
{
    size_t room = list->room == 0 ? 64 : list->room;

    while (room < least) room *= 2;
    list->calls = realloc(list->calls, room * sizeof *list->calls);
    QB_ASSERT(list->calls != NULL);
    list->room = room;
}

static void queue_call(struct qb_runner *runner, const struct qb_effect *effect)
{
    struct qb_call_list *list = &runner->waiting;

    if (list->count == list->room) qb_call_list_grow(list, list->count + 1);
    list->calls[list->count++] = (struct qb_call){
        .entry = *effect->entry,
        .expires_us = effect->expires_us,
        .as_of = effect->seq,
        .ticket = effect->ticket,
        .refusal = effect->refusal,
        .is_mark = effect->kind == QB_EFFECT_MARK,
    };
}

void qb_outgoing_add(struct qb_outgoing *outgoing, const struct qb_entry *entry)
{
    uint8_t bytes[QB_ENTRY_BYTES_MAX];
    size_t length = qb_entry_encode(entry, bytes);

    if (outgoing->count == outgoing->room) {
        outgoing->room = outgoing->room == 0 ? 64 : outgoing->room * 2;
        outgoing->items = realloc(outgoing->items, outgoing->room * sizeof *outgoing->items);
        QB_ASSERT(outgoing->items != NULL);
    }
    outgoing->items[outgoing->count++] = (struct qb_journal_item){
        .auction = entry->auction,
        .seq = entry->seq,
        .epoch = entry->epoch,
        .length = length, /* `bytes` is set at the end of the turn, when they no longer move */
    };
    qb_text_add(&outgoing->bytes, (const char *)bytes, length);
    QB_ASSERT(!outgoing->bytes.is_full);
}

static void deliver_answer(void *context, void *message)
{
    struct qb_request *request = message;
    bool is_final = request->is_final;

    (void)context;
    request->answer(request->context, &request->result);
    if (!is_final) { /* a copy that told `pending`; the request itself lives on */
        free(request);
        return;
    }
    (void)atomic_fetch_sub(&request->origin->open_requests, 1);
    free(request->rules);
    free(request);
}

static void fill_answer(const struct qb_runner *runner, const struct qb_effect *effect,
                        const struct qb_request *request, struct qb_answer *answer)
{
    const struct qb_lot *lot = qb_auctioneer_lot(runner->auctioneer, effect->lot);

    *answer = (struct qb_answer){
        .reply = effect->reply,
        .seq = effect->seq,
        .epoch = lot->epoch,
        .verdict = effect->verdict,
    };
    if (effect->verdict.code == QB_VERDICT_BOUGHT) answer->verdict.price = lot->final_price;
    if (effect->reply == QB_REPLY_BUSY) answer->retry_after_ms = 250;
    if (effect->reply == QB_REPLY_UNAVAILABLE) answer->retry_after_ms = 1000;
    if (effect->reply == QB_REPLY_UNAVAILABLE && qb_runner_is_halted(runner, lot->auction))
        *answer = qb_answer_halted();
    if (request->user != 0 && lot->seq > 0) {
        qb_bidder_label(lot->rules.secret, request->user, answer->label);
    }
}

static const char *reply_code(const struct qb_effect *effect)
{
    static const char *const failures[] = {[QB_REPLY_BUSY] = "busy",
                                           [QB_REPLY_UNAVAILABLE] = "unavailable",
                                           [QB_REPLY_PENDING] = "pending",
                                           [QB_REPLY_VOID] = "void"};

    if (effect->reply == QB_REPLY_REFUSED || effect->verdict.code == QB_VERDICT_REFUSED) {
        return qb_refusal_code((enum qb_refusal)effect->verdict.refusal);
    }
    if (effect->reply == QB_REPLY_VERDICT) {
        return qb_verdict_name((enum qb_verdict_code)effect->verdict.code);
    }
    return failures[effect->reply];
}

static void reply(struct qb_runner *runner, const struct qb_effect *effect)
{
    struct qb_request *request = (struct qb_request *)(uintptr_t)effect->waiter;

    if (request == NULL) return;
    qb_metric_add(QB_METRIC_verdicts_total, reply_code(effect), 1);
    if (effect->reply == QB_REPLY_PENDING) {
        struct qb_request *copy = malloc(sizeof *copy);
        QB_ASSERT(copy != NULL);
        *copy = *request;
        copy->is_final = false;
        copy->rules = NULL;
        request = copy;
    } else {
        request->is_final = true;
        qb_request_release(runner, request);
        qb_metric_observe(QB_METRIC_verdict_duration_us, qb_clock_mono_us() - request->read_us);
    }
    fill_answer(runner, effect, request, &request->result);
    if (request->origin == runner)
        deliver_answer(NULL, request);
    else
        qb_mailbox_post_answer(qb_loop_mailbox(request->origin->loop), deliver_answer, NULL,
                               request);
}

/* A private notice to all connections of a user, on whichever thread they are. */
static void notify(struct qb_runner *runner, qb_id user, const struct qb_text *text)
{
    const struct qb_topic topic = {.kind = QB_TOPIC_USER, .id = user};
    struct qb_frame *frame = qb_edge_seal(text->bytes, text->length);

    frame->is_protected = true;
    qb_bus_publish(runner->all->options.bus, runner->member, topic, 0, frame);
    qb_frame_free(&frame);
}

/* A lowered reserve cuts a hidden maximum that would now meet it, and that bidder is told
 * (rules.md 3). */
static void tell_cut(struct qb_runner *runner, const struct qb_effect *effect)
{
    struct qb_text text = {0};

    qb_text_string(&text, "{\"on\":\"notice\"");
    qb_text_json_text(&text, "code", "maximum_cut");
    qb_text_json_id(&text, "auction", effect->entry->auction);
    qb_text_json_int(&text, "max", effect->moment.m1);
    qb_text_json_text(&text, "message",
                      "The seller lowered the reserve. Your maximum was cut to just below it; "
                      "raise it if you want to meet the reserve.");
    qb_text_string(&text, "}");
    notify(runner, effect->moment.leader, &text);
    qb_text_fini(&text);
}

/* One more durable entry, for resumes and resends. */
static void remember(struct qb_runner *runner, const struct qb_effect *effect)
{
    const struct qb_ring_item item = {
        .seq = effect->seq,
        .epoch = effect->moment.epoch,
        .type = effect->entry->type,
        .bidder = effect->entry->bidder,
        .verdict = effect->verdict,
    };

    qb_home_remember(runner, runner->lots[effect->lot], &item);
    if (item.verdict.is_maximum_cut && !effect->is_heard) tell_cut(runner, effect);
}

/* Before what people see of it is replaced by `moment`. */
static void tell_described(struct qb_runner *runner, const struct qb_home *home,
                           const struct qb_lot_moment *moment, bool is_heard)
{
    const struct qb_runners_options *options = &runner->all->options;
    const struct qb_lot *lot = qb_auctioneer_lot(runner->auctioneer, home->lot);

    if (options->described == NULL || home->shown.seq == 0) return;
    if (qb_catalogue_differs(&lot->rules, &home->shown, moment))
        options->described(options->context, home->auction, moment->seq, is_heard);
}

static void announce(struct qb_runner *runner, const struct qb_effect *effect)
{
    struct qb_home *home = runner->lots[effect->lot];

    tell_described(runner, home, &effect->moment, effect->is_heard);
    home->shown = effect->moment;
    qb_metric_add(QB_METRIC_entries_folded_total, NULL, 1);
    if (effect->entry != NULL) remember(runner, effect);
    if (!effect->is_heard) qb_home_keep_snapshot(runner, home, SNAPSHOT_ENTRIES);
    if (!effect->verdict.is_public_change) return;
    if (effect->verdict.is_extended) home->must_protect = true;
    if (home->is_dirty) return;
    home->is_dirty = true;
    home->changed_us = qb_clock_mono_us();
    runner->dirty[runner->dirty_count++] = home;
}

static void tell_outbid(struct qb_runner *runner, const struct qb_effect *effect)
{
    struct qb_text text = {0};

    qb_text_string(&text, "{\"on\":\"outbid\"");
    qb_text_json_id(&text, "auction", runner->lots[effect->lot]->auction);
    qb_text_json_int(&text, "price", effect->verdict.price);
    if (effect->verdict.minimum >= 0)
        qb_text_json_int(&text, "minimum", effect->verdict.minimum);
    else
        qb_text_json_null(&text, "minimum");
    qb_text_json_int(&text, "seq", (int64_t)effect->seq);
    qb_text_string(&text, "}");
    notify(runner, effect->user, &text);
    qb_text_fini(&text);
}

static void end(struct qb_runner *runner, const struct qb_effect *effect)
{
    struct qb_home *home = runner->lots[effect->lot];
    const struct qb_lot_moment *moment = &effect->moment;

    home->over_us = qb_clock_mono_us();
    home->must_protect = true;
    qb_metric_add(QB_METRIC_auctions_live, NULL, -1);
    qb_metric_add(QB_METRIC_auctions_closed_total,
                  qb_outcome_name((enum qb_outcome)moment->outcome), 1);
    if (moment->winner == 0 || effect->is_heard) return;
    struct qb_text text = {0};
    const struct qb_lot *lot = qb_auctioneer_lot(runner->auctioneer, effect->lot);
    qb_text_string(&text, "{\"on\":\"won\"");
    qb_text_json_id(&text, "auction", home->auction);
    qb_text_json_int(&text, "price", moment->final_price);
    qb_text_json_text(&text, "currency", lot->rules.currency);
    qb_text_string(&text, "}");
    notify(runner, moment->winner, &text);
    qb_text_fini(&text);
}

static void hold(struct qb_runner *runner, const struct qb_effect *effect)
{
    const struct qb_lot *lot = qb_auctioneer_lot(runner->auctioneer, effect->lot);
    const struct qb_hold hold = {
        .user = effect->user,
        .auction = lot->auction,
        .currency = lot->rules.currency,
        .seq = effect->seq,
        .amount = effect->amount,
    };

    qb_runner_hold(runner, &hold);
}

static void carry_out(struct qb_runner *runner, const struct qb_effect *effect)
{
    switch ((enum qb_effect_kind)effect->kind) {
    case QB_EFFECT_APPEND:
    case QB_EFFECT_MARK:
        queue_call(runner, effect);
        break;
    case QB_EFFECT_JOURNAL:
        qb_outgoing_add(&runner->own, effect->entry);
        break;
    case QB_EFFECT_REPLY:
        reply(runner, effect);
        break;
    case QB_EFFECT_ANNOUNCE:
        announce(runner, effect);
        break;
    case QB_EFFECT_OUTBID:
        tell_outbid(runner, effect);
        break;
    case QB_EFFECT_HOLD:
        hold(runner, effect);
        break;
    case QB_EFFECT_LOOKUP:
        qb_runner_look_up(runner, effect);
        break;
    case QB_EFFECT_OVER:
        end(runner, effect);
        break;
    }
}

static void step(struct qb_runner *runner, struct qb_event *event)
{
    event->now_us = qb_runner_now_us(runner);
    qb_auctioneer_step(runner->auctioneer, event, &runner->effects);
    for (size_t i = 0; i < runner->effects.count; i++) {
        carry_out(runner, &runner->effects.list[i]);
    }
}

void qb_runner_feed(struct qb_runner *runner, struct qb_event *event)
{
    struct qb_event more = {.kind = QB_EVENT_MORE};

    QB_ASSERT(!runner->is_feeding);
    runner->is_feeding = true;
    step(runner, event);
    while (runner->effects.is_more) step(runner, &more);
    for (size_t i = 0; i < runner->found_count; i++) { /* answers may find more on the way */
        const struct qb_verdict verdict = runner->found[i].verdict;
        struct qb_event found = {
            .kind = QB_EVENT_FOUND, .ticket = runner->found[i].ticket, .verdict = &verdict};
        step(runner, &found);
        while (runner->effects.is_more) step(runner, &more);
    }
    runner->found_count = 0;
    runner->is_feeding = false;
}
