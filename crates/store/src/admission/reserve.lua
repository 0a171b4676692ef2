-- Reserves a place for a task. KEYS: 1 the owner's tasks. ARGV: 1 task, 2 most at once, 3 now in UTC ms. Returns 1 or 0.
if redis.call('ZSCORE', KEYS[1], ARGV[1]) then return 1 end
if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[2]) then return 0 end
redis.call('ZADD', KEYS[1], ARGV[3], ARGV[1])
return 1
