/*
 * Opening an epoch in Redis: what recovery does last (reliability.md P5, step 7), and tests first.
 * Apart from the ledger, which must never load a script: it needs the coordinator's rights.
 *
 * What recovery finds and writes (step 6). Numbers in hashes and scores are decimal; integers in
 * bytes are little-endian.
 *
 * qb:{q<shard>}:epoch
 *       the number, a text
 * qb:{q<shard>}:pend
 *       sorted set: auctions (16 hex digits) with entries above dur, by the ledger time since when;
 *       an auction that is not in it is never swept
 * qb:{q<shard>}:due
 *       sorted set: auctions that are not over, by their end in us
 * qb:{q<shard>}:live
 *       set: auctions that have keys
 * qb:{q<shard>}:outbox:entries
 *       of `ack = ledger`: how many entries the journal lacks
 *
 * and of an auction, behind "qb:{q<shard>}:<16 hex digits>":
 *
 * :state   hash: seq, last (stamp of the newest entry), dur; of `ack = ledger` out (all up to here
 *          is in the journal, too); of what is committed (trim.lua): pg (said to be), safe (for
 *          good), steps, over (since when all of it is safe); or `gone` alone, once its keys were
 *          taken away
 * :stream  entry <seq>-0, one field `e`: canonical bytes; may begin behind the snapshot
 * :ids     hash: bid_id (16 bytes) to qb_ledger_redis_id(); of a mark a byte more
 * :marks   list, oldest first: bid_id (16 bytes), ledger time u64
 * :conf    sorted set: seqs above dur (of `ack = ledger`: above out) that are in the journal, by
 *          themselves
 * :snap    qb_ledger_redis_snapshot(), of a seq up to dur
 * :sweep   who looks after its orphans; goes by itself
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/redis.h"
#include "base/text.h"
#include "bidding/lot.h"

#define QB_LEDGER_REDIS_ID_BYTES 16

/* What `ids` has of an entry: seq u64 and qb_entry_asked() as u64, which is 0 of a DISCARD. */
void qb_ledger_redis_id(uint64_t seq, uint64_t asked, uint8_t bytes[QB_LEDGER_REDIS_ID_BYTES]);

/* Adds a folded state with its records to `text`, as `snap` has it. */
void qb_ledger_redis_snapshot(struct qb_text *text, const struct qb_lot *lot,
                              const struct qb_bid_record *records, size_t count);

/* `why` is null when the epoch is open: its number written and every script loaded. */
typedef void qb_ledger_redis_opened(void *context, const char *why);

/*
 * Opens `epoch` for one shard over a link that is up. Nothing else may run on that link between the
 * rebuild and this, and it may not have been lost since: who was told otherwise begins again.
 *
 * done      once, never inside the call; `why` is borrowed
 */
void qb_ledger_redis_open_shard(struct qb_redis *redis, unsigned shard, uint32_t epoch,
                                qb_ledger_redis_opened *done, void *context);
