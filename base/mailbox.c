#include "base/mailbox.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/assert.h"

struct letter {
    qb_mailbox_call *call;
    void *context;
    void *message;
};

struct pile {
    struct letter *letters;
    size_t count;
    size_t room;
};

struct qb_mailbox {
    pthread_mutex_t lock;
    struct pile incoming;
    struct pile work; /* the mailbox's thread only */
    size_t messages_max;
    void (*wake)(void *);
    void *wake_context;
};

struct qb_mailbox *qb_mailbox_new(size_t messages_max, void (*wake)(void *), void *wake_context)
{
    struct qb_mailbox *mailbox = calloc(1, sizeof *mailbox);

    QB_ASSERT(mailbox != NULL);
    QB_ASSERT(messages_max > 0);
    (void)pthread_mutex_init(&mailbox->lock, NULL);
    mailbox->messages_max = messages_max;
    mailbox->wake = wake;
    mailbox->wake_context = wake_context;
    return mailbox;
}

void qb_mailbox_free(struct qb_mailbox **mailbox)
{
    struct qb_mailbox *old = *mailbox;

    *mailbox = NULL;
    if (old == NULL) return;
    (void)pthread_mutex_destroy(&old->lock);
    free(old->incoming.letters);
    free(old->work.letters);
    free(old);
}

static bool post(struct qb_mailbox *mailbox, struct letter letter, bool is_bounded)
{
    struct pile *pile = &mailbox->incoming;

    (void)pthread_mutex_lock(&mailbox->lock);
    bool was_empty = pile->count == 0;
    bool is_taken = !is_bounded || pile->count < mailbox->messages_max;
    if (is_taken && pile->count == pile->room) {
        pile->room = pile->room == 0 ? 64 : pile->room * 2;
        pile->letters = realloc(pile->letters, pile->room * sizeof letter);
        QB_ASSERT(pile->letters != NULL);
    }
    if (is_taken) pile->letters[pile->count++] = letter;
    (void)pthread_mutex_unlock(&mailbox->lock);
    if (is_taken && was_empty) mailbox->wake(mailbox->wake_context);
    return is_taken;
}

bool qb_mailbox_post(struct qb_mailbox *mailbox, qb_mailbox_call *call, void *context,
                     void *message)
{
    return post(mailbox, (struct letter){call, context, message}, true);
}

void qb_mailbox_post_answer(struct qb_mailbox *mailbox, qb_mailbox_call *call, void *context,
                            void *message)
{
    (void)post(mailbox, (struct letter){call, context, message}, false);
}

size_t qb_mailbox_drain(struct qb_mailbox *mailbox)
{
    struct pile now;

    (void)pthread_mutex_lock(&mailbox->lock);
    now = mailbox->incoming;
    mailbox->incoming = mailbox->work;
    mailbox->incoming.count = 0;
    mailbox->work = (struct pile){0};
    (void)pthread_mutex_unlock(&mailbox->lock);
    for (size_t i = 0; i < now.count; i++) {
        now.letters[i].call(now.letters[i].context, now.letters[i].message);
    }
    size_t made = now.count;
    now.count = 0;
    mailbox->work = now;
    return made;
}
