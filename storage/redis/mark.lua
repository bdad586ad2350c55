#!lua flags=allow-oom
-- Entries are durable (reliability.md P2): keeps those above the contiguous run and moves `dur`
-- over it. Works without memory left too, as it frees some.
--
-- KEYS  pend; then for each auction: state, conf
-- ARGV  how many auctions; then for each: its 16 hex digits, its channel, how many runs, then for
--       each run: first seq, last seq
-- reply for each auction: seq u64, dur u64
-- cost  O(seqs) in the worst case, when all of them lie above a gap
local pend = KEYS[1]
local at = 2

local function take_run(auction, first, last)
  if last > auction.seq then last = auction.seq end -- of a log that was taken back
  if last <= auction.dur then return end
  if first <= auction.dur + 1 then
    auction.dur = last
    return
  end
  for seq = first, last do call('ZADD', auction.conf, digits(seq), digits(seq)) end
end

-- What was kept above the run and is part of it now.
local function advance(auction)
  if call('ZCARD', auction.conf) == 0 then return end
  while call('ZSCORE', auction.conf, digits(auction.dur + 1)) do auction.dur = auction.dur + 1 end
  call('ZREMRANGEBYSCORE', auction.conf, '-inf', digits(auction.dur))
end

call('ZCARD', pend)
local replies = {}
for index = 1, tonumber(ARGV[1]) do
  local key = index * 2
  local auction = { state = KEYS[key], conf = KEYS[key + 1], id = ARGV[at] }
  local channel, runs = ARGV[at + 1], tonumber(ARGV[at + 2])
  local state = call('HMGET', auction.state, 'seq', 'dur')
  auction.seq, auction.dur = number(state[1]), number(state[2])
  local before = auction.dur
  call('ZCARD', auction.conf)
  at = at + 3
  for _ = 1, runs do
    take_run(auction, tonumber(ARGV[at]), tonumber(ARGV[at + 1]))
    at = at + 2
  end
  advance(auction)
  if auction.dur > before then
    call('HSET', auction.state, 'dur', digits(auction.dur))
    -- Only progress makes it young again: else an orphan under a busy auction were never swept.
    if auction.dur == auction.seq then
      call('ZREM', pend, auction.id)
    else
      call('ZADD', pend, 'XX', digits(clock_us()), auction.id)
    end
    call('PUBLISH', channel, part(0, auction.seq, auction.dur, {}))
  end
  replies[index] = pack('<I8I8', auction.seq, auction.dur)
end
return replies
