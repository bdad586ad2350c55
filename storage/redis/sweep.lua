#!lua flags=allow-oom
-- Finds entries that nobody has made durable for too long (reliability.md P3). The lock keeps
-- several replicas from doing the same work; nothing depends on it.
--
-- KEYS  pend
-- ARGV  what the shard's keys begin with; age in us from which an entry is an orphan; auctions at
--       most; entries at most
-- reply for each auction that is taken here: its 16 hex digits, a log part of what lies above dur
local prefix, age = ARGV[1], tonumber(ARGV[2])
local left = tonumber(ARGV[4])
local found = {}

local old = call('ZRANGEBYSCORE', KEYS[1], '-inf', digits(clock_us() - age), 'LIMIT', 0, ARGV[3])
for _, id in ipairs(old) do
  local base = prefix .. id
  if left > 0 and call('SET', base .. ':sweep', '1', 'NX', 'PX', 500) then
    local state = call('HMGET', base .. ':state', 'seq', 'dur')
    local seq, dur = number(state[1]), number(state[2])
    local entries = entries_of(base .. ':stream', dur + 1, seq, left)
    left = left - #entries
    -- Nothing to make durable: it is here by mistake.
    if dur >= seq then call('ZREM', KEYS[1], id) end
    found[#found + 1] = id
    found[#found + 1] = part(0, seq, dur, entries)
  end
end
return found
