/*
 * A connection made of memory, in place of ws/connection.c: it notes what is sent, takes as many
 * frames as the test lets it, and ends the test program when it is given one while it is blocked.
 */
#pragma once

#include <stdlib.h>

#include "base/assert.h"
#include "ws/connection.h"

#define SENT_MAX 4096

struct qb_connection {
    int takes;  /* frames until it blocks; -1: without end */
    bool wants; /* `writable` was asked for */
    int pings;
    int closes;
    enum qb_close reason;
    int64_t read_us;
    int64_t heard_us;
    size_t count;
    char *sent[SENT_MAX]; /* payloads in their order */
};

static void fake_clear(struct qb_connection *connection)
{
    for (size_t i = 0; i < connection->count; i++) free(connection->sent[i]);
    connection->count = 0;
}

bool qb_connection_is_blocked(const struct qb_connection *connection)
{
    return connection->takes == 0;
}

void qb_connection_send(struct qb_connection *connection, struct qb_frame *frame)
{
    QB_ASSERT(connection->takes != 0);
    QB_ASSERT(connection->closes == 0);
    QB_ASSERT(connection->count < SENT_MAX);
    if (connection->takes > 0) connection->takes--;
    char *text = malloc(frame->length + 1);
    QB_ASSERT(text != NULL);
    (void)memcpy(text, frame->bytes, frame->length);
    text[frame->length] = '\0';
    connection->sent[connection->count++] = text;
}

void qb_connection_want_writable(struct qb_connection *connection)
{
    connection->wants = true;
}

void qb_connection_close(struct qb_connection *connection, enum qb_close reason, const char *detail)
{
    (void)detail;
    connection->closes++;
    connection->reason = reason;
}
