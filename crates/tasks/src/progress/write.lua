-- Keeps a snapshot unless a newer one is there, and publishes it.
-- KEYS: 1 snapshot hash, 2 cancel flag. ARGV: 1 sequence, 2 JSON, 3 ttl in ms, 4 channel, 5 channel of the owner.
-- Returns {1 if kept, 1 if the task was asked to stop}.
local cancel = redis.call('EXISTS', KEYS[2])
local known = redis.call('HGET', KEYS[1], 'sequence')
if known and tonumber(known) > tonumber(ARGV[1]) then
    return {0, cancel}
end
redis.call('HSET', KEYS[1], 'sequence', ARGV[1], 'json', ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
redis.call('PUBLISH', ARGV[4], ARGV[2])
redis.call('PUBLISH', ARGV[5], ARGV[2])
return {1, cancel}
