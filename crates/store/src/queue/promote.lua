-- Moves due tasks from delayed to pending, at most ARGV[4] of them, then dispatches.
-- ARGV: 3 now in UTC ms, 4 most tasks.
local due = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', ARGV[3], 'WITHSCORES', 'LIMIT', 0, ARGV[4])
for i = 1, #due, 2 do
    redis.call('ZREM', KEYS[2], due[i])
    -- The rank was kept with the payload when the task was delayed; a task without one has waited longest.
    local rank = redis.call('HGET', KEYS[3], 'r:' .. due[i]) or '0'
    redis.call('HDEL', KEYS[3], 'r:' .. due[i])
    redis.call('ZADD', KEYS[1], rank, due[i])
end
return dispatch()
