/*
 * The signals that end a server. One thread waits for them; the others never see them.
 */
#pragma once

/* Blocks SIGTERM and SIGINT, and ignores SIGPIPE, for this thread and all it starts. */
void qb_drain_block_signals(void);

/* Waits for SIGTERM or SIGINT; returns which. */
int qb_drain_wait_signal(void);
