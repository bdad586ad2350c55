#!lua flags=allow-oom
-- The journal has entries (reliability.md P2): keeps those above the contiguous run and moves a mark
-- over it. That is `dur` with ack = journal. With ack = ledger it is `out`: what lies above it is the
-- outbox, and they were durable before. Works without memory left too, as it frees some.
--
-- KEYS  pend, outbox; then for each auction: state, conf
-- ARGV  dur or out, how many auctions; then for each: its 16 hex digits, its channel, how many runs,
--       then for each run: first seq, last seq
-- reply for each auction: seq u64, the mark u64
-- cost  O(seqs) in the worst case, when all of them lie above a gap
local pend, outbox, field = KEYS[1], KEYS[2], ARGV[1]
local at = 3

local function take_run(auction, first, last)
  if last > auction.seq then last = auction.seq end -- of a log that was taken back
  if last <= auction.mark then return end
  if first <= auction.mark + 1 then
    auction.mark = last
    return
  end
  for seq = first, last do call('ZADD', auction.conf, digits(seq), digits(seq)) end
end

-- What was kept above the run and is part of it now.
local function advance(auction)
  if call('ZCARD', auction.conf) == 0 then return end
  while call('ZSCORE', auction.conf, digits(auction.mark + 1)) do
    auction.mark = auction.mark + 1
  end
  call('ZREMRANGEBYSCORE', auction.conf, '-inf', digits(auction.mark))
end

call('ZCARD', pend)
local replies = {}
local gone = 0
for index = 1, tonumber(ARGV[2]) do
  local key = index * 2 + 1
  local auction = { state = KEYS[key], conf = KEYS[key + 1], id = ARGV[at] }
  local channel, runs = ARGV[at + 1], tonumber(ARGV[at + 2])
  local state = call('HMGET', auction.state, 'seq', field)
  auction.seq, auction.mark = number(state[1]), number(state[2])
  local before = auction.mark
  call('ZCARD', auction.conf)
  at = at + 3
  for _ = 1, runs do
    take_run(auction, tonumber(ARGV[at]), tonumber(ARGV[at + 1]))
    at = at + 2
  end
  advance(auction)
  if auction.mark > before then
    gone = gone + (auction.mark - before)
    call('HSET', auction.state, field, digits(auction.mark))
    -- Only progress makes it young again: else an orphan under a busy auction were never swept.
    if auction.mark == auction.seq then
      call('ZREM', pend, auction.id)
    else
      call('ZADD', pend, 'XX', digits(clock_us()), auction.id)
    end
    if field == 'dur' then
      call('PUBLISH', channel, part(0, auction.seq, auction.mark, {}))
    end
  end
  replies[index] = pack('<I8I8', auction.seq, auction.mark)
end
if field == 'out' and gone > 0 then call('INCRBY', outbox, digits(-gone)) end
return replies
