#!lua
-- How often keys (addresses) did something in a window, over all replicas (security.md S48). Each
-- adds what it let through since its last call, and hears of all keys that used half of their limit.
--
-- KEYS  replicas (sorted set: process by the time it was last here), hot (sorted set: key by the
--       time it last changed); then each key's counts (hash: number of a bucket to a count)
-- ARGV  limit, window in us, process, from when on hot keys are told, what a key's name begins with,
--       how many keys; then for each: its 32 hex digits, how many are added, 1 when somebody waits
--       for one
-- reply head: replicas u64, time u64 (the next call tells hot keys from then on)
--       keys: for each total u64, granted u64, wait in us u64
--       hot: 32 hex digits, total u64; again and again
-- cost  O(keys * buckets)
local BUCKETS = 100 -- one of them is always partly outside: 99 make up the window
local PRESENT_US = 5000000
local HOT_MAX = 500 -- more than a call has keys, whose times are the same
local limit, window = tonumber(ARGV[1]), tonumber(ARGV[2])
local prefix = ARGV[5]
local now = clock_us()
local bucket_us = math.floor(window / (BUCKETS - 1))
local bucket = math.floor(now / bucket_us)

-- Counts by bucket and their sum; those that have left the window are removed.
local function counts_of(key)
  local flat = call('HGETALL', key)
  local counts, total = {}, 0
  for i = 1, #flat, 2 do
    local number, count = tonumber(flat[i]), tonumber(flat[i + 1])
    if number <= bucket - BUCKETS then
      call('HDEL', key, flat[i])
    else
      counts[number] = count
      total = total + count
    end
  end
  return counts, total
end

-- Until enough of the oldest have left for one more.
local function wait_of(counts, total)
  local left = total
  for number = bucket - BUCKETS + 1, bucket do
    if left < limit then break end
    left = left - (counts[number] or 0)
    if left < limit then return (number + BUCKETS) * bucket_us - now end
  end
  return 0
end

-- While there is enough for everybody's share nothing is granted: see storage/tally.h.
local function count(key, id, added, is_wanted, replicas)
  local counts, total = counts_of(key)
  local granted = 0
  local left = limit - total - added
  if is_wanted and left > 0 and left < 3 * replicas then granted = 1 end
  if added + granted > 0 then
    call('HINCRBY', key, digits(bucket), digits(added + granted))
    call('PEXPIRE', key, digits(math.ceil((window + bucket_us) / 1000)))
    counts[bucket] = (counts[bucket] or 0) + added + granted
    total = total + added + granted
    if total * 2 >= limit then
      call('ZADD', KEYS[2], digits(now), id)
      call('ZREMRANGEBYSCORE', KEYS[2], '-inf', digits(now - window))
      call('PEXPIRE', KEYS[2], digits(math.ceil(window / 1000)))
    end
  end
  return pack('<I8I8I8', total, granted, wait_of(counts, total))
end

-- Once a second: each write costs everybody's fsync.
local seen = call('ZSCORE', KEYS[1], ARGV[3])
if not seen or now - tonumber(seen) > 1000000 then
  call('ZADD', KEYS[1], digits(now), ARGV[3])
  call('ZREMRANGEBYSCORE', KEYS[1], '-inf', digits(now - PRESENT_US))
  call('PEXPIRE', KEYS[1], digits(PRESENT_US / 1000))
end
local replicas = call('ZCARD', KEYS[1])
local parts = {}
for i = 1, tonumber(ARGV[6]) do
  local at = 4 + i * 3
  parts[i] = count(KEYS[2 + i], ARGV[at], tonumber(ARGV[at + 1]), ARGV[at + 2] == '1', replicas)
end

-- From a moment before: two calls may have the same time.
local told = {}
local upto = now - 1000
local hot = call('ZRANGEBYSCORE', KEYS[2], ARGV[4], '+inf', 'WITHSCORES', 'LIMIT', 0, HOT_MAX)
for i = 1, #hot, 2 do
  local _, total = counts_of(prefix .. hot[i])
  told[#told + 1] = hot[i] .. pack('<I8', total)
end
if #hot == 2 * HOT_MAX then upto = tonumber(hot[#hot]) end
return { pack('<I8I8', replicas, upto), table.concat(parts), table.concat(told) }
