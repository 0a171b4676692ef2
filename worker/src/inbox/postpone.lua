-- Notes that a message is to be tried again, after a wait that doubles from try to try.
-- KEYS: 1 postponed, 2 tries. ARGV: 1 id, 2 first wait in ms, 3 longest wait in ms.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local tries = redis.call('HINCRBY', KEYS[2], ARGV[1], 1)
local wait = math.min(ARGV[2] * 2 ^ math.min(tries - 1, 30), tonumber(ARGV[3]))
redis.call('ZADD', KEYS[1], now + wait, ARGV[1])
return wait
