#!lua flags=allow-oom
-- With ack = ledger: entries are on the disk of every replica, so that `dur` moves over them. What a
-- WAIT on a connection covers has all that lies before it in the server's order, whoever appended it:
-- there are no gaps.
--
-- KEYS  outbox; then for each auction: state
-- ARGV  1: write in any case, for a WAIT that follows (it waits for what was written); how many
--       auctions; then for each: its channel, up to where (0: only ask)
-- reply for each auction: seq u64, dur u64
local replies = {}

if ARGV[1] == '1' then call('INCRBY', KEYS[1], 0) end
for index = 1, tonumber(ARGV[2]) do
  local key, channel, upto = KEYS[index + 1], ARGV[1 + 2 * index], tonumber(ARGV[2 + 2 * index])
  local state = call('HMGET', key, 'seq', 'dur')
  local seq, dur = number(state[1]), number(state[2])
  if upto > seq then upto = seq end -- of a log that was taken back
  if upto > dur then
    dur = upto
    call('HSET', key, 'dur', digits(dur))
    call('PUBLISH', channel, part(0, seq, dur, {}))
  end
  replies[index] = pack('<I8I8', seq, dur)
end
return replies
