/*
 * Bans and limits that were said since the store was last read: that read knows nothing of them, or
 * may know them in part. Forgotten with the next one, so there are few.
 */
#include <stdlib.h>
#include <string.h>

#include "app/control_parts.h"
#include "base/assert.h"
#include "base/clock.h"

struct subject {
    qb_id user;
    char currency[8]; /* empty: a ban */
};

struct note {
    struct subject subject;
    int64_t said_us; /* monotonic */
};

void qb_control_notes_init(struct qb_control *control)
{
    qb_map_init(&control->notes, sizeof(struct subject));
}

static struct subject subject_of(const struct qb_control_word *word)
{
    struct subject subject = {.user = word->revocation.user};

    if (word->kind == QB_CONTROL_LIMITED)
        (void)memcpy(subject.currency, word->currency, QB_CURRENCY_BYTES);
    return subject;
}

void qb_control_note(struct qb_control *control, const struct qb_control_word *word)
{
    const struct subject subject = subject_of(word);
    struct note *note = qb_map_get(&control->notes, &subject);

    if (note == NULL) {
        note = calloc(1, sizeof *note);
        QB_ASSERT(note != NULL);
        note->subject = subject;
        (void)qb_map_set(&control->notes, &subject, note);
    }
    note->said_us = qb_clock_mono_us();
}

bool qb_control_is_noted(const struct qb_control *control, const struct qb_control_word *word,
                         int64_t since_us)
{
    const struct subject subject = subject_of(word);
    const struct note *note = qb_map_get(&control->notes, &subject);

    return note != NULL && note->said_us >= since_us;
}

void qb_control_forget(struct qb_control *control, int64_t before_us)
{
    struct qb_map notes = control->notes;
    struct note *note = NULL;
    size_t cursor = 0;

    qb_control_notes_init(control);
    while ((note = qb_map_next(&notes, &cursor, NULL)) != NULL) {
        if (note->said_us < before_us)
            free(note);
        else
            (void)qb_map_set(&control->notes, &note->subject, note);
    }
    qb_map_fini(&notes);
}
