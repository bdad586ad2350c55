-- What every script begins with, after its first line and `local EPOCH`: the fence, and the form in
-- which entries travel. The epoch is a literal of the text, so that a script of an old epoch cannot
-- run under a new one, and a Redis that restarted knows none of them (reliability.md P1). The key
-- of the epoch is the last of ARGV, not one of KEYS: Redis asks of a caller that it may write KEYS,
-- and this one it may only read.
--
-- What the scripts use, for the rights of who calls them: get getrange set incrby time publish pttl
-- pexpire unlink, hget hmget hgetall hset hdel hlen hincrby, xadd xrange xlen xtrim, zadd zrem zcard
-- zscore zrange zrangebyscore zremrangebyscore, sadd srem scard, llen lindex lpop rpush. The ledger
-- itself: evalsha zrangebyscore del wait role config|get; persisters: evalsha sscan xrange. Only the
-- coordinator: script|load and the key of the epoch.
--
-- A log part, little-endian: version u8 = 1, flags u8, epoch u32, seq u64 (the newest), dur u64,
-- count u16; then each entry: length u16, canonical bytes (bidding/entry.h).
local CUT, BROKEN = 1, 2 -- flags: more entries than these lie before; the stream refused one
local pack, unpack_one, call = struct.pack, struct.unpack, redis.call

if call('GET', ARGV[#ARGV]) ~= EPOCH then
  return redis.error_reply('STALE the epoch is not ' .. EPOCH)
end

local function clock_us()
  local time = call('TIME')
  return tonumber(time[1]) * 1000000 + tonumber(time[2])
end

local function number(text)
  return tonumber(text or 0) or 0
end

-- As decimal digits: Lua's own conversion turns to 1e+15 from there on.
local function digits(value)
  return string.format('%d', value)
end

local function part(flags, seq, dur, entries)
  local pieces = { pack('<BBI4I8I8I2', 1, flags, tonumber(EPOCH), seq, dur, #entries) }
  for i = 1, #entries do
    pieces[#pieces + 1] = pack('<I2', #entries[i])
    pieces[#pieces + 1] = entries[i]
  end
  return table.concat(pieces)
end

-- Entries first to last of a stream, `most` of them at most.
local function entries_of(stream, first, last, most)
  local entries = {}
  if first > last or most <= 0 then return entries end
  local rows = call('XRANGE', stream, digits(first) .. '-0', digits(last) .. '-0', 'COUNT', most)
  for i = 1, #rows do entries[i] = rows[i][2][2] end
  return entries
end
