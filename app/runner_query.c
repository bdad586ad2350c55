/*
 * Questions about an auction that change nothing: its state, `watch`, event streams, `preview`.
 * They go to the auction's home thread and come back as text.
 */
#include <stdlib.h>
#include <string.h>

#include "app/runner_state.h"
#include "app/state_json.h"
#include "base/assert.h"
#include "base/log.h"
#include "base/metrics.h"

enum query_kind { QUERY_STATE, QUERY_WATCH, QUERY_STREAM, QUERY_PREVIEW };

struct query {
    enum query_kind kind;
    struct qb_runner *origin;
    struct qb_runner *home;
    qb_id auction;
    qb_id user;
    qb_session_id session;
    struct qb_command command;
    qb_runner_state_answer *answer;
    qb_runner_stream_answer *stream;
    void *context;
    bool has_no_answer; /* the ledger could not say */
    bool is_answered;   /* by who knows whether there is such an auction */
    bool is_found;
    bool is_live;   /* in memory: there will be updates */
    bool is_halted; /* of a preview: it would be refused */
    uint64_t seq;   /* qb_home_position() */
    struct qb_text text;
};

static void answer_begin(struct query *query)
{
    qb_text_format(&query->text, "{\"id\":%s,\"ok\":true", query->command.id);
}

/* Who asks, as this auction knows them. The own maximum is told to the leader only here: of
 * others the core keeps none. */
static void you_json(struct query *query, const struct qb_lot *lot)
{
    char label[QB_LABEL_BYTES];

    if (query->user == 0) return;
    qb_bidder_label(lot->rules.secret, query->user, label);
    qb_text_json_name(&query->text, "you");
    qb_text_string(&query->text, "{");
    qb_text_json_text(&query->text, "label", label);
    qb_text_json_bool(&query->text, "seller", query->user == lot->rules.seller);
    if (lot->leader == query->user) qb_text_json_int(&query->text, "max", lot->m1);
    qb_text_string(&query->text, "}");
}

/* A state as the push `on`: the same members, in the same order, as those of an update. */
static void push_json(struct query *query, const char *on, const struct qb_text *state,
                      const struct qb_text *missed, const struct qb_lot *lot)
{
    QB_ASSERT(state->length > 2);
    qb_text_format(&query->text, "{\"on\":\"%s\",", on);
    qb_text_add(&query->text, state->bytes + 1, state->length - 2); /* without its braces */
    if (missed != NULL) {
        qb_text_string(&query->text, ",");
        qb_text_add(&query->text, missed->bytes, missed->length);
    }
    you_json(query, lot);
    qb_text_string(&query->text, "}");
}

static void answer_json(struct query *query, const struct qb_text *state,
                        const struct qb_text *missed, const struct qb_lot *lot)
{
    answer_begin(query);
    qb_text_json_text(&query->text, "result", missed != NULL ? "missed" : "snapshot");
    qb_text_json_name(&query->text, "state");
    qb_text_add(&query->text, state->bytes, state->length);
    if (missed != NULL) {
        qb_text_string(&query->text, ",");
        qb_text_add(&query->text, missed->bytes, missed->length);
    }
    you_json(query, lot);
    qb_text_string(&query->text, "}");
}

/* What a new watcher gets: the state, and what it missed if all of that is known. */
static void begin_json(struct query *query, const struct qb_text *state,
                       const struct qb_text *missed, const struct qb_lot *lot)
{
    if (query->kind == QUERY_WATCH)
        answer_json(query, state, missed, lot);
    else
        push_json(query, missed != NULL ? "missed" : "snapshot", state, missed, lot);
}

static void watch_json(struct query *query, const struct qb_home *home)
{
    struct qb_lot lot;
    struct qb_text state = {0};
    const struct qb_command *command = &query->command;
    bool has_missed = false;
    struct qb_text missed = {.bytes_max = 256U << 10};

    qb_home_shown(query->home, home, &lot);
    query->seq = qb_home_position(home);
    if (command->has_position) {
        has_missed =
            qb_home_missed_json(query->home, home, command->epoch, command->seq, &missed) &&
            !missed.is_full;
        qb_metric_add(QB_METRIC_resumes_total, has_missed ? "missed" : "snapshot", 1);
    }
    qb_home_state_json(query->home, home, &state);
    begin_json(query, &state, has_missed ? &missed : NULL, &lot);
    qb_text_fini(&state);
    qb_text_fini(&missed);
}

/* What a bid would do. Never more than what anybody can know: a challenger's price depends on a
 * hidden maximum, and a reserve is not disclosed (rules.md 2, 3). */
