#!lua
-- What accounts may do, over all replicas: submissions in a window (security.md S47) and what they
-- have at stake (rules.md 10). Knows no rule of auctions. Refused as a whole without memory: then
-- nothing was counted.
--
-- KEYS  for each step: its account's pace (sorted set: bid_id by its time in us) and stakes (hash)
-- ARGV  submissions in a window, the window in us, the life of a reservation in us, how many steps;
--       then each step, little-endian:
--       S bid_id 16, auction 8, currency 4, maximum i64, limit i64 (-1: none)   a submission
--       H auction 8, currency 4, seq u64, amount i64                            what a fold holds
--       R auction 8, bid_id 16                                                  a bid was decided
-- stakes  h auction 8: seq u64, amount u64, end u64 (0: none), currency 4, epoch u32. An amount of 0
--         stays for a while, so that what another replica says later of before finds the newer seq.
--         What was folded in an epoch before may be void: it ends in a while unless it is set again.
--         r auction 8, bid_id 16: how often it is on its way u64, and the same
-- reply for each S: how long to wait in us i64 (0: let through), allowance i64 (-1: no limit)
-- cost  O(1) for each step, and O(stakes) where the account has a limit
local SETTLED_US = 600000000
local SETTLED_MS = 600000
local FADING_US = 3600000000
local HELD_MS = 34560000000 -- 400 days: longer than an auction can last
local bids_max, window, reserved = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local now = clock_us()

-- Exact: let through while fewer than bids_max others fall into the window before it.
local function wait_of(key, bid_id)
  local known = call('ZSCORE', key, bid_id)
  if known and now - tonumber(known) < window then return 0 end
  local count = call('ZCARD', key)
  if count >= bids_max then
    call('ZREMRANGEBYSCORE', key, '-inf', digits(now - window))
    count = call('ZCARD', key)
  end
  if count >= bids_max then
    local at = count - bids_max
    local oldest = call('ZRANGE', key, at, at, 'WITHSCORES')
    return tonumber(oldest[2]) + window - now
  end
  call('ZADD', key, digits(now), bid_id)
  call('PEXPIRE', key, digits(math.ceil(window / 1000)))
  return 0
end

local function write(key, field, number, amount, ends, currency)
  call('HSET', key, field, pack('<I8I8I8c4I4', number, amount, ends, currency, tonumber(EPOCH)))
end

-- What the account has at stake; what has ended is removed.
local function stakes_of(key)
  local flat = call('HGETALL', key)
  local stakes = {}
  for i = 1, #flat, 2 do
    local field = flat[i]
    local number, amount, ends, currency, epoch = unpack_one('<I8I8I8c4I4', flat[i + 1])
    if ends == 0 and epoch ~= tonumber(EPOCH) then
      write(key, field, number, amount, now + FADING_US, currency)
    end
    if ends > 0 and ends <= now then
      call('HDEL', key, field)
    else
      stakes[field] = { auction = field:sub(2, 9), number = number, amount = amount,
                        currency = currency }
    end
  end
  return stakes
end

-- Of each auction the most counts: the folded hold or a bid on its way.
local function at_stake_elsewhere(stakes, auction, currency)
  local most, sum = {}, 0
  for _, stake in pairs(stakes) do
    if stake.auction ~= auction and stake.currency == currency then
      local before = most[stake.auction] or 0
      if stake.amount > before then
        sum = sum + (stake.amount - before) -- in this order: exact up to 2^53
        most[stake.auction] = stake.amount
      end
    end
  end
  return sum
end

local function live_for(key, ms)
  if call('PTTL', key) < ms then call('PEXPIRE', key, digits(ms)) end
end

local function grant(key, bid_id, auction, currency, most, limit)
  local stakes = stakes_of(key)
  local allowance = math.max(limit - at_stake_elsewhere(stakes, auction, currency), 0)
  if most <= 0 or most > allowance then return allowance end
  local field = 'r' .. auction .. bid_id
  local before = stakes[field] or { number = 0, amount = 0 }
  write(key, field, before.number + 1, math.max(before.amount, most), now + reserved, currency)
  live_for(key, math.max(SETTLED_MS, math.ceil(reserved / 1000)))
  return allowance
end

local function submit(pace, stakes, step)
  local _, bid_id, auction, currency, most, limit = unpack_one('<c1c16c8c4i8i8', step)
  local wait, allowance = wait_of(pace, bid_id), -1
  if wait == 0 and limit >= 0 then
    allowance = grant(stakes, bid_id, auction, currency, most, limit)
  end
  return pack('<i8i8', wait, allowance)
end

local function hold(key, step)
  local _, auction, currency, seq, amount = unpack_one('<c1c8c4I8i8', step)
  local field = 'h' .. auction
  local kept = call('HGET', key, field)
  if kept then
    local newest, held, ends, _, epoch = unpack_one('<I8I8I8c4I4', kept)
    -- One that fades was folded in an epoch before, though it was written in this one.
    local is_fading = held > 0 and ends > 0
    if epoch == tonumber(EPOCH) and not is_fading and newest >= seq then return end
  end
  if amount > 0 then
    write(key, field, seq, amount, 0, currency)
    live_for(key, HELD_MS)
    return
  end
  write(key, field, seq, 0, now + SETTLED_US, currency)
  for other, stake in pairs(stakes_of(key)) do
    if other:sub(1, 1) == 'h' and stake.amount > 0 then return end
  end
  call('PEXPIRE', key, digits(SETTLED_MS))
end

local function release(key, step)
  local _, auction, bid_id = unpack_one('<c1c8c16', step)
  local field = 'r' .. auction .. bid_id
  local kept = call('HGET', key, field)
  if not kept then return end
  local number, amount, ends, currency = unpack_one('<I8I8I8c4', kept)
  if number <= 1 then
    call('HDEL', key, field)
  else
    write(key, field, number - 1, amount, ends, currency)
  end
end

local answers = {}
for i = 1, tonumber(ARGV[4]) do
  local step = ARGV[4 + i]
  local kind = step:sub(1, 1)
  if kind == 'S' then
    answers[#answers + 1] = submit(KEYS[2 * i - 1], KEYS[2 * i], step)
  elseif kind == 'H' then
    hold(KEYS[2 * i], step)
  else
    release(KEYS[2 * i], step)
  end
end
return table.concat(answers)
