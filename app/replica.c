#include "app/replica.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "app/admin.h"
#include "app/documents.h"
#include "app/edge_options.h"
#include "app/replica_load.h"
#include "app/replica_parts.h"
#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "pubsub/bus_local.h"
#include "storage/ledger_memory.h"

#define MAILBOX_MESSAGES  65536
#define MARKS_MAX         10000
#define TICKETS_MAX       100000
#define LIMITED_USERS_MAX 200000
#define AUTH_FAILURES_MAX 10
#define MS                1000

static unsigned processors(void)
{
    cpu_set_t set;

    if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
    int count = CPU_COUNT(&set);
    return count > 0 ? (unsigned)count : 1;
}

struct ending {
    uint64_t login;
    qb_id user;
    enum qb_close reason;
};

static void end_here(void *context, void *message)
{
    struct qb_io *io = context;
    struct ending *ending = message;

    qb_edge_log_out(io->edge, ending->login, ending->reason);
    qb_edge_end_user(io->edge, ending->user, ending->reason);
    free(ending);
}

static void end_sessions(void *context, uint64_t login, qb_id user, enum qb_close reason)
{
    struct qb_replica *replica = context;

    for (unsigned i = 0; i < replica->io_count; i++) {
        struct ending *ending = calloc(1, sizeof *ending);
        QB_ASSERT(ending != NULL);
        *ending = (struct ending){login, user, reason};
        qb_mailbox_post_answer(qb_loop_mailbox(replica->io[i].loop), end_here, &replica->io[i],
                               ending);
    }
}

static void on_request(void *context, struct qb_http_request *request)
{
    struct qb_io *io = context;
    qb_api_request(io->api, request);
}

static void on_command(void *context, struct qb_session *session, const struct qb_command *command)
{
    struct qb_io *io = context;
    qb_commands_take(&io->commands, session, command);
}

static void on_room(void *context, qb_id auction, bool is_open)
{
    struct qb_io *io = context;
    qb_runner_room(io->runner, auction, is_open);
}

static void on_presence(void *context, qb_id user, bool is_here)
{
    struct qb_io *io = context;
    qb_runner_presence(io->runner, user, is_here);
}

static void on_turn(void *context)
{
    struct qb_io *io = context;
    qb_runner_turn(io->runner);
    qb_replica_tallies_turn(io);
}

static void on_timer(void *context)
{
    struct qb_io *io = context;
    qb_runner_timer(io->runner);
}

/* The wall clock is only followed slowly: whoever set it wrong has time to notice. */
static void steer_clock(struct qb_replica *replica)
{
    int64_t ahead_us = qb_clock_even_steer();
    int64_t step_us = ahead_us - replica->clock_ahead_us;

    replica->clock_ahead_us = ahead_us;
    qb_metric_set(QB_METRIC_clock_ahead_us, NULL, ahead_us);
    if (step_us > -2 * QB_SECOND_US && step_us < 2 * QB_SECOND_US) return;
    qb_metric_add(QB_METRIC_clock_steps_total, NULL, 1);
    qb_log(QB_LOG_WARNING, "clock.stepped", QB_INT("by_us", step_us), QB_INT("ahead_us", ahead_us));
}

static void on_second(void *context)
{
    struct qb_io *io = context;
    qb_runner_second(io->runner);
    qb_replica_cluster_second(io);
    if (io == &io->replica->io[0]) {
        steer_clock(io->replica);
        qb_work_expire(io->replica->store_pool);
    }
    if (io->replica->demo != NULL) qb_demo_second(io->replica->demo, io->runner);
}

static struct qb_edge_options edge_options(struct qb_io *io, int listen_fd)
{
    struct qb_edge_options options =
        qb_edge_options_of(&io->replica->settings, io->replica->io_count);

    options.loop = qb_loop_uv(io->loop);
    options.listen_fd = listen_fd;
    options.shards = qb_bus_shards(io->replica->bus);
    options.proxies = &io->replica->proxies;
    options.handlers = (struct qb_edge_handlers){.admit = qb_replica_admit,
                                                 .request = on_request,
                                                 .command = on_command,
                                                 .room = on_room,
                                                 .presence = on_presence,
                                                 .context = io};
    return options;
}

static struct qb_api_options api_options(struct qb_io *io)
{
    struct qb_replica *replica = io->replica;

