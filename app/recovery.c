#include "app/recovery.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/recovery_holds.h"
#include "app/recovery_rebuild.h"
#include "app/recovery_republish.h"
#include "app/redis_desk.h"
#include "base/assert.h"
#include "base/clock.h"
#include "base/condition.h"
#include "base/log.h"
#include "base/metrics.h"
#include "storage/hearers.h"
#include "storage/journal_rabbit_admin.h"

#define POLL_US        (250 * QB_MS_US)
#define AGAIN_US       QB_SECOND_US
/* Who follows the epoch shall not mostly wait for a test. */
#define TEST_AGAIN_US  (5 * QB_SECOND_US)
/* Longer than a publisher may take for a confirm that counts (reliability.md P5, W). */
#define SEAL_WAIT_US   (QB_JOURNAL_RABBIT_CONFIRM_US + QB_SECOND_US)
#define MARK_WAIT_US   QB_SECOND_US
#define REDIS_WAIT_US  (5 * QB_SECOND_US)
#define SAY_AGAIN_US   (5 * QB_SECOND_US)
#define HEARERS_US     QB_SECOND_US
#define HEARS_AGAIN_US (5 * QB_SECOND_US) /* its session may have broken and come back */

struct qb_recovery {
    struct qb_recovery_options options;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    atomic_bool is_ending; /* set under the lock, so that who waits is woken */
    bool is_needed;
    uint32_t needed_epoch;
    const char *why;
    /* the thread's own */
    struct qb_sql_link *sql;
    struct qb_store_link *link;
    struct qb_redis_desk *desk;
    uint32_t told_epoch; /* 0: none */
    bool is_told_open;
    bool is_tested;   /* the broker behaves */
    bool has_looked;  /* whether the epoch acknowledges as this replica is set to */
    bool is_unfit;    /* it does not: this replica takes no bids */
    int64_t test_us;  /* when to test it again */
    int64_t began_us; /* of the first attempt at the one under way; 0: none is */
    int64_t said_us;  /* when trouble was logged last */
    int64_t step_us;  /* when the step began */
    const char *step;
    struct qb_log_field done[2]; /* what it did so far, counted; a null name: nothing */
    char who[40];                /* process@host, for people */
    int64_t hearers_us;          /* when Postgres was told and asked last who hears the bus */
    bool has_heard;              /* what it was told */
};

/* Waits; true: it shall end. */
static bool rest(struct qb_recovery *recovery, int64_t wait_us)
{
    const struct timespec until = qb_condition_after(wait_us);

    (void)pthread_mutex_lock(&recovery->lock);
    int failed = 0;
    while (!atomic_load(&recovery->is_ending) && failed == 0) {
        failed = pthread_cond_timedwait(&recovery->changed, &recovery->lock, &until);
    }
    (void)pthread_mutex_unlock(&recovery->lock);
    return atomic_load(&recovery->is_ending);
}

/* One line a step, at its end: how long it took and what it did. */
static void begin_step(struct qb_recovery *recovery, const char *step)
{
    int64_t now_us = qb_clock_mono_us();

    if (recovery->step != NULL) {
        struct qb_log_field fields[4] = {
            QB_TEXT("step", recovery->step),
            QB_INT("ms", (now_us - recovery->step_us) / QB_MS_US),
        };
        size_t count = 2;
        for (size_t i = 0; i < QB_COUNT(recovery->done); i++) {
            if (recovery->done[i].name != NULL) fields[count++] = recovery->done[i];
        }
        qb_log_write(QB_LOG_INFO, "recovery.step", fields, count);
    }
    (void)memset(recovery->done, 0, sizeof recovery->done);
    recovery->step = step;
    recovery->step_us = now_us;
    qb_epochs_tell_step(recovery->sql, step, recovery->who);
}

/* What the row says, for this replica. */
static void follow(struct qb_recovery *recovery, const struct qb_epoch *epoch)
{
    bool is_open = epoch->state == QB_EPOCH_OPEN && !recovery->is_unfit;

    if (is_open && (!recovery->is_told_open || recovery->told_epoch != epoch->epoch)) {
        recovery->is_told_open = true;
        recovery->told_epoch = epoch->epoch;
        recovery->options.opened(recovery->options.context, epoch);
    } else if (!is_open && recovery->is_told_open) {
        recovery->is_told_open = false;
        recovery->options.suspended(recovery->options.context);
    }
}

