/*
 * Checks of what only a bug can make false; on in every build. Never for what a client, a file or
 * another process can send: those are refusals and failures.
 *
 * Any thread.
 */
#pragma once

#include "base/attributes.h"

/* Prints the condition and its place to standard error and aborts. */
QB_NORETURN void qb_assert_failed(const char *condition, const char *file, int line);

#define QB_ASSERT(condition)                                                                       \
    do {                                                                                           \
        if (!(condition)) qb_assert_failed(#condition, __FILE__, __LINE__);                        \
    } while (0)

/* For checks that cost more than the work they guard: on in tests and sanitizer builds. */
#ifdef QB_SLOW_CHECKS
#define QB_ASSERT_SLOW(condition) QB_ASSERT(condition)
#else
#define QB_ASSERT_SLOW(condition) ((void)0)
#endif
