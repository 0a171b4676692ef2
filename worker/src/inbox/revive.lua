-- Postpones what apalis gave up by itself, which nobody asked it to. Returns where to go on, and how many there were.
-- KEYS: 1 dead, 2 postponed. ARGV: 1 where to go on, 2 about how many to look at, 3 wait in ms.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local page = redis.call('SSCAN', KEYS[1], ARGV[1], 'COUNT', ARGV[2])
local found = 0
for _, id in ipairs(page[2]) do
    found = found + redis.call('ZADD', KEYS[2], 'NX', now + ARGV[3], id)
end
return {page[1], found}