    return (struct qb_api_options){
        .edge = io->edge,
        .runner = io->runner,
        .mailbox = qb_loop_mailbox(io->loop),
        .store_pool = replica->store_pool,
        .password_pool = replica->password_pool,
        .store = replica->data.store,
        .wait_us = replica->settings.job_wait_ms * MS,
        .keys = replica->keys,
        .limits = replica->limits,
        .tickets = replica->tickets,
        .revoked = replica->revoked,
        .control = replica->control,
        .catalogue = replica->catalogue,
        .holds = replica->holds,
        .documents = replica->documents,
        .origins = replica->settings.origins,
        .is_ready = &replica->is_ready,
        .is_away = &replica->is_away,
        .is_metrics_public = replica->settings.metrics_public != 0,
        .amount_max = replica->settings.amount_max,
        .over_keep_us = replica->settings.over_keep_ms * MS,
        .auctions_per_seller = replica->settings.auctions_per_seller,
        .auctions_per_day = replica->settings.auctions_per_day,
        .image_bytes_per_user = replica->settings.image_bytes_per_user,
        .login_days = (uint32_t)replica->settings.login_days,
        .token_minutes = (uint32_t)replica->settings.token_minutes,
        .end_sessions = end_sessions,
        .context = replica,
    };
}

/* Sockets and HTTP of one thread; the listeners share the port. */
static bool open_edge(struct qb_io *io, struct qb_error *error)
{
    struct qb_replica *replica = io->replica;
    int listen_fd = qb_edge_listen(replica->settings.host, &replica->port, true, error);

    if (listen_fd < 0) return false;
    const struct qb_edge_options edge = edge_options(io, listen_fd);
    io->edge = qb_edge_new(&edge, error);
    if (io->edge == NULL) return false;
    qb_runner_set_edge(io->runner, io->edge);
    const struct qb_api_options api = api_options(io);
    io->api = qb_api_new(&api);
    io->commands = (struct qb_commands){io->edge, io->runner, io->api};
    const struct qb_loop_handlers handlers = {on_turn, on_timer, on_second, io};
    qb_loop_handle(io->loop, &handlers);
    return true;
}

static struct qb_ledger *make_ledger(struct qb_io *io, struct qb_error *error)
{
    const struct qb_replica *replica = io->replica;
    const struct qb_ledger_memory_options options = {
        .epoch = replica->epoch,
        .mailbox = qb_loop_mailbox(io->loop),
        .marks_max = MARKS_MAX,
        .unconfirmed_max = (uint64_t)replica->settings.unconfirmed_max * 2, /* the auctioneer's
                                                                               limit first */
    };

    if (replica->data.cluster != NULL) return qb_replica_ledger_redis(io, error);
    return qb_ledger_memory_new(&options);
}

static bool make_runners(struct qb_replica *replica, struct qb_error *error)
{
    const struct qb_settings *s = &replica->settings;
    struct qb_runners_options options = {
        .threads = replica->io_count,
        .epoch = replica->epoch,
        .auctions_max = (uint32_t)s->auctions_max,
        .commands_max = (uint32_t)s->commands_max,
        .held_max = (uint32_t)s->held_max,
        .unconfirmed_max = (uint32_t)s->unconfirmed_max,
        .entries_max = (uint64_t)s->entries_max,
        .ring_entries = (uint32_t)s->ring_entries,
        .expires_us = s->command_expires_ms * MS,
        .pending_us = s->verdict_pending_ms * MS,
        .over_keep_us = s->over_keep_ms * MS,
        .journal = replica->data.journal,
        .bus = replica->bus,
        .holds = replica->holds,
        .store_pool = replica->store_pool,
        .store = replica->data.store->ops,
        .described = qb_replica_described,
        .context = replica,
    };

    if (replica->data.cluster != NULL) qb_replica_cluster_options(replica, &options);
    replica->runners = qb_runners_new(&options);
    for (unsigned i = 0; i < replica->io_count; i++) {
        struct qb_io *io = &replica->io[i];
        io->replica = replica;
        io->loop = qb_loop_new(MAILBOX_MESSAGES);
        struct qb_ledger *ledger = make_ledger(io, error);
        if (ledger == NULL) return false;
        io->runner = qb_runner_new(replica->runners, io->loop, ledger);
        if (replica->data.cluster != NULL) QB_TRY(qb_replica_limits_redis(io, error));
    }
    return true;
}

