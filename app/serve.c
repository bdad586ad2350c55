#include "app/serve.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "app/drain.h"
#include "app/replica.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"

#define DESCRIPTORS_KEPT 512

/* As many descriptors as this process may have; fewer connections where that is not enough. */
static void raise_descriptors(struct qb_settings *settings)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
    (void)getrlimit(RLIMIT_NOFILE, &limit);
    int64_t most = limit.rlim_cur > (rlim_t)INT32_MAX ? INT32_MAX : (int64_t)limit.rlim_cur;
    int64_t room = most > 2 * DESCRIPTORS_KEPT ? most - DESCRIPTORS_KEPT : most / 2;
    if (settings->connections_max <= room) return;
    qb_log(QB_LOG_WARNING, "connections.lowered", QB_INT("connections_max", room),
           QB_TEXT("why", "the limit of open files; raise it (ulimit -n) for more"));
    settings->connections_max = room;
}

int qb_serve(const struct qb_settings *wanted, const char *argument)
{
    struct qb_settings settings = *wanted;
    struct qb_error error = {""};
    int64_t began_us = qb_clock_mono_us();

    (void)argument;
    qb_drain_block_signals();
    qb_metric_set(QB_METRIC_build_info, QB_VERSION, 1);
    qb_settings_log(&settings);
    raise_descriptors(&settings);
    struct qb_replica *replica = qb_replica_new(&settings, &error);
    if (replica == NULL) {
        qb_log(QB_LOG_ERROR, "start.failed", QB_TEXT("error", error.text));
        return 1;
    }
    qb_replica_run(replica);
    qb_log(QB_LOG_INFO, "server.ready", QB_INT("port", qb_replica_port(replica)),
           QB_INT("threads", qb_replica_threads(replica)),
           QB_INT("auctions", qb_metric_value(QB_METRIC_auctions_live, NULL)),
           QB_INT("start_ms", (qb_clock_mono_us() - began_us) / QB_MS_US));
    int signal = qb_drain_wait_signal();
    qb_log(QB_LOG_INFO, "server.draining", QB_INT("signal", signal));
    bool is_clean = qb_replica_drain(replica);
    qb_replica_free(&replica);
    qb_log(QB_LOG_INFO, "server.stopped", QB_INT("clean", is_clean));
    return is_clean ? 0 : 1;
}
