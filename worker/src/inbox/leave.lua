-- Ends a worker's registration. What it held waits again. Returns how many messages that were.
-- KEYS: 1 held by it, 2 waiting, 3 workers, 4 what is told of it, 5 names of all that were started. ARGV: 1 its name.
local held = redis.call('SMEMBERS', KEYS[1])
for _, id in ipairs(held) do
    redis.call('RPUSH', KEYS[2], id)
end
redis.call('DEL', KEYS[1], KEYS[4])
redis.call('ZREM', KEYS[3], ARGV[1])
redis.call('ZREM', KEYS[5], ARGV[1])
return #held
