-- Moves due messages from the set of scheduled ones to the list of waiting ones, at most ARGV 1 of them, so that what
-- apalis moves by itself never is too much for one call.
-- KEYS: 1 scheduled, 2 waiting.
local now = redis.call('TIME')[1]
local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, ARGV[1])
if #due > 0 then
    redis.call('RPUSH', KEYS[2], unpack(due))
    redis.call('ZREM', KEYS[1], unpack(due))
end
return #due
