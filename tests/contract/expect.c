#include "tests/contract/expect.h"

#include <stdio.h>

static int failures;

void expect(bool is_true, const char *subject, const char *says)
{
    if (is_true) return;
    failures++;
    (void)printf("%s: %s\n", subject, says);
}

int expect_failures(void)
{
    return failures;
}