static void preview_json(struct query *query, const struct qb_home *home)
{
    struct qb_lot lot;
    struct qb_text *text = &query->text;

    qb_home_shown(query->home, home, &lot);
    struct qb_entry bid = {
        .auction = query->auction,
        .type = QB_ENTRY_BID,
        .by = QB_ACTOR_BIDDER,
        .bidder = query->user,
        .actor = query->user,
        .max = query->command.max,
        .allowance = -1,
    };
    (void)memcpy(bid.currency, query->command.currency, sizeof bid.currency);
    enum qb_refusal refusal = qb_lot_judge(&lot, &bid, qb_runner_now_us(query->home));
    bool is_leader = lot.leader == query->user;
    int64_t minimum = qb_lot_minimum(&lot);

    answer_begin(query);
    if (minimum == QB_AMOUNT_NONE)
        qb_text_json_null(text, "minimum");
    else
        qb_text_json_int(text, "minimum", minimum);
    if (refusal != QB_REFUSAL_NONE) {
        qb_text_json_text(text, "would", "refused");
        qb_text_json_text(text, "code", qb_refusal_code(refusal));
        qb_text_json_text(text, "message", qb_refusal_text(refusal));
    } else {
        qb_text_json_text(text, "would", is_leader ? "lead" : "bid");
        if (is_leader) {
            qb_text_json_int(text, "price_if_accepted",
                             qb_lot_preview_raise(&lot, query->user, bid.max));
        } else {
            qb_text_json_null(text, "price_if_accepted");
        }
        qb_text_json_int(text, "at_most", bid.max);
        qb_text_json_bool(text, "may_meet_reserve",
                          qb_lot_reserve_state(&lot) == QB_RESERVE_NOT_MET);
    }
    qb_text_string(text, "}");
}

static void subscription(struct qb_runner *runner, qb_id auction, bool is_wanted)
{
    const struct qb_topic topic = {.kind = QB_TOPIC_AUCTION, .id = auction};
    struct qb_bus *bus = runner->all->options.bus;

    if (is_wanted)
        qb_bus_subscribe(bus, runner->member, topic);
    else
        qb_bus_unsubscribe(bus, runner->member, topic);
}

/* While watches are being answered the subscription stays, whoever leaves meanwhile. */
static void watch_begins(struct qb_runner *runner, qb_id auction)
{
    uintptr_t count = (uintptr_t)qb_map_get(&runner->watching, &auction) + 1;

    (void)qb_map_set(&runner->watching, &auction, (void *)count);
    subscription(runner, auction, true);
}

static void watch_ends(struct qb_runner *runner, qb_id auction)
{
    uintptr_t count = (uintptr_t)qb_map_get(&runner->watching, &auction) - 1;

    if (count > 0) {
        (void)qb_map_set(&runner->watching, &auction, (void *)count);
        return;
    }
    (void)qb_map_remove(&runner->watching, &auction);
    if (qb_edge_watchers(runner->edge, auction) == 0) subscription(runner, auction, false);
}

void qb_runner_room(struct qb_runner *runner, qb_id auction, bool is_open)
{
    bool is_watch_coming = qb_map_get(&runner->watching, &auction) != NULL;

    if (is_open || !is_watch_coming) subscription(runner, auction, is_open);
}

static void finish_session(struct query *query)
{
    struct qb_session *session = qb_edge_session(query->origin->edge, query->session);
    qb_id auction = query->auction;
    bool is_watch = query->kind == QUERY_WATCH;

    if (session == NULL) return;
    if (!query->is_answered) {
        qb_session_error(session, query->command.id, "busy",
                         "Too many questions wait at this moment. Ask again after the time given.",
                         true, 1000, NULL);
    } else if (query->is_halted) {
        const struct qb_answer halted = qb_answer_halted();
        struct qb_problem problem;
        qb_answer_problem(&halted, &problem);
        qb_session_error(session, query->command.id, problem.code, problem.text, true,
                         halted.retry_after_ms, NULL);
    } else if (!query->is_found) {
        qb_session_error(session, query->command.id, "unknown_auction",
                         "There is no such auction. Check its id.", false, 0, NULL);
    } else if (is_watch && query->is_live && !qb_session_watch(session, auction, query->seq)) {
        qb_session_error(session, query->command.id, "too_many_watches",
                         "This connection watches as many auctions as it may. Unwatch one first.",
                         false, 0, NULL);
    } else {
        qb_session_send(session, query->text.bytes, query->text.length);
    }
}

static void finish_stream(struct query *query)
{
    struct qb_stream_start start = {.is_answered = query->is_answered, .is_live = query->is_live};

    if (query->is_found) {
        start.first = qb_frame_new(query->text.bytes, query->text.length);
        start.first->position = query->seq;
    }
    query->stream(query->context, &start);
    qb_frame_free(&start.first);
}

static bool is_watching(const struct query *query)
{
    return query->kind == QUERY_WATCH || query->kind == QUERY_STREAM;
}

static void finish_state(struct query *query)
{
    struct qb_frame *frame = NULL;

    if (query->is_found) frame = qb_frame_new(query->text.bytes, query->text.length);
    query->answer(query->context, frame);
    qb_frame_free(&frame);
}

static void finish(struct query *query)
{
    switch (query->kind) {
    case QUERY_STATE:
        finish_state(query);
        break;
    case QUERY_STREAM:
        finish_stream(query);
        break;
    case QUERY_WATCH:
    case QUERY_PREVIEW:
        finish_session(query);
        break;
    }
    if (is_watching(query)) watch_ends(query->origin, query->auction);
    qb_text_fini(&query->text);
    free(query);
}

