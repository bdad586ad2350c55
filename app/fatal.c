#include "app/fatal.h"

#include <unistd.h>

#include "base/log.h"

void qb_fatal(const char *event, const char *text)
{
    qb_log(QB_LOG_ERROR, event, QB_TEXT("what", text));
    _exit(1);
}
