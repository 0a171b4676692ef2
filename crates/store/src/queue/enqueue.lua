-- Puts tasks that hold no ticket into the queue, then dispatches.
-- ARGV from 3 on, four a task: id, payload, rank, run_at (0: now).
local put = 0
for i = 3, #ARGV, 4 do
    local task = ARGV[i]
    if redis.call('HSETNX', KEYS[3], 'p:' .. task, ARGV[i + 1]) == 1 then
        redis.call('HSET', KEYS[3], task, '')
        if tonumber(ARGV[i + 3]) > 0 then
            redis.call('ZADD', KEYS[2], ARGV[i + 3], task)
        else
            redis.call('ZADD', KEYS[1], ARGV[i + 2], task)
        end
        put = put + 1
    end
end
dispatch()
return put