/* The route is closed, and what was under way has been confirmed or never will count. */
static bool seal(struct qb_recovery *recovery, const struct qb_epoch *found, struct qb_error *error)
{
    const struct qb_journal_rabbit_options *journal = &recovery->options.cluster->journal;
    uint32_t epoch = found->epoch;
    bool has_outbox = found->ack == QB_ACK_LEDGER;
    bool is_missing = false;

    begin_step(recovery, "seal");
    const struct qb_epoch sealing = {.epoch = epoch, .state = QB_EPOCH_SEALING};
    QB_TRY(qb_epochs_move(recovery->sql, epoch, QB_EPOCH_SEALING, 0, error));
    follow(recovery, &sealing); /* the others read it in the row */
    QB_TRY(qb_journal_rabbit_find(journal, &is_missing, error));
    if (is_missing) QB_TRY(qb_journal_rabbit_prepare(journal, epoch, error));
    QB_TRY(qb_journal_rabbit_seal(journal, epoch, error));
    recovery->done[0] = QB_INT("shards", journal->shards);
    recovery->done[1] = QB_INT("is_queue_missing", is_missing);
    begin_step(recovery, "wait");
    if (rest(recovery, SEAL_WAIT_US)) return qb_error_set(error, "this replica ends");
    if (!is_missing && !has_outbox) return true;
    begin_step(recovery, "republish");
    struct qb_republish republish = {
        .journal = &recovery->options.cluster->journal,
        .store = recovery->options.store->ops,
        .link = recovery->link,
        .desk = recovery->desk,
        .upto = UINT64_MAX,
        .is_ending = &recovery->is_ending,
        .must_fence = has_outbox,
    };
    QB_TRY(qb_redis_desk_wait(recovery->desk, REDIS_WAIT_US, error));
    QB_TRY(qb_republish_run(&republish, error));
    recovery->done[0] = QB_INT("entries", republish.entries);
    return true;
}

/* Until persisters have met the marker in every queue: for as long as it takes. */
static bool await_marker(struct qb_recovery *recovery, uint32_t epoch, unsigned number,
                         struct qb_error *error)
{
    unsigned shards = recovery->options.cluster->redis.count;
    int64_t said_us = qb_clock_mono_us();
    unsigned count = 0;

    for (;;) {
        QB_TRY(qb_epochs_drained_count(recovery->sql, epoch, number, &count, error));
        if (count >= shards) return true;
        if (qb_clock_mono_us() - said_us > SAY_AGAIN_US) {
            said_us = qb_clock_mono_us();
            qb_log(QB_LOG_WARNING, "recovery.waits",
                   QB_TEXT("for", "quickbid persist to read the queues to their end"),
                   QB_INT("shards_read", count), QB_INT("shards", shards));
            bool is_missing = false; /* then the markers are, too: again from the top */
            QB_TRY(qb_journal_rabbit_find(&recovery->options.cluster->journal, &is_missing, error));
            if (is_missing) return qb_error_set(error, "a queue is gone again");
        }
        if (rest(recovery, 50 * QB_MS_US)) return qb_error_set(error, "this replica ends");
    }
}

static bool drain(struct qb_recovery *recovery, uint32_t epoch, struct qb_error *error)
{
    const struct qb_journal_rabbit_options *journal = &recovery->options.cluster->journal;
    struct qb_journal_rabbit_seen seen;
    int64_t messages = 0;
    unsigned marker = 0;

    begin_step(recovery, "mark");
    QB_TRY(qb_journal_rabbit_look(journal, &seen, error));
    for (unsigned shard = 0; shard < journal->shards; shard++) {
        messages += seen.queues[shard].messages;
    }
    recovery->done[0] = QB_INT("shards", journal->shards);
    recovery->done[1] = QB_INT("messages_before", messages);
    QB_TRY(qb_epochs_attempt(recovery->sql, epoch, &marker, error));
    QB_TRY(qb_journal_rabbit_mark(journal, epoch, marker, error));
    QB_TRY(await_marker(recovery, epoch, marker, error));
    /* What a lost reader held may come back behind the first marker, never behind the second. */
    if (rest(recovery, MARK_WAIT_US)) return qb_error_set(error, "this replica ends");
    QB_TRY(qb_journal_rabbit_mark(journal, epoch, marker + 1, error));
    begin_step(recovery, "drain");
    QB_TRY(await_marker(recovery, epoch, marker + 1, error));
    recovery->done[0] = QB_INT("shards", journal->shards);
    return qb_epochs_move(recovery->sql, epoch, QB_EPOCH_REBUILDING, 0, error);
}

