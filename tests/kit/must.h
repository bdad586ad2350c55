/*
 * What a test cannot go on without.
 */
#pragma once

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

/* Ends the program with a message unless `is_true`. */
static inline void qb_must(bool is_true, const char *what)
{
    if (is_true) return;
    (void)printf("cannot go on: %s\n", what);
    exit(1);
}
