#!lua
-- Keeps a folded state that is newer than the one kept, so that an auction is loaded without all of
-- its log, and says when the auction is due (reliability.md P8).
--
-- KEYS  state, snap, due
-- ARGV  its 16 hex digits; the snapshot: version u8, seq u64, the rest is the caller's; due in us,
--       or '' when there is no telling, or 'over'
-- reply 1 when it was kept
local state = call('HMGET', KEYS[1], 'dur')
local kept = call('GET', KEYS[2])
call('ZCARD', KEYS[3])
local _, seq = unpack_one('<BI8', ARGV[2])
local newest = -1

if kept then _, newest = unpack_one('<BI8', kept) end
-- Not durable, of a log that was taken back, or older than what is there.
if seq > number(state[1]) or seq < newest then return 0 end
if ARGV[3] == 'over' then
  call('ZREM', KEYS[3], ARGV[1])
elseif ARGV[3] ~= '' then
  call('ZADD', KEYS[3], ARGV[3], ARGV[1])
end
if seq == newest then return 0 end
call('SET', KEYS[2], ARGV[2])
return 1