/* Without them a limit counts too little in an hour from now, which closes bidding to nobody. */
static void set_holds(struct qb_recovery *recovery, const struct qb_rebuild *rebuild,
                      uint32_t epoch)
{
    struct qb_error error = {""};
    size_t set = 0;

    if (qb_recovery_holds_set(&rebuild->holds, recovery->desk, rebuild->store, rebuild->link, epoch,
                              &recovery->is_ending, &set, &error))
        qb_log(QB_LOG_INFO, "recovery.holds", QB_INT("holds", set));
    else
        qb_log(QB_LOG_ERROR, "recovery.holds_failed", QB_TEXT("error", error.text));
}

static bool open_rebuilt(struct qb_recovery *recovery, struct qb_rebuild *rebuild, uint32_t epoch,
                         struct qb_error *error)
{
    const struct qb_cluster *cluster = recovery->options.cluster;
    qb_time_us opened_us = 0;

    begin_step(recovery, "open");
    QB_TRY(qb_epochs_choose_ack(recovery->sql, epoch - 1, recovery->options.ack, error));
    QB_TRY(qb_epochs_move(recovery->sql, epoch, QB_EPOCH_OPENING, 0, error));
    QB_TRY(qb_journal_rabbit_prepare(&cluster->journal, epoch, error));
    for (unsigned i = 0; i < cluster->redis.count; i++) {
        QB_TRY(qb_redis_desk_open(recovery->desk, i, epoch, error));
    }
    set_holds(recovery, rebuild, epoch);
    if (atomic_load(&recovery->is_ending)) return qb_error_set(error, "this replica ends");
    QB_TRY(qb_rebuild_now_us(rebuild, &opened_us, error));
    recovery->done[0] = QB_INT("shards", cluster->redis.count);
    recovery->done[1] = QB_INT("epoch", epoch);
    return qb_epochs_move(recovery->sql, epoch, QB_EPOCH_OPEN, opened_us, error);
}

static bool open_next(struct qb_recovery *recovery, uint32_t epoch, struct qb_error *error)
{
    struct qb_rebuild rebuild = {
        .desk = recovery->desk,
        .store = recovery->options.store->ops,
        .link = recovery->link,
        .ring_entries = recovery->options.ring_entries,
        .is_ending = &recovery->is_ending,
        .has_outbox = recovery->options.ack == QB_ACK_LEDGER,
    };

    begin_step(recovery, "rebuild");
    bool is_done =
        qb_redis_desk_wait(recovery->desk, REDIS_WAIT_US, error) && qb_rebuild_run(&rebuild, error);
    if (is_done) {
        recovery->done[0] = QB_INT("auctions", rebuild.auctions);
        recovery->done[1] = QB_INT("entries", rebuild.entries);
        is_done = open_rebuilt(recovery, &rebuild, epoch + 1, error);
    }
    qb_recovery_holds_fini(&rebuild.holds);
    return is_done;
}

static void complain(struct qb_recovery *recovery, const char *what, const struct qb_error *error)
{
    int64_t now_us = qb_clock_mono_us();

    if (now_us - recovery->said_us < SAY_AGAIN_US) return;
    recovery->said_us = now_us;
    qb_log(QB_LOG_ERROR, "recovery.failed", QB_TEXT("step", what), QB_TEXT("error", error->text));
}

/* P0: the broker keeps what the journal rests on, which a setting or a version may change. */
static bool test_broker(struct qb_recovery *recovery, struct qb_error *error)
{
    int64_t began_us = qb_clock_mono_us();

    recovery->is_tested = qb_journal_rabbit_self_test(&recovery->options.cluster->journal,
                                                      &recovery->is_unfit, error);
    recovery->test_us = qb_clock_mono_us() + TEST_AGAIN_US;
    if (recovery->is_tested)
        qb_log(QB_LOG_INFO, "journal.tested",
               QB_INT("ms", (qb_clock_mono_us() - began_us) / QB_MS_US));
    return recovery->is_tested;
}

/* Once a start, before any bid is taken. A broker that is away is no reason not to show auctions:
 * the breaker refuses bids until it is there, and then it is tested. */
static void test_at_start(struct qb_recovery *recovery)
{
    struct qb_error error = {""};

    if (recovery->is_tested || qb_clock_mono_us() < recovery->test_us) return;
    if (!test_broker(recovery, &error)) complain(recovery, "self-test", &error);
}

