/*
 * What fuzz targets share: copies of exact size, so that the sanitizer sees a read or write one
 * byte outside. A target says what must hold with QB_ASSERT, whose failure is a finding.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

static inline void *copy_of(const void *bytes, size_t length)
{
    void *copy = malloc(length > 0 ? length : 1);

    QB_ASSERT(copy != NULL);
    if (length > 0) (void)memcpy(copy, bytes, length);
    return copy;
}