/* An auction that left the memory is over: its last state is in the store. */
static void run_archived(void *job, void *worker)
{
    struct query *query = job;
    struct qb_lot lot;
    struct qb_error error = {""};

    if (worker == NULL) return; /* it has waited too long */
    enum qb_store_result result =
        query->origin->all->options.store->state(worker, query->auction, &lot, &error);
    if (qb_store_is_down(result)) {
        qb_log(QB_LOG_ERROR, "store.failed", QB_TEXT("query", "state"),
               QB_TEXT("error", error.text));
    }
    query->is_answered = !qb_store_is_down(result);
    if (result != QB_STORE_OK) return;
    query->is_found = true;
    query->seq = (uint64_t)lot.epoch << 32 | (lot.seq & UINT32_MAX);
    struct qb_text state = {0};
    qb_state_archived_json(&state, &lot);
    begin_json(query, &state, NULL, &lot);
    qb_text_fini(&state);
}

static void end_archived(void *job)
{
    finish(job);
}

static void come_back(void *context, void *message)
{
    struct query *query = message;

    (void)context;
    bool ask_store = is_watching(query) && !query->is_live && !query->has_no_answer;
    query->is_answered = !ask_store && !query->has_no_answer;
    if (ask_store &&
        qb_work_submit(query->origin->all->options.store_pool, qb_loop_mailbox(query->origin->loop),
                       run_archived, end_archived, query)) {
        return;
    }
    finish(query);
}

/* The home's part is done. */
static void go_back(struct query *query)
{
    if (query->home == query->origin)
        come_back(NULL, query);
    else
        qb_mailbox_post_answer(qb_loop_mailbox(query->origin->loop), come_back, NULL, query);
}

static void read_home(struct query *query, const struct qb_home *home)
{
    if (home != NULL && home->shown.seq > 0) { /* its OPEN is durable */
        query->is_found = true;
        query->is_live = true;
        switch (query->kind) {
        case QUERY_STATE:
            qb_home_state_json(query->home, home, &query->text);
            break;
        case QUERY_WATCH:
        case QUERY_STREAM:
            watch_json(query, home);
            break;
        case QUERY_PREVIEW:
            query->is_halted = qb_runner_is_halted(query->home, query->auction);
            preview_json(query, home);
            break;
        }
    }
    go_back(query);
}

static void take_loaded(void *context, enum qb_ledger_found found)
{
    struct query *query = context;

    query->has_no_answer = found == QB_LEDGER_NO_ANSWER;
    read_home(query, qb_home_find(query->home, query->auction));
}

static void ask(void *context, void *message)
{
    struct query *query = message;
    const struct qb_home *home = qb_home_find(query->home, query->auction);

    (void)context;
    if (home != NULL)
        read_home(query, home);
    else
        qb_runner_load(query->home, query->auction, take_loaded, query);
}

static void send_home(struct query *query)
{
    if (query->home == query->origin)
        ask(NULL, query);
    else if (!qb_mailbox_post(qb_loop_mailbox(query->home->loop), ask, NULL, query))
        finish(query);
}

static struct query *query_new(enum query_kind kind, struct qb_runner *runner, qb_id auction)
{
    struct query *query = calloc(1, sizeof *query);

    QB_ASSERT(query != NULL);
    query->kind = kind;
    query->origin = runner;
    query->home = qb_runners_home(runner->all, auction);
    query->auction = auction;
    return query;
}

void qb_runner_state(struct qb_runner *runner, qb_id auction, qb_runner_state_answer *answer,
                     void *context)
{
    struct query *query = query_new(QUERY_STATE, runner, auction);

    query->answer = answer;
    query->context = context;
    send_home(query);
}

static struct query *session_query(enum query_kind kind, struct qb_runner *runner,
                                   qb_session_id session, qb_id user,
                                   const struct qb_command *command)
{
    struct query *query = query_new(kind, runner, command->auction);

    query->session = session;
    query->user = user;
    query->command = *command;
    return query;
}

void qb_runner_watch(struct qb_runner *runner, qb_session_id session, qb_id user,
                     const struct qb_command *command)
{
    /* Subscribed before the state is read: nothing can fall between the two. */
    watch_begins(runner, command->auction);
    send_home(session_query(QUERY_WATCH, runner, session, user, command));
}

void qb_runner_stream(struct qb_runner *runner, qb_id user, const struct qb_command *command,
                      qb_runner_stream_answer *answer, void *context)
{
    struct query *query = session_query(QUERY_STREAM, runner, 0, user, command);

    query->stream = answer;
    query->context = context;
    watch_begins(runner, command->auction);
    send_home(query);
}

void qb_runner_preview(struct qb_runner *runner, qb_session_id session, qb_id user,
                       const struct qb_command *command)
{
    send_home(session_query(QUERY_PREVIEW, runner, session, user, command));
}