/* From the top, or from where a leader before us got to. */
static bool run_steps(struct qb_recovery *recovery, const struct qb_epoch *found,
                      struct qb_error *error)
{
    if (!recovery->is_tested) {
        begin_step(recovery, "self-test");
        QB_TRY(test_broker(recovery, error));
    }
    if (recovery->desk == NULL) {
        recovery->desk =
            qb_redis_desk_new(&recovery->options.cluster->coordinator, "quickbid-recovery", error);
        if (recovery->desk == NULL) return false;
    }
    if (found->epoch == 0) { /* the first of all: nothing was ever published */
        if (found->state != QB_EPOCH_REBUILDING)
            QB_TRY(qb_epochs_move(recovery->sql, 0, QB_EPOCH_REBUILDING, 0, error));
    } else if (found->state != QB_EPOCH_REBUILDING) {
        QB_TRY(seal(recovery, found, error));
        QB_TRY(drain(recovery, found->epoch, error));
    }
    return open_next(recovery, found->epoch, error);
}

/* Whether somebody asked for a recovery of this very epoch; of an older one it has been. */
static bool is_asked_for(struct qb_recovery *recovery, uint32_t epoch, const char **why)
{
    (void)pthread_mutex_lock(&recovery->lock);
    if (recovery->is_needed && recovery->needed_epoch != epoch) recovery->is_needed = false;
    bool is_needed = recovery->is_needed;
    *why = is_needed ? recovery->why : "the epoch is not open";
    (void)pthread_mutex_unlock(&recovery->lock);
    return is_needed;
}

static void tell_others(struct qb_recovery *recovery, enum qb_others others)
{
    recovery->options.others(recovery->options.context, others);
}

/* Says whether this replica hears the bus; while it does not, asks whether any other does. */
static void look_for_hearers(struct qb_recovery *recovery)
{
    bool hears = recovery->options.hears(recovery->options.context);
    int64_t now_us = qb_clock_mono_us();
    struct qb_error error = {""};
    bool is_there = false;

    int64_t pause_us = hears ? HEARS_AGAIN_US : HEARERS_US;
    if (hears == recovery->has_heard && now_us - recovery->hearers_us < pause_us) return;
    recovery->hearers_us = now_us;
    recovery->has_heard = hears;
    if (!qb_hearers_say(recovery->sql, hears, &error) ||
        (!hears && !qb_hearers_others(recovery->sql, &is_there, &error))) {
        tell_others(recovery, QB_OTHERS_UNKNOWN);
        complain(recovery, "see who hears the bus", &error);
    } else if (!hears) {
        tell_others(recovery, is_there ? QB_OTHERS_HEAR : QB_OTHERS_ARE_DEAF);
    }
}

static void lead(struct qb_recovery *recovery)
{
    struct qb_error error = {""};
    struct qb_epoch found;
    const char *why = "the epoch is not open";
    bool is_leader = false;

    if (!qb_epochs_lead(recovery->sql, &is_leader, &error) || !is_leader) return;
    /* Nobody looks while it leads, and bidding is suspended everywhere: clients stay where they
     * are. */
    tell_others(recovery, QB_OTHERS_ARE_DEAF);
    /* Read again: another may have led until now. */
    if (qb_epochs_read(recovery->sql, &found, &error) &&
        (found.state != QB_EPOCH_OPEN || is_asked_for(recovery, found.epoch, &why))) {
        qb_log(QB_LOG_WARNING, "recovery.begins", QB_INT("epoch", found.epoch),
               QB_TEXT("state", qb_epoch_state_name((enum qb_epoch_state)found.state)),
               QB_TEXT("why", why));
        qb_metric_set(QB_METRIC_recovery_leading, NULL, 1);
        recovery->step = NULL;
        if (recovery->began_us == 0) recovery->began_us = qb_clock_mono_us();
        bool is_done = run_steps(recovery, &found, &error);
        if (is_done) begin_step(recovery, NULL);
        int64_t took_us = qb_clock_mono_us() - recovery->began_us;
        qb_metric_set(QB_METRIC_recovery_leading, NULL, 0);
        if (is_done) {
            recovery->began_us = 0;
            qb_metric_observe(QB_METRIC_recovery_seconds, took_us);
            qb_metric_add(QB_METRIC_recoveries_total, NULL, 1);
            qb_log(QB_LOG_WARNING, "recovery.done", QB_INT("epoch", found.epoch + 1),
                   QB_INT("ms", took_us / QB_MS_US));
        } else if (atomic_load(&recovery->is_ending)) { /* another goes on from the row */
            qb_log(QB_LOG_WARNING, "recovery.left", QB_INT("epoch", found.epoch));
        } else {
            complain(recovery, recovery->step != NULL ? recovery->step : "begin", &error);
            qb_epochs_tell_step(recovery->sql, NULL, recovery->who);
        }
    }
    bool is_free = qb_epochs_resign(recovery->sql, &error);
    if (!is_free) complain(recovery, "resign", &error); /* its session ends some time */
}

