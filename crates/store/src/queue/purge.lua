-- Deletes what apalis keeps of finished deliveries. KEYS: 1 done set, 2 dead set, 3 data hash, 4 meta prefix. ARGV: 1 most.
local purged = 0
for set = 1, 2 do
    local ids = redis.call('SPOP', KEYS[set], ARGV[1])
    for _, id in ipairs(ids) do
        redis.call('HDEL', KEYS[3], id)
        redis.call('DEL', KEYS[4] .. ':' .. id)
    end
    purged = purged + #ids
end
return purged
