/*
 * Expectations of the contract suites, which are linked into several test programs.
 */
#pragma once

#include <stdbool.h>

/* Counts and prints a failure of the implementation `subject` unless `is_true`. */
void expect(bool is_true, const char *subject, const char *says);

/* Failures so far. */
int expect_failures(void);
