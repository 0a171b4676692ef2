-- Puts tasks that hold no ticket into the queue, then dispatches.
-- ARGV from 3 on, seven a task: id, payload, rank, run_at (0: now), progress key, sequence, snapshot.
local put = 0
for i = 3, #ARGV, 7 do
    local task = ARGV[i]
    if redis.call('HSETNX', KEYS[3], 'p:' .. task, ARGV[i + 1]) == 1 then
        redis.call('HSET', KEYS[3], task, '')
        if tonumber(ARGV[i + 3]) > 0 then
            redis.call('ZADD', KEYS[2], ARGV[i + 3], task)
        else
            redis.call('ZADD', KEYS[1], ARGV[i + 2], task)
        end
        if redis.call('EXISTS', ARGV[i + 4]) == 0 then
            redis.call('HSET', ARGV[i + 4], 'sequence', ARGV[i + 5], 'json', ARGV[i + 6])
            redis.call('PEXPIRE', ARGV[i + 4], 604800000)
        end
        put = put + 1
    end
end
dispatch()
return put
