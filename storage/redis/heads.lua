#!lua flags=allow-oom
-- Where auctions stand (reliability.md P10), the time, and whether this Redis is still the one of
-- the epoch. Writes nothing; a replica refuses it nevertheless, as it shall.
--
-- KEYS  each auction's state
-- reply now u64; then for each auction seq u64, dur u64
local heads = { pack('<I8', clock_us()) }

for i = 1, #KEYS do
  local state = call('HMGET', KEYS[i], 'seq', 'dur')
  heads[i + 1] = pack('<I8I8', number(state[1]), number(state[2]))
end
return table.concat(heads)
