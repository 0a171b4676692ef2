-- Marks a queue as paused or open: '<changed at>:<1 or 0>'. ARGV: 3 changed at in UTC ms, 4 1 or 0.
-- An older word than the one that stands there changes nothing.
local stands = redis.call('GET', KEYS[8]) or ''
local changed_at = tonumber(string.match(stands, '^(%d+):'))
if changed_at and changed_at > tonumber(ARGV[3]) then return 0 end
local word = ARGV[3] .. ':' .. ARGV[4]
if stands == word then return 0 end
redis.call('SET', KEYS[8], word)
if ARGV[4] == '0' then wake(1) end
return 1
