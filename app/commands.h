/*
 * WebSocket commands of one I/O thread: who may, what is asked, and the answer in JSON.
 */
#pragma once

#include "app/api.h"
#include "app/runner.h"
#include "ws/edge.h"

struct qb_commands {
    struct qb_edge *edge;
    struct qb_runner *runner;
    struct qb_api *api;
};

/* The edge's command handler; `context` is a struct qb_commands. */
void qb_commands_take(void *context, struct qb_session *session, const struct qb_command *command);
