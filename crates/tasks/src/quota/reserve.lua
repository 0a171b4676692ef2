-- Reserves places for tasks of one owner. KEYS: 1 the owner's tasks.
-- ARGV: 1 now in UTC ms, then two a task: most at once, id. Returns 1 or 0 for each.
local count = redis.call('ZCARD', KEYS[1])
local places = {}
for i = 2, #ARGV, 2 do
    local place = 0
    if redis.call('ZSCORE', KEYS[1], ARGV[i + 1]) then
        place = 1
    elseif count < tonumber(ARGV[i]) then
        redis.call('ZADD', KEYS[1], ARGV[1], ARGV[i + 1])
        count = count + 1
        place = 1
    end
    places[#places + 1] = place
end
return places