/* Once, at the start: a replica that is set to another `ack` asks for an epoch of its own. Not
 * again, so that two that are set differently do not undo each other's for ever. */
static void look_at_ack(struct qb_recovery *recovery, const struct qb_epoch *epoch)
{
    if (recovery->has_looked || epoch->state != QB_EPOCH_OPEN) return;
    recovery->has_looked = true;
    if (epoch->ack == recovery->options.ack) return;
    qb_log(QB_LOG_WARNING, "recovery.ack_changes", QB_INT("epoch", epoch->epoch),
           QB_TEXT("from", qb_ack_name(epoch->ack)),
           QB_TEXT("to", qb_ack_name(recovery->options.ack)));
    qb_recovery_need(recovery, epoch->epoch, "the setting ack is another than that of the epoch");
}

static bool connect(struct qb_recovery *recovery, struct qb_error *error)
{
    if (recovery->sql == NULL) {
        recovery->sql = qb_postgres_open(recovery->options.cluster->primary, error);
    }
    if (recovery->sql != NULL && recovery->link == NULL) {
        recovery->link = recovery->options.store->ops->open(recovery->options.store, error);
    }
    return recovery->sql != NULL && recovery->link != NULL;
}

static void *run(void *argument)
{
    struct qb_recovery *recovery = argument;
    int64_t wait_us = 0;

    while (!rest(recovery, wait_us)) {
        struct qb_error error = {""};
        struct qb_epoch epoch;
        const char *why = NULL;
        wait_us = POLL_US;
        if (!connect(recovery, &error) || !qb_epochs_read(recovery->sql, &epoch, &error)) {
            complain(recovery, "read the epoch", &error);
            tell_others(recovery, QB_OTHERS_UNKNOWN);
            wait_us = AGAIN_US;
            continue;
        }
        look_for_hearers(recovery);
        test_at_start(recovery);
        follow(recovery, &epoch);
        look_at_ack(recovery, &epoch);
        if (!is_asked_for(recovery, epoch.epoch, &why) && epoch.state == QB_EPOCH_OPEN) {
            recovery->began_us = 0; /* another one led it to its end */
            continue;
        }
        lead(recovery);
        wait_us = 50 * QB_MS_US;
    }
    return NULL;
}

static void name_process(char *name, size_t room)
{
    char host[25] = "?"; /* a longer one is cut */

    if (gethostname(host, sizeof host - 1) != 0) (void)memcpy(host, "?", 2);
    (void)snprintf(name, room, "%d@%s", (int)getpid(), host);
}

struct qb_recovery *qb_recovery_new(const struct qb_recovery_options *options)
{
    struct qb_recovery *recovery = calloc(1, sizeof *recovery);

    QB_ASSERT(recovery != NULL);
    recovery->options = *options;
    name_process(recovery->who, sizeof recovery->who);
    (void)pthread_mutex_init(&recovery->lock, NULL);
    qb_condition_init(&recovery->changed);
    int failed = pthread_create(&recovery->thread, NULL, run, recovery);
    QB_ASSERT(failed == 0);
    return recovery;
}

void qb_recovery_free(struct qb_recovery **recovery)
{
    struct qb_recovery *old = *recovery;

    *recovery = NULL;
    if (old == NULL) return;
    (void)pthread_mutex_lock(&old->lock);
    atomic_store(&old->is_ending, true);
    (void)pthread_cond_signal(&old->changed);
    (void)pthread_mutex_unlock(&old->lock);
    (void)pthread_join(old->thread, NULL);
    qb_redis_desk_free(&old->desk);
    if (old->link != NULL) old->options.store->ops->close(&old->link);
    qb_sql_close(&old->sql);
    (void)pthread_cond_destroy(&old->changed);
    (void)pthread_mutex_destroy(&old->lock);
    free(old);
}

void qb_recovery_need(struct qb_recovery *recovery, uint32_t epoch, const char *why)
{
    (void)pthread_mutex_lock(&recovery->lock);
    if (!recovery->is_needed) {
        recovery->is_needed = true;
        recovery->needed_epoch = epoch;
        recovery->why = why;
    }
    (void)pthread_mutex_unlock(&recovery->lock);
}
