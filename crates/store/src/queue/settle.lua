-- Takes a task out of the queue, or lets it wait for its next attempt; then dispatches.
-- ARGV: 3 task, 4 run_at in UTC ms (0: it has ended), 5 payload, 6 rank.
redis.call('ZREM', KEYS[1], ARGV[3])
redis.call('ZREM', KEYS[2], ARGV[3])
redis.call('HDEL', KEYS[3], ARGV[3], 'p:' .. ARGV[3], 'r:' .. ARGV[3])
if tonumber(ARGV[4]) > 0 then
    redis.call('HSET', KEYS[3], ARGV[3], '', 'p:' .. ARGV[3], ARGV[5], 'r:' .. ARGV[3], ARGV[6])
    redis.call('ZADD', KEYS[2], ARGV[4], ARGV[3])
end
dispatch()
return redis.status_reply('OK')
