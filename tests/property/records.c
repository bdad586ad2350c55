#include "tests/property/records.h"

void records_keep(struct records *records, const struct qb_entry *entry,
                  const struct qb_verdict *verdict)
{
    const bool is_bid = entry->type == QB_ENTRY_BID;

    if (!is_bid && entry->type != QB_ENTRY_RESERVE) return;
    if (verdict->code == QB_VERDICT_REFUSED) return;
    records->rows[records->count++] = (struct qb_bid_record){
        .seq = entry->seq,
        .type = entry->type,
        .is_live = is_bid,
        .bidder = entry->bidder,
        .max = entry->max,
        .t_us = verdict->t_us,
    };
}
