/*
 * A failure in words for a person: what happened and what to do about it. Wrapped from the inside
 * out: "settings: PORT: 99999 is above 65535".
 *
 * Any thread; an error belongs to its caller.
 */
#pragma once

#include <stdbool.h>

#include "base/attributes.h"

#define QB_ERROR_BYTES_MAX 512

struct qb_error {
    char text[QB_ERROR_BYTES_MAX]; /* empty: no error; cut at the end if longer */
};

/* Sets the text. Returns false, so that a function can fail in one line. `error` may be null. */
bool qb_error_set(struct qb_error *error, const char *format, ...) QB_PRINTF(2, 3);

/* Puts "format: " before what is there. Returns false. `error` may be null. */
bool qb_error_wrap(struct qb_error *error, const char *format, ...) QB_PRINTF(2, 3);

/* Passes a failure on to the caller. */
#define QB_TRY(call)                                                                               \
    do {                                                                                           \
        if (!(call)) return false;                                                                 \
    } while (0)
