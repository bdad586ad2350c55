#include "app/probes.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "app/edge_options.h"
#include "app/loop.h"
#include "app/process_metrics.h"
#include "base/assert.h"
#include "base/metrics.h"
#include "base/text.h"
#include "ws/edge.h"

struct qb_probes {
    struct qb_probes_options options;
    struct qb_loop *loop;
    struct qb_edge *edge;
    pthread_t thread;
    bool is_running;
    uint16_t port;
};

static void say(struct qb_http_request *request, bool is_good, const char *why)
{
    static const char good[] = "{\"ok\":true}";
    const struct qb_http_response response = {
        .status = 200, .content_type = "application/json", .body = good, .length = sizeof good - 1};

    if (is_good)
        qb_http_respond(request, &response);
    else
        qb_http_problem(request, 503, "unavailable", why, 1);
}

static void show_metrics(const struct qb_probes *probes, struct qb_http_request *request)
{
    struct qb_text text = {0};

    qb_process_measure();
    probes->options.measure(probes->options.context);
    qb_metric_set(QB_METRIC_ready, NULL, probes->options.is_ready(probes->options.context));
    qb_metrics_text(&text);
    const struct qb_http_response response = {
        .status = 200,
        .content_type = "text/plain; version=0.0.4; charset=utf-8",
        .body = text.bytes,
        .length = text.length,
    };
    qb_http_respond(request, &response);
    qb_text_fini(&text);
}

static void on_request(void *context, struct qb_http_request *request)
{
    struct qb_probes *probes = context;
    const struct qb_probes_options *options = &probes->options;
    const char *path = qb_http_path(request);
    enum qb_http_method method = qb_http_method_of(request);
    bool may_see = options->settings->metrics_public != 0 || qb_http_is_local(request);

    if (method != QB_HTTP_GET && method != QB_HTTP_HEAD)
        qb_http_problem(request, 405, "method", "This address takes GET and HEAD.", 0);
    else if (strcmp(path, "/health") == 0)
        say(request, options->is_alive(options->context), "It has done nothing for too long.");
    else if (strcmp(path, "/ready") == 0)
        say(request, options->is_ready(options->context),
            "It waits for a service; its log says for which.");
    else if (strcmp(path, "/metrics") == 0 && may_see)
        show_metrics(probes, request);
    else
        qb_http_problem(request, 404, "not_found", "There is nothing at this address.", 0);
}

/* Nobody gets as far as a session here. */
static void no_command(void *context, struct qb_session *session, const struct qb_command *command)
{
    (void)context;
    (void)session;
    (void)command;
}

static void no_room(void *context, qb_id auction, bool is_open)
{
    (void)context;
    (void)auction;
    (void)is_open;
}

static struct qb_edge_options edge_options(struct qb_probes *probes, int listen_fd)
{
    struct qb_edge_options options = qb_edge_options_of(probes->options.settings, 1);

    options.loop = qb_loop_uv(probes->loop);
    options.listen_fd = listen_fd;
    options.handlers = (struct qb_edge_handlers){.request = on_request,
                                                 .command = no_command,
                                                 .room = no_room,
                                                 .presence = no_room,
                                                 .context = probes};
    return options;
}

static bool listen_there(struct qb_probes *probes, struct qb_error *error)
{
    int listen_fd = qb_edge_listen(probes->options.settings->host, &probes->port, false, error);

    if (listen_fd < 0) return false;
    const struct qb_edge_options options = edge_options(probes, listen_fd);
    probes->edge = qb_edge_new(&options, error);
    return probes->edge != NULL;
}

static void *run(void *argument)
{
    struct qb_probes *probes = argument;
    const struct qb_loop_handlers handlers = {NULL, NULL, NULL, probes};

    qb_loop_handle(probes->loop, &handlers);
    qb_loop_run(probes->loop);
    return NULL;
}

struct qb_probes *qb_probes_new(const struct qb_probes_options *options, struct qb_error *error)
{
    struct qb_probes *probes = calloc(1, sizeof *probes);

    QB_ASSERT(probes != NULL);
    probes->options = *options;
    probes->port = options->port;
    probes->loop = qb_loop_new(16);
    if (!listen_there(probes, error)) {
        qb_probes_free(&probes);
        return NULL;
    }
    int failed = pthread_create(&probes->thread, NULL, run, probes);
    QB_ASSERT(failed == 0);
    probes->is_running = true;
    return probes;
}

void qb_probes_free(struct qb_probes **probes)
{
    struct qb_probes *old = *probes;

    *probes = NULL;
    if (old == NULL) return;
    if (old->is_running) {
        qb_loop_stop(old->loop);
        (void)pthread_join(old->thread, NULL);
    }
    if (old->edge != NULL) qb_edge_free(&old->edge);
    qb_loop_settle(old->loop);
    qb_loop_free(&old->loop);
    free(old);
}

uint16_t qb_probes_port(const struct qb_probes *probes)
{
    return probes->port;
}
