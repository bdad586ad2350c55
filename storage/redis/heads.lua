#!lua flags=allow-oom
-- Where auctions stand (reliability.md P10), the time, and whether this Redis is still the one of
-- the epoch. Writes nothing; a replica refuses it nevertheless, as it shall.
--
-- KEYS  outbox; then each auction's state
-- reply now u64, entries in the outbox u64; then for each auction seq u64, dur u64
local heads = { pack('<I8I8', clock_us(), math.max(number(call('GET', KEYS[1])), 0)) }

for i = 2, #KEYS do
  local state = call('HMGET', KEYS[i], 'seq', 'dur')
  heads[i] = pack('<I8I8', number(state[1]), number(state[2]))
end
return table.concat(heads)
