#!lua
-- Gives commands of many auctions their places (reliability.md P1). Knows no rule. The first line
-- makes Redis refuse it as a whole when memory or disk are full: then nothing was written.
--
-- KEYS  pend, due, live, outbox; then for each auction: state, stream, ids, marks
-- ARGV  cap, marks_max, how many entries may be in the outbox (-1: ack = journal, it is not used),
--       how many auctions; then for each auction: its 16 hex digits, its channel, the newest seq that
--       the caller knows (-1: tell nothing), how many commands; then for each command two: head,
--       payload
-- head  kind (O an OPEN, A another entry, R the mark of a refusal), bid_id 16, asked 8, expires
--       u64; O: due u64; R: refusal u8, as_of u64. payload: canonical bytes, their epoch, seq and
--       now written here; R: empty
-- reply for each auction: for each command outcome u8, refusal u8, seq u64, asked 8, now u64; then
--       a log part with the entries between the known one and the first of this call
-- cost  O(commands), 3 to 6 Redis calls each
local DONE, DUPLICATE, REFUSED, MARKED, EXPIRED, BUSY = 0, 1, 2, 3, 4, 5 -- enum qb_append_outcome
local MARK_LIFE_US = 15000000
local CATCH_UP_MAX, CATCH_UP_TOTAL = 256, 1024
local NO_ASKED = string.rep('\0', 8)

local pend, due, live, outbox = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local cap, marks_max, outbox_max = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local clock = clock_us()
local at = 5
local has_outbox = outbox_max >= 0
local outbox_left = math.huge
if has_outbox then outbox_left = outbox_max - number(call('GET', outbox)) end

local function result(outcome, refusal, seq, asked, now)
  return pack('<BBI8', outcome, refusal, seq) .. asked .. pack('<I8', now)
end

local function read_command(auction)
  local head = ARGV[at]
  local command = { payload = ARGV[at + 1] }
  local from
  command.kind, command.bid_id, command.asked, command.expires, from =
    unpack_one('<c1c16c8I8', head)
  if command.kind == 'O' then command.due = unpack_one('<I8', head, from) end
  if command.kind == 'R' then command.refusal, command.as_of = unpack_one('<BI8', head, from) end
  at = at + 2
  return command
end

-- Reads with every type that is written later, so that a key of another type fails before any
-- write.
local function read_auction(index)
  local key = index * 4 + 1
  local auction = {
    state = KEYS[key], stream = KEYS[key + 1], ids = KEYS[key + 2], marks = KEYS[key + 3],
    id = ARGV[at], channel = ARGV[at + 1], known = tonumber(ARGV[at + 2]),
    count = tonumber(ARGV[at + 3]), commands = {}, results = {}, new = {}, flags = 0,
  }
  local state = call('HMGET', auction.state, 'seq', 'last', 'dur', 'gone')
  auction.seq, auction.last, auction.dur = number(state[1]), number(state[2]), number(state[3])
  auction.before, auction.is_gone = auction.seq, state[4]
  call('XLEN', auction.stream)
  call('HLEN', auction.ids)
  auction.mark_count = call('LLEN', auction.marks)
  at = at + 4
  for i = 1, auction.count do auction.commands[i] = read_command(auction) end
  return auction
end

local function of_known(known)
  local seq, asked, from = unpack_one('<I8c8', known)
  if #known < from then return result(DUPLICATE, 0, seq, asked, 0) end
  return result(REFUSED, unpack_one('<B', known, from), seq, asked, 0)
end

-- Room for one more mark: false while the oldest is too young to be forgotten.
local function make_mark_room(auction, now)
  while auction.mark_count >= marks_max do
    local bid_id, made = unpack_one('<c16I8', call('LINDEX', auction.marks, 0))
    if now - made < MARK_LIFE_US then return false end
    call('LPOP', auction.marks)
    call('HDEL', auction.ids, bid_id)
    auction.mark_count = auction.mark_count - 1
  end
  return true
