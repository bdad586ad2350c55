/*
 * The end of a replica: what is under way is answered while there is somebody to answer, then
 * everything goes, each before what it uses.
 */
#include <stdlib.h>

#include "app/documents.h"
#include "app/fatal.h"
#include "app/replica_parts.h"
#include "base/assert.h"
#include "base/clock.h"
#include "pubsub/bus.h"

static void stop_threads(struct qb_replica *replica)
{
    if (!replica->is_running) return;
    qb_watchdog_free(&replica->watchdog);
    for (unsigned i = 0; i < replica->io_count; i++) qb_loop_stop(replica->io[i].loop);
    for (unsigned i = 0; i < replica->io_count; i++)
        (void)pthread_join(replica->io[i].thread, NULL);
    qb_recovery_free(&replica->recovery); /* the loops' threads may ask for one until here */
}

/* What is still in mailboxes is delivered to what still exists; it may post more. */
static void settle_mailboxes(struct qb_replica *replica)
{
    size_t made = 1;

    for (int round = 0; made > 0 && round < 1000; round++) {
        made = 0;
        for (unsigned i = 0; i < replica->io_count; i++) {
            if (replica->io[i].loop == NULL) continue;
            made += qb_mailbox_drain(qb_loop_mailbox(replica->io[i].loop));
        }
    }
}

/* What becomes durable only now is told while there is somebody to tell it to. A disk that stalls
 * through all of this leaves nothing to tear down in order. */
static void settle_journal(struct qb_replica *replica)
{
    if (replica->data.journal == NULL || replica->data.archive == NULL) return;
    if (!qb_journal_flush(replica->data.journal, 5 * QB_SECOND_US)) {
        qb_fatal("journal.not_flushed", "the disk stalls: what was not acknowledged may be lost");
    }
    settle_mailboxes(replica);
}

/* Whoever still waits gets an answer while there is somebody to give it to: behind this none is
 * given, as what it would be given to goes. */
static void end_commands(struct qb_replica *replica)
{
    static const struct qb_loop_handlers none = {0};

    for (unsigned i = 0; i < replica->io_count; i++) {
        struct qb_io *io = &replica->io[i];
        if (io->loop != NULL) qb_loop_handle(io->loop, &none); /* no turn meets what is gone */
        if (io->runner != NULL) qb_runner_set_limits(io->runner, NULL);
        qb_limits_redis_free(&io->limits); /* answers, so that commands go on to their auctions */
    }
    settle_mailboxes(replica);
    if (replica->runners != NULL) qb_runners_end(replica->runners);
    settle_mailboxes(replica);
    if (replica->runners != NULL) QB_ASSERT(qb_runners_open_requests(replica->runners) == 0);
}

void qb_replica_free(struct qb_replica **replica)
{
    struct qb_replica *old = *replica;

    *replica = NULL;
    if (old == NULL) return;
    stop_threads(old);
    qb_control_free(&old->control);
    qb_work_pool_stop(old->password_pool);
    qb_work_pool_stop(old->store_pool);
    qb_archiver_free(&old->archiver);
    old->data.frozen = NULL; /* nobody is left to be told */
    settle_mailboxes(old);
    settle_journal(old);
    end_commands(old);
    qb_replica_exchanges_free(old);
    for (unsigned i = 0; i < old->io_count; i++) {
        qb_api_free(&old->io[i].api);
        qb_edge_free(&old->io[i].edge);
        if (old->io[i].runner != NULL) qb_runner_set_edge(old->io[i].runner, NULL);
        if (old->io[i].loop != NULL) qb_loop_settle(old->io[i].loop);
    }
    qb_data_close(&old->data);
    settle_mailboxes(old);
    qb_work_pool_free(&old->store_pool);
    qb_work_pool_free(&old->password_pool);
    qb_runners_free(&old->runners);
    qb_bus_free(&old->bus);
    for (unsigned i = 0; i < old->io_count; i++) qb_loop_free(&old->io[i].loop);
    qb_catalogue_free(&old->catalogue);
    qb_holds_free(&old->holds);
    qb_auth_limits_free(&old->limits);
    qb_replica_tallies_free(old);
    qb_tickets_free(&old->tickets);
    qb_revoked_free(&old->revoked);
    qb_documents_free(&old->documents);
    qb_token_keys_free(&old->keys);
    qb_demo_free(&old->demo);
    free(old->io);
    free(old);
}
