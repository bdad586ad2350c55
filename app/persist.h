/*
 * `quickbid persist`: takes confirmed entries from RabbitMQ and writes them to Postgres, until
 * SIGTERM. Any number of these processes may run: of each shard's queue one reads, and another
 * takes over when it is gone (reliability.md P6).
 *
 * It holds nothing that a crash could lose: what is not committed is not acknowledged. While
 * Postgres is away it holds no message at all, and goes on by itself when both services answer.
 */
#pragma once

#include "app/settings.h"

/* Returns the exit status: 0 after a signal, 1 when it cannot start. A database without all
 * migrations, or with newer ones, ends the process. */
int qb_persist(const struct qb_settings *settings, const char *argument);
