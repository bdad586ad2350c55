/*
 * What the control holds; private to app/control*.c.
 */
#pragma once

#include <pthread.h>

#include "app/control.h"
#include "app/loop.h"
#include "base/map.h"
#include "base/redis.h"

enum qb_control_kind {
    QB_CONTROL_REVOKED = 1,
    QB_CONTROL_BANNED,
    QB_CONTROL_LIMITED,
    QB_CONTROL_DESCRIBED
};

/* What a message tells. */
struct qb_control_word {
    enum qb_control_kind kind;
    struct qb_revocation revocation; /* BANNED, LIMITED: of it the user; DESCRIBED: the auction */
    int64_t amount;                  /* BANNED: 1 or 0; LIMITED: -1: none; DESCRIBED: the seq */
    char currency[QB_CURRENCY_BYTES];
};

#define QB_CONTROL_BYTES 46

struct qb_control {
    struct qb_control_options options;
    uint64_t process;     /* names this one: its own messages come back */
    pthread_mutex_t lock; /* of all below up to `loop`; before the locks of holds and revoked */
    struct qb_map notes;  /* struct qb_control_subject -> struct note: said since the last read */
    bool must_end;
    bool must_read;        /* now: something may have been missed */
    pthread_cond_t wanted; /* one of the two */
    struct qb_loop *loop;  /* null: alone */
    struct qb_redis *ears;
    struct qb_redis *mouth;
    char ears_run_id[64]; /* empty: not up */
    char mouth_run_id[64];
    pthread_t hearing;
    pthread_t reading;
};

/* --- control.c --- */

/* What another process or the store says; returns whether it was news. The lock is held. */
bool qb_control_take(struct qb_control *control, const struct qb_control_word *word);

/* --- control_notes.c --- */

void qb_control_notes_init(struct qb_control *control);
/* A ban or a limit was said just now; the lock is held, here and below. */
void qb_control_note(struct qb_control *control, const struct qb_control_word *word);
/* Whether it was said at that monotonic time or later. */
bool qb_control_is_noted(const struct qb_control *control, const struct qb_control_word *word,
                         int64_t since_us);
/* Forgets what was said before. */
void qb_control_forget(struct qb_control *control, int64_t before_us);

/* --- control_message.c --- */

void qb_control_write(const struct qb_control_word *word, uint64_t process,
                      uint8_t bytes[QB_CONTROL_BYTES]);
/* False: it is none. */
QB_MUST_USE bool qb_control_read(const void *bytes, size_t length, struct qb_control_word *word,
                                 uint64_t *process);

/* --- control_store.c --- */

/* The thread that reads the store. */
void *qb_control_reading(void *control);
