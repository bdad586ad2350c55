/*
 * The reasons for which a WebSocket connection ends, from close.def. Pure; any thread.
 */
#pragma once

#include <stdint.h>

#include "base/text.h"

enum qb_close {
#define QB_CLOSE(name, code, blame, metric, text) QB_CLOSE_##name,
#include "ws/close.def"
    QB_CLOSE_COUNT
};

uint16_t qb_close_code(enum qb_close reason); /* 0: nothing is sent */
const char *qb_close_metric(enum qb_close reason);
const char *qb_close_text(enum qb_close reason);

/* The table of docs/protocol.md in Markdown. */
void qb_close_docs(struct qb_text *text);
