-- Sets a message right that would end every worker that takes it. One without its text is removed. Metadata are written anew.
-- An id that apalis spells otherwise than it is stored is replaced by how it spells it. Returns 0 for what was removed, 1
-- for what was mended in its place, 2 for what has another id.
-- KEYS: 1 data, 2 waiting, 3 held by a worker, 4 tries. ARGV: 1 what is put before the id of metadata, 2 id, 3 new id,
-- 4 new id if the other one is taken.
local id, new = ARGV[2], ARGV[3]
local text = redis.call('HGET', KEYS[1], id)
redis.call('DEL', ARGV[1] .. id)
if not text then
    redis.call('LREM', KEYS[2], 0, id)
    redis.call('SREM', KEYS[3], id)
    redis.call('HDEL', KEYS[4], id)
    return 0
end
if new ~= id then
    if redis.call('HSETNX', KEYS[1], new, text) == 0 then
        new = ARGV[4]
        redis.call('HSET', KEYS[1], new, text)
    end
    redis.call('HDEL', KEYS[1], id)
    redis.call('HDEL', KEYS[4], id)
    redis.call('LREM', KEYS[2], 0, id)
    redis.call('SREM', KEYS[3], id)
    redis.call('RPUSH', KEYS[2], new)
end
redis.call('HSET', ARGV[1] .. new, 'attempts', 0, 'max_attempts', 25, 'status', 'Pending')
return new == id and 1 or 2