end

local function mark(auction, command, now)
  if not make_mark_room(auction, now) then return result(BUSY, 0, 0, NO_ASKED, 0) end
  call('RPUSH', auction.marks, command.bid_id .. pack('<I8', now))
  call('HSET', auction.ids, command.bid_id,
       pack('<I8', math.max(command.as_of, 1)) .. command.asked .. pack('<B', command.refusal))
  auction.mark_count = auction.mark_count + 1
  return result(MARKED, 0, command.as_of, NO_ASKED, 0)
end

-- The one write that can fail comes first: an explicit id refuses a place that is taken.
local function append(auction, command, now)
  local seq = auction.seq + 1
  local payload = command.payload
  local entry = payload:sub(1, 9) .. pack('<I4I8', tonumber(EPOCH), seq) .. payload:sub(22, 84)
                .. pack('<I8', now) .. payload:sub(93)
  local added = redis.pcall('XADD', auction.stream, digits(seq) .. '-0', 'e', entry)
  if type(added) == 'table' and added.err then
    auction.flags = BROKEN
    return result(BUSY, 0, 0, NO_ASKED, 0)
  end
  outbox_left = outbox_left - 1
  auction.seq, auction.last = seq, now
  auction.new[#auction.new + 1] = entry
  call('HSET', auction.state, 'seq', digits(seq), 'last', digits(now))
  call('HSET', auction.ids, command.bid_id, pack('<I8', seq) .. command.asked)
  if command.kind == 'O' and seq == 1 then
    call('ZADD', due, digits(command.due), auction.id)
    call('SADD', live, auction.id)
    if has_outbox then call('HSET', auction.state, 'out', '0') end
  end
  return result(DONE, 0, seq, NO_ASKED, now)
end

local function run(auction, command)
  -- Without its OPEN a log has no place for anything; an OPEN that is late makes none, nor one of
  -- an auction whose log is in Postgres alone by now (trim.lua).
  local is_late = command.kind ~= 'O' or clock > command.expires or auction.is_gone
  if auction.seq == 0 and is_late then return result(EXPIRED, 0, 0, NO_ASKED, 0) end
  local now = math.max(clock, auction.last)
  local known = call('HGET', auction.ids, command.bid_id)
  if known then return of_known(known) end
  if command.kind == 'R' then return mark(auction, command, now) end
  if now > command.expires then return result(EXPIRED, 0, 0, NO_ASKED, 0) end
  if auction.seq - auction.dur >= cap or outbox_left <= 0 then
    return result(BUSY, 0, 0, NO_ASKED, 0)
  end
  return append(auction, command, now)
end

call('ZCARD', pend)
call('ZCARD', due)
call('SCARD', live)
local auctions = {}
for index = 1, tonumber(ARGV[4]) do auctions[index] = read_auction(index) end

local replies = {}
local appended = 0
local catch_up_left = CATCH_UP_TOTAL
for index, auction in ipairs(auctions) do
  for i, command in ipairs(auction.commands) do auction.results[i] = run(auction, command) end
  if #auction.new > 0 then
    appended = appended + #auction.new
    call('ZADD', pend, 'NX', digits(auction.last), auction.id)
    call('PUBLISH', auction.channel, part(0, auction.seq, auction.dur, auction.new))
  end
  local missed = {}
  if auction.known >= 0 and auction.known < auction.before then
    local most = math.min(CATCH_UP_MAX, catch_up_left)
    missed = entries_of(auction.stream, auction.known + 1, auction.before, most)
    catch_up_left = catch_up_left - #missed
    if auction.before - auction.known > #missed then auction.flags = auction.flags + CUT end
  end
  replies[index] = table.concat(auction.results)
                   .. part(auction.flags, auction.seq, auction.dur, missed)
end
if has_outbox and appended > 0 then call('INCRBY', outbox, appended) end
return replies
