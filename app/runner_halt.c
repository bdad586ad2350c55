/*
 * Auctions that take no more: the archive has found their record to contradict itself, or the start
 * could not read it. A bid that was acknowledged now would end beside the record. All others go on.
 */
#include <stdlib.h>

#include "app/runner_state.h"
#include "base/assert.h"
#include "base/log.h"
#include "base/metrics.h"

#define RETRY_MS 60000 /* a person has to look first */

bool qb_runner_is_halted(const struct qb_runner *runner, qb_id auction)
{
    return runner->halted.count > 0 && qb_map_get(&runner->halted, &auction) != NULL;
}

struct qb_answer qb_answer_halted(void)
{
    return (struct qb_answer){
        .reply = QB_REPLY_UNAVAILABLE, .is_halted = true, .retry_after_ms = RETRY_MS};
}

void qb_runner_halt(struct qb_runner *runner, qb_id auction, const char *why)
{
    char id[QB_ID_TEXT_BYTES];
    struct qb_home *home = qb_home_find(runner, auction);

    if (qb_runner_is_halted(runner, auction)) return;
    qb_id_text(auction, id);
    qb_log(QB_LOG_ERROR, "auction.halted", QB_TEXT("auction", id), QB_TEXT("why", why));
    qb_metric_add(QB_METRIC_auctions_halted, NULL, 1);
    (void)qb_map_set(&runner->halted, &auction, runner);
    if (home == NULL) return;
    struct qb_event event = {.kind = QB_EVENT_HALT, .lot = home->lot};
    qb_runner_feed(runner, &event);
}

struct halt {
    struct qb_runner *runner;
    qb_id auction;
};

static void halt_here(void *context, void *message)
{
    struct halt *halt = message;

    (void)context;
    qb_runner_halt(halt->runner, halt->auction, "its record contradicts itself: see `conflicts`");
    free(halt);
}

void qb_runners_halt(struct qb_runners *all, qb_id auction)
{
    struct halt *halt = calloc(1, sizeof *halt);

    QB_ASSERT(halt != NULL);
    *halt = (struct halt){qb_runners_home(all, auction), auction};
    qb_mailbox_post_answer(qb_loop_mailbox(halt->runner->loop), halt_here, NULL, halt);
}
