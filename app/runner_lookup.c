#include <stdlib.h>

#include "app/runner_state.h"
#include "base/assert.h"
#include "base/log.h"

/* The verdict of an entry that a resend asks for: from the ring, else from the store. */
struct lookup {
    struct qb_runner *runner;
    qb_id auction;
    uint64_t seq;
    uint32_t ticket;
    bool is_found;
    struct qb_verdict verdict;
};

static bool take_archived(void *context, const struct qb_archived *archived)
{
    struct lookup *lookup = context;

    lookup->is_found = archived->seq == lookup->seq;
    lookup->verdict = archived->verdict;
    return false;
}

static void run_lookup(void *job, void *worker)
{
    struct lookup *lookup = job;
    struct qb_error error = {""};
    const struct qb_store_ops *store = lookup->runner->all->options.store;

    if (worker == NULL) return; /* it has waited too long */
    if (qb_store_is_down(store->entries(worker, lookup->auction, lookup->seq - 1, 1, take_archived,
                                        lookup, &error))) {
        qb_log(QB_LOG_ERROR, "store.failed", QB_TEXT("query", "lookup"),
               QB_TEXT("error", error.text));
    }
}

static void end_lookup(void *job)
{
    struct lookup *lookup = job;
    struct qb_event event = {
        .kind = QB_EVENT_FOUND,
        .ticket = lookup->ticket,
        .verdict = lookup->is_found ? &lookup->verdict : NULL,
    };

    qb_runner_feed(lookup->runner, &event);
    free(lookup);
}

static void give_up(void *context, void *message)
{
    (void)context;
    end_lookup(message);
}

static void add_found(struct qb_runner *runner, uint32_t ticket, const struct qb_verdict *verdict)
{
    if (runner->found_count == runner->found_room) {
        runner->found_room = runner->found_room == 0 ? 16 : runner->found_room * 2;
        runner->found = realloc(runner->found, runner->found_room * sizeof *runner->found);
        QB_ASSERT(runner->found != NULL);
    }
    runner->found[runner->found_count].ticket = ticket;
    runner->found[runner->found_count].verdict = *verdict;
    runner->found_count++;
}

void qb_runner_look_up(struct qb_runner *runner, const struct qb_effect *effect)
{
    struct qb_home *home = runner->lots[effect->lot];
    const struct qb_ring_item *item = qb_home_recall(home, effect->seq);

    if (item != NULL) {
        add_found(runner, effect->ticket, &item->verdict);
        return;
    }
    struct lookup *lookup = calloc(1, sizeof *lookup);
    QB_ASSERT(lookup != NULL);
    lookup->runner = runner;
    lookup->auction = home->auction;
    lookup->seq = effect->seq;
    lookup->ticket = effect->ticket;
    if (qb_work_submit(runner->all->options.store_pool, qb_loop_mailbox(runner->loop), run_lookup,
                       end_lookup, lookup)) {
        return;
    }
    /* Too busy to look: an unknown outcome, which the client resolves by asking again. */
    qb_mailbox_post_answer(qb_loop_mailbox(runner->loop), give_up, NULL, lookup);
}
