/*
 * Opening an epoch in Redis: what recovery does last (reliability.md P5, step 7), and tests first.
 * Apart from the ledger, which must never load a script: it needs the coordinator's rights.
 *
 * What recovery finds and writes (step 6). Numbers in hashes and scores are decimal; integers in
 * bytes are little-endian.
 *
 *   qb:{q<shard>}:epoch   the number, a text
 *   …:pend                sorted set: auctions (16 hex digits) with entries above dur, by the
 * ledger time since when; an auction that is not in it is never swept …:due                 sorted
 * set: auctions that are not over, by their end in us …:live                set: auctions that have
 * keys …:<16 hex>:state      hash: seq, last (stamp of the newest entry), dur …:<16 hex>:stream
 * entry <seq>-0, one field `e`: canonical bytes; may begin behind the snapshot …:<16 hex>:ids hash:
 * bid_id (16 bytes) to qb_ledger_redis_id(); of a mark a byte more …:<16 hex>:marks      list,
 * oldest first: bid_id (16 bytes), ledger time u64 …:<16 hex>:conf       sorted set: seqs above dur
 * that are durable, by themselves …:<16 hex>:snap       qb_ledger_redis_snapshot(), of a seq up to
 * dur …:<16 hex>:sweep      who looks after its orphans; goes by itself
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
