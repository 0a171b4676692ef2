-- Removes what apalis keeps of messages that are done, a part of them at a time. Returns where to go on, and how many were
-- removed.
-- KEYS: 1 done, 2 data, 3 tries. ARGV: 1 where to go on, 2 about how many to look at, 3 seconds that they are kept, 4 how
-- many are kept at most, 5 what is put before the id of metadata.
local now = tonumber(redis.call('TIME')[1])
local crowded = redis.call('SCARD', KEYS[1]) > tonumber(ARGV[4])
local page = redis.call('SSCAN', KEYS[1], ARGV[1], 'COUNT', ARGV[2])
local removed = 0
for _, id in ipairs(page[2]) do
    local meta = ARGV[5] .. id
    local ended = tonumber(redis.call('HGET', meta, 'done_at') or 0)
    if crowded or now - ended >= tonumber(ARGV[3]) then
        redis.call('SREM', KEYS[1], id)
        redis.call('HDEL', KEYS[2], id)
        redis.call('HDEL', KEYS[3], id)
        redis.call('DEL', meta)
        removed = removed + 1
    end
end
return {page[1], removed}
