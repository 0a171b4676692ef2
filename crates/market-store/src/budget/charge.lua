-- Charges a call. KEYS: 1 its minute, 2 the neighbouring minute that may count it (or the same key), 3 closure.
-- ARGV: 1 weight, 2 limit, 3 ms until the minute is over for sure. Returns {granted, wait ms, closed}.
local closed = redis.call('PTTL', KEYS[3])
if closed > 0 then return {0, closed, 1} end
local weight, limit = tonumber(ARGV[1]), tonumber(ARGV[2])
for i = 1, 2 do
    if tonumber(redis.call('GET', KEYS[i]) or '0') + weight > limit then return {0, tonumber(ARGV[3]), 0} end
end
redis.call('INCRBY', KEYS[1], weight)
redis.call('PEXPIRE', KEYS[1], 180000)
if KEYS[2] ~= KEYS[1] then
    redis.call('INCRBY', KEYS[2], weight)
    redis.call('PEXPIRE', KEYS[2], 180000)
end
return {1, 0, 0}
