#!lua flags=allow-oom
-- A piece of one auction's log, and its newest snapshot when that is asked for and newer than what
-- is known. Writes nothing.
--
-- KEYS  state, stream, snap
-- ARGV  the newest seq that the caller knows; entries at most; 1: with the snapshot
-- reply the snapshot or ''; a log part (CUT: more lie behind these)
local state = call('HMGET', KEYS[1], 'seq', 'dur')
local seq, dur = number(state[1]), number(state[2])
local known, most = tonumber(ARGV[1]), tonumber(ARGV[2])
local snapshot = ''

if ARGV[3] == '1' then
  snapshot = call('GET', KEYS[3]) or ''
  if snapshot ~= '' then
    local _, at = unpack_one('<BI8', snapshot)
    if at > known and at <= dur then known = at else snapshot = '' end
  end
end
local entries = entries_of(KEYS[2], known + 1, seq, most)
return { snapshot, part(seq - known > #entries and CUT or 0, seq, dur, entries) }
