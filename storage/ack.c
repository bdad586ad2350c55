#include "storage/ack.h"

#include <string.h>

#include "base/assert.h"

static const char *const names[QB_ACKS] = {
    [QB_ACK_JOURNAL] = "journal",
    [QB_ACK_LEDGER] = "ledger",
};

const char *qb_ack_name(enum qb_ack ack)
{
    QB_ASSERT(ack < QB_ACKS);
    return names[ack];
}

bool qb_ack_parse(const char *name, enum qb_ack *ack)
{
    for (int i = 0; i < QB_ACKS; i++) {
        if (strcmp(names[i], name) != 0) continue;
        *ack = (enum qb_ack)i;
        return true;
    }
    return false;
}
