#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool qb_error_set(struct qb_error *error, const char *format, ...)
{
    va_list arguments;

    if (error == NULL) return false;
    va_start(arguments, format);
    (void)vsnprintf(error->text, sizeof error->text, format, arguments);
    va_end(arguments);
    return false;
}

bool qb_error_wrap(struct qb_error *error, const char *format, ...)
{
    char inner[QB_ERROR_BYTES_MAX];
    char prefix[QB_ERROR_BYTES_MAX];
    va_list arguments;

    if (error == NULL) return false;
    (void)memcpy(inner, error->text, sizeof inner);
    va_start(arguments, format);
    (void)vsnprintf(prefix, sizeof prefix, format, arguments);
    va_end(arguments);
    (void)snprintf(error->text, sizeof error->text, "%.200s: %.300s", prefix, inner);
    return false;
}