static bool make_shared(struct qb_replica *replica, struct qb_error *error)
{
    const struct qb_settings *s = &replica->settings;
    const struct qb_holds_options holds = {
        .bids_max = (uint32_t)s->bids_per_minute,
        .window_us = 60 * QB_SECOND_US,
        .users_max = LIMITED_USERS_MAX,
    };
    const struct qb_auth_limits_options limits = {
        .attempts_max = (uint32_t)s->auth_attempts,
        .failures_max = AUTH_FAILURES_MAX,
        .addresses_max = (uint32_t)s->addresses_max,
        .accounts_max = 100000,
        .attempts = replica->tallies[QB_TALLIED_AUTH],
    };
    /* Two at once: a flood of logins costs memory and processors only so much (S18). */
    const struct qb_work_options passwords = {.name = "password",
                                              .duration = QB_METRIC_password_hash_us,
                                              .wait = QB_METRIC_password_wait_us,
                                              .threads = 2,
                                              .jobs_max = (size_t)s->password_jobs_max};

    qb_replica_open_store(replica);
    replica->holds = qb_holds_new(&holds);
    replica->limits = qb_auth_limits_new(&limits);
    replica->tickets = qb_tickets_new(TICKETS_MAX);
    replica->revoked = qb_revoked_new((size_t)s->revocations_max);
    replica->documents = qb_documents_new(&replica->settings);
    replica->bus =
        replica->data.cluster != NULL ? qb_replica_bus_redis(replica, error) : qb_bus_local_new();
    replica->password_pool = qb_work_pool_new(&passwords);
    return replica->bus != NULL;
}

static bool open_replica(struct qb_replica *replica, struct qb_error *error)
{
    const struct qb_settings *s = &replica->settings;
    struct qb_data *data = &replica->data;

    QB_TRY(qb_settings_have_services(s) ? qb_data_open_cluster(data, s, error)
                                        : qb_data_open(data, s, error));
    if (data->cluster != NULL && s->token_key_file[0] == '\0') {
        return qb_error_set(error, "--token-key-file: not set; replicas of a cluster share one "
                                   "token key, which none of them makes (openssl rand -hex 32)");
    }
    replica->keys = s->token_key_file[0] != '\0'
                        ? qb_token_keys_open_shared(s->token_key_file, error)
                        : qb_token_keys_open(s->data_dir, error);
    if (replica->keys == NULL) return false;
    QB_TRY(qb_admin_ensure_from_file(data->store->ops, data->link, s->admin_email,
                                     s->admin_password_file, error));
    if (data->cluster == NULL &&
        data->store->ops->epoch_next(data->link, &replica->epoch, error) != QB_STORE_OK) {
        return false;
    }
    if (s->demo != 0) replica->demo = qb_demo_new(data->store->ops, data->link);
    qb_replica_tallies_new(replica);
    QB_TRY(make_shared(replica, error));
    QB_TRY(make_runners(replica, error));
    QB_TRY(qb_replica_load_revoked(data, replica->revoked, error));
    QB_TRY(qb_replica_load(data, replica->runners, replica->holds, (size_t)s->ring_entries, error));
    QB_TRY(qb_replica_control(replica, end_sessions, error));
    for (unsigned i = 0; i < replica->io_count; i++) {
        QB_TRY(open_edge(&replica->io[i], error));
        qb_runner_restored(replica->io[i].runner);
    }
    return true;
}

struct qb_replica *qb_replica_new(const struct qb_settings *settings, struct qb_error *error)
{
    struct qb_replica *replica = calloc(1, sizeof *replica);

    QB_ASSERT(replica != NULL);
    replica->settings = *settings;
    replica->data.lock = -1;
    replica->port = (uint16_t)settings->port;
    replica->io_count = settings->threads > 0 ? (unsigned)settings->threads : processors();
    replica->io = calloc(replica->io_count, sizeof *replica->io);
    QB_ASSERT(replica->io != NULL);
    bool is_good = qb_ip_ranges_parse(settings->trusted_proxies, &replica->proxies, error) &&
                   open_replica(replica, error);
    if (!is_good) qb_replica_free(&replica);
    return replica;
}

static void halt(void *context, qb_id auction)
{
    qb_runners_halt(context, auction);
}

static void *run_io(void *argument)
{
    struct qb_io *io = argument;
    qb_loop_run(io->loop);
    return NULL;
}

void qb_replica_run(struct qb_replica *replica)
{
    struct qb_loop *loops[32];

    replica->data.frozen = halt;
    replica->data.frozen_context = replica->runners;
    if (replica->data.archive != NULL) replica->archiver = qb_archiver_new(replica->data.archive);
    for (unsigned i = 0; i < replica->io_count; i++) {
        loops[i] = replica->io[i].loop;
        int failed = pthread_create(&replica->io[i].thread, NULL, run_io, &replica->io[i]);
        QB_ASSERT(failed == 0);
    }
    replica->is_running = true;
    replica->watchdog =
        qb_watchdog_new(loops, replica->io_count, replica->settings.watchdog_ms * MS);
    if (replica->data.cluster != NULL) qb_replica_begin_recovery(replica);
    __atomic_store_n(&replica->is_ready, true, __ATOMIC_RELEASE);
    qb_metric_set(QB_METRIC_ready, NULL, 1);
}

uint16_t qb_replica_port(const struct qb_replica *replica)
{
    return replica->port;
}

unsigned qb_replica_threads(const struct qb_replica *replica)
{
    return replica->io_count;
}
