/*
 * Messages to one thread from any other: a bounded queue of calls to make there, in order.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/attributes.h"

struct qb_mailbox;

typedef void qb_mailbox_call(void *context, void *message);

/* `wake` is called after a post to an empty mailbox, on the thread that posts (uv_async_send). */
struct qb_mailbox *qb_mailbox_new(size_t messages_max, void (*wake)(void *), void *wake_context);
void qb_mailbox_free(struct qb_mailbox **mailbox);

/* Asks for call(context, message) on the mailbox's thread. False when it is full: nothing was
 * taken and the caller answers for that. Any thread. */
QB_MUST_USE bool qb_mailbox_post(struct qb_mailbox *mailbox, qb_mailbox_call *call, void *context,
                                 void *message);

/* The same beyond the limit, for what is bounded already by the one who asked (answers to work
 * that was admitted): it may not be lost. Any thread. */
void qb_mailbox_post_answer(struct qb_mailbox *mailbox, qb_mailbox_call *call, void *context,
                            void *message);

/* Makes the calls that were there when it began. Returns how many. The mailbox's thread only. */
size_t qb_mailbox_drain(struct qb_mailbox *mailbox);
