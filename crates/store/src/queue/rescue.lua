-- Delivers a task anew if it waits nowhere. ARGV: 3 task, 4 rank. Returns 1 if it did.
local ticket = redis.call('HGET', KEYS[3], ARGV[3])
if not ticket then return 0 end
if redis.call('ZSCORE', KEYS[1], ARGV[3]) or redis.call('ZSCORE', KEYS[2], ARGV[3]) then
    dispatch()
    return 0
end
if ticket ~= '' and redis.call('LPOS', KEYS[5], ticket) then return 0 end
redis.call('HSET', KEYS[3], ARGV[3], '')
redis.call('ZADD', KEYS[1], ARGV[4], ARGV[3])
dispatch()
return 1
