#!lua flags=allow-oom
-- Finds entries that nobody has given to the journal for too long (reliability.md P3). The lock keeps
-- several replicas from doing the same work; nothing depends on it.
--
-- KEYS  pend
-- ARGV  what the shard's keys begin with; age in us from which an entry is an orphan; auctions at
--       most; entries at most; the mark of the journal: dur or out (see mark.lua); ms that the lock
--       holds
-- reply for each auction that is taken here: its 16 hex digits, a log part of what lies above the mark
local prefix, age = ARGV[1], tonumber(ARGV[2])
local left = tonumber(ARGV[4])
local field = ARGV[5]
local found = {}

local old = call('ZRANGEBYSCORE', KEYS[1], '-inf', digits(clock_us() - age), 'LIMIT', 0, ARGV[3])
for _, id in ipairs(old) do
  local base = prefix .. id
  if left > 0 and call('SET', base .. ':sweep', '1', 'NX', 'PX', ARGV[6]) then
    local state = call('HMGET', base .. ':state', 'seq', 'dur', field)
    local seq, dur, mark = number(state[1]), number(state[2]), number(state[3])
    local entries = entries_of(base .. ':stream', mark + 1, seq, left)
    left = left - #entries
    -- Nothing that the journal lacks: it is here by mistake.
    if mark >= seq then call('ZREM', KEYS[1], id) end
    found[#found + 1] = id
    found[#found + 1] = part(0, seq, dur, entries)
  end
end
return found
