#!lua flags=allow-oom
-- Takes away what Postgres has for good (reliability.md P7): the oldest entries of streams, and the
-- keys of auctions that are over. Works without memory left, as it frees some.
--
-- A commit may be lost by a failover of Postgres, so an entry is safe only some time after it. What
-- is safe now is told by `steps`: seqs that were committed, each with the time when that was said.
--
-- KEYS  pend, due, live
-- ARGV  what the shard's keys begin with; entries of a stream that stay; in us, for how long a
--       commit may be lost; in us, for how long the keys of an auction stay that is over and safe;
--       how many auctions; then for each: its 16 hex digits, the seq up to which it is committed,
--       1 when that is its end
-- reply for each: seq u64, what the journal must have (dur, or out when that is less) u64, the seq
--       that was said to be committed before u64, entries that are left u64, entries that were taken
--       away u64, 1 when its keys are gone u8
-- cost  O(auctions), and a step for each few entries taken away: `~` leaves a block of them whole
local STEPS = 3 -- to a window: what is safe is told a third of it too late at most
local STEP_BYTES = 16
-- What stays of an auction whose keys are gone, so that an OPEN which was long on its way (of a
-- process that was stopped, say) does not begin a second log.
local GONE_MS = 86400000

local pend, due, live = KEYS[1], KEYS[2], KEYS[3]
local prefix, keep = ARGV[1], tonumber(ARGV[2])
local window, grace = tonumber(ARGV[3]), tonumber(ARGV[4])
local now = clock_us()

-- Every read comes before the first write, so that a key of another type fails before it.
local function read_auction(at)
  local base = prefix .. ARGV[at]
  local auction = { id = ARGV[at], applied = tonumber(ARGV[at + 1]), is_over = ARGV[at + 2] == '1',
                    base = base, state = base .. ':state', stream = base .. ':stream' }
  local state = call('HMGET', auction.state, 'seq', 'dur', 'pg', 'safe', 'steps', 'over', 'out')
  auction.seq, auction.dur, auction.pg = number(state[1]), number(state[2]), number(state[3])
  auction.safe, auction.steps, auction.over = number(state[4]), state[5] or '', number(state[6])
  -- What the journal lacks is the outbox of `ack = ledger`, and still read from the stream.
  auction.out = state[7] and number(state[7]) or auction.dur
  auction.before = auction.pg
  auction.length = call('XLEN', auction.stream)
  local snapshot = call('GETRANGE', base .. ':snap', 0, 8)
  if #snapshot == 9 then
    local _, seq = unpack_one('<BI8', snapshot)
    auction.snapshot = seq
  end
  return auction
end

local function last_step(steps)
  if steps == '' then return 0, 0 end
  local seq, at = unpack_one('<I8I8', steps:sub(-STEP_BYTES))
  return seq, at
end

-- What is committed now, and with it what is safe. Less than was said before: commits were lost, or
-- another process says it late. Either way nothing above it is safe.
local function settle(auction)
  local pg, steps, safe = auction.pg, auction.steps, auction.safe
  auction.pg = math.min(auction.applied, auction.seq)
  if auction.pg < pg then auction.safe, auction.steps = math.min(safe, auction.pg), '' end
  local seq, at = last_step(auction.steps)
  if auction.pg > math.max(seq, auction.safe) and now - at >= window / STEPS then
    auction.steps = auction.steps .. pack('<I8I8', auction.pg, now)
  end
  while auction.steps ~= '' do
    seq, at = unpack_one('<I8I8', auction.steps)
    if now - at < window then break end
    auction.safe, auction.steps = seq, auction.steps:sub(STEP_BYTES + 1)
  end
  if auction.pg == pg and auction.steps == steps and auction.safe == safe then return end
  call('HSET', auction.state, 'pg', digits(auction.pg), 'safe', digits(auction.safe),
       'steps', auction.steps)
end

-- Entries that nobody needs: durable, safe, older than the newest few, and in the snapshot, from
-- which the auction is loaded.
local function trim(auction)
  local last = math.min(math.min(auction.dur, auction.out, auction.safe) - keep, auction.snapshot or 0)
  if last < 1 then return 0 end
  return call('XTRIM', auction.stream, 'MINID', '~', digits(last + 1) .. '-0')
end

-- An auction that is over goes when all of its log is safe, and was for a while.
local function is_to_go(auction)
  local is_safe = auction.seq > 0 and auction.dur >= auction.seq and auction.out >= auction.seq
                  and auction.safe >= auction.seq and auction.applied >= auction.seq
  if not auction.is_over or not is_safe then return false end
  if auction.over == 0 then
    auction.over = now
    call('HSET', auction.state, 'over', digits(now))
  end
  return now - auction.over >= grace
end

local function remove(auction)
  local base = auction.base
  call('UNLINK', auction.state, auction.stream, base .. ':ids', base .. ':marks', base .. ':conf',
       base .. ':snap')
  call('ZREM', pend, auction.id)
  call('ZREM', due, auction.id)
  call('SREM', live, auction.id)
  call('HSET', auction.state, 'gone', digits(now))
  call('PEXPIRE', auction.state, digits(GONE_MS))
end

local function run(auction)
  if auction.seq == 0 then return 0, 0 end
  settle(auction)
  if is_to_go(auction) then
    remove(auction)
    return auction.length, 1
  end
  return trim(auction), 0
end

call('ZCARD', pend)
call('ZCARD', due)
call('SCARD', live)
local auctions, replies = {}, {}
for i = 1, tonumber(ARGV[5]) do auctions[i] = read_auction(3 + i * 3) end
for i, auction in ipairs(auctions) do
  local taken, is_gone = run(auction)
  local journalled = math.min(auction.dur, auction.out)
  replies[i] = pack('<I8I8I8I8I8B', auction.seq, journalled, auction.before,
                    auction.length - taken, taken, is_gone)
end
return table.concat(replies)
