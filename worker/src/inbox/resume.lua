-- Lets postponed messages whose time has come wait again, at most ARGV 1 of them. apalis keeps a message that was postponed
-- among the dead. One that is not there yet was not acknowledged yet: it is looked at again after ARGV 2 ms. Returns how
-- many were looked at.
-- KEYS: 1 postponed, 2 dead, 3 waiting, 4 done, 5 data, 6 tries. ARGV: 3 what is put before the id of metadata.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, ARGV[1])
for _, id in ipairs(due) do
    local known = redis.call('HEXISTS', KEYS[5], id) == 1
    if not known then
        -- A message without its text would end the worker that takes it.
        redis.call('SREM', KEYS[2], id)
        redis.call('HDEL', KEYS[6], id)
        redis.call('ZREM', KEYS[1], id)
    elseif redis.call('SREM', KEYS[2], id) == 1 then
        redis.call('HSET', ARGV[3] .. id, 'status', 'Pending')
        redis.call('RPUSH', KEYS[3], id)
        redis.call('ZREM', KEYS[1], id)
    elseif redis.call('SISMEMBER', KEYS[4], id) == 1 then
        -- Taken by another worker meanwhile, and done.
        redis.call('ZREM', KEYS[1], id)
    else
        redis.call('ZADD', KEYS[1], now + ARGV[2], id)
    end
end
return #due
